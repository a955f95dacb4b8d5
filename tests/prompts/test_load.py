"""Addresses, files, includes, variants, profiles: from what a user types to a `Prompt`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from promptstudio.config import load_settings
from promptstudio.errors import ConfigError, NotFoundError, PromptFileError, UsageError, UserError
from promptstudio.prompts.inputs import check_inputs
from promptstudio.prompts.library import prompt_rows
from promptstudio.prompts.load import Address, load_file, load_prompt, parse_address
from promptstudio.prompts.prompt import Prompt
from promptstudio.prompts.render import render_messages
from tests.conftest import Project


def load(project: Project, address: str, *, stdin: str | None = None, cwd: Path | None = None) -> Prompt:
    return load_prompt(address, project.settings(), stdin=stdin, cwd=cwd or project.root)


def failure(project: Project, address: str, text: str | None = None) -> UserError:
    if text is not None:
        project.write(f"prompts/{address.partition(':')[0]}.yaml", text)
    with pytest.raises(UserError) as caught:
        load(project, address)
    return caught.value


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("greet", Address("name", "greet")),
        ("support/triage:terse", Address("name", "support/triage", "terse")),
        ("support/triage@production", Address("name", "support/triage", None, "production")),
        ("a:b@HEAD~3", Address("name", "a", "b", "HEAD~3")),
        ("a@feature/x", Address("name", "a", None, "feature/x")),
        ("ترحيب:قصير", Address("name", "ترحيب", "قصير")),
        ("x.yaml", Address("path", "x.yaml")),
        ("./x.yml:v", Address("path", "./x.yml", "v")),
        ("/home/a@b/x.prompt.yaml@v1", Address("path", "/home/a@b/x.prompt.yaml", None, "v1")),
        ("./prompt", Address("path", "./prompt")),
        ("~/x", Address("path", "~/x")),
        ("-", Address("stdin", "-")),
        ("-:v", Address("stdin", "-", "v")),
    ],
)
def test_an_address_is_taken_apart_without_looking_at_the_disk(text: str, address: Address) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", ":v", "a:", "a@", "a:b:c", "@v1", "a\0b"])
def test_what_is_no_address_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="is not an address"):
        parse_address(text)


def test_a_name_a_path_and_standard_input_give_the_same_prompt(project: Project) -> None:
    by_name = load(project, "support/triage")
    assert load(project, "prompts/support/triage.yaml") == by_name
    assert load(project, "./triage.yaml", cwd=project.root / "prompts/support") == by_name
    text = (project.root / "prompts/support/triage.yaml").read_text()
    by_pipe = load(project, "-", stdin=text)
    assert by_pipe.identity == by_name.identity
    assert (by_pipe.name, by_pipe.path, by_pipe.shown_path) == ("stdin", None, "<stdin>")
    assert (by_name.name, by_name.shown_path) == ("support/triage", "prompts/support/triage.yaml")


def test_standard_input_must_be_there(project: Project) -> None:
    with pytest.raises(UsageError, match="there is none"):
        load(project, "-")


def test_an_address_with_a_revision_is_refused_where_only_the_working_tree_counts(project: Project) -> None:
    with pytest.raises(UsageError, match="only a prompt of the working tree"):
        load(project, "greet@HEAD~1")


@pytest.mark.parametrize(
    ("address", "says", "hint"),
    [
        ("gret", "there is no prompt 'gret'", "did you mean 'greet'?"),
        ("triage", "there is no prompt 'triage'", "did you mean 'support/triage'?"),
        ("Greet", "there is no prompt 'Greet'", "did you mean 'greet'?"),
        ("zzzzzzzz", "there is no prompt", "ps list"),
        ("greet:shrt", "there is no variant 'shrt'", "did you mean 'short'?"),
        ("support/triage:x", "there is no variant 'x'", "no variants"),
        ("prompts/absent.yaml", "there is no such file", None),
        ("../greet", "there is no such file", None),
        ("support/../greet", "there is no prompt", None),
    ],
)
def test_an_unknown_name_is_met_with_the_nearest(project: Project, address: str, says: str, hint: str | None) -> None:
    error = failure(project, address)
    assert isinstance(error, NotFoundError)
    assert says in str(error)
    assert hint is None or hint in (error.hint or "")


def test_outside_a_project_a_name_cannot_be_found_and_a_path_can(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, env={})
    (tmp_path / "_tone.md").write_text("Be kind.")
    (tmp_path / "x.yaml").write_text("prompt: |\n  {% include '_tone.md' %}\n")
    prompt = load_prompt("x.yaml", settings, cwd=tmp_path)
    assert (prompt.name, prompt.model, dict(prompt.partials)) == ("x", None, {"_tone.md": "Be kind."})
    with pytest.raises(NotFoundError, match="in no project"):
        load_prompt("x", settings, cwd=tmp_path)


@pytest.mark.parametrize("suffix", [".yaml", ".yml", ".prompt.yaml", ".prompt.yml"])
def test_each_suffix_gives_the_name_without_it(project: Project, suffix: str) -> None:
    project.write(f"prompts/a/b{suffix}", "prompt: x")
    assert load(project, "a/b").name == "a/b"


def test_a_declared_name_is_the_address(project: Project) -> None:
    project.write("prompts/file.yaml", "name: other/name\nprompt: x")
    assert load(project, "other/name").shown_path == "prompts/file.yaml"
    with pytest.raises(NotFoundError):
        load(project, "file")


def test_a_partial_is_not_a_prompt_even_if_it_looks_like_one(project: Project) -> None:
    project.write("prompts/_partials/x.yaml", "prompt: x")
    for name in ("_partials/x", "ar/../greet", "./greet"):
        with pytest.raises(NotFoundError):
            load(project, name)


def test_two_files_of_one_name_are_told_apart_or_refused(project: Project) -> None:
    project.write("prompts/a.yml", "prompt: x")
    project.write("prompts/a.prompt.yaml", "prompt: y")
    assert "two files are named 'a'" in str(failure(project, "a"))


def test_a_name_is_found_however_its_letters_are_composed(project: Project) -> None:
    project.write("prompts/cafe\u0301.yaml", "prompt: x")
    assert load(project, "caf\u00e9").name == "caf\u00e9"
    assert load(project, "cafe\u0301").name == "caf\u00e9"


def test_the_short_form_becomes_two_messages(project: Project) -> None:
    project.write("prompts/a.yaml", "system: You are {{ who }}.\nprompt: |\n  Hi {{ name }}\n")
    prompt = load(project, "a")
    assert [(m.role, m.parts[0].source, m.parts[0].line) for m in prompt.messages] == [
        ("system", "You are {{ who }}.", 1),
        ("user", "Hi {{ name }}\n", 3),
    ]


def test_without_inputs_the_free_variables_are_required_strings_in_order_of_use(project: Project) -> None:
    project.write("prompts/a.yaml", "prompt: '{{ z }} {% for x in a %}{{ x }}{% endfor %} {{ z }} {{ m }}'")
    prompt = load(project, "a")
    assert list(prompt.inputs) == ["z", "a", "m"]
    assert all(spec.required and spec.type == "string" for spec in prompt.inputs.values())
    assert not prompt.inputs_declared


def test_an_undeclared_variable_is_pointed_at(project: Project) -> None:
    text = (
        "inputs:\n  name: string\nmessages:\n  - role: user\n    content: |\n      name: {{ name }}\n      {{ nmae }}\n"
    )
    problem = failure(project, "a", text).problems[0]
    assert problem.place == "prompts/a.yaml:7:10"
    assert "'nmae' is used and not declared" in problem.message
    assert problem.hint == "did you mean 'name'?"


def test_a_variable_of_a_partial_must_be_declared_too(project: Project) -> None:
    project.write("prompts/_p.md", "{{ secret_word }}")
    problem = failure(project, "a", "inputs: {}\nprompt: |\n  {% include '_p.md' %}\n").problems[0]
    assert "'secret_word' is used" in problem.message
    assert problem.line == 3


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("prompt: |\n  a\n  {% if x %}\n", None, "endif"),
        ("prompt: |\n  a\n  {{ x | nofilter }}\n  b\n", 3, "nofilter"),
        ('prompt: "a\\nb\\n{{ x | nofilter }}"\nmodel: a/b\n', 1, "nofilter"),
        ("prompt: |\n  {{ x.__class__ }}\n", 2, "__class__"),
        ("prompt: |\n  {% include name %}\n", 2, None),
    ],
)
def test_a_template_error_points_into_the_file(project: Project, text: str, line: int | None, says: str | None) -> None:
    problem = failure(project, "a", text).problems[0]
    assert problem.file == "prompts/a.yaml"
    assert line is None or problem.line == line
    assert says is None or says in problem.message


def test_includes_are_collected_through_each_other(project: Project) -> None:
    project.write("prompts/_a.md", "{% include '_lib/b.md' %}!")
    project.write("prompts/_lib/b.md", "{% from '_m.md' import hi %}{{ hi(name) }}")
    project.write("prompts/_m.md", "{% macro hi(x) %}Hi {{ x }}{% endmacro %}")
    project.write("prompts/deep/p.yaml", "prompt: |\n  {% include '_a.md' %}\n")
    prompt = load(project, "deep/p")
    assert set(prompt.partials) == {"_a.md", "_lib/b.md", "_m.md"}
    assert list(prompt.inputs) == ["name"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("../outside.md", "leaves the prompts folder"),
        ("_lib/../../outside.md", "leaves the prompts folder"),
        ("/etc/passwd", "not a path below the prompts folder"),
        ("~/x", "not a path below"),
        ("_link.md", "through a symlink"),
        ("_linked/outside.md", "through a symlink"),
        (".env", "hidden file"),
        ("_absent.md", "there is no file"),
        ("_lib", "is a folder"),
        ("_loop.md", "cannot be followed|there is no file"),
    ],
)
def test_an_include_cannot_leave_the_prompts_folder(project: Project, name: str, says: str) -> None:
    project.write("outside.md", "secret")
    project.write("prompts/_lib/ok.md", "ok")
    project.write("prompts/.env", "KEY=1")
    (project.root / "prompts/_link.md").symlink_to(project.root / "outside.md")
    (project.root / "prompts/_linked").symlink_to(project.root)
    (project.root / "prompts/_loop.md").symlink_to("_loop.md")
    error = failure(project, "a", f"system: x\nprompt: |\n  line\n  {{% include '{name}' %}}\n")
    assert any(part in str(error) for part in says.split("|")), str(error)
    assert error.problems[0].place.startswith("prompts/a.yaml:4")


def test_a_circle_of_includes_is_named(project: Project) -> None:
    project.write("prompts/_a.md", "x\n{% include '_b.md' %}")
    project.write("prompts/_b.md", "{% include '_a.md' %}")
    error = failure(project, "a", "prompt: |\n  {% include '_a.md' %}\n")
    assert "_a.md → _b.md → _a.md" in str(error)


def test_includes_nest_ten_levels_and_no_more(project: Project) -> None:
    for number in range(12):
        project.write(f"prompts/_{number}.md", f"{{% include '_{number + 1}.md' %}}")
    project.write("prompts/_12.md", "end")
    assert "deeper than 10" in str(failure(project, "a", "prompt: |\n  {% include '_0.md' %}\n"))
    project.write("prompts/b.yaml", "prompt: |\n  {% include '_3.md' %}\n")
    assert len(load(project, "b").partials) == 10


def test_includes_that_multiply_are_refused(project: Project) -> None:
    for number in range(8):
        project.write(f"prompts/_{number}.md", f"{{% include '_{number + 1}.md' %}}\n" * 50)
    project.write("prompts/_8.md", "end")
    assert "unfold to more than" in str(failure(project, "a", "prompt: |\n  {% include '_0.md' %}\n"))
    assert "unfold to more than" in str(failure(project, "b", "prompt: |\n" + "  {% include '_8.md' %}\n" * 1001))


def test_an_error_in_a_partial_names_the_partial(project: Project) -> None:
    project.write("prompts/_a.md", "one\n{{ x | nofilter }}\n")
    assert failure(project, "a", "prompt: |\n  {% include '_a.md' %}\n").problems[0].place.startswith("prompts/_a.md:2")


def test_a_variant_is_merged_deeply(project: Project) -> None:
    text = """\
    model: a/b
    parameters: {temperature: 0.5, stop: [x, y]}
    inputs: {name: string, mood: string}
    prompt: "{{ name }} {{ mood }}"
    variants:
      v:
        parameters: {max_tokens: 5, temperature: null, stop: [z]}
        inputs: {mood: {type: string, default: dry}}
        model: c/d
    """
    project.write("prompts/a.yaml", "\n".join(line[4:] for line in text.split("\n")))
    base, variant = load(project, "a"), load(project, "a:v")
    assert (base.variant, variant.variant, variant.variants) == (None, "v", ("v",))
    assert variant.parameters == {"max_tokens": 5, "stop": ["z"]}
    assert variant.inputs["mood"].default == "dry"
    assert (base.model, variant.model) == ("a/b", "c/d")
    assert variant.identity.text == base.identity.text
    assert variant.identity.behavior != base.identity.behavior


def test_an_error_of_a_variant_points_at_the_line_of_the_variant(project: Project) -> None:
    text = "prompt: a\nparameters: {temperature: 1}\nvariants:\n  v:\n    parameters:\n      temperature: 9\n"
    problem = failure(project, "a:v", text).problems[0]
    assert problem.place == "prompts/a.yaml:6:20"
    assert load(project, "a").parameters == {"temperature": 1}


def test_a_variant_can_swap_the_messages_by_deleting_the_prompt(project: Project) -> None:
    text = "prompt: a\nvariants:\n  v:\n    prompt: null\n    messages: [{role: user, content: b}]\n"
    project.write("prompts/a.yaml", text)
    assert load(project, "a:v").messages[0].parts[0].source == "b"


def test_a_profile_lies_below_the_parameters_of_the_file(project: Project) -> None:
    project.write("prompts/a.yaml", "profile: strict\nparameters: {max_tokens: 5}\nprompt: a")
    prompt = load(project, "a")
    assert (prompt.parameters, prompt.profile) == ({"temperature": 0, "max_tokens": 5}, "strict")
    assert prompt.file_parameters == {"max_tokens": 5}
    project.write("prompts/b.yaml", "profile: strict\nparameters: {temperature: null}\nprompt: a")
    assert load(project, "b").parameters == {}


def test_an_unknown_profile_is_met_with_the_nearest(project: Project) -> None:
    problem = failure(project, "a", "prompt: a\nprofile: strikt\n").problems[0]
    assert problem.place == "prompts/a.yaml:2:10"
    assert problem.hint == "did you mean 'strict'?"


def test_a_wrong_value_in_a_profile_is_blamed_on_the_settings(project: Project) -> None:
    project.write("promptstudio.toml", '[profiles.hot]\ntemperature = 9\n[run]\nprofile = "hot"\n')
    error = failure(project, "greet")
    assert isinstance(error, ConfigError)
    assert "promptstudio.toml" in str(error)


def test_model_and_profile_default_to_the_settings_file_and_not_to_the_environment(project: Project) -> None:
    project.write("promptstudio.toml", '[run]\nmodel = "x/y"\nprofile = "cool"\n[profiles.cool]\nseed = 1\n')
    project.write("prompts/a.yaml", "prompt: a")
    prompt = load_prompt("a", project.settings(env={"PROMPTSTUDIO_MODEL": "z/z"}), cwd=project.root)
    assert (prompt.model, prompt.parameters, prompt.profile) == ("x/y", {"seed": 1}, "cool")


def test_examples_come_from_the_file_and_from_json_lines(project: Project) -> None:
    project.write("prompts/ex/rows.jsonl", '\n{"inputs": {"q": "أهلا"}, "output": "b"}\n{"output": {"x": 1}}\n')
    text = "prompt: '{{ q }}'\nexamples:\n  - {inputs: {q: a}, output: 1}\n  - file: ex/rows.jsonl\n"
    project.write("prompts/a.yaml", text)
    found = [(e.inputs, e.output, e.file, e.line) for e in load(project, "a").examples]
    assert found == [
        ({"q": "a"}, 1, "prompts/a.yaml", 3),
        ({"q": "أهلا"}, "b", "prompts/ex/rows.jsonl", 2),
        ({}, {"x": 1}, "prompts/ex/rows.jsonl", 3),
    ]


@pytest.mark.parametrize(
    ("rows", "line", "says"),
    [
        ('{"output": 1}\n{"output": }\n', 2, "not JSON"),
        ('{"output": 1, "output": 2}', 1, "twice"),
        ('{"output": NaN}', 1, "NaN is not a JSON number"),
        ('{"inputs": {}}', 1, "missing key 'output'"),
        ('{"input": {}, "output": 1}', 1, "unknown key 'input'"),
        ("[1]", 1, "expected a map"),
        ("\n\n", 1, "holds no example"),
        ('{"output": ' + "[" * 100 + "]" * 100 + "}", 1, "deeper than 50"),
        ('{"output": ' + "[" * 100_000, 1, "nested too deeply"),
        ('{"output": ' + "9" * 5000 + "}", 1, "not usable JSON"),
    ],
)
def test_a_bad_row_of_examples_names_its_line(project: Project, rows: str, line: int, says: str) -> None:
    project.write("prompts/rows.jsonl", rows)
    problem = failure(project, "a", "prompt: a\nexamples: [{file: rows.jsonl}]\n").problems[0]
    assert (problem.file, problem.line) == ("prompts/rows.jsonl", line)
    assert says in problem.message


@pytest.mark.parametrize("file", ["../rows.jsonl", "/etc/passwd", "absent.jsonl"])
def test_example_files_are_confined_like_includes(project: Project, file: str) -> None:
    project.write("rows.jsonl", '{"output": 1}')
    problem = failure(project, "a", f"prompt: a\nexamples:\n  - file: {file}\n").problems[0]
    assert problem.place == "prompts/a.yaml:3:11"


def test_a_schema_file_is_read_beside_the_prompt_or_below_the_folder(project: Project) -> None:
    schema = (
        '{"$schema": "x", "$id": "y", "title": "Ticket", "type": "object", "properties": {"a": {"type": "string"}}}'
    )
    project.write("prompts/s/t.schema.json", schema)
    project.write("prompts/s/u.schema.yaml", "type: object\nproperties: {a: {type: string}}\n")
    for reference in ("./t.schema.json", "s/t.schema.json", "./u.schema.yaml"):
        project.write("prompts/s/p.yaml", f"prompt: a\noutput: {{schema: {{$ref: {reference}}}}}\n")
        output = load(project, "s/p").output
        assert output is not None
        assert output.schema is not None
        assert output.schema["properties"] == {"a": {"type": "string"}}
        assert "$id" not in output.schema
    assert load(project, "s/p").output.name == "Output"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("reference", "content", "says"),
    [
        ("./s.json", '{"type": "array"}', "root must be of type object"),
        ("./s.json", '{"type": "object", "properties": {"a": {"maxlength": 1}}}', "maxLength"),
        ("./s.json", '{"properties": {"a": {"$ref": "https://x/y"}}}', "leaves the schema"),
        ("./s.json", "{", "not JSON"),
        ("../s.json", "{}", "leaves the prompts folder"),
        ("https://example.com/s.json", "{}", "there is no file"),
    ],
)
def test_a_bad_schema_file_is_an_error(project: Project, reference: str, content: str, says: str) -> None:
    project.write("prompts/s.json", content)
    assert says in str(failure(project, "a", f"prompt: a\noutput:\n  schema: {{$ref: '{reference}'}}\n"))


def test_media_and_placeholders_name_declared_inputs(project: Project) -> None:
    text = "inputs: {pic: image, talk: messages, other: string}\nmessages:\n  - placeholder: {}\n"
    text += "  - role: user\n    content: [{{text: '{{{{ other }}}}'}}, {{{}: '{{{{ pic }}}}'}}]\n"
    start, rest = text.split("{}\n", 1)
    fill = rest.replace("{{", "{").replace("}}", "}")
    good = start + "talk\n" + fill.replace("{}", "image")
    project.write("prompts/good.yaml", good)
    prompt = load(project, "good")
    assert prompt.messages[0].placeholder == "talk"
    assert [part.kind for part in prompt.messages[1].parts] == ["text", "image"]
    assert "'pic' is not declared as an audio input" in str(failure(project, "b", good.replace("image: '", "audio: '")))
    assert "did you mean 'talk'?" in (
        failure(project, "c", good.replace("placeholder: talk", "placeholder: tlk")).hint or ""
    )
    assert "type: messages" in (
        failure(project, "d", good.replace("placeholder: talk", "placeholder: other")).hint or ""
    )


def test_a_media_part_needs_a_declaration(project: Project) -> None:
    error = failure(project, "a", "messages: [{role: user, content: [{image: '{{ pic }}'}]}]")
    assert "not declared as an image input" in str(error)


def test_the_whole_format_loads(project: Project) -> None:
    text = (Path(__file__).parent.parent / "golden" / "whole_prompt.yaml").read_text(encoding="utf-8")
    project.write("prompts/support/whole.yaml", text)
    project.write("prompts/_partials/tone.md", "Be kind.")
    prompt = load(project, "support/whole:terse")
    assert prompt.parameters["max_tokens"] == 150
    assert [message.role or message.placeholder for message in prompt.messages] == [
        "system",
        "examples",
        "history",
        "user",
    ]
    assert prompt.positions[("messages", 3, "content", 1, "image")][0] > 1


def test_arabic_and_hebrew_survive_byte_for_byte(project: Project) -> None:
    text = "رحّب بـ {{ الاسم }} — שלום\u200f!"
    project.write("prompts/ar.yaml", f"inputs: {{الاسم: 'string، الاسم'}}\nprompt: '{text}'\n")
    prompt = load(project, "ar")
    assert prompt.messages[0].parts[0].source == text
    assert prompt.inputs["الاسم"].description == "الاسم"


def test_a_link_in_the_folder_that_leads_out_is_not_a_prompt(project: Project) -> None:
    outside = project.write("elsewhere/x.yaml", "prompt: a")
    (project.root / "prompts/x.yaml").symlink_to(outside)
    with pytest.raises(NotFoundError):
        load(project, "x")


def test_a_project_reached_through_a_link_is_the_same_project(project: Project, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(project.root)
    assert load_file(link / "prompts/greet.yaml", project.settings(), cwd=link).name == "greet"


def test_an_unreadable_file_is_a_clear_error(project: Project) -> None:
    path = project.write("prompts/a.yaml", "prompt: a")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(PromptFileError, match="cannot read the file: Permission denied"):
        load(project, "a")


def test_a_file_of_github_models_is_a_prompt_as_it_stands(project: Project) -> None:
    project.write(
        "prompts/sum.prompt.yml",
        "name: Text Summarizer\nmodel: openai/gpt-4o-mini\nmodelParameters: {temperature: 0.5}\nmessages:\n"
        "  - {role: system, content: You summarize.}\n  - {role: user, content: 'Summarize {{input}}'}\n"
        "testData: [{input: a fox, expected: fox}]\n",
    )
    prompt = load(project, "sum")
    assert (prompt.name, prompt.model, prompt.parameters) == ("sum", "openai/gpt-4o-mini", {"temperature": 0.5})
    messages = render_messages(prompt, check_inputs(prompt, {"input": "{{ 7 * 7 }}"}))
    assert [message.text for message in messages] == ["You summarize.", "Summarize {{ 7 * 7 }}"]
    assert "sum" in [row.name for row in prompt_rows(project.settings())]
