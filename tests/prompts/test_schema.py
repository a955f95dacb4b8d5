"""The shape of a prompt file: what is accepted, and what is said of everything else."""

from __future__ import annotations

from pathlib import Path

import pytest

from promptstudio.config import Settings, load_settings
from promptstudio.errors import Problem, PromptFileError, UserError
from promptstudio.prompts.load import load_file
from promptstudio.prompts.prompt import Prompt
from promptstudio.prompts.schema import name_fault


def settings_of(folder: Path) -> Settings:
    return load_settings(folder, env={})


def loaded(tmp_path: Path, text: str) -> Prompt:
    path = tmp_path / "p.yaml"
    path.write_text(text, encoding="utf-8")
    return load_file(path, settings_of(tmp_path), cwd=tmp_path)


def problems(tmp_path: Path, text: str) -> tuple[Problem, ...]:
    with pytest.raises(UserError) as caught:
        loaded(tmp_path, text)
    return caught.value.problems


# text of the file → place, a piece of the message, a piece of the hint
BAD = [
    ("schema_version: 2\nprompt: a", "1:17", "newer than this program reads", "upgrade"),
    ("schema_version: 0\nprompt: a", "1:17", "there is no schema_version 0", "write 1"),
    ("schema_version: '1'\nprompt: a", "1:17", "expected a whole number, found the text '1'", "without quotes"),
    ("version: 2.10\nprompt: a", "1:10", "version: expected text, found the number 2.1", "quote it: '2.10'"),
    ("descripton: a\nprompt: a", "1:1", "unknown key 'descripton'", "did you mean 'description'?"),
    ("zzz: a\nprompt: a", "1:1", "unknown key 'zzz'", "starts with x-"),
    ("prompt:", "1:8", "expected a value, found nothing (null)", "remove the key"),
    ("prompt: ''", "1:9", "expected text that is not empty", None),
    ("prompt: {a: b}", "1:9", "expected text, found a map", "quote a text"),
    ("prompt: 12", "1:9", "expected text, found the number 12", "quote it: '12'"),
    ("system: a", "1:1", "nothing to send", "prompt"),
    ("description: a", "1:1", "nothing to send", "prompt"),
    ("prompt: a\nmessages: [{role: user, content: a}]", "1:9", "both `messages` and `prompt`", "messages"),
    ("messages: []", "1:11", "at least 1 item", None),
    ("messages: hi", "1:11", "expected a list, found the text 'hi'", "a list"),
    ("messages: [{role: usr, content: a}]", "1:19", "'usr' is not one of", "did you mean 'user'?"),
    ("messages: [{role: tool, content: a}]", "1:19", "'tool' is not one of", "system, developer, user, assistant"),
    ("messages: [{role: user}]", "1:12", "missing key 'content'", None),
    ("messages: [{role: user, content: [{text: a, image: b}]}]", "1:35", "here are text and image", None),
    ("messages: [{role: user, content: [{txt: a}]}]", "1:36", "unknown key 'txt'", "did you mean 'text'?"),
    ("messages: [{role: user, content: [{image: a.png}]}]", "1:43", "name of an image input in braces", "{{ name }}"),
    ("messages: [{placeholder: x, role: user}]", "1:29", "unknown key 'role'", None),
    ("prompt: a\nname: a b", "2:7", "cannot hold ' '", "support/triage"),
    ("prompt: a\nname: ../a", "2:7", "do not start with", None),
    ("prompt: a\nmodel: gpt 4", "2:8", "no spaces", "openai/"),
    ("prompt: a\ntags: a", "2:7", "expected a list", "[a]"),
    ("prompt: a\ntags: [1]", "2:8", "tags[0]: expected text, found the number 1", "quote it: '1'"),
    ("prompt: a\nretry: {max_attempts: 11}", "2:23", "at most 10", None),
    ("prompt: a\nretry: {max_attempts: 0}", "2:23", "at least 1", None),
    ("prompt: a\nretry: {max_attempts: 1.5}", "2:23", "expected a whole number", None),
    ("prompt: a\nretry: {max_attempts: true}", "2:23", "found true", None),
    ("prompt: a\nretry: {timeout: 0}", "2:18", "above 0", None),
    ("prompt: a\nretry: {timeout: '60'}", "2:18", "expected a number, found the text '60'", "without quotes"),
    ("prompt: a\nretry: {timeot: 1}", "2:9", "unknown key 'timeot'", "did you mean 'timeout'?"),
    ("prompt: a\nparameters: {temperature: hot}", "2:27", "expected a number, found the text 'hot'", None),
    ("prompt: a\nparameters: {temperature: 3}", "2:27", "between 0 and 2", None),
    ("prompt: a\nparameters: {max_tokens: true}", "2:26", "expected a whole number, found true", None),
    ("prompt: a\nparameters: {maxTokens: 1}", "2:25", "snake_case", "did you mean 'max_tokens'?"),
    ("prompt: a\nparameters: {stop: [1]}", "2:20", "text or a list of texts", None),
    ("prompt: a\nparameters: {api_key: x}", "2:23", "does not belong in parameters", "promptstudio.toml"),
    ("prompt: a\nparameters: {base_url: x}", "2:24", "does not belong in parameters", "promptstudio.toml"),
    ("prompt: a\nparameters: {my_api_key: x}", "2:26", "looks like a secret", "promptstudio.toml"),
    ("prompt: a\nparameters: {timeout: 3}", "2:23", "does not belong", "retry"),
    ("prompt: a\nparameters: {response_format: {}}", "2:31", "does not belong", "output"),
    ("prompt: a\ninputs: [a]", "2:9", "expected a map, found a list", None),
    ("prompt: a\ninputs: {a: int}", "2:13", "unknown type 'int'", "did you mean 'integer'?"),
    ("prompt: a\ninputs: {a: str}", "2:13", "unknown type 'str'", "did you mean 'string'?"),
    ("prompt: a\ninputs: {a: float?}", "2:13", "unknown type 'float'", "did you mean 'number'?"),
    ("prompt: a\ninputs: {a: 3}", "2:13", "expected a type or a map", "string"),
    ("prompt: a\ninputs: {a: {type: list}}", "2:20", "unknown type 'list'", "did you mean 'array'?"),
    ("prompt: a\ninputs: {a: {type: string, maxlength: 1}}", "2:28", "unknown key 'maxlength'", "'maxLength'"),
    ("prompt: a\ninputs: {a: {type: string, maxLength: x}}", "2:39", "expected an integer", None),
    ("prompt: a\ninputs: {a: {type: integer, default: x}}", "2:38", "expected an integer, found the text 'x'", None),
    ("prompt: a\ninputs: {a: {type: string, required: true, default: x}}", "2:38", "never required", "remove"),
    ("prompt: a\ninputs: {a: {type: string, required: 'no'}}", "2:38", "expected true or false", None),
    ("prompt: a\ninputs: {a: {type: image, maxLength: 1}}", "2:27", "means nothing for image", "remove"),
    ("prompt: a\ninputs: {a-b: string}", "2:10", "cannot be used as a variable", "letters, digits and _"),
    ("prompt: a\ninputs: {__class__: string}", "2:10", "cannot be used as a variable", None),
    ("prompt: a\ninputs: {loop: string}", "2:10", "means something else in a template", "rename"),
    ("prompt: a\ninputs: {a: {pattern: '(?=x)'}}", "2:23", "look-around", None),
    ("prompt: a\ninputs: {a: {$ref: 'http://x/y'}}", "2:20", "leaves the schema", None),
    ("prompt: a\noutput: {}", "2:9", "missing key 'fields'", "exactly one"),
    ("prompt: a\noutput: {fields: {a: string}, schema: {}}", "2:9", "both `fields` and `schema`", "exactly one"),
    ("prompt: a\noutput: {fields: {}}", "2:18", "at least 1", None),
    ("prompt: a\noutput: {fields: {a: image}}", "2:22", "unknown type 'image'", "string"),
    ("prompt: a\noutput: {fields: {a: {type: strin}}}", "2:29", "unknown type 'strin'", "did you mean 'string'?"),
    ("prompt: a\noutput: {schema: {type: array}}", "2:18", "root must be of type object", None),
    ("prompt: a\noutput: {schema: {properties: {a: {typ: 1}}}}", "2:36", "unknown key 'typ'", None),
    ("prompt: a\noutput: {model: myapp}", "2:17", "expected MODULE:CLASS", "myapp.models"),
    ("prompt: a\noutput: {name: 'ä b', fields: {a: string}}", "2:16", "Latin letters", "TriageResult"),
    ("prompt: a\noutput: {max_retries: 11, fields: {a: string}}", "2:23", "at most 10", None),
    ("prompt: a\noutput: {mode: jsn, fields: {a: string}}", "2:16", "'jsn' is not one of", "did you mean 'json'?"),
    ("prompt: a\nexamples: [{inputs: {}}]", "2:12", "missing key 'output'", None),
    ("prompt: a\nexamples: [{file: a, output: b}]", "2:22", "unknown key 'output'", None),
    ("prompt: a\nvariants: {v: 3}", "2:15", "expected a map, found the number 3", None),
    ("prompt: a\nvariants: {v: {name: x}}", "2:22", "a variant cannot change this", "top of the file"),
    ("prompt: a\nvariants: {'a b': {}}", "2:19", "no spaces", None),
    ("prompt: a\ntests: [{inputs: {}, asert: []}]", "2:22", "unknown key 'asert'", "did you mean 'assert'?"),
    ("prompt: a\ntests: [{vars: {}, inputs: {}}]", "2:16", "two names for one thing", "inputs"),
    ("prompt: a\ntests: [{assert: [contans]}]", "2:19", "no assertion 'contans'", "did you mean 'contains'?"),
    ("prompt: a\ntests: [{assert: [contains]}]", "2:19", "needs a value", "{contains: …}"),
    (
        "prompt: a\ntests: [{assert: [{type: equls, value: 1}]}]",
        "2:26",
        "no assertion 'equls'",
        "did you mean 'equals'?",
    ),
    ("prompt: a\ntests: [{assert: [{contains: a, equals: b}]}]", "2:19", "has one name", None),
    ("prompt: a\ntests: [{assert: [{path: a}]}]", "2:19", "has no name", None),
    ("prompt: a\ntests: [{assert: [{gte: x}]}]", "2:25", "compares with a number", None),
    ("prompt: a\ntests: [{assert: [{python: 'print(1)'}]}]", "2:28", "expected FILE.py:FUNCTION", None),
    ("prompt: a\ntests: [{metrics: [accuracy]}]", "2:20", "no metric 'accuracy'", "deepeval/NAME"),
    ("- prompt: a", "1:1", "expected a map, found a list", "prompt:"),
    ("just text", "1:1", "expected a map, found the text", "prompt:"),
]


@pytest.mark.parametrize(("text", "place", "says", "hint"), BAD, ids=[text.replace("\n", "|")[:60] for text, *_ in BAD])
def test_each_mistake_has_its_place_fact_and_action(
    tmp_path: Path, text: str, place: str, says: str, hint: str | None
) -> None:
    found = problems(tmp_path, text)
    matching = [problem for problem in found if says in problem.message]
    assert matching, [str(problem) for problem in found]
    assert matching[0].place == f"p.yaml:{place}"
    if hint is not None:
        assert hint in (matching[0].hint or "")


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = "version: 1\ntags: a\nretry: {max_attempts: 0}\ninputs: {a: int, b: {maxlength: 2}}\nprompt: a\n"
    assert [problem.line for problem in problems(tmp_path, text)] == [1, 2, 3, 4, 4]


def test_keys_that_start_with_x_are_free_at_every_level(tmp_path: Path) -> None:
    plain = loaded(tmp_path, "prompt: '{{ a }}'\nretry: {max_attempts: 2}\ninputs: {a: {type: string}}\n")
    noted = loaded(
        tmp_path,
        "x-owner: me\nprompt: '{{ a }}'\nretry: {max_attempts: 2, x-a: 1}\n"
        "inputs: {x-note: 3, a: {type: string, x-b: {c: d}}}\ntests: [{x-c: 1, inputs: {a: b}}]\n",
    )
    assert noted.identity == plain.identity
    assert noted.tests == ({"inputs": {"a": "b"}},)


def test_nothing_is_coerced(tmp_path: Path) -> None:
    prompt = loaded(tmp_path, "prompt: a\nparameters: {temperature: 1, max_tokens: 5}\nmetadata: {a: no, b: 012}\n")
    assert prompt.parameters == {"temperature": 1, "max_tokens": 5}
    assert prompt.metadata == {"a": "no", "b": 12}


@pytest.mark.parametrize(
    ("line", "type_", "required", "description"),
    [
        ("string", "string", True, ""),
        ("string?", "string", False, ""),
        ("integer, how many", "integer", True, "how many"),
        ("'string?, a, b, and c'", "string", False, "a, b, and c"),
        ("string ? , x", "string", False, "x"),
        ("string?، لغة الرد", "string", False, "لغة الرد"),
        ("image?", "image", False, ""),
        ("messages", "messages", True, ""),
        ("any", "any", True, ""),
    ],
)
def test_one_line_is_a_whole_declaration(
    tmp_path: Path, line: str, type_: str, required: bool, description: str
) -> None:
    spec = loaded(tmp_path, f"prompt: a\ninputs:\n  a: {line}\n").inputs["a"]
    assert (spec.type, spec.required, spec.description) == (type_, required, description)


def test_both_forms_of_an_input_come_to_the_same(tmp_path: Path) -> None:
    text = "prompt: a\ninputs:\n  a: {}\n"
    short = loaded(tmp_path, text.format("string?, what"))
    long = loaded(tmp_path, text.format("{type: string, required: false, description: what}"))
    assert short.inputs == long.inputs


def test_a_long_form_keeps_its_json_schema(tmp_path: Path) -> None:
    text = "prompt: a\ninputs:\n  a: {type: object, required: [b], properties: {b: {type: integer}}, default: {b: 1}}\n"
    spec = loaded(tmp_path, text).inputs["a"]
    assert spec.schema == {"type": "object", "required": ["b"], "properties": {"b": {"type": "integer"}}}
    assert (spec.required, spec.has_default, spec.default) == (False, True, {"b": 1})


def test_fields_become_a_closed_object_in_their_order(tmp_path: Path) -> None:
    text = "prompt: a\noutput:\n  fields:\n    z: string, last\n    a: integer?\n    m: {enum: [x, y], default: x}\n"
    output = loaded(tmp_path, text).output
    assert output is not None
    assert output.schema is not None
    assert list(output.schema["properties"]) == ["z", "a", "m"]
    assert output.schema["required"] == ["z"]
    assert output.schema["additionalProperties"] is False
    assert output.schema["properties"]["z"] == {"type": "string", "description": "last"}
    assert (output.name, output.max_retries, output.mode) == ("Output", 2, "auto")


def test_a_model_gives_the_output_its_name_and_is_not_imported(tmp_path: Path) -> None:
    output = loaded(tmp_path, "prompt: a\noutput: {model: 'no_such_module.x:Outer.Result'}\n").output
    assert output is not None
    assert (output.name, output.model, output.schema) == ("Result", "no_such_module.x:Outer.Result", None)


@pytest.mark.parametrize("name", ["greet", "support/triage", "خدمة/ترحيب", "v1.2", "a_b-c", "שלום"])
def test_names_of_every_script_are_welcome(name: str) -> None:
    assert name_fault(name) is None


@pytest.mark.parametrize(
    "name", ["", "a//b", "/a", "a/", "-x", ".x", "_x", "a:b", "a@b", "a b", "a\u202eb", "a\x00", "a/../b"]
)
def test_names_that_cannot_be_typed_or_seen_are_refused(name: str) -> None:
    assert name_fault(name) is not None


def test_a_deeply_wrong_file_is_still_one_error(tmp_path: Path) -> None:
    with pytest.raises(PromptFileError):
        loaded(tmp_path, "inputs: 3\noutput: 3\nmessages: {}\nvariants: []\ntests: 3\nexamples: x\nparameters: []\n")
