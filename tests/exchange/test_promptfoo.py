"""promptfoo configurations: prompts of every form, providers, tests and assertions; both ways. Code is never run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from promptstudio.exchange.importing import import_path, read_foreign
from promptstudio.exchange.promptfoo import IMPORTER
from promptstudio.exchange.promptfoo_asserts import assertion_from_text
from promptstudio.exchange.promptfoo_export import EXPORTER
from promptstudio.exchange.promptfoo_models import model_of, provider_of
from promptstudio.exchange.schema import ExportRequest, Import, SuiteFile
from promptstudio.prompts.inputs import check_inputs
from promptstudio.prompts.load import load_file
from promptstudio.prompts.render import render_messages
from promptstudio.prompts.template import render_template
from promptstudio.prompts.yamlfile import dump_yaml, read_yaml
from tests.exchange.foreign_files import damaged, losses, survives, unnoticed_keys
from tests.exchange.suite_desk import SuiteDesk, check_suite, suite_of

CONFIG: dict[str, Any] = {
    "description": "Translation",
    "prompts": [
        "Translate to {{language}}:\n{% if formal %}\nFormally.\n{% endif %}\n{{text | upper}}\n",
        "file://prompts/two.txt",
        {"id": "file://prompts/chat.json", "label": "chatty", "config": {"temperature": 1}},
        {"label": "inline chat", "raw": '[{"role": "user", "content": "{{text}} \\"quoted\\""}]'},
    ],
    "providers": [
        "openai:gpt-4o-mini",
        {
            "id": "anthropic:messages:claude-haiku-4-5",
            "label": "haiku",
            "config": {"temperature": 0.3, "max_tokens": 5},
        },
    ],
    "defaultTest": {
        "vars": {"text": "hello"},
        "assert": [{"type": "icontains", "value": "{{language}}"}, {"type": "latency", "threshold": 5000}],
    },
    "tests": [
        {
            "description": "two languages",
            "vars": {"language": ["French", "German"], "text": "hi\n"},
            "assert": [
                {"type": "similar", "value": "bonjour"},
                {"type": "llm-rubric", "value": "polite in {{ language }}", "provider": "openai:gpt-4.1"},
                {"type": "is-json", "value": {"type": "object"}},
                {"type": "answer-relevance", "threshold": 0.5},
                {"type": "not-contains", "value": "x", "weight": 2, "metric": "clean"},
            ],
        },
        {"vars": {"language": "Arabic", "text": "مرحبا", "unused": 1}, "threshold": 0.5, "metadata": {"a": 1}},
        "file://data/cases.csv",
    ],
}
TWO = "One {{text}}\n---\nTwo {{ text }}\n"
CHAT = [
    {"role": "system", "content": "You translate."},
    {"role": "user", "content": [{"type": "text", "text": "{{text}} in {{language}}"},
                                 {"type": "image_url", "image_url": {"url": "{{picture}}"}}]},
]  # fmt: skip
CSV = "text,language,__expected,__expected2,__metric,__description\nHello,Spanish,Hola,similar(0.9):hola,m,a row\n"


@pytest.fixture
def desk(tmp_path: Path) -> SuiteDesk:
    made = SuiteDesk(tmp_path, IMPORTER, "promptfooconfig.yaml")
    made.put("prompts/two.txt", TWO)
    made.put("prompts/chat.json", json.dumps(CHAT))
    made.put("data/cases.csv", CSV)
    return made


def said(desk: SuiteDesk, result: Import, name: str, **values: Any) -> list[tuple[str, str]]:
    number = next(i for i, made in enumerate(result.made) if made.name == name)
    return [(message.role, message.text) for message in desk.rendered(result, number, **values)]


def test_prompts_render_as_promptfoo_renders_them(desk: SuiteDesk) -> None:
    result = desk.read(dump_yaml(CONFIG))

    assert [made.name for made in result.made if made.kind == "prompt"] == [
        "foreign/prompt-1.yaml", "foreign/two.yaml", "foreign/two-2.yaml", "foreign/chatty.yaml",
        "foreign/inline-chat.yaml",
    ]  # fmt: skip
    one = said(desk, result, "foreign/prompt-1.yaml", language="French", text="hi", formal=True)
    assert one == [("user", "Translate to French:\n\nFormally.\n\nHI\n")]
    plain = said(desk, result, "foreign/prompt-1.yaml", language="French", text="hi")
    assert plain == [("user", "Translate to French:\n\nHI\n")]
    assert said(desk, result, "foreign/two.yaml", text="x") == [("user", "One x")]
    assert said(desk, result, "foreign/two-2.yaml", text="x") == [("user", "Two x")]
    chat = said(
        desk, result, "foreign/chatty.yaml", text='say "hi"', language="German", picture="https://x.example/a.png"
    )
    assert chat == [("system", "You translate."), ("user", 'say "hi" in German')]
    assert said(desk, result, "foreign/inline-chat.yaml", text='{"a"}') == [("user", '{"a"} "quoted"')]


def test_the_first_provider_is_the_model_and_the_others_are_variants(desk: SuiteDesk) -> None:
    result = desk.read(dump_yaml(CONFIG))

    first = desk.prompt(result)
    path = desk.project / "prompts/foreign/prompt-1.yaml"
    haiku = load_file(path, desk.settings, variant="haiku")
    chatty = desk.prompt(result, 3)

    assert (first.model, first.parameters) == ("openai/gpt-4o-mini", {})
    assert (haiku.model, haiku.parameters) == ("anthropic/claude-haiku-4-5", {"temperature": 0.3, "max_tokens": 5})
    assert chatty.parameters == {"temperature": 1}
    assert suite_of(result)["prompts"][:2] == ["foreign/prompt-1", "foreign/prompt-1:haiku"]


def test_a_variant_does_not_inherit_the_settings_of_the_first_provider(desk: SuiteDesk) -> None:
    first = {"id": "openai:gpt-4o", "config": {"temperature": 0.9, "seed": 1}}
    config = {"prompts": ["{{x}}"], "providers": [first, {"id": "openai:o3", "config": {"seed": 2}}]}

    base = desk.prompt(desk.read(dump_yaml(config)))
    other = load_file(desk.project / "prompts/foreign.yaml", desk.settings, variant=base.variants[0])

    assert (base.parameters, other.model, other.parameters) == (
        {"temperature": 0.9, "seed": 1}, "openai/o3", {"seed": 2},
    )  # fmt: skip


def test_tests_become_cases_with_assertions_that_read_no_variable(desk: SuiteDesk) -> None:
    cases = suite_of(desk.read(dump_yaml(CONFIG)))["cases"]

    assert [case["inputs"]["language"] for case in cases] == ["French", "German", "Arabic", "Spanish"]
    assert cases[1] == {
        "description": "two languages",
        "inputs": {"text": "hi", "language": "German"},
        "assert": [
            {"type": "icontains", "value": "German"},
            {"type": "latency", "threshold": 5000},
            {"type": "similar", "value": "bonjour", "threshold": 0.75},
            {"type": "llm-rubric", "value": "polite in German", "judge": {"model": "openai/gpt-4.1"}},
            {"type": "is-json", "value": {"type": "object"}},
            {"type": "not-contains", "value": "x", "weight": 2, "metric": "clean"},
        ],
        "metrics": [{"deepeval/answer_relevancy": {"threshold": 0.5}}],
    }
    assert cases[2]["metadata"] == {"a": 1, "vars": {"unused": 1}}
    assert cases[2]["threshold"] == 0.5
    assert cases[3]["description"] == "a row"
    assert cases[3]["assert"][2:] == [
        {"type": "equals", "value": "Hola", "metric": "m"},
        {"type": "similar", "value": "hola", "threshold": 0.9, "metric": "m"},
    ]


def test_default_assertions_without_variables_stand_once_for_the_suite(desk: SuiteDesk) -> None:
    config = {**CONFIG, "defaultTest": {"assert": [{"type": "is-refusal"}], "threshold": 0.8}}

    suite = suite_of(desk.read(dump_yaml(config)))

    assert (suite["assert"], suite["threshold"]) == (["is-refusal"], 0.8)
    assert suite["compat"] == "promptfoo"


def test_values_that_are_files_become_the_text_that_promptfoo_puts_in(desk: SuiteDesk) -> None:
    desk.put("data/a.yaml", "- role: user\n  content: مرحبا\n")
    desk.put("data/b.md", "\n# Title\n\n")
    config = {"prompts": ["{{a}}{{b}}"], "tests": [{"vars": {"a": "file://data/a.yaml", "b": "file://data/b.md"}}]}

    cases = suite_of(desk.read(dump_yaml(config)))["cases"]

    assert [case["inputs"] for case in cases] == [{"a": '[{"role":"user","content":"مرحبا"}]', "b": "# Title"}]


def test_scenarios_are_multiplied_out(desk: SuiteDesk) -> None:
    config = {
        "prompts": ["{{greeting}} {{name}}"],
        "providers": ["echo"],
        "scenarios": [
            {
                "config": [{"vars": {"greeting": "Hi"}}, {"vars": {"greeting": "مرحبا"}}],
                "tests": [{"vars": {"name": "Ada"}}, {"vars": {"name": "Grace"}}],
            }
        ],
    }

    cases = suite_of(desk.read(dump_yaml(config)))["cases"]

    assert [tuple(case["inputs"].values()) for case in cases] == [
        ("Hi", "Ada"), ("Hi", "Grace"), ("مرحبا", "Ada"), ("مرحبا", "Grace"),
    ]  # fmt: skip


def test_many_cases_go_to_a_file_beside_the_suite(desk: SuiteDesk) -> None:
    rows = [{"vars": {"text": str(number)}} for number in range(300)]

    result = desk.read(dump_yaml({"prompts": ["{{text}}"], "tests": rows}))

    data = next(made for made in result.made if made.kind == "data")
    assert len(data.text.splitlines()) == 300
    assert suite_of(result)["cases"] == "foreign.cases.jsonl"
    assert data.name == "foreign.cases.jsonl"


HOOKS: list[tuple[dict[str, Any], str]] = [
    ({"prompts": ["file://evil.py:make", "{{x}}"]}, "prompts[0]"),
    ({"prompts": ["file://evil.js", "{{x}}"]}, "prompts[0]"),
    ({"prompts": ["exec:python evil.py", "{{x}}"]}, "prompts[0]"),
    ({"prompts": ["{{ env.SECRET }}", "{{x}}"]}, "prompts[0]"),
    ({"prompts": ["file://../../outside.txt", "{{x}}"]}, "prompts[0]"),
    ({"prompts": ["file:///etc/passwd", "{{x}}"]}, "prompts[0]"),
    ({"providers": ["exec:python evil.py"]}, "providers[0]"),
    ({"providers": ["file://evil.py"]}, "providers[0]"),
    ({"providers": [{"id": "https://evil.example/x", "config": {}}]}, "providers[0]"),
    ({"tests": "file://evil.py"}, "tests"),
    ({"tests": ["https://evil.example/sheet"]}, "tests[0]"),
    ({"tests": [{"vars": {"x": "file://evil.js"}}]}, "tests[0].vars.x"),
    ({"tests": [{"assert": [{"type": "javascript", "value": "process.exit()"}]}]}, "tests[0].assert[0]"),
    ({"tests": [{"assert": [{"type": "python", "value": "file://evil.py"}]}]}, "tests[0].assert[0]"),
    ({"tests": [{"assert": [{"type": "equals", "value": "file://evil.py"}]}]}, "tests[0].assert[0].value"),
    ({"tests": [{"assert": [{"type": "webhook", "value": "https://evil.example"}]}]}, "tests[0].assert[0]"),
    ({"extensions": ["file://evil.py:hook"]}, "extensions"),
    ({"nunjucksFilters": {"f": "./evil.js"}}, "nunjucksFilters"),
]


@pytest.mark.parametrize(("change", "key"), HOOKS)
def test_code_is_never_run_and_is_named_with_its_line(desk: SuiteDesk, change: dict[str, Any], key: str) -> None:
    desk.put("evil.py", "import pathlib\npathlib.Path('ran').write_text('x')\n")
    desk.put("evil.js", "require('fs').writeFileSync('ran', 'x')\n")

    result = desk.read(dump_yaml({"prompts": ["{{x}}"], "tests": [{"vars": {"x": "1"}}], **change}))

    assert losses(result)[key] in ("dropped", "changed")
    assert next(loss.line for loss in result.losses if loss.key == key)
    assert not list(desk.folder.rglob("ran"))
    assert not Path("ran").exists()
    assert any(made.kind == "prompt" for made in result.made)


def test_no_key_is_lost_in_silence(desk: SuiteDesk) -> None:
    # Values and metadata are the user's own; a map among them may hold anything.
    missed = unnoticed_keys(desk, CONFIG, dump_yaml)
    assert missed == set()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damaged(CONFIG))
def test_damaged_configurations_give_prompts_or_an_error(desk: SuiteDesk, value: Any) -> None:
    try:
        text = dump_yaml(value)
    except ValueError:
        return
    survives(desk, text)


def test_files_that_a_configuration_names_are_not_imported_by_themselves(desk: SuiteDesk) -> None:
    desk.put("promptfooconfig.yaml", dump_yaml(CONFIG))

    result = import_path(desk.folder)

    assert result.sources == (("promptfooconfig.yaml", "promptfoo"),)
    assert result.unclaimed == ()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Paris", {"type": "equals", "value": "Paris"}),
        ("contains-any:a, b", {"type": "contains-any", "value": ["a", "b"]}),
        ("not-icontains: x", {"type": "not-icontains", "value": "x"}),
        ("similar: y", {"type": "similar", "value": "y", "threshold": 0.8}),
        ("levenshtein(3):y", {"type": "levenshtein", "value": "y", "threshold": 3.0}),
        ("is-json", {"type": "is-json"}),
        ("fn:output.length", {"type": "javascript", "value": "output.length"}),
        ("grade: nice", {"type": "llm-rubric", "value": " nice"}),
        ("note: this is text", {"type": "equals", "value": "note: this is text"}),
    ],
)
def test_cells_say_assertions_in_short(text: str, wanted: dict[str, Any]) -> None:
    assert assertion_from_text(text) == wanted


@pytest.mark.parametrize(
    "model", ["openai/gpt-4o", "anthropic/claude-haiku-4-5", "gemini/gemini-2.5-flash", "azure/mine", "offline/echo"]
)
def test_model_names_go_both_ways(model: str) -> None:
    assert model_of(provider_of(model)) == model


# -- out ------------------------------------------------------------------------------------------------------------

OURS = """\
description: Greet
model: openai/gpt-4o-mini
parameters: {temperature: 0.2}
inputs:
  name: string
  items: {type: array}
  formal: {type: boolean, default: false}
messages:
  - role: system
    content: |
      Say {{ '{{' }}x}} and {{ name | upper }}.
      {% if formal %}
      Formally.
      {% endif %}
  - role: user
    content: |
      {% for key, value in {'a': 1} | items %}{{ key }}{% endfor %}
      {% for item in items %}
      - {{ item }}
      {% endfor %}
tests:
  - inputs: {name: Ada, items: [a, b]}
    expected_output: hi
tags: [x]
"""
SUITE: dict[str, Any] = {
    "name": "s",
    "prompt": "ours",
    "cases": [
        {"id": "one", "inputs": {"name": "Z", "items": []}, "assert": [{"contains": "Z"}, {"path": "a", "gt": 1}]},
    ],
    "assert": ["is-json", {"type": "not-equals", "value": "x", "weight": 2}],
    "metrics": [{"deepeval/faithfulness": {"threshold": 0.8}}, "ragas/faithfulness"],
    "gate": {"pass_rate": 1},
}


def test_what_goes_out_comes_back_in_and_renders_the_same(desk: SuiteDesk) -> None:
    path = desk.project / "prompts/ours.yaml"
    path.write_text(OURS, encoding="utf-8")
    ours = load_file(path, desk.settings)

    exported = EXPORTER.write(ExportRequest(ours, "ours", None, (SuiteFile("s", "evals/s.yaml", SUITE),)))
    text = exported.files["promptfooconfig.yaml"]
    (desk.folder / "promptfooconfig.yaml").write_text(text, encoding="utf-8")
    result = IMPORTER.read(read_foreign(desk.folder / "promptfooconfig.yaml", desk.folder, "promptfooconfig.yaml"))

    back = desk.prompt(result)
    for values in ({"name": "ada", "items": ["x", "ش"], "formal": True}, {"name": "", "items": []}):
        assert render_messages(back, check_inputs(back, values)) == render_messages(ours, check_inputs(ours, values))
    assert (back.model, back.parameters) == (ours.model, ours.parameters)
    assert {(loss.file.rpartition("/")[2], loss.key) for loss in exported.losses} == {
        ("ours.yaml", "tags"), ("s.yaml", "gate"), ("s.yaml", "cases[0].assert[1]"), ("s.yaml", "metrics[0]"),
        ("s.yaml", "metrics[1]"),
    }  # fmt: skip


def test_suites_go_out_as_tests_that_expect_the_same(desk: SuiteDesk) -> None:
    path = desk.project / "prompts/ours.yaml"
    path.write_text(OURS, encoding="utf-8")
    ours = load_file(path, desk.settings)

    exported = EXPORTER.write(ExportRequest(ours, "ours", None, (SuiteFile("s", "evals/s.yaml", SUITE),)))

    config = read_yaml(exported.files["promptfooconfig.yaml"], file="x").value
    assert config["tests"] == [
        {"vars": {"name": "Ada", "items": ["a", "b"]}, "options": {"disableVarExpansion": True},
         "assert": [{"type": "equals", "value": "hi"}]},
        {"description": "one", "vars": {"name": "Z", "items": []}, "options": {"disableVarExpansion": True},
         "assert": [{"type": "is-json"}, {"type": "not-equals", "value": "x", "weight": 2},
                    {"type": "context-faithfulness", "threshold": 0.8}, {"type": "contains", "value": "Z"}]},
    ]  # fmt: skip
    assert config["providers"] == [{"id": "openai:gpt-4o-mini", "config": {"temperature": 0.2}}]


def test_braces_that_come_from_a_value_stay_braces(desk: SuiteDesk) -> None:
    config = {
        "prompts": ["{{x}}"],
        "tests": [{"vars": {"x": "{{ boom"}, "assert": [{"type": "contains", "value": "{{x}}!"}]}],
    }

    result = desk.read(dump_yaml(config))

    value = suite_of(result)["cases"][0]["assert"][0]["value"]
    assert render_template(value, {}, {}) == "{{ boom!"
    assert desk.faults(result) == []


def test_made_suites_are_sound(desk: SuiteDesk) -> None:
    for made in desk.read(dump_yaml(CONFIG)).made:
        if made.kind != "prompt":
            check_suite(made.text, made.kind)
