"""The file of results: what is stored comes back as it was, takes little room, and holds no secret."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from promptstudio.errors import HistoryError
from promptstudio.evals.packing import dictionary_of, packed, unpacked
from promptstudio.evals.records import CaseResult, RunRecord
from promptstudio.evals.schema import Answer, Case, Score
from promptstudio.evals.store import EvalStore
from promptstudio.types import ErrorInfo, Media, Message, Part, ToolCall, Usage
from tests.evals.report_samples import case_result, hostile_results, one_of_each, record, stored

KEY = "sk-proj-" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3z"
SYSTEM = "You sort tickets into billing, bug, how_to and abuse, and you answer in the language of the customer. " * 4


def conversation() -> CaseResult:
    """Return a case of two turns with all there can be: messages with a picture, tool calls, a judge and its panel."""
    picture = Part("image", "", Media("image/png", None, "https://example.com/a.png", "a.png"))
    asked = (Message.of("system", SYSTEM), Message("user", (Part("text", "Which one?"), picture)))
    first = Answer(
        "Order 7?", messages=asked, tool_calls=(ToolCall("c1", "find", '{"order": 7}'),), usage=Usage(9, 2, 1, 1),
        finish_reason="tool_calls", latency_ms=20.5, cost_usd=Decimal("0.0000012"), model="m",
    )  # fmt: skip
    again = (*asked, Message.of("assistant", first.text), Message.of("user", "Yes, קנית משהו"))
    second = Answer('{"a": 1}', output={"a": 1}, refusal="no", messages=again, history=(first,), cost_usd=Decimal(0))
    judged = Score(
        "llm-rubric", "pass", 0.75, "polite", "tone", 2.0, 0.7, expected="Is it polite?", actual=second.text,
        details={"steps": ["one", {"two": 2}], "agreement": 0.5}, engine="promptstudio", engine_version="1.0",
        settings_hash="ab12", judge="openai/gpt-4.1 p1:ab", cost_usd=Decimal("0.000321"), usage=Usage(100, 7),
        children=(Score("a", "pass", 1.0, "yes", judge="x"), Score("b", "fail", 0.5, "hm", judge="y", weight=0.0)),
    )  # fmt: skip
    case = Case(
        "talk", {"plan": "pro"}, {"a": 1}, ("c",), ("r",), ({"name": "find"},), ("t",), {"k": None, "m": [1.5]},
        "evals/a.yaml", 12, turns=({"inputs": {"q": "Which one?"}}, {"inputs": {"q": "Yes"}, "expected_output": "x"}),
        cluster="order 7",
    )  # fmt: skip
    return case_result(
        "talk", case=case, answer=second, answers=(first, second), reason="all assertions passed", score=0.9,
        scores=(judged, Score("equals", "pass", 1.0, "", expected=case.expected_output, actual=second.output)),
        metrics={"tone": 0.75}, judge_usd=None, cost_usd=None, request_id="01a1fc74-bfd4-72ec-99bf-264d9d33c7d1",
    )  # fmt: skip


def everything() -> list[CaseResult]:
    broken = case_result(
        "broken", "error", answer=None, error=ErrorInfo("timeout", "too slow"), scores=(), reason="timeout: too slow",
        request_id="not a uuid", judge_usd=Decimal("0.01"),
    )  # fmt: skip
    return [*map(with_history, one_of_each()), *hostile_results(), conversation(), broken]


def with_history(result: CaseResult) -> CaseResult:
    """Give each answer those before it, as an evaluation does."""
    answers = tuple(replace(one, history=result.answers[:at]) for at, one in enumerate(result.answers))
    return replace(result, answers=answers, answer=answers[-1] if answers else None)


def read(folder: Path, run: RunRecord) -> list[CaseResult]:
    with EvalStore(folder / ".promptstudio" / "evals.db") as store:
        return list(store.results(store.run(run.id), page=3))


def without_keys(result: CaseResult) -> CaseResult:
    """A result that has no answer keeps no key of one."""
    return replace(result, answer_key="" if not result.answers else result.answer_key)


def test_every_result_comes_back_exactly_as_it_was(tmp_path: Path) -> None:
    results = everything()
    with stored(tmp_path, results) as (_, run):
        assert read(tmp_path, run) == [without_keys(one) for one in results]


def test_a_run_comes_back_with_its_judge_and_its_baseline(tmp_path: Path) -> None:
    judge = {"openai/gpt-4.1 p1:ab": {"parameters": {"temperature": 0}, "prompt": "p1:ab"}}
    with stored(tmp_path, [], judge=judge, baseline="01a1") as (_, run):
        assert run == record([], judge=judge, baseline="01a1")


def test_a_result_is_found_by_its_key_and_an_answer_by_its_own(tmp_path: Path) -> None:
    with stored(tmp_path, everything()) as (store, run):
        talk = conversation()
        found = store.find(talk.key, talk.answer_key, (talk.prompt, talk.model, 3))
        assert found is not None
        assert found.result == replace(talk, repeat=3, behavior="")
        other = store.find("00" * 16, talk.answer_key, (talk.prompt, talk.model, 0))
        assert other is not None
        assert (other.result, other.answers, other.request_id) == (None, talk.answers, talk.request_id)
        assert store.find_answer(talk.answer_key, run) == other
        assert store.find_answer(talk.answer_key, replace(run, id="another")) is None
        assert store.find("00" * 16, "00" * 16, ("", "", 0)) is None


def similar(number: int) -> CaseResult:
    text = f"Hello, Name{number}! It is good to see you; how can I help you with your Name{number} today?"
    asked = (Message.of("system", SYSTEM), Message.of("user", f"Say hello to Name{number}."))
    answer = Answer(text, messages=asked, latency_ms=float(number), usage=Usage(6, 18), model="bench")
    reason = f"expected text that contains 'Hello', found {text[:60]!r}"
    return case_result(
        f"c{number}", inputs={"name": f"Name{number}"}, answer=answer, line=number,
        scores=(Score("contains", "pass", 1.0, reason, expected="Hello", actual=text),) * 3,
        request_id=f"01a1fc74-bfd4-72ec-99bf-{number:012x}",
    )  # fmt: skip


def test_what_results_have_in_common_is_stored_once(tmp_path: Path) -> None:
    results = [similar(number) for number in range(1_000)]
    with stored(tmp_path, results) as (store, run):
        assert list(store.results(run)) == results
    with closing(sqlite3.connect(tmp_path / ".promptstudio" / "evals.db")) as database:
        pages = database.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").fetchone()
    assert pages[0] / len(results) < 400


def test_a_result_that_is_taken_over_by_another_run_shares_its_answer(tmp_path: Path) -> None:
    results = [similar(number) for number in range(20)]
    with stored(tmp_path, results) as (store, run):
        number = store.begin(replace(run, id="second"))
        store.add(number, 0, [(0, replace(one, reused=True, cost_usd=Decimal(0))) for one in results])
        again = list(store.results(store.run("second")))
        assert [one.answers for one in again] == [one.answers for one in results]
    with closing(sqlite3.connect(tmp_path / ".promptstudio" / "evals.db")) as database:
        assert database.execute("SELECT count(*) FROM answers").fetchone() == (20,)
        assert database.execute("SELECT count(*) FROM cases").fetchone() == (20,)


def test_removing_a_run_leaves_nothing_of_it_in_the_file_and_others_whole(tmp_path: Path) -> None:
    first, shared, last = similar(11111), similar(22222), similar(33333)
    with stored(tmp_path, [first, shared]) as (store, run):
        number = store.begin(replace(run, id="second"))
        store.add(number, 0, [(0, shared), (0, last)])
        assert store.remove([run.id]) == 1
        assert list(store.results(store.run("second"))) == [shared, last]
    with EvalStore(tmp_path / ".promptstudio" / "evals.db") as anew:
        assert list(anew.results(anew.run("second"))) == [shared, last]
        assert anew.find(first.key, first.answer_key, ("", "", 0)) is None
    with closing(sqlite3.connect(tmp_path / ".promptstudio" / "evals.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        everything = "".join(str(row) for row in database.iterdump())
    assert "11111" not in everything
    assert b"Name11111" not in (tmp_path / ".promptstudio" / "evals.db").read_bytes()
    assert "Name22222" in everything  # it is the one others are packed with now, or stands for itself


def test_results_taken_over_from_a_removed_run_stay_whole_and_hold_nothing_of_its_others(tmp_path: Path) -> None:
    first, shared = similar(11111), similar(22222)
    with stored(tmp_path, [first, shared]) as (store, run):
        found = store.find(shared.key, shared.answer_key, (shared.prompt, shared.model, 0))
        assert found is not None
        assert found.result is not None
        taken = replace(found.result, reused=True, behavior=shared.behavior, cost_usd=Decimal(0))
        number = store.begin(replace(run, id="second"))
        store.add(number, 0, [(0, replace(taken, behavior=""))])
        [copied] = store.results(store.run("second"))
        assert copied == taken
        assert store.remove([run.id]) == 1
    with EvalStore(tmp_path / ".promptstudio" / "evals.db") as anew:
        assert list(anew.results(anew.run("second"))) == [taken]
    assert b"11111" not in (tmp_path / ".promptstudio" / "evals.db").read_bytes()


def bytes_below(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def secret_results() -> list[CaseResult]:
    answer = Answer(f"Use {KEY}", output={"k": KEY}, messages=(Message.of("user", KEY),), refusal=KEY,
                    tool_calls=(ToolCall("1", "login", f'{{"password": "{KEY}"}}'),))  # fmt: skip
    score = Score("contains", "fail", 0.0, f"no {KEY}", expected=[KEY], actual=answer.text, details={KEY: KEY},
                  children=(Score("x", "fail", actual=f"<{KEY}>"),))  # fmt: skip
    case = Case("c", {"q": KEY}, KEY, (KEY,), (KEY,), (KEY,), (), {"m": KEY}, turns=({"inputs": {"t": KEY}},))
    refused = ErrorInfo("authentication", f"bad {KEY}", f"unset {KEY}")
    return [
        case_result("c", "fail", case=case, answer=answer, scores=(score,), reason=f"contains: {KEY}"),
        case_result("e", "error", answer=None, error=refused, reason=f"authentication: bad {KEY}"),
    ]


def test_no_secret_reaches_the_disk(tmp_path: Path) -> None:
    with stored(tmp_path, secret_results(), note=f"case said: {KEY}") as (store, run):
        found = list(store.results(run))
        assert KEY[:20].encode() not in bytes_below(tmp_path)
        assert found[0].answer is not None
        assert found[0].answer.text == "Use [redacted: OpenAI key]"
        assert KEY[:20] not in f"{found} {run}"


def test_without_redaction_texts_stay_but_errors_are_blanked_out_still(tmp_path: Path) -> None:
    failed, refused = secret_results()
    with EvalStore(tmp_path / "evals.db", redacting=False) as store:
        run = record([])
        store.add(store.begin(run), 0, [(0, failed), (0, refused)])
        found = list(store.results(run))
    assert found[0].answers == failed.answers
    assert found[0].case.turns == failed.case.turns
    assert KEY not in f"{found[1].error} {found[1].reason}"


def test_what_cannot_be_json_is_stored_as_text(tmp_path: Path) -> None:
    odd = Score("x", "fail", expected={1}, actual=Path("a"), details={"d": Decimal("1.5"), "deep": nested(300)})
    with stored(tmp_path, [case_result("odd", "fail", scores=(odd,))]) as (store, run):
        [score] = next(iter(store.results(run))).scores
    assert (score.expected, score.details["d"]) == ([1], "1.5")
    assert "PosixPath" in score.actual


def nested(depth: int) -> Any:
    value: Any = "end"
    for _ in range(depth):
        value = [value]
    return value


def test_packing_is_undone_only_by_what_it_was_done_with() -> None:
    text = "שלום " * 100
    assert unpacked(packed(text)) == text
    assert len(packed(text, dictionary_of((text,)))) < 30
    with pytest.raises(HistoryError, match="damaged"):
        unpacked(b"\xff\xff\xff")
    with pytest.raises(HistoryError, match="does not end"):
        unpacked(bytes(packed("x" * 5000))[:8])  # type: ignore[arg-type]


def test_a_newer_file_and_another_programs_file_are_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "evals.db"
    for pragma, match in (("PRAGMA user_version = 99", "newer version"), ("PRAGMA application_id = 7", "another")):
        path.unlink(missing_ok=True)
        with EvalStore(path) as store:
            store.begin(record([]))
        with closing(sqlite3.connect(path)) as database:
            database.execute(pragma)
        with EvalStore(path) as store, pytest.raises(HistoryError, match=match):
            store.runs()
        with EvalStore(path) as store, pytest.raises(HistoryError, match=match):
            store.begin(record([]))
    path.unlink()
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE theirs (x)")
    before = path.read_bytes()
    with EvalStore(path) as store, pytest.raises(HistoryError, match="another program's database"):
        store.begin(record([]))
    assert path.read_bytes() == before


def test_two_stores_that_make_the_file_at_once_agree_on_it(tmp_path: Path) -> None:
    with EvalStore(tmp_path / "evals.db") as one, EvalStore(tmp_path / "evals.db") as other:
        one.begin(record([]))
        other.begin(record([], id="other"))
        assert {run.id for run in one.runs()} == {"other", record([]).id}
