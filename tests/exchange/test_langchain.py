"""LangChain prompts, as `save` and as `dumps` write them; the expected texts are worked out by its documented rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jinja2.sandbox import SandboxedEnvironment

from promptstudio.errors import PromptFileError, UserError
from promptstudio.exchange.langchain import IMPORTER
from promptstudio.types import Media
from tests.exchange.foreign_files import Desk, damaged, losses, survives, unnoticed_keys, unnoticed_leaves


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, IMPORTER, "prompt.json")


def constructor(module: str, name: str, **kwargs: Any) -> dict[str, Any]:
    return {"lc": 1, "type": "constructor", "id": ["langchain", "prompts", module, name], "kwargs": kwargs}


def template(text: str, *names: str, **more: Any) -> dict[str, Any]:
    return constructor(
        "prompt", "PromptTemplate", template=text, input_variables=list(names), template_format="f-string", **more
    )


PROMPT: dict[str, Any] = {
    "_type": "prompt",
    "name": "Greeting",
    "input_variables": ["name", "never"],
    "optional_variables": [],
    "input_types": {},
    "output_parser": {"_type": "regex", "regex": ".*"},
    "partial_variables": {"day": "الاثنين", "n": 3},
    "metadata": {"lc_hub_owner": "ada"},
    "tags": ["demo"],
    "template": "Hi {name}, {{braces}} on {day} {n}",
    "template_format": "f-string",
    "validate_template": False,
}
FEW_SHOT: dict[str, Any] = {
    "_type": "few_shot",
    "input_variables": ["adjective"],
    "prefix": "Write antonyms of {tone} words.",
    "examples": [{"input": "سعيد", "output": "حزين"}, {"input": "{{tall}}", "output": 7}],
    "example_prompt": {
        "_type": "prompt",
        "input_variables": ["input", "output"],
        "template": "Input: {input}\nOutput: {output}",
    },
    "suffix": "Input: {adjective}\nOutput:",
    "example_separator": "\n--\n",
    "partial_variables": {"tone": "plain"},
    "template_format": "f-string",
}
CHAT: dict[str, Any] = constructor(
    "chat",
    "ChatPromptTemplate",
    input_variables=["mood", "question", "history"],
    optional_variables=["extra"],
    partial_variables={"lang": "العربية", "extra": []},
    metadata={"lc_hub_repo": "x"},
    messages=[
        constructor(
            "chat", "SystemMessagePromptTemplate", prompt=template('Be {mood} in {lang}: {{"a": 1}}', "mood", "lang")
        ),
        constructor("chat", "MessagesPlaceholder", variable_name="history", n_messages=2),
        constructor("chat", "MessagesPlaceholder", variable_name="extra", optional=True),
        {
            "lc": 1,
            "type": "constructor",
            "id": ["langchain", "schema", "messages", "AIMessage"],
            "kwargs": {"content": "literal {not} {{this}}", "type": "ai", "additional_kwargs": {"x": 1}},
        },
        constructor(
            "chat",
            "HumanMessagePromptTemplate",
            prompt=[
                template("מה {question}", "question"),
                constructor(
                    "image",
                    "ImagePromptTemplate",
                    template={"url": "{photo}", "detail": "high"},
                    input_variables=["photo"],
                ),
                constructor(
                    "image", "ImagePromptTemplate", template={"url": "https://example.org/a.png"}, input_variables=[]
                ),
            ],
            additional_kwargs={"y": 2},
        ),
        constructor("chat", "ChatMessagePromptTemplate", role="assistant", prompt=template("Well, {mood}.", "mood")),
        constructor("chat", "ChatMessagePromptTemplate", role="Jedi", prompt=template("May {mood}", "mood")),
        {
            "lc": 1,
            "type": "constructor",
            "id": ["langchain", "schema", "messages", "ToolMessage"],
            "kwargs": {"content": "x"},
        },
    ],
)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("Hello {name}!", {"name": "עולם"}),
        ("{{literal}} {a}{b} {{{{", {"a": "{b}", "b": "{{ c }}"}),
        ("{{% if x %}} {{# c #}} {{{{x}}}} {x}", {"x": "v"}),
        ("\nline\n\n{x}\n", {"x": "\n"}),
        ("no variables", {}),
    ],
)
def test_f_strings_mean_what_python_makes_of_them(desk: Desk, text: str, values: dict[str, str]) -> None:
    prompt = {"_type": "prompt", "template": text, "input_variables": list(values)}

    assert desk.said(prompt, **values) == [("user", text.format(**values))]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from(["{a}", "{ב}", "{{", "}}", "{", "%", "#", "\n", "  ", "x", "{{%", "%}}", "'"]), max_size=12
    )
)
def test_any_f_string_means_what_python_makes_of_it_or_is_refused(desk: Desk, pieces: list[str]) -> None:
    text = "".join(pieces)
    try:
        result = desk.read({"_type": "prompt", "template": f"{text}|"})
    except UserError:
        return
    values = {name: f"<{name}>" for name in desk.prompt(result).inputs}
    if losses(result):
        return  # a name that is none for us is spelled otherwise here

    assert desk.rendered(result, **values)[0].text == f"{text}|".format(**values)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (
            "Hi {{ name }}{% if loud %}!{% endif %}\n  {% for i in l %}\n  - {{ i }}\n  {% endfor %}\nend\n",
            {"name": "نور", "loud": "y", "l": ["a"]},
        ),
        ("{% set x = a %}\n{{ x }} {# c #}\n", {"a": "{{ b }}"}),
    ],
)
def test_jinja_means_what_jinja_makes_of_it(desk: Desk, text: str, values: dict[str, Any]) -> None:
    prompt = {"_type": "prompt", "template": text, "template_format": "jinja2", "input_variables": list(values)}

    assert desk.said(prompt, **values) == [("user", SandboxedEnvironment().from_string(text).render(**values))]


def test_mustache_means_what_mustache_makes_of_it(desk: Desk) -> None:
    text = "{{name}} {{{name}}}{{#items}}\n- {{label}}\n{{/items}}{{^items}}none{{/items}}"
    prompt = {"_type": "prompt", "template": text, "template_format": "mustache"}

    assert desk.said(prompt, name="a&b", items=[{"label": "x"}]) == [("user", "a&amp;b a&b\n- x\n")] or desk.said(
        prompt, name="a&b", items=[{"label": "x"}]
    ) == [("user", "a&amp;b a&b- x\n")]


def test_jinja_in_a_file_reaches_nothing_of_python(desk: Desk) -> None:
    text = "{{ ''.__class__.__mro__[1].__subclasses__() }}"

    with pytest.raises(PromptFileError, match="__subclasses__"):
        desk.read({"_type": "prompt", "template": text, "template_format": "jinja2"})


def test_a_saved_prompt_is_carried_over(desk: Desk) -> None:
    result = desk.read(PROMPT)
    prompt = desk.prompt(result)

    assert desk.said(PROMPT, name="Ada") == [("user", "Hi Ada, {braces} on الاثنين 3")]
    assert desk.said(PROMPT, name="Ada", day="x", n=4) == [("user", "Hi Ada, {braces} on x 4")]
    assert prompt.tags == ("demo",)
    assert prompt.metadata == {"title": "Greeting", "lc_hub_owner": "ada"}
    assert losses(result) == {
        "output_parser": "dropped",
        "validate_template": "changed",
        "input_variables[1]": "dropped",
    }


def test_values_filled_in_beforehand_are_written_as_python_writes_them(desk: Desk) -> None:
    partials = {"b": True, "l": ["أ"], "f": 0.5, "n": 3}
    prompt = {"_type": "prompt", "template": "{b} {l} {f} {n}", "partial_variables": partials}

    assert desk.said(prompt) == [("user", "{b} {l} {f} {n}".format(**partials))]


def test_yaml_is_read_like_json(desk: Desk) -> None:
    text = yaml.safe_dump(PROMPT, allow_unicode=True)
    result = desk.read(text, file="prompt.yaml")

    assert desk.rendered(result, name="Ada")[0].text == "Hi Ada, {braces} on الاثنين 3"
    (loss,) = [loss for loss in result.losses if loss.key == "output_parser"]
    assert text.split("\n")[(loss.line or 0) - 1].startswith("output_parser")


def test_few_shot_examples_are_written_out_and_read_once_more_as_langchain_does(desk: Desk) -> None:
    first, second = "Input: سعيد\nOutput: حزين", "Input: {tall}\nOutput: 7"
    text = f"Write antonyms of plain words.\n--\n{first}\n--\n{second}\n--\nInput: x\nOutput:"

    assert desk.said(FEW_SHOT, adjective="x") == [("user", text)]
    again = {**FEW_SHOT, "examples": [{"input": "{adjective}", "output": "y"}], "example_separator": "|"}
    assert desk.said(again, adjective="x") == [
        ("user", "Write antonyms of plain words.|Input: x\nOutput: y|Input: x\nOutput:")
    ]


def test_few_shot_without_a_prefix_is_joined_by_empty_lines(desk: Desk) -> None:
    bare = {
        key: value for key, value in FEW_SHOT.items() if key not in ("prefix", "example_separator", "partial_variables")
    }
    bare["examples"] = bare["examples"][:1]

    assert desk.said(bare, adjective="x") == [("user", "Input: سعيد\nOutput: حزين\n\nInput: x\nOutput:")]


def test_few_shot_in_jinja_is_filled_in_within_the_sandbox(desk: Desk) -> None:
    prompt = {
        **FEW_SHOT,
        "template_format": "jinja2",
        "prefix": "{{ tone }}",
        "suffix": "{{ adjective }}",
        "example_prompt": {"template": "{{ input | upper }}{% if output %}!{% endif %}", "template_format": "jinja2"},
        "examples": [{"input": "ab", "output": "x"}],
    }

    assert desk.said(prompt, adjective="z") == [("user", "plain\n--\nAB!\n--\nz")]


def test_named_files_come_from_the_folder(desk: Desk) -> None:
    desk.put("parts/suffix.txt", "Word: {adjective}")
    desk.put("parts/rows.yaml", "- {input: a, output: b}\n")
    desk.put("parts/one.json", json.dumps({"_type": "prompt", "template": "{input}>{output}"}))
    prompt = {
        "_type": "few_shot",
        "examples": "parts/rows.yaml",
        "example_prompt_path": "parts/one.json",
        "suffix_path": "parts/suffix.txt",
    }
    result = desk.read(prompt)

    assert desk.rendered(result, adjective="x")[0].text == "a>b\n\nWord: x"
    assert {path.name for path in result.used} == {"suffix.txt", "rows.yaml", "one.json"}
    assert desk.said({"_type": "prompt", "template_path": "parts/suffix.txt"}, adjective="ك") == [("user", "Word: ك")]


@pytest.mark.parametrize(
    "name", ["../secret.txt", "/etc/passwd", "link.txt", "missing.txt", ".hidden.txt", "folder", "C:\\x.txt"]
)
def test_a_file_outside_of_the_folder_is_an_error_and_never_read(desk: Desk, name: str) -> None:
    (desk.folder.parent / "secret.txt").write_text("secret {x}")
    (desk.folder / "link.txt").symlink_to(desk.folder.parent / "secret.txt")
    (desk.folder / "folder").mkdir()
    desk.put(".hidden.txt", "secret")

    with pytest.raises(PromptFileError, match=r"prompt\.json:3: "):
        desk.read({"_type": "prompt", "template_path": name})


def test_a_dumped_chat_is_carried_over(desk: Desk) -> None:
    result = desk.read(CHAT)
    turns = [{"role": "user", "content": "قبل"}]
    case = desk.samples(result)
    messages = desk.rendered(
        result, mood="kind", question="נשמע?", history=turns, photo="https://example.org/b.png", **case
    )

    assert [(message.role, message.text) for message in messages] == [
        ("system", 'Be kind in العربية: {"a": 1}'),
        ("user", "قبل"),
        ("assistant", "literal {not} {{this}}"),
        ("user", "מה נשמע?"),
        ("assistant", "Well, kind."),
    ]
    assert [part.media for part in messages[3].parts[1:]] == [
        Media("image/png", url="https://example.org/b.png", name="b.png"),
        Media("image/png", url="https://example.org/a.png", name="a.png"),
    ]
    inner = "kwargs.messages"
    assert losses(result) == {
        f"{inner}[1].kwargs.n_messages": "dropped",
        f"{inner}[3].kwargs.additional_kwargs": "dropped",
        f"{inner}[4].kwargs.prompt[1].kwargs.template.detail": "dropped",
        f"{inner}[4].kwargs.prompt[2].kwargs.template.url": "changed",
        f"{inner}[4].kwargs.additional_kwargs": "dropped",
        f"{inner}[6]": "dropped",
        f"{inner}[7]": "dropped",
    }


def test_what_langchain_did_not_write_down_is_a_loss(desk: Desk) -> None:
    lost = {
        "lc": 1,
        "type": "not_implemented",
        "id": ["langchain", "prompts", "few_shot", "FewShotChatMessagePromptTemplate"],
    }
    chat = constructor("chat", "ChatPromptTemplate", messages=[lost, CHAT["kwargs"]["messages"][5]])

    assert desk.said(chat, mood="ok") == [("assistant", "Well, ok.")]
    assert losses(desk.read(chat)) == {"kwargs.messages[0]": "dropped"}


def test_a_chain_of_prompt_and_model_gives_its_model(desk: Desk) -> None:
    model = {
        "lc": 1,
        "type": "constructor",
        "id": ["langchain", "chat_models", "openai", "ChatOpenAI"],
        "kwargs": {
            "model_name": "gpt-4o",
            "temperature": 0.1,
            "openai_api_key": {"lc": 1, "type": "secret", "id": ["OPENAI_API_KEY"]},
            "model_kwargs": {"seed": 1},
        },
    }
    sequence = {
        "lc": 1,
        "type": "constructor",
        "id": ["langchain", "schema", "runnable", "RunnableSequence"],
        "kwargs": {"first": CHAT, "middle": [], "last": model},
    }
    result = desk.read(sequence)

    assert desk.prompt(result).model == "openai/gpt-4o"
    assert dict(desk.prompt(result).parameters) == {"temperature": 0.1, "seed": 1}
    assert losses(result)["kwargs.last.kwargs.openai_api_key"] == "dropped"


def test_a_dumped_prompt_template_and_a_structured_one(desk: Desk) -> None:
    assert desk.said(template("Hi {x}", "x"), x="ש") == [("user", "Hi ש")]
    schema = {"title": "Joke", "type": "object", "properties": {"text": {"type": "string"}}}
    structured = constructor("structured", "StructuredPrompt", messages=CHAT["kwargs"]["messages"][:1], schema_=schema)
    output = desk.prompt(desk.read(structured)).output

    assert output is not None
    assert output.name == "Joke"


def test_a_saved_chat_knows_the_role_of_its_first_message_only(desk: Desk) -> None:
    saved = {
        "_type": "chat",
        "input_variables": ["q"],
        "messages": [
            {
                "prompt": {"input_variables": ["q"], "template": "Ask {q}", "template_format": "f-string"},
                "additional_kwargs": {},
            },
            {"prompt": {"input_variables": [], "template": "lost"}},
        ],
    }

    assert desk.said(saved, q="?") == [("user", "Ask ?")]
    assert losses(desk.read(saved)) == {"messages[0]": "changed", "messages[1]": "dropped"}


@pytest.mark.parametrize(
    ("value", "sure"),
    [
        (PROMPT, True),
        (FEW_SHOT, True),
        (CHAT, True),
        ({"template": "x {y}", "input_variables": ["y"]}, True),
        ({"messages": [{"role": "user", "content": "x"}]}, False),
        ({"_type": "llm", "model": "x"}, False),
        ({"prompt_template": {"type": "chat"}}, False),
        ({"prompt": "x"}, False),
        ([PROMPT], False),
    ],
)
def test_it_claims_its_own_files_and_nothing_else(desk: Desk, value: Any, sure: bool) -> None:
    assert (desk.confidence(value) > 0) is sure


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"_type": "prompt"}, "missing key 'template'"),
        ({"_type": "promt", "template": "x"}, "prompt.json:2:12: _type: found the text 'promt'"),
        ({"_type": "prompt", "template": 3}, "template: expected text, found the number 3"),
        ({"_type": "prompt", "template": "{x"}, "not a Python format string"),
        ({"_type": "prompt", "template": "{}"}, "has no name"),
        ({"_type": "prompt", "template": "x", "template_format": "liquid"}, "template_format: found the text 'liquid'"),
        ({"_type": "prompt", "template": "x", "template_path": "x.txt"}, "both template and template_path are given"),
        ({"_type": "few_shot", "suffix": "x", "examples": [{}], "example_prompt": {"template": "{a}"}}, "has no 'a'"),
        ({"_type": "few_shot", "suffix": "x", "examples": [1], "example_prompt": {"template": "a"}}, "expected a map"),
        (
            {
                "_type": "few_shot",
                "suffix": "x",
                "examples": [{"a": "1"}],
                "example_prompt": {"template": "{a}" * 9, "template_format": "x"},
            },
            "found the text 'x'",
        ),
        ({"lc": 1, "type": "not_implemented", "id": ["x", "Y"]}, "Y was not written down"),
        ({"lc": 1, "type": "constructor", "id": ["x", "OpenAI"], "kwargs": {}}, "a OpenAI is no prompt"),
        ({"_type": "chat", "messages": 3}, "messages: expected a list"),
    ],
)
def test_a_broken_file_is_an_error_with_its_place(desk: Desk, value: Any, said: str) -> None:
    with pytest.raises(PromptFileError) as caught:
        desk.read(value)

    assert said in str(caught.value)
    assert str(caught.value).startswith("prompt.json")


def test_an_example_prompt_formats_nothing_with_python(desk: Desk) -> None:
    huge = {
        "_type": "few_shot",
        "suffix": "x",
        "examples": [{"a": "1"}],
        "example_prompt": {"template": "{a:>999999999}"},
    }

    assert desk.said(huge) == [("user", "1\n\nx")]
    assert losses(desk.read(huge))["examples[0]"] == "changed"


@pytest.mark.parametrize("value", [PROMPT, FEW_SHOT, CHAT], ids=["prompt", "few_shot", "dumps"])
def test_every_key_is_carried_or_named(desk: Desk, value: Any) -> None:
    assert unnoticed_keys(desk, value) == set()
    # Where a class comes from is not looked at, only what it is called; a name of no variable is told by its text.
    unnoticed = {
        key
        for key in unnoticed_leaves(desk, value)
        if ".id[" not in f".{key}" and not key.endswith(".lc") and key != "lc"
    }
    assert unnoticed <= {"kwargs.messages[3].kwargs.type"} | {key for key in unnoticed if "input_variables" in key}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([PROMPT, FEW_SHOT, CHAT]).flatmap(damaged))
def test_damaged_files_give_a_prompt_or_an_error(desk: Desk, value: Any) -> None:
    survives(desk, json.dumps(value))
