"""Runs as DeepEval, RAGAS and pandas read them: the libraries load what was written, in a process of their own."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from promptstudio.evals.records import CaseResult
from promptstudio.evals.report import report_of
from promptstudio.evals.report.formats import reporter_for
from promptstudio.evals.report.place import replaced_file
from promptstudio.evals.schema import Answer, Case
from promptstudio.types import ErrorInfo, ToolCall, Usage
from tests.evals.report_samples import HOSTILE, case_result, stored
from tests.exchange.test_evaluation_datasets import SAMPLES

QUIET = {
    "DEEPEVAL_TELEMETRY_OPT_OUT": "1", "DEEPEVAL_DISABLE_DOTENV": "1", "DEEPEVAL_DISABLE_LEGACY_KEYFILE": "1",
    "DEEPEVAL_EVAL_MODE": "llm", "DEEPEVAL_MODE": "stable", "CONFIDENT_TRACING_ENABLED": "NO",
    "CONFIDENT_TRACE_VERBOSE": "0", "CONFIDENT_OPEN_BROWSER": "NO", "DEEPEVAL_NO_INSPECT_PROMPT": "1",
    "GRPC_VERBOSITY": "ERROR", "RAGAS_DO_NOT_TRACK": "true", "PYTHONUTF8": "1",
}  # fmt: skip


def needs(library: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(importlib.util.find_spec(library) is None, reason=f"{library} is not installed")


def run_python(code: str, *arguments: object) -> Any:
    """Run code in a process of its own; what it prints last is JSON."""
    environment = {**os.environ, **QUIET, "DEEPEVAL_CACHE_FOLDER": str(Path.cwd() / "cache")}
    words = [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def written(tmp_path: Path, name: str, format_name: str, results: Sequence[CaseResult]) -> Path:
    path = tmp_path / name
    with stored(tmp_path, results) as (store, run), replaced_file(path) as out:
        reporter_for(format_name)([report_of(store, run)], out)
    return path


def single() -> list[CaseResult]:
    case = Case(
        "rag", {"question": "Can I return it?", "tone": "warm"}, "Yes, within 30 days.",
        context=("Returns: 30 days.",), retrieval_context=("Returns: 30 days.", "Shipping | is free."),
        expected_tools=({"name": "search", "arguments": {"q": "returns"}}, "log"), tags=("shop",),
        metadata={"rubrics": {"score1_description": "wrong"}},
    )  # fmt: skip
    answer = Answer("Yes.", tool_calls=(ToolCall("1", "search", '{"q": "returns"}'),), usage=Usage(20, 3))
    broken = ErrorInfo("timeout", "no answer")
    return [
        case_result("rag", case=case, answer=answer, metrics={"likeness": 0.5}),
        case_result("007", said="أهلاً وسهلاً", inputs={"text": "מה שלומך?"}, expected="أهلاً"),
        *(case_result(name, said=text, inputs={"text": text}, expected=text) for name, text in HOSTILE.items()),
        case_result("none", "error", answer=None, error=broken, inputs={"text": "x"}, cost_usd=None, latency_ms=None),
    ]


def talk() -> CaseResult:
    turns = (
        {"inputs": {"message": "The weather in Rome?"}},
        {"inputs": {"message": "Thanks"}},
    )
    case = Case("talk", {}, "It is warm.", turns=turns, expected_tools=("weather",))
    first = Answer("It is 24 °C.", tool_calls=(ToolCall("1", "weather", '{"city": "Rome"}'),))
    last = Answer("You are welcome.", history=(first,))
    return case_result("talk", case=case, answer=last, answers=(first, last))


DEEPEVAL = """
import filecmp, json, os, runpy, sys
from deepeval.dataset import EvaluationDataset
single, talks, folder, samples = sys.argv[1:]
goldens = EvaluationDataset(); goldens.add_goldens_from_json_file(single)
cases = EvaluationDataset()
keys = "input", "actual_output", "expected_output", "context", "retrieval_context", "tools_called", "expected_tools"
cases.add_test_cases_from_json_file(single, *keys)
conversations = EvaluationDataset(); conversations.add_goldens_from_json_file(talks)
sys.argv = ["write", folder]
runpy.run_path(os.path.join(samples, "write_deepeval.py"))
names = ["goldens.csv", "goldens.json", "goldens.jsonl", "talks.csv", "talks.json"]
print(json.dumps({
    "goldens": [golden.model_dump(mode="json") for golden in goldens.goldens],
    "cases": [[case.input, case.actual_output, [tool.name for tool in case.tools_called]] for case in cases.test_cases],
    "talks": [golden.model_dump(mode="json") for golden in conversations.goldens],
    "same": [filecmp.cmp(os.path.join(folder, name), os.path.join(samples, name), False) for name in names],
}))
"""


@needs("deepeval")
def test_deepeval_loads_goldens_test_cases_and_conversations_and_still_writes_our_samples(tmp_path: Path) -> None:
    results = single()
    one = written(tmp_path, "single.json", "deepeval", results)
    (tmp_path / "other").mkdir()
    two = written(tmp_path / "other", "talks.json", "deepeval", [talk(), results[1]])
    (tmp_path / "fresh").mkdir()
    found = run_python(DEEPEVAL, one, two, tmp_path / "fresh", SAMPLES)

    first = found["goldens"][0]
    assert first["input"] == "Can I return it?"
    assert (first["actual_output"], first["expected_output"]) == ("Yes.", "Yes, within 30 days.")
    assert first["retrieval_context"] == ["Returns: 30 days.", "Shipping | is free."]
    assert first["tools_called"][0]["input_parameters"] == {"q": "returns"}
    assert [tool["name"] for tool in first["expected_tools"]] == ["search", "log"]
    assert first["additional_metadata"]["metrics"] == {"likeness": 0.5}
    assert first["additional_metadata"]["inputs"]["tone"] == "warm"
    assert found["cases"][1] == ["מה שלומך?", "أهلاً وسهلاً", []]
    assert found["cases"][-1] == ["x", None, []]
    assert len(found["goldens"]) == len(results)
    conversation, lone = found["talks"]
    assert [turn["content"] for turn in conversation["turns"]] == [
        "The weather in Rome?", "It is 24 °C.", "Thanks", "You are welcome.",
    ]  # fmt: skip
    assert conversation["turns"][1]["tools_called"][0]["name"] == "weather"
    assert len(lone["turns"]) == 2
    assert found["same"] == [True] * 5, "this DeepEval writes other files than the samples"


RAGAS = """
import filecmp, json, os, runpy, sys
import pandas
from ragas import EvaluationDataset
single, talks, folder, samples = sys.argv[1:]
lines = EvaluationDataset.from_jsonl(single)
frame = pandas.read_json(talks, lines=True, dtype=False)
sys.argv = ["write", folder]
runpy.run_path(os.path.join(samples, "write_ragas.py"))
names = ["single.csv", "single.jsonl", "single.json", "talks_ragas.csv", "talks_ragas.jsonl"]
print(json.dumps({
    "single": [sample.model_dump(mode="json") for sample in lines],
    "talks": [sample.model_dump(mode="json") for sample in EvaluationDataset.from_jsonl(talks)],
    "frame": EvaluationDataset.from_pandas(frame).is_multi_turn(),
    "same": [filecmp.cmp(os.path.join(folder, name), os.path.join(samples, name), False) for name in names],
}))
"""


@needs("ragas")
def test_ragas_loads_samples_of_one_turn_and_of_several_and_still_writes_our_samples(tmp_path: Path) -> None:
    results = single()
    one = written(tmp_path, "single.jsonl", "ragas", results)
    (tmp_path / "other").mkdir()
    two = written(tmp_path / "other", "talks.jsonl", "ragas", [talk()])
    (tmp_path / "fresh").mkdir()
    found = run_python(RAGAS, one, two, tmp_path / "fresh", SAMPLES)

    first, second = found["single"][:2]
    assert (first["user_input"], first["response"], first["reference"]) == (
        "Can I return it?", "Yes.", "Yes, within 30 days.",
    )  # fmt: skip
    assert first["retrieved_contexts"] == ["Returns: 30 days.", "Shipping | is free."]
    assert first["reference_contexts"] == ["Returns: 30 days."]
    assert first["rubrics"] == {"score1_description": "wrong"}
    assert second["response"] == "أهلاً وسهلاً"
    assert len(found["single"]) == len(results) - 1, "what was not answered is no sample"
    (conversation,) = found["talks"]
    assert [message["type"] for message in conversation["user_input"]] == ["human", "ai", "human", "ai"]
    assert conversation["reference_tool_calls"] == [{"name": "weather", "args": {}}]
    assert found["frame"] is True
    assert found["same"] == [True] * 5, "this RAGAS writes other files than the samples"


PANDAS = """
import json, sys
import pandas
lines, parquet, csv = sys.argv[1:]
one = pandas.read_json(lines, lines=True, dtype=False, convert_dates=False)
two = pandas.read_parquet(parquet)
three = pandas.read_csv(csv, dtype={"case": str})
def told(frame):
    row = json.loads(frame.iloc[1].to_json())
    return {"case": row["case"], "answer": row["answer"], "text": row["inputs.text"], "rows": len(frame),
            "n": str(frame["inputs.n"].dtype) if "inputs.n" in frame else "", "latency": row["latency_ms"]}
print(json.dumps({"jsonl": told(one), "parquet": told(two), "csv": told(three),
                  "columns": list(one.columns) == list(two.columns)}))
"""


@needs("pandas")
@needs("pyarrow")
def test_pandas_reads_flat_rows_from_lines_parquet_and_csv(tmp_path: Path) -> None:
    results = [replace(one, case=replace(one.case, inputs={**one.case.inputs, "n": 3})) for one in single()]
    paths = []
    for name in ("pandas", "parquet", "csv"):
        (tmp_path / name).mkdir()
        paths.append(written(tmp_path / name, f"rows.{name}", name, results))
    found = run_python(PANDAS, *paths)

    wanted = {"case": "007", "answer": "أهلاً وسهلاً", "text": "מה שלומך?", "rows": len(results), "latency": 420.0}
    for name in ("jsonl", "parquet", "csv"):
        assert found[name] == {**wanted, "n": "int64"}
    assert found["columns"] is True


def test_a_column_of_inputs_has_one_type_and_texts_stay_what_they_are(tmp_path: Path) -> None:
    results = [
        case_result("a", inputs={"n": 1, "mixed": 1, "text": "=1+1", "data": {"x": 1}}),
        case_result("b", inputs={"n": 2.5, "mixed": "two", "text": "\ud83d"}),
    ]
    path = written(tmp_path, "rows.jsonl", "pandas", results)

    one, two = (json.loads(line) for line in path.read_text().splitlines())
    assert (one["inputs.n"], two["inputs.n"]) == (1.0, 2.5)
    assert (one["inputs.mixed"], two["inputs.mixed"]) == ("1", "two")
    assert one["inputs.text"] == "=1+1"
    assert one["inputs.data"] == '{"x": 1}'
    assert two["inputs.data"] is None
    assert one.keys() == two.keys()
