"""What lint finds in prompts, partials and suites."""

from __future__ import annotations

import sys

import pytest

from promptstudio.prompts.lint import Finding, lint_file, lint_project
from promptstudio.prompts.secrets import find_secrets, redact
from tests.conftest import Project

OPENAI = "sk-" + "proj-Ab3dE6gH9jK2mN5pQ8sT1vW4yZ7"
ANTHROPIC = "sk-ant-" + "api03-Zx9Yw8Vu7Ts6Rq5Po4Nm3Lk2Ji1"


def lint(project: Project, text: str, name: str = "prompts/a.yaml") -> list[Finding]:
    return lint_file(project.write(name, text), project.settings())


def found(findings: list[Finding]) -> list[tuple[str, str, str]]:
    return [(item.level, item.rule, item.problem.place) for item in findings]


CLEAN = """\
description: d
model: a/b
inputs: {name: string, n: {type: integer, maximum: 3}}
output: {fields: {mood: {type: string, enum: [warm, dry]}, extra: string?}}
prompt: "{{ name }} {{ n }}"
examples:
  - {inputs: {name: x, n: 1}, output: {mood: warm}}
variants:
  v: {parameters: {seed: 1}}
tests:
  - {inputs: {name: x, n: 2}, expected_output: {mood: dry}, assert: [is-json]}
"""


def test_a_clean_prompt_has_no_finding(project: Project) -> None:
    assert lint(project, CLEAN) == []


@pytest.mark.parametrize(
    ("old", "new", "level", "rule", "line"),
    [
        ("description: d\n", "", "warning", "no-description", 1),
        ("model: a/b", "model: gpt-4", "warning", "model", 2),
        ("model: a/b", "model: a/b\nfallbacks: [gpt-4]", "warning", "model", 3),
        ("model: a/b", "model: a/b\nversion: '2'", "warning", "version", 3),
        ("model: a/b", "model: a/b\nparameters: {max_token: 3}", "warning", "parameter", 3),
        ("model: a/b", "model: a/b\ntools: [nope]", "warning", "tool", 3),
        ("model: a/b", "model: a/b\nevals: [evals/absent.yaml]", "warning", "evals", 3),
        ("name: string,", "name: string, spare: string?,", "error", "unused-input", 3),
        ("{{ n }}", "{{ n }} {{ m }}", "error", "undeclared-variable", 5),
        ("{name: x, n: 1}, output", "{name: x, n: 9}, output", "error", "example", 7),
        ("{name: x, n: 1}, output", "{name: x, m: 1, n: 1}, output", "error", "example", 7),
        ("{name: x, n: 1}, output", "{n: 1}, output", "error", "example", 7),
        ("{mood: warm}", "{mood: hot}", "error", "example", 7),
        ("{mood: warm}", "{}", "error", "example", 7),
        ("{mood: warm}", "text", "error", "example", 7),
        ("{seed: 1}", "{}", "warning", "same-variant", 9),
        ("{seed: 1}", "{temperature: 9}", "error", "variant", 9),
        ("{name: x, n: 2}", "{name: x, n: two}", "error", "test", 11),
        ("{name: x, n: 2}", "{name: x}", "error", "test", 11),
        ("{mood: dry}", "{mood: hot}", "error", "test", 11),
        ("{mood: dry}", "{mod: dry}", "error", "test", 11),
        ("[is-json]", "[is-jsn]", "error", "file", 11),
        ("prompt:", "promt:", "error", "file", 1),
    ],
)
def test_each_rule_finds_its_mistake(project: Project, old: str, new: str, level: str, rule: str, line: int) -> None:
    assert old in CLEAN
    findings = lint(project, CLEAN.replace(old, new))
    assert (level, rule, line) in [(item.level, item.rule, item.problem.line) for item in findings], findings


def test_an_input_that_only_a_variant_uses_is_used(project: Project) -> None:
    text = "description: d\nmodel: a/b\ninputs: {a: string, b: string?}\nprompt: '{{ a }}'\n"
    assert [item.rule for item in lint(project, text)] == ["unused-input"]
    assert lint(project, text + "variants:\n  v: {prompt: '{{ a }} {{ b }}'}\n") == []


def test_an_input_that_a_partial_or_a_placeholder_uses_is_used(project: Project) -> None:
    project.write("prompts/_p.md", "{{ b }}")
    text = "description: d\nmodel: a/b\ninputs: {b: string, h: messages}\n"
    text += "messages:\n  - placeholder: h\n  - {role: user, content: \"{% include '_p.md' %}\"}\n"
    assert lint(project, text) == []


def test_a_mistake_in_a_file_of_examples_names_that_file_and_line(project: Project) -> None:
    project.write(
        "prompts/rows.jsonl", '{"inputs": {"name": "x"}, "output": "y"}\n{"inputs": {"nam": "x"}, "output": "y"}\n'
    )
    text = "description: d\nmodel: a/b\ninputs: {name: string}\nprompt: '{{ name }}'\nexamples: [{file: rows.jsonl}]\n"
    findings = lint(project, text)
    assert {item.problem.place for item in findings} == {"prompts/rows.jsonl:2"}


def test_the_sample_project_is_clean_and_an_unused_partial_is_not(project: Project) -> None:
    assert lint_project(project.settings()) == []
    project.write("prompts/_partials/used.md", "x")
    project.write("prompts/_partials/spare.md", "x")
    project.write("prompts/b.yaml", "description: d\nmodel: a/b\nprompt: |\n  {% include '_partials/used.md' %}\n")
    assert found(lint_project(project.settings())) == [("warning", "unused-partial", "prompts/_partials/spare.md")]


def test_names_that_collide_are_an_error_of_the_project(project: Project) -> None:
    project.write("prompts/GREET.yaml", "description: d\nmodel: a/b\nprompt: x")
    assert {item.rule for item in lint_project(project.settings())} == {"name"}


def test_a_secret_is_found_and_never_repeated(project: Project) -> None:
    project.write("prompts/_p.md", f"key: {ANTHROPIC}\n")
    project.write(
        "prompts/b.yaml", f"description: d\nmodel: a/b\nprompt: |\n  Use {OPENAI}.\n  {{% include '_p.md' %}}\n"
    )
    findings = [item for item in lint_project(project.settings()) if item.rule == "secret"]
    assert found(findings) == [("error", "secret", "prompts/_p.md:1:6"), ("error", "secret", "prompts/b.yaml:4:7")]
    told = "".join(str(item.problem) + str(item.problem.hint) for item in findings)
    assert OPENAI not in told
    assert ANTHROPIC not in told


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (OPENAI, "OpenAI key"),
        ("sk-" + "Ab3dE6gH9jK2mN5pQ8sT1vW4", "OpenAI key"),
        (ANTHROPIC, "Anthropic key"),
        ("AIza" + "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q", "Google key"),
        ("AKIA" + "IOSFODNN7EXAMPLE", "AWS key"),
        ("ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8", "GitHub token"),
        ("github_pat_" + "11ABCDEFG0abcdefghijkl_mnop", "GitHub token"),
        ("xoxb-" + "123456789012-abcdefABCDEF", "Slack token"),
        ("hf_" + "abcdefghijABCDEFGHIJ0123456789abcd", "Hugging Face token"),
        (
            "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
            "JSON Web Token",
        ),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----", "private key"),
        ("postgres://ada:correcthorse@db/x", "password in a URL"),
        ("my_api_key: 'Zx9Yw8Vu7Ts6Rq5Po4Nm3Lk2'", "secret"),
        ("PASSWORD=Zx9Yw8Vu7Ts6Rq5Po4Nm3Lk2", "secret"),
        ("Authorization: Bearer Zx9Yw8Vu7Ts6Rq5Po4Nm3Lk2", "secret"),
    ],
)
def test_secrets_are_known_by_their_shape_and_cut_out(text: str, kind: str) -> None:
    assert [what for _, _, what in find_secrets(f"a\n  {text} b")] == [kind]
    cut = redact(f"before {text} after")
    assert f"[redacted: {kind}]" in cut
    assert text[-12:] not in cut.replace("@db/x", "")
    assert redact(cut) == cut


@pytest.mark.parametrize(
    "text",
    [
        "sk-learn-tutorial-for-absolute-beginners",
        "api_key: $OPENAI_API_KEY",
        "api_key_env: OPENAI_API_KEY",
        "token: {{ token }}",
        "max_tokens: 600",
        "the password is a secret that you must keep to yourself",
        "https://example.com/a:b@c",
        "AKIA is a prefix",
        "api_key: your-key-your-key-your-key-1",
        "كلمة السر: مرحبا",
    ],
)
def test_ordinary_text_holds_no_secret(text: str) -> None:
    assert find_secrets(text) == []
    assert redact(text) == text


def test_hostile_text_is_searched_in_no_time() -> None:
    for piece in ("-----BEGIN PRIVATE KEY-----", "sk-", "eyJaaaaaaaaaaa.", "api_key=", "a" * 50 + "-", "://a:"):
        find_secrets(piece * (400_000 // len(piece)))


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("plain", 0),
        ("مرحبا \u2067{{ x }}\u2069 بك", 0),  # an isolate that right-to-left text needs
        ("مرحبا\u200f! می\u200cخواهم", 0),  # direction mark, and the joiner that Persian is written with
        ("👩\u200d💻", 0),
        ("if x\u2066 == 'a'\u2069", 2),  # isolates where nothing is right-to-left
        ("مرحبا \u202bبك", 1),  # never closed
        ("مرحبا \u202eبك\u202c", 2),  # an override reorders letters: nobody writes it
        ("a\u200bb", 1),
        ("tag\U000e0041", 1),
        ("soft\u00adhyphen", 1),
    ],
)
def test_characters_that_hide_text_are_warned_of(project: Project, line: str, count: int) -> None:
    findings = lint(project, f'description: d\nmodel: a/b\nprompt: |\n  {line}\ninputs: {{x: "string?"}}\n')
    assert [item.rule for item in findings].count("invisible-character") == count


SUITE = """\
name: greet
prompts: [greet, "greet:short"]
cases:
  - {id: one, inputs: {name: Ada}, assert: [{not-contains: x}]}
assert: [is-json, {type: contains, value: a, weight: 2}, {path: a, equals: b}]
metrics:
  - deepeval/answer_relevancy: {threshold: 0.7}
  - ragas/faithfulness
  - python: checks.py:polite
judge: {model: openai/gpt-4.1, parameters: {temperature: 0}}
gate: {pass_rate: 0.95, metrics: {deepeval/answer_relevancy: {mean: 0.8}}, errors: 0, inconclusive: warn}
"""


def test_a_good_suite_is_clean(project: Project) -> None:
    assert lint(project, SUITE, "evals/s.yaml") == []


@pytest.mark.parametrize(
    ("old", "new", "place", "says", "hint"),
    [
        ("name: greet\n", "nam: greet\n", "1:1", "unknown key 'nam'", "did you mean 'name'?"),
        ("[greet,", "[gret,", "2:11", "there is no prompt 'gret'", "did you mean 'greet'?"),
        ('"greet:short"', '"greet:shrt"', "2:18", "has no variant 'shrt'", "did you mean 'short'?"),
        ("name: greet\n", "name: greet\nprompt: greet\n", "2:9", "both `prompt` and `prompts`", None),
        ("[is-json,", "[is-jsn,", "5:10", "no assertion 'is-jsn'", "did you mean 'is-json'?"),
        ("not-contains", "not-contain", "4:46", "unknown key 'not-contain'", "did you mean 'not-contains'?"),
        ("inputs: {name: Ada}", "input: {name: Ada}", "4:15", "unknown key 'input'", "did you mean 'inputs'?"),
        ("weight: 2", "weight: -2", "5:54", "expected a number", None),
        ("deepeval/answer_relevancy: {t", "accuracy: {t", "7:5", "no metric 'accuracy'", "deepeval/NAME"),
        ("checks.py:polite", "checks.polite", "9:13", "expected FILE.py:FUNCTION", None),
        ("pass_rate: 0.95", "pass_rate: 95", "11:19", "at most 1", None),
        ("inconclusive: warn", "inconclusive: wran", "11:101", "'wran' is not one of", "did you mean 'warn'?"),
        ("{temperature: 0}", "3", "10:44", "expected a map", None),
    ],
)
def test_each_mistake_in_a_suite_has_its_place(
    project: Project, old: str, new: str, place: str, says: str, hint: str | None
) -> None:
    assert old in SUITE
    findings = lint(project, SUITE.replace(old, new, 1), "evals/s.yaml")
    matching = [item.problem for item in findings if says in item.problem.message]
    assert matching, findings
    assert matching[0].place == f"evals/s.yaml:{place}"
    assert hint is None or hint in (matching[0].hint or "")


def test_lint_runs_no_code_of_the_repository(project: Project) -> None:
    project.write("trap.py", "raise SystemExit('executed')\n")
    project.write("evals/s.yaml", "prompt: greet\ncases: trap.py:make\nassert: [{python: 'trap.py:f'}]\n")
    project.write("prompts/a.yaml", "description: d\nmodel: a/b\nprompt: x\noutput: {model: 'trap:Model'}\n")
    assert lint_project(project.settings()) == []
    assert "trap" not in sys.modules
