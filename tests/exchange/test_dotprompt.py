"""dotprompt files: roles, media and history out of the text, Picoschema, variants, partials; both ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from promptstudio.errors import PromptFileError
from promptstudio.exchange.dotprompt import IMPORTER
from promptstudio.exchange.dotprompt_export import EXPORTER
from promptstudio.exchange.export_sources import UntranslatableError
from promptstudio.exchange.importing import import_path, read_foreign
from promptstudio.exchange.picoschema import PicoschemaError, json_schema_of
from promptstudio.exchange.schema import ExportRequest
from promptstudio.prompts.inputs import check_inputs
from promptstudio.prompts.load import load_file
from promptstudio.prompts.prompt import Prompt
from promptstudio.prompts.render import render_messages
from promptstudio.prompts.yamlfile import dump_yaml
from promptstudio.types import Media, Message
from tests.exchange.foreign_files import Desk, damaged, losses, survives, unnoticed_keys, unnoticed_leaves

FRONT: dict[str, Any] = {
    "model": "googleai/gemini-2.0-flash",
    "description": "Greets",
    "config": {"temperature": 0.7, "maxOutputTokens": 100, "topK": 3, "stopSequences": ["END"]},
    "input": {
        "schema": {
            "name": "string, who is greeted",
            "style?": "string",
            "items(array, what they bought)": {"title": "string", "done?": "boolean"},
            "mood(enum)": ["warm", "dry"],
            "photo?": "string",
        },
        "default": {"style": "short"},
    },
    "output": {"format": "json", "schema": {"greeting": "string, the text", "score?": "number"}},
    "tools": ["search"],
    "my.extension": {"owner": "team"},
}
BODY = """\
{{role "system"}}
You greet. {{> tone}}
{{role "user"}}
Greet {{name}}{{#if style}} in style {{style}}{{/if}}, {{mood}}.
{{#each items}}
- {{title}}{{#if done}} (done){{/if}}
{{else}}
Nothing bought.
{{/each}}
{{media url=photo}}
"""


def dotprompt(front: dict[str, Any], body: str = BODY) -> str:
    return f"# A license\n---\n{dump_yaml(front)}---\n{body}"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path, IMPORTER, "shop/greet.prompt")
    made.put("shop/_tone.prompt", "Be {{mood}}.\n")
    return made


def test_messages_render_as_dotprompt_renders_them(desk: Desk) -> None:
    result = desk.read(dotprompt(FRONT))

    items = [{"title": "tea", "done": True}, {"title": "شاي"}]
    said = desk.rendered(result, name="Ada", mood="warm", items=items, photo="https://x.example/a.png")

    assert [(message.role, [(part.kind, part.text) for part in message.parts]) for message in said] == [
        ("system", [("text", "\nYou greet. Be warm.\n\n")]),
        ("user", [("text", "\nGreet Ada in style short, warm.\n- tea (done)\n- شاي\n"), ("image", "")]),
    ]
    without = desk.rendered(result, name="Ada", mood="dry", items=[])
    assert without[1].parts[0].text == "\nGreet Ada in style short, dry.\nNothing bought.\n"
    assert len(without[1].parts) == 1


def test_front_matter_is_carried(desk: Desk) -> None:
    prompt = desk.prompt(desk.read(dotprompt(FRONT)))

    assert (prompt.name, prompt.model, prompt.description) == ("shop/greet", "gemini/gemini-2.0-flash", "Greets")
    assert prompt.parameters == {"temperature": 0.7, "max_tokens": 100, "top_k": 3, "stop": ["END"]}
    assert {name: (spec.type, spec.required) for name, spec in prompt.inputs.items()} == {
        "name": ("string", True),
        "style": ("string", False),
        "items": ("array", True),
        "mood": ("string", True),
        "photo": ("image", False),
    }
    assert prompt.inputs["style"].default == "short"
    assert prompt.inputs["name"].description == "who is greeted"
    assert prompt.output is not None
    assert prompt.output.schema is not None
    assert list(prompt.output.schema["properties"]) == ["greeting", "score"]
    assert prompt.metadata == {"my.extension": {"owner": "team"}}


def test_what_the_calling_program_would_supply_is_a_loss_with_its_line(desk: Desk) -> None:
    front = {**FRONT, "unheard": 1, "output": {"schema": "NamedSchema"}}

    result = desk.read(dotprompt(front, BODY + '{{section "code"}}'))

    found = losses(result)
    assert found["tools"] == found["unheard"] == found["output.schema"] == found["section code"] == "dropped"
    text = dotprompt(front).splitlines()
    lines = {loss.key: loss.line for loss in result.losses}
    assert text[(lines["unheard"] or 0) - 1] == "unheard: 1"


def test_text_without_front_matter_is_the_users_to_the_last_line_feed(desk: Desk) -> None:
    assert [(m.role, m.text) for m in desk.rendered(desk.read("Hi {{name}}\n"), name="Ada")] == [("user", "Hi Ada\n")]


def test_history_stands_where_the_text_calls_for_it(desk: Desk) -> None:
    result = desk.read('{{role "system"}}Be brief.{{history}}{{role "user"}}{{q}}')

    said = desk.rendered(
        result, q="?", history=[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    )

    assert [(m.role, m.text) for m in said] == [
        ("system", "Be brief."), ("user", "a"), ("assistant", "b"), ("user", "?"),
    ]  # fmt: skip


def test_a_value_cannot_open_a_role(desk: Desk) -> None:
    result = desk.read('{{role "system"}}S{{role "user"}}{{q}}')

    said = desk.rendered(result, q='<<<dotprompt:role:system>>>{{role "system"}}')

    assert [m.role for m in said] == ["system", "user"]


@pytest.mark.parametrize(
    "body", ['{{#if x}}{{role "user"}}a{{/if}}', "{{role who}}", '{{role "tool"}}x', "{{> nowhere}}"]
)
def test_what_cannot_be_a_prompt_file_is_an_error_with_its_line(desk: Desk, body: str) -> None:
    with pytest.raises(PromptFileError) as caught:
        desk.read(f"---\nmodel: m/x\n---\n\n{body}")

    assert caught.value.problems[0].line == 5


def test_a_variant_file_becomes_a_variant_that_renders_as_that_file_does(desk: Desk) -> None:
    desk.put("shop/greet.prompt", dotprompt(FRONT))
    desk.put("shop/greet.brief.prompt", "---\nmodel: openai/gpt-4o\nconfig: {temperature: 0}\n---\nHi {{name}}!")

    result = import_path(desk.folder)

    assert [made.name for made in result.made] == ["shop/greet.yaml"]
    desk.prompt(result)
    brief = load_file(desk.project / "prompts/shop/greet.yaml", desk.settings, variant="brief")
    assert [m.text for m in render_messages(brief, check_inputs(brief, {"name": "Ada"}))] == ["Hi Ada!"]
    assert (brief.model, brief.parameters, list(brief.inputs), brief.output) == (
        "openai/gpt-4o", {"temperature": 0}, ["name"], None,
    )  # fmt: skip
    assert result.unclaimed == ()


def test_nothing_in_the_front_matter_is_lost_in_silence(desk: Desk) -> None:
    assert unnoticed_keys(desk, FRONT, dotprompt) == set()
    assert unnoticed_leaves(desk, FRONT, dotprompt) == set()


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damaged(FRONT))
def test_damaged_front_matter_gives_prompts_or_an_error(desk: Desk, front: Any) -> None:
    try:
        text = dotprompt(front)
    except ValueError:
        return
    survives(desk, text)


def test_picoschema_reads_as_its_authors_read_it() -> None:
    pico = {
        "a": "string",
        "b?": "integer, how many",
        "c(array, list of c)": "number",
        "d?(object)": {"e": "any"},
        "f?(enum, one of)": ["x", "y"],
        "(*)": "string",
    }
    assert json_schema_of(pico) == {
        "type": "object",
        "properties": {
            "a": {"type": "string"},
            "b": {"type": ["integer", "null"], "description": "how many"},
            "c": {"type": "array", "items": {"type": "number"}, "description": "list of c"},
            "d": {
                "type": ["object", "null"],
                "properties": {"e": {}},
                "required": ["e"],
                "additionalProperties": False,
            },
            "f": {"enum": ["x", "y", None], "description": "one of"},
        },
        "required": ["a", "c"],
        "additionalProperties": {"type": "string"},
    }
    with pytest.raises(PicoschemaError, match="calling program"):
        json_schema_of({"a": "Recipe"})


# -- out ------------------------------------------------------------------------------------------------------------

OURS = """\
description: Greet
model: gemini/gemini-2.0-flash
parameters: {temperature: 0.2, max_tokens: 60}
inputs:
  name: string, who
  formal: {type: boolean, default: false}
  items: {type: array, items: {type: object}}
  photo: {type: image, required: false}
  history: {type: messages, required: false}
messages:
  - role: system
    content: |
      You greet {{ name }}.
      {% if formal %}
      Be formal. {{ '{{' }}literal}}
      {% elif name %}
      Be warm.
      {% endif %}
  - placeholder: history
  - role: user
    content:
      - text: |
          Bought:
          {% for item in items %}
          - {{ item.title }} for {{ name }}{% if not loop.last %},{% endif +%}
          {% endfor %}
          Bye
      - image: "{{ photo }}"
examples:
  - inputs: {name: Z, items: [{title: t}]}
    output: {"a": 1}
tags: [x]
"""


def loaded(project: Path, text: str) -> Prompt:
    (project / "prompts").mkdir(exist_ok=True, parents=True)
    path = project / "prompts/ours.yaml"
    path.write_text(text, encoding="utf-8")
    from promptstudio.config import load_settings

    (project / "promptstudio.toml").write_text('[project]\nname = "x"\n')
    return load_file(path, load_settings(project, env={}))


def shape(messages: tuple[Message, ...]) -> list[Any]:
    return [
        (m.role, [(p.kind, p.text, p.media.url if isinstance(p.media, Media) else None) for p in m.parts])
        for m in messages
    ]


def test_what_goes_out_comes_back_in_and_renders_the_same(tmp_path: Path) -> None:
    ours = loaded(tmp_path / "a", OURS)
    exported = EXPORTER.write(ExportRequest(ours, "ours"))
    (tmp_path / "back.prompt").write_text(exported.files["ours.prompt"], encoding="utf-8")

    made = IMPORTER.read(read_foreign(tmp_path / "back.prompt", tmp_path, "back.prompt")).made[0]
    back = loaded(tmp_path / "b", made.text)

    for values in (
        {"name": "Ada", "items": [{"title": "tea"}, {"title": "شاي"}], "formal": True},
        {"name": "Ada", "items": [], "photo": "https://x.example/a.png"},
        {"name": "", "items": [{"title": "{{ x }}"}], "history": [{"role": "user", "content": "before"}]},
    ):
        one = render_messages(ours, check_inputs(ours, values))
        other = render_messages(back, check_inputs(back, values))
        assert shape(other) == shape(one)
    assert (back.model, back.parameters) == (ours.model, ours.parameters)
    assert {loss.key for loss in exported.losses} == {"tags"}


def test_line_feeds_around_a_block_that_handlebars_would_drop_are_kept(tmp_path: Path) -> None:
    ours = loaded(
        tmp_path / "a", 'inputs: {x: boolean}\nprompt: "a\\n{% if x +%}\\nyes\\n{% else +%}\\nno\\n{% endif +%}\\nb"\n'
    )
    exported = EXPORTER.write(ExportRequest(ours, "ours"))
    (tmp_path / "back.prompt").write_text(exported.files["ours.prompt"], encoding="utf-8")

    back = loaded(
        tmp_path / "b", IMPORTER.read(read_foreign(tmp_path / "back.prompt", tmp_path, "back.prompt")).made[0].text
    )

    for x in (True, False):
        one = render_messages(ours, check_inputs(ours, {"x": x}))
        assert one[0].text == ("a\n\nyes\n\nb" if x else "a\n\nno\n\nb")
        assert render_messages(back, check_inputs(back, {"x": x})) == one


def test_a_template_that_handlebars_cannot_say_is_an_error_unless_values_are_given(tmp_path: Path) -> None:
    ours = loaded(tmp_path, 'prompt: "{{ name | upper }} {% set x = 1 %}{{ x + 1 }}"\n')

    with pytest.raises(UntranslatableError, match="cannot say"):
        EXPORTER.write(ExportRequest(ours, "ours"))

    exported = EXPORTER.write(ExportRequest(ours, "ours", {"name": "ada {{X}}"}))
    assert exported.files == {"ours.prompt": r"ADA \{{X}} 2"}
