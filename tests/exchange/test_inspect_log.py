"""Logs that inspect_ai wrote with its mock model: cases, prompt, answers, scores; and logs that want to do harm."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from promptstudio.errors import PromptFileError
from promptstudio.exchange import inspect_zip
from promptstudio.exchange.importing import import_path
from promptstudio.exchange.schema import Import
from promptstudio.prompts.yamlfile import read_yaml

SAMPLES = Path(__file__).parent / "samples"
HEADER = {"version": 2, "status": "success", "eval": {"task": "t", "model": "openai/gpt-4o"}, "plan": {"steps": []}}


def cases(result: Import) -> list[dict[str, Any]]:
    text = next(made.text for made in result.made if made.kind == "data")
    return [json.loads(line) for line in text.splitlines()]


def made(result: Import, kind: str) -> dict[str, Any]:
    return dict(read_yaml(next(one.text for one in result.made if one.kind == kind), file="f").value)


def sample(**more: Any) -> dict[str, Any]:
    output = {
        "model": "gpt-4o-2024",
        "choices": [{"message": {"role": "assistant", "content": "Paris"}, "stop_reason": "stop"}],
        "usage": {"input_tokens": 5, "output_tokens": 1}, "time": 0.5,
    }  # fmt: skip
    return {"id": 1, "epoch": 1, "input": "Capital of France?", "target": "Paris", "output": output, **more}


def archive(path: Path, entries: dict[str, Any], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as log:
        for name, value in entries.items():
            log.writestr(name, value if isinstance(value, bytes | str) else json.dumps(value))
    return path


def test_a_log_becomes_cases_with_its_epochs_as_repeats_and_its_answers() -> None:
    pytest.importorskip("zstandard")
    result = import_path(SAMPLES / "capitals.eval")

    assert result.sources == (("capitals.eval", "inspect"),)
    assert made(result, "suite")["repeats"] == 2
    france, jordan = cases(result)
    assert france["id"] == "fr"
    assert france["metadata"]["region"] == "europe"
    assert france["metadata"]["inspect_scores"] == {"includes": {"1": "C", "2": "C"}}
    assert france["assert"] == [{"type": "icontains", "value": "Paris"}]
    assert jordan["assert"] == [{"type": "icontains-any", "value": ["عمان", "عمّان"]}]
    assert jordan["inputs"]["conversation"][-1] == {"role": "user", "content": "ما عاصمة الأردن؟"}
    said = {(one.case, one.repeat): one.said[0].text for one in result.answers[0].answers}
    assert said == {("fr", 0): "Paris.", ("jo", 0): "عمان", ("fr", 1): "It is Paris", ("jo", 1): "لا أعرف"}
    assert {loss.key for loss in result.losses} == {"samples.scores", "eval.model"}


def test_a_log_in_json_keeps_the_messages_that_were_sent_and_says_which_solver_is_lost() -> None:
    result = import_path(SAMPLES / "quiz.json")

    (case,) = cases(result)
    assert case["inputs"]["input"].endswith("2+2?\n\nA) 3\nB) 4")
    assert case["metadata"]["choices"] == ["3", "4"]
    assert case["assert"] == [{"type": "regex", "value": r"(?i)ANSWER\s*:\s*B(?!\w)"}]
    assert "plan.steps.multiple_choice" in {loss.key for loss in result.losses}


def test_the_model_and_its_parameters_become_the_prompts(tmp_path: Path) -> None:
    header = {**HEADER, "eval": {
        "model": "google/gemini-2.0-flash", "model_generate_config": {"temperature": 0.5, "num_choices": 2},
        "scorers": [{"name": "inspect_ai/model_graded_qa"}, {"name": "exact"}], "sandbox": {"type": "docker"},
    }}  # fmt: skip
    path = archive(tmp_path / "a.eval", {"header.json": header, "samples/1_epoch_1.json": sample()})
    result = import_path(path)

    prompt = made(result, "prompt")
    assert (prompt["model"], prompt["parameters"]) == ("gemini/gemini-2.0-flash", {"temperature": 0.5})
    assert cases(result)[0]["assert"] == [{"type": "equals", "value": "Paris"}]
    assert {loss.key for loss in result.losses} >= {
        "eval.model_generate_config.num_choices", "eval.scorers.model_graded_qa", "eval.sandbox",
    }  # fmt: skip
    said = result.answers[0].answers[0].said[0]
    assert (said.model, said.usage.input_tokens, said.latency_ms, said.finish_reason) == (
        "gpt-4o-2024",
        5,
        500.0,
        "stop",
    )


def test_a_log_that_was_broken_off_gives_what_it_holds(tmp_path: Path) -> None:
    broken = sample(id=2, error={"message": "it broke"}, output={"choices": []})
    start = {"version": 2, "eval": {"model": "openai/x"}, "plan": {}}
    entries = {"_journal/start.json": start, "samples/1_epoch_1.json": sample(), "samples/2_epoch_1.json": broken}
    result = import_path(archive(tmp_path / "a.eval", entries))

    assert [case["id"] for case in cases(result)] == ["1", "2"]
    assert [one.case for one in result.answers[0].answers] == ["1"]
    assert "samples.error" in {loss.key for loss in result.losses}


def test_nan_in_a_log_is_a_figure_nobody_knows(tmp_path: Path) -> None:
    text = json.dumps({**HEADER, "results": {"scores": [{"stderr": "NAN"}]}, "samples": [sample()]}).replace(
        '"NAN"', "NaN"
    )
    (tmp_path / "log.json").write_text(text)

    assert [case["id"] for case in cases(import_path(tmp_path / "log.json"))] == ["1"]


def test_names_in_a_log_lead_nowhere_and_nothing_is_unpacked(tmp_path: Path) -> None:
    entries = {"header.json": HEADER, "samples/../../../evil.json": sample(id="../../x"), "../out.json": "{}"}
    folder = tmp_path / "in"
    folder.mkdir()
    result = import_path(archive(folder / "a.eval", entries))

    assert {one.name for one in result.made} == {"a.yaml", "a.cases.jsonl"}
    assert sorted(path.name for path in tmp_path.rglob("*.json")) == []


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"x": "y"}, "there is no header.json in it"),
        ({"header.json": "[1]"}, "header.json: expected a map with the key eval, found a list"),
        ({"header.json": "{"}, "'header.json': not JSON"),
        ({"header.json": b"\xff\xfe"}, "'header.json': not"),
        ({"header.json": HEADER, "samples/1.json": "[" * 100_000}, "nested too deeply"),
        ({"header.json": HEADER, "samples/1.json": "7"}, "sample 1: expected a map, found the number 7"),
        ({"header.json": HEADER, "samples/1.json": sample(epoch=0)}, "sample 1: epoch: expected a number from 1"),
        ({"header.json": HEADER, "samples/1.json": {"id": 1}}, "sample 1: input: expected a text or messages"),
        ({"header.json": HEADER}, "there is no case in it"),
    ],
)
def test_what_is_wrong_with_a_log_is_said(tmp_path: Path, entries: dict[str, Any], said: str) -> None:
    with pytest.raises(PromptFileError) as caught:
        import_path(archive(tmp_path / "a.eval", entries))

    assert said in caught.value.message
    assert caught.value.problems[0].file == "a.eval"


def test_a_zip_bomb_is_stopped_by_what_comes_out_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspect_zip, "MAX_ENTRY_BYTES", 100_000)
    path = archive(tmp_path / "one.eval", {"header.json": HEADER, "samples/1.json": b" " * 50_000_000})
    assert path.stat().st_size < 100_000
    with pytest.raises(PromptFileError, match="unpacks to more than 100,000 bytes"):
        import_path(path)

    monkeypatch.setattr(inspect_zip, "MAX_TOTAL_BYTES", 200_000)
    many = {f"samples/{n}.json": json.dumps(sample(id=n, store="x" * 90_000)) for n in range(4)}
    with pytest.raises(PromptFileError, match="it unpacks to more than 200,000 bytes"):
        import_path(archive(tmp_path / "many.eval", {"header.json": HEADER, **many}))

    monkeypatch.setattr(inspect_zip, "MAX_ENTRIES", 3)
    with pytest.raises(PromptFileError, match="more than 3 entries"):
        import_path(tmp_path / "many.eval")


def test_zstandard_that_lies_or_is_cut_is_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("zstandard")
    data = bytearray((SAMPLES / "capitals.eval").read_bytes())
    entry = next(one for one in zipfile.ZipFile(io.BytesIO(bytes(data))).infolist() if one.filename == "header.json")
    at = entry.header_offset + 30 + len("header.json") + 40
    data[at : at + 8] = b"\0" * 8
    (tmp_path / "damaged.eval").write_bytes(data)
    with pytest.raises(PromptFileError, match=r"'header.json' is damaged"):
        import_path(tmp_path / "damaged.eval")

    (tmp_path / "cut.eval").write_bytes(bytes(data)[:3_000])
    with pytest.raises(PromptFileError, match="not a zip file"):
        import_path(tmp_path / "cut.eval")

    monkeypatch.setattr(inspect_zip, "MAX_ENTRY_BYTES", 1_000)
    with pytest.raises(PromptFileError, match="unpacks to more than 1,000 bytes"):
        import_path(SAMPLES / "capitals.eval")
