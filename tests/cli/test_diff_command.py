"""`ps diff` in a real repository: what is compared, how it is shown, and what bad input gets."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from promptstudio.cli import diff_view
from promptstudio.cli.dispatch import dispatch
from promptstudio.history import RequestRow, ResponseRow, open_history
from promptstudio.prompts.load import load_prompt
from tests.conftest import GREET, SCRIPTS, TRIAGE, WELCOME, Project, Script


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Diff = Callable[..., Said]


@pytest.fixture
def diff(project: Project, capfd: pytest.CaptureFixture[str]) -> Diff:
    def run(*words: str) -> Said:
        capfd.readouterr()
        code = dispatch(["diff", *words], "ps")
        said = capfd.readouterr()
        return Said(code, said.out, said.err)

    return run


@pytest.fixture
def edited(project: Project) -> Project:
    """Three prompts changed in the working tree: one of each weight."""
    project.write("prompts/greet.yaml", GREET.replace("Greet someone by name.", "Greet someone."))
    project.write("prompts/support/triage.yaml", TRIAGE.replace("maxLength: 20000", "maxLength: 500"))
    project.write("prompts/ar/welcome.yaml", WELCOME.replace("قصيرًا", "طويلًا"))
    return project


def verdicts(said: Said) -> dict[str, str]:
    return {row["name"]: row["verdict"] for row in said.json["prompts"]}


# -- what is compared -------------------------------------------------------------------------------------------------


def test_without_words_head_is_compared_with_the_working_tree(edited: Project, diff: Diff) -> None:
    said = diff()

    assert said.code == 0
    assert "MAJOR  inputs.ticket  maxLength 20000 → 500" in said.out
    assert "اكتب ترحيبًا [-قصيرًا-]{+طويلًا+} بالعربية" in said.out
    assert said.err == "HEAD → working tree: MAJOR; 3 prompts: 1 MAJOR, 1 MINOR, 1 PATCH\n"
    assert said.out.index("support/triage") < said.out.index("ar/welcome") < said.out.index("greet")


def test_nothing_differs_in_a_clean_tree(diff: Diff) -> None:
    assert diff() == Said(0, "", "HEAD → working tree: no prompt differs\n")


def test_two_commits_all_prompts_and_some(edited: Project, diff: Diff) -> None:
    edited.commit("Edit")

    assert verdicts(diff("HEAD~1..HEAD", "--json")) == {
        "support/triage": "MAJOR", "ar/welcome": "MINOR", "greet": "PATCH",
    }  # fmt: skip
    assert verdicts(diff("HEAD~1", "HEAD", "--json", "ar/welcome")) == {"ar/welcome": "MINOR"}
    assert verdicts(diff("HEAD~1", "--json", "--", "greet")) == {"greet": "PATCH"}
    assert verdicts(diff("HEAD~1..", "--json", "support")) == {"support/triage": "MAJOR"}
    assert verdicts(diff("HEAD~1", "--json", "prompts/ar")) == {"ar/welcome": "MINOR"}
    assert diff("HEAD~1..", "--json").json["from"]["revision"] == "HEAD~1"


def test_three_dots_compare_with_the_commit_where_a_branch_began(edited: Project, diff: Diff) -> None:
    edited.git("checkout", "-q", "-b", "side")
    edited.commit("Edit on a branch")
    edited.git("checkout", "-q", "main")
    edited.write("prompts/new.yaml", "prompt: hi\n")
    edited.commit("New on main")

    assert set(verdicts(diff("main..side", "--json"))) == {"support/triage", "ar/welcome", "greet", "new"}
    assert set(verdicts(diff("main...side", "--json"))) == {"support/triage", "ar/welcome", "greet"}


def test_branches_without_a_common_commit_are_said_to_have_none(project: Project, diff: Diff) -> None:
    project.git("checkout", "-q", "--orphan", "other")
    project.commit("Another beginning")

    assert diff("main...other").err.startswith("error: main and other have no commit in common\n")


def test_two_addresses_are_two_versions_two_prompts_or_a_variant(edited: Project, diff: Diff) -> None:
    edited.commit("Edit")

    assert "maxLength 20000 → 500" in diff("support/triage@HEAD~1", "support/triage@HEAD").out
    assert "maxLength 20000 → 500" in diff("support/triage@HEAD~1").out
    assert "max_tokens  {+20+}" in diff("greet", "greet:short").out
    assert "MAJOR greet → ar/welcome" in diff("greet", "ar/welcome").out
    assert "inputs.mood" in diff("./prompts/greet.yaml", "ar/welcome").out


def test_a_variant_can_be_compared_between_commits(edited: Project, diff: Diff) -> None:
    edited.write("prompts/greet.yaml", GREET.replace("max_tokens: 20", "max_tokens: 30"))

    said = diff("HEAD", "--json", "greet:short").json["prompts"][0]

    assert (said["name"], said["verdict"], said["reasons"][0]["text"]) == ("greet:short", "MINOR", "20 → 30")


def test_renames_are_followed(project: Project, diff: Diff) -> None:
    project.git("mv", "prompts/greet.yaml", "prompts/hello.yaml")
    project.write("prompts/hello.yaml", GREET.replace("warm, dry", "warm, dry, odd"))

    row = diff("--json").json["prompts"][0]

    assert (row["name"], row["status"], row["old"]["name"], row["verdict"]) == ("hello", "moved", "greet", "MINOR")
    assert "greet → hello" in diff("hello").out


def test_new_and_deleted_prompts_are_shown_as_such(project: Project, diff: Diff) -> None:
    (project.root / "prompts/greet.yaml").unlink()
    project.write("prompts/fresh.yaml", "prompt: Something that no other prompt says.\n")

    rows = {row["name"]: (row["status"], row["verdict"]) for row in diff("--json").json["prompts"]}

    assert rows == {"greet": ("deleted", "MAJOR"), "fresh": ("new", "MINOR")}
    assert "MAJOR greet (deleted)" in diff("greet").out


def test_an_unreadable_version_is_a_row_and_the_others_go_on(edited: Project, diff: Diff) -> None:
    edited.write("prompts/greet.yaml", "<<<<<<< ours\nprompt: a\n=======\nprompt: b\n>>>>>>> theirs\n")
    edited.commit("A conflict was committed")
    edited.write("prompts/greet.yaml", GREET)

    said = diff()
    row = diff("--json", "--exit-code")

    assert "ERROR greet\n  unreadable before: " in said.out
    assert "prompts/greet.yaml:1" in said.out
    assert (row.code, row.json["unreadable"], row.json["prompts"][0]["old"]["error"]["line"]) == (1, 1, 1)
    assert "ERROR" in diff("--summary").out


def test_a_changed_partial_changes_the_prompts_that_include_it(project: Project, diff: Diff) -> None:
    project.write("prompts/_tone.md", "Be kind.\n")
    project.write("prompts/polite.yaml", "prompt: |\n  {% include '_tone.md' %}\n  Hello\n")
    project.commit("A partial")
    project.write("prompts/_tone.md", "Be brief.\n")

    assert "Be [-kind-]{+brief+}." in diff().out


def test_what_is_staged_is_read_from_the_index(edited: Project, diff: Diff) -> None:
    edited.git("add", "prompts/greet.yaml")

    assert verdicts(diff("--staged", "--json")) == {"greet": "PATCH"}
    assert diff("--staged", "HEAD..HEAD").code == 2


def test_before_the_first_commit_everything_is_new(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = Project(tmp_path / "فارغ")
    fresh.write("promptstudio.toml", "")
    fresh.write("prompts/greet.yaml", "prompt: hi\n")
    fresh.git("init", "-q")
    monkeypatch.chdir(fresh.root)

    assert dispatch(["diff", "--summary"], "ps") == 0

    said = capfd.readouterr()
    assert "greet   MINOR" in said.out
    assert said.err == "nothing committed yet → working tree: MINOR; 1 prompt: 1 MINOR\n"


def test_labels_are_revisions_of_each_prompt(project: Project, diff: Diff, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("greet", "support/triage"):
        assert dispatch(["label", "set", name, "live"], "ps") == 0, capfd.readouterr().err
    project.write("prompts/greet.yaml", GREET.replace("Greet someone by name.", "Greet someone."))
    project.write("prompts/support/triage.yaml", TRIAGE.replace("maxLength: 20000", "maxLength: 500"))
    project.commit("Edit")

    assert verdicts(diff("live..HEAD", "--json")) == {"support/triage": "MAJOR", "greet": "PATCH"}
    assert verdicts(diff("label:live", "--json", "greet")) == {"greet": "PATCH"}
    assert diff("live", "ar/welcome").err.startswith("error: ar/welcome has no label live\n")


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "fact"),
    [
        (("HEAD..-x",), "'-x' is not a revision: it begins with `-`"),
        (("-x..HEAD",), "unknown option"),
        (("--", "-x"), "there is no prompt and no revision '-x'"),
        (("nope..HEAD",), "there is no revision 'nope'"),
        (("HEAD~99",), "there is no revision 'HEAD~99'"),
        (("gret",), "there is no prompt and no revision 'gret'"),
        (("mian",), "there is no prompt and no revision 'mian'"),
        (("greet@nope",), "there is no revision 'nope'"),
        (("greet:nope", "greet"), "greet has no variant 'nope'"),
        (("HEAD", "HEAD", "HEAD"), "more than two revisions are named"),
        (("twice",), "'twice' names a tag and a branch"),
        (("label:nope",), "no prompt has the label 'nope'"),
        (("--json", "--markdown"), "--markdown and --json are different views"),
        (("--render",), "--render is for one prompt"),
        (("--runs",), "--runs is for one prompt"),
        (("greet\x1b[31m",), "there is no prompt and no revision"),
    ],
)
def test_bad_words_are_a_clear_error(project: Project, diff: Diff, words: tuple[str, ...], fact: str) -> None:
    project.git("tag", "twice")
    project.write("x", "")
    project.commit("Later")
    project.git("branch", "twice")

    said = diff(*words)

    assert said.code == 2
    text = said.err if "--json" not in words else said.json["error"]["message"]
    assert fact in text
    assert "Traceback" not in said.err
    assert "\x1b" not in said.err


def test_the_nearest_name_is_proposed(diff: Diff) -> None:
    assert "hint: did you mean 'greet'?" in diff("gret").err
    assert "hint: did you mean the revision 'main'?" in diff("mian").err


def test_a_prompt_and_a_branch_of_one_name_are_told_apart_by_dashes(edited: Project, diff: Diff) -> None:
    edited.git("branch", "greet")

    assert diff("greet").err.startswith("error: 'greet' is a revision and a prompt\n")
    assert verdicts(diff("--json", "--", "greet")) == {"greet": "PATCH"}
    assert len(verdicts(diff("--json", "greet", "--"))) == 3


def test_outside_a_repository_there_is_nothing_to_compare(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert dispatch(["diff"], "ps") == 2
    assert capfd.readouterr().err.startswith("error: this is not in a git repository\n")


# -- faces ------------------------------------------------------------------------------------------------------------


def test_the_exit_code_tells_a_difference_where_it_is_asked_to(edited: Project, diff: Diff) -> None:
    assert diff("--exit-code").code == 1
    assert diff("--exit-code", "HEAD..HEAD").code == 0
    edited.git("checkout", "-q", ".")
    edited.write("prompts/greet.yaml", "# only a comment\n" + GREET)
    assert diff("--exit-code").code == 0


def test_more_than_five_prompts_are_a_table_and_full_shows_them_all(project: Project, diff: Diff) -> None:
    for number in range(6):
        project.write(f"prompts/p{number}.yaml", f"prompt: hello {number}\n")

    said = diff()

    assert said.out.splitlines()[0].split() == ["PROMPT", "VERDICT", "VERSION", "WHAT", "CHANGED"]
    assert len(said.out.splitlines()) == 7
    assert "{+hello 3+}" in diff("--full").out


def test_a_known_answer_is_the_same_answer(edited: Project, diff: Diff, monkeypatch: pytest.MonkeyPatch) -> None:
    edited.commit("Edit")
    first = diff("HEAD~1..HEAD", "--summary", "--exit-code")
    asked: list[object] = []
    found = diff_view.kept
    monkeypatch.setattr(diff_view, "kept", lambda *words: asked.append(found(*words)) or asked[-1])

    assert diff("HEAD~1..HEAD", "--summary", "--exit-code") == first
    assert asked[-1] is not None
    assert first.code == 1


def test_a_damaged_or_foreign_answer_is_found_again(edited: Project, diff: Diff) -> None:
    edited.commit("Edit")
    first = diff("HEAD~1..HEAD", "--summary")
    (kept,) = (edited.root / ".git/promptstudio/diffs").iterdir()
    kept.write_text(kept.read_text().replace("MAJOR", "PATCH"))

    assert diff("HEAD~1..HEAD", "--summary") == first


def test_a_known_answer_loads_no_parser_and_no_prompt(edited: Project) -> None:
    edited.commit("Edit")
    heavy = ["typer", "yaml", "pydantic", "jinja2", "jsonschema", "tiktoken", "litellm"]
    code = f"""
import sys
from promptstudio.cli.main import main
code = main(["diff", "HEAD~1..HEAD", "--summary"], "ps")
sys.exit(f"loaded {{found}}" if (found := [name for name in {heavy} if name in sys.modules]) else code)
"""
    first, second = (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False) for _ in range(2)
    )

    assert second.returncode == 0, second.stderr
    assert second.stdout == first.stdout


def test_a_lock_file_with_conflicts_is_not_in_the_way_of_who_names_no_label(edited: Project, diff: Diff) -> None:
    edited.write("promptstudio.lock", "<<<<<<< ours\na: 1\n=======\na: 2\n>>>>>>> theirs\n")

    assert diff("--summary").code == 0
    assert "promptstudio.lock:1" in diff("production").err


def test_settings_are_part_of_what_an_answer_depends_on(edited: Project, diff: Diff) -> None:
    edited.write("prompts/bare.yaml", "prompt: hi\n")
    edited.git("rm", "-q", "--cached", "promptstudio.toml")
    edited.git("rm", "-q", "-r", "--cached", "prompts")
    edited.git("commit", "-q", "-m", "Nothing")
    edited.write(".gitignore", "promptstudio.toml\n.promptstudio/\n")
    edited.commit("Prompts without settings")
    said = diff("HEAD~1..HEAD", "--summary")
    edited.write("promptstudio.toml", "[project]\nprompts = 'elsewhere'\n")

    assert "bare" in said.out
    assert "bare" not in diff("HEAD~1..HEAD", "--summary").out


def test_markdown_has_a_headline_a_table_and_folded_details(edited: Project, diff: Diff) -> None:
    text = diff("--markdown").out

    assert text.startswith("### 🔴 Prompts: MAJOR (1 MAJOR, 1 MINOR, 1 PATCH)\n")
    assert "| 🔴 MAJOR | <code>support/triage</code> |" in text
    assert text.count("<details>") == text.count("</details>") == 3
    assert "[-قصيرًا-]{+طويلًا+}" in text


def test_json_says_everything(edited: Project, diff: Diff) -> None:
    said = diff("--json", "ar/welcome").json

    assert list(said) == ["from", "to", "verdict", "counts", "unreadable", "prompts", "without_label"]
    row = said["prompts"][0]
    assert row["messages"][0]["segments"][1:3] == [
        {"kind": "removed", "text": "قصيرًا"}, {"kind": "added", "text": "طويلًا"},
    ]  # fmt: skip
    assert row["tokens"]["delta"] == row["tokens"]["new"] - row["tokens"]["old"]
    assert row["old"]["text"] != row["new"]["text"]
    assert diff("--json", "--summary").json["prompts"][0]["messages"] is None


def test_color_needs_no_marks_and_right_to_left_words_are_isolated(edited: Project, ps: Script) -> None:
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [SCRIPTS / "ps", "diff", "ar/welcome"], stdout=slave, stderr=slave, env=ps.environment({"COLUMNS": "80"})
    )
    os.close(slave)
    read = b""
    while True:
        try:
            part = os.read(master, 4096)
        except OSError:
            break
        if not part:
            break
        read += part
    assert process.wait() == 0
    os.close(master)
    text = read.decode()

    assert "\x1b[31;1m\u2068قصيرًا\u2069\x1b[0m\x1b[32m\u2068طويلًا\u2069\x1b[0m" in text
    assert "[-" not in text


# -- rendered, and past answers ---------------------------------------------------------------------------------------


def test_rendered_messages_are_compared_for_the_same_values(edited: Project, diff: Diff) -> None:
    said = diff("--render", "ar/welcome", "-v", "name=ليلى")

    assert "[-قصيرًا-]{+طويلًا+} بالعربية لـ ليلى." in said.out
    assert diff("--render", "greet", "-v", "name=Ada").err == "greet: both versions send the same messages\n"
    assert diff("--render", "--exit-code", "ar/welcome", "-v", "name=a").code == 1


def test_each_version_gets_the_values_it_knows(project: Project, diff: Diff) -> None:
    project.write("prompts/ar/welcome.yaml", "model: offline/echo\ninputs: {who: string}\nprompt: 'Hi {{ who }}'\n")

    said = diff("--render", "--json", "ar/welcome", "-v", "name=ليلى", "-v", "who=Ada").json

    assert said["rendered"]["new"] == [{"role": "user", "content": "Hi Ada"}]
    assert "ليلى" in said["rendered"]["old"][0]["content"]
    assert said["verdict"] == "MAJOR"


def test_a_value_that_neither_version_knows_is_an_error(edited: Project, diff: Diff) -> None:
    said = diff("--render", "ar/welcome", "-v", "nmae=x")

    assert (said.code, "neither version has an input 'nmae'" in said.err) == (2, True)
    assert "name" in diff("--render", "ar/welcome").err


def test_past_answers_to_the_same_inputs_stand_side_by_side(edited: Project, diff: Diff) -> None:
    new = load_prompt("ar/welcome", edited.settings())
    new_text = (edited.root / "prompts/ar/welcome.yaml").read_text(encoding="utf-8")
    edited.write("prompts/ar/welcome.yaml", WELCOME)
    old = load_prompt("ar/welcome", edited.settings())
    edited.write("prompts/ar/welcome.yaml", new_text)
    runs = [(old, "ليلى", "أهلا بك"), (new, "ليلى", "مرحبا بك"), (old, "Ada", "x"), (new, "Bob", "y")]
    with open_history(edited.settings()) as history:
        for prompt, name, text in runs:
            identity = prompt.identity
            row = RequestRow(
                prompt="ar/welcome", model="offline/echo", user="Ada", inputs={"name": name},
                behavior=identity.behavior, interface=identity.interface,
            )  # fmt: skip
            history.finish(history.begin(row), ResponseRow(response_text=text))

    said = diff("--runs", "ar/welcome")
    pairs = diff("--runs", "--json", "ar/welcome").json

    assert "inputs  name=ليلى" in said.out
    assert "[-أهلا-]{+مرحبا+} بك" in said.out
    assert said.err == "1 input answered by both, 0 with the same words\n"
    assert [pair["new"]["text"] for pair in pairs["pairs"]] == ["مرحبا بك"]
    assert pairs["answers"] == {"old": 2, "new": 2}


def test_without_past_answers_it_says_how_to_get_some(edited: Project, diff: Diff) -> None:
    said = diff("--runs", "ar/welcome")

    assert (said.code, "ps run PROMPT@REV" in said.err) == (0, True)
