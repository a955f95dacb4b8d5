"""`.prompt.yml` of GitHub Models: `{{name}}` puts a value in and does nothing else; test data becomes a suite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from promptstudio.errors import PromptFileError
from promptstudio.exchange.github_models import IMPORTER
from promptstudio.prompts.assemble import assemble
from promptstudio.prompts.github_models import as_prompt_document, is_github_models
from promptstudio.prompts.inputs import check_inputs
from promptstudio.prompts.load import place_of
from promptstudio.prompts.render import render_messages
from promptstudio.prompts.yamlfile import dump_yaml, read_yaml
from tests.exchange.foreign_files import damaged, losses, survives, unnoticed_keys, unnoticed_leaves
from tests.exchange.suite_desk import SuiteDesk, suite_of

SCHEMA = '{"name": "summary", "strict": true, "schema": {"type": "object", "properties": {"text": {"type": "string"}}}}'
WHOLE: dict[str, Any] = {
    "name": "Text Summarizer",
    "description": "Summarizes a text",
    "model": "openai/gpt-4o-mini",
    "modelParameters": {"temperature": 0.5, "maxTokens": 100, "topP": 0.9},
    "messages": [
        {"role": "system", "content": "You summarize. Leave {% this %}, {# this #} and {{#this}} alone.\n"},
        {"role": "user", "content": "Summarize:\n<text>\n{{input}}\n</text>\nfor {{user-name}}\n\n"},
        {"role": "assistant", "content": "{{ input }}{"},
    ],
    "responseFormat": "json_schema",
    "jsonSchema": SCHEMA,
    "testData": [
        {"input": "The quick brown fox.\n", "user-name": "Ada", "expected": "A fox.", "note": 3},
        {"input": 7, "user-name": "Grace"},
    ],
    "evaluators": [
        {"name": "starts", "string": {"startsWith": "Summary (a)"}},
        {"name": "ends", "string": {"endsWith": "."}},
        {"name": "has", "string": {"contains": "Fox"}},
        {"name": "same", "string": {"equals": "A fox."}},
        {"name": "close", "uses": "github/similarity"},
        {"name": "other", "uses": "github/unheard"},
        {"name": "judge", "llm": {"modelId": "openai/gpt-4o", "prompt": "{{completion}}", "choices": []}},
    ],
}


@pytest.fixture
def desk(tmp_path: Path) -> SuiteDesk:
    return SuiteDesk(tmp_path, IMPORTER, "team/summary.prompt.yml")


def test_messages_render_as_github_renders_them(desk: SuiteDesk) -> None:
    result = desk.read(dump_yaml(WHOLE))

    messages = desk.rendered(result, input="قصة {{ x }}", user_name="Ada")

    assert [(message.role, message.text) for message in messages] == [
        ("system", "You summarize. Leave {% this %}, {# this #} and {{#this}} alone.\n"),
        ("user", "Summarize:\n<text>\nقصة {{ x }}\n</text>\nfor Ada\n\n"),
        ("assistant", "قصة {{ x }}{"),
    ]


def test_model_parameters_and_schema_are_carried(desk: SuiteDesk) -> None:
    prompt = desk.prompt(desk.read(dump_yaml(WHOLE)))

    assert prompt.name == "team/summary"
    assert (prompt.model, prompt.description) == ("openai/gpt-4o-mini", "Summarizes a text")
    assert prompt.parameters == {"temperature": 0.5, "max_tokens": 100, "top_p": 0.9}
    assert prompt.output is not None
    assert prompt.output.name == "summary"
    assert prompt.metadata == {"title": "Text Summarizer"}


def test_test_data_and_evaluators_become_a_suite(desk: SuiteDesk) -> None:
    result = desk.read(dump_yaml(WHOLE))

    suite = suite_of(result)

    assert suite["prompt"] == "team/summary"
    assert suite["cases"] == [
        {"inputs": {"input": "The quick brown fox.\n", "user_name": "Ada"}, "expected_output": "A fox.",
         "metadata": {"note": 3}},
        {"inputs": {"input": 7, "user_name": "Grace"}},
    ]  # fmt: skip
    assert [next(iter({k: v for k, v in item.items() if k != "description"}.values())) for item in suite["assert"]] == [
        "regex", "regex", "icontains", "equals", "llm-rubric",
    ]  # fmt: skip
    assert suite["assert"][0]["value"] == r"(?i)\ASummary\ \(a\)"


def test_what_is_not_carried_is_named_with_its_line(desk: SuiteDesk) -> None:
    result = desk.read(dump_yaml({**WHOLE, "unknown": 1}))

    found = losses(result)

    assert found["unknown"] == found["evaluators[5]"] == found["evaluators[6]"] == "dropped"
    assert found["messages[1].content"] == "changed"
    assert all(loss.line for loss in result.losses)


def test_nothing_is_lost_in_silence(desk: SuiteDesk) -> None:
    plain = {**WHOLE, "jsonSchema": {"name": "s", "strict": True, "schema": {"type": "object", "properties": {}}}}
    assert unnoticed_keys(desk, plain, dump_yaml) == set()
    # `strict` says how a provider checks; ours always does. The first text of an evaluator is all GitHub looks at.
    assert unnoticed_leaves(desk, plain, dump_yaml) <= {"jsonSchema.strict"}


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damaged(WHOLE))
def test_damaged_files_give_prompts_or_an_error(desk: SuiteDesk, value: Any) -> None:
    try:
        text = dump_yaml(value)
    except ValueError:
        return
    survives(desk, text)


@pytest.mark.parametrize(
    ("model", "ours"),
    [
        ("gpt-4o", "openai/gpt-4o"),
        ("mistral-ai/mistral-small-2503", "github/mistral-ai/mistral-small-2503"),
        ("offline/echo", "offline/echo"),
    ],
)
def test_models_are_named_as_litellm_names_them(desk: SuiteDesk, model: str, ours: str) -> None:
    assert desk.prompt(desk.read(dump_yaml({**WHOLE, "model": model}))).model == ours


def test_json_without_a_schema_is_asked_of_the_provider(desk: SuiteDesk) -> None:
    value = {key: item for key, item in WHOLE.items() if key != "jsonSchema"} | {"responseFormat": "json_object"}

    prompt = desk.prompt(desk.read(dump_yaml(value)))

    assert prompt.parameters["extra_body"] == {"response_format": {"type": "json_object"}}
    assert prompt.output is None


# -- as it stands ---------------------------------------------------------------------------------------------------


def test_a_file_is_recognized_by_its_keys_and_ours_is_not() -> None:
    assert is_github_models(WHOLE)
    assert not is_github_models({"messages": WHOLE["messages"]})
    assert not is_github_models({**WHOLE, "inputs": {}})
    assert not is_github_models({"modelParameters": {}, "messages": [{"placeholder": "x"}]})
    assert not is_github_models([1])


def test_a_document_of_ours_passes_through_untouched() -> None:
    document = read_yaml("prompt: Hi\n", file="x")
    assert as_prompt_document(document) is document


def test_the_lines_of_the_original_are_kept() -> None:
    text = dump_yaml(WHOLE)
    document = as_prompt_document(read_yaml(text, file="x"))

    lines = text.splitlines()
    assert "temperature" in lines[document.keys[("parameters", "temperature")][0] - 1]
    assert "maxTokens" in lines[document.keys[("parameters", "max_tokens")][0] - 1]
    assert "You summarize" in lines[document.spans[("messages", 0, "content")][0] - 1]
    assert "testData" not in document.value


def test_a_file_renders_as_it_stands(desk: SuiteDesk) -> None:
    path = desk.project / "prompts/summary.prompt.yml"
    path.write_text(dump_yaml(WHOLE), encoding="utf-8")
    document = as_prompt_document(read_yaml(path.read_text(encoding="utf-8"), file="summary.prompt.yml"))

    prompt = assemble(document, place_of(path, desk.settings), desk.settings, None)

    values = {"input": "قصة {{ x }}", "user_name": "Ada"}
    said = [(message.role, message.text) for message in render_messages(prompt, check_inputs(prompt, values))]
    result = desk.read(dump_yaml(WHOLE))
    assert said == [(message.role, message.text) for message in desk.rendered(result, **values)]
    assert (prompt.name, prompt.parameters["max_tokens"]) == ("summary", 100)


def test_an_error_in_a_file_as_it_stands_has_the_line_of_that_file(desk: SuiteDesk) -> None:
    text = dump_yaml({**WHOLE, "modelParameters": {"temperature": "warm"}})
    document = as_prompt_document(read_yaml(text, file="summary.prompt.yml"))

    with pytest.raises(PromptFileError, match=r"parameters\.temperature") as caught:
        assemble(document, place_of(desk.project / "prompts/summary.prompt.yml", desk.settings), desk.settings, None)

    line = caught.value.problems[0].line or 0
    assert "temperature: warm" in text.splitlines()[line - 1]
