"""The suites of this repository, and the jobs in docs/ci.md: they run as they stand, without a key or a network."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import promptstudio
from promptstudio.cache.folder import CassetteFolder
from promptstudio.evals.suite import suite_paths
from promptstudio.prompts.lint import lint_project
from tests.conftest import REPOSITORY, Project, Script

CI_PAGE = (REPOSITORY / "docs/ci.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", CI_PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy of this repository's prompts and suites."""
    copy = Project(tmp_path / "own")
    for name in ("prompts", "evals"):
        shutil.copytree(REPOSITORY / name, copy.root / name)
    shutil.copy(REPOSITORY / "promptstudio.toml", copy.root)
    copy.git("init", "-q")
    copy.commit("A copy")
    monkeypatch.chdir(copy.root)
    return copy


def test_every_suite_meets_its_gate_from_the_cassettes_and_every_cassette_is_used(own: Project) -> None:
    suites = suite_paths(own.settings())
    assert len(suites) >= 2
    asked = set()
    for suite in suites:
        report = promptstudio.evaluate(suite, replay="evals/cassettes", history=False)
        assert report.passed, report
        assert all(result.cached and result.model.startswith("offline/") for result in report)
        asked |= {(result.prompt, result.case.id, result.repeat) for result in report}
    recorded = list(CassetteFolder(own.root / "evals/cassettes").check())
    assert all(not one.problems for one in recorded)
    assert len(recorded) == len(asked)


def test_a_prompt_that_changed_is_noticed(own: Project) -> None:
    path = own.root / "prompts/support/triage-ar.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("كن موجزًا", "كن مطوّلًا"), encoding="utf-8")
    report = promptstudio.evaluate("support/triage-ar", replay="evals/cassettes", history=False)
    assert not report.passed
    assert report.counts["error"] == 2


def test_cassettes_below_the_suites_are_not_taken_for_suites(own: Project) -> None:
    assert not lint_project(own.settings())
    assert all("cassettes" not in path.parts for path in suite_paths(own.settings()))


@pytest.mark.parametrize("text", blocks("yaml"), ids=["github", "github-key", "gitlab"])
def test_a_job_in_the_docs_is_yaml(text: str) -> None:
    assert yaml.safe_load(text)


def test_the_inputs_in_the_docs_are_those_of_the_action() -> None:
    action: dict[str, Any] = yaml.safe_load((REPOSITORY / "action.yml").read_text(encoding="utf-8"))
    section = CI_PAGE.split("| input |")[1].split("\n\n")[0]
    assert set(re.findall(r"^\| `([\w-]+)` \|", section, re.MULTILINE)) == set(action["inputs"])
    job = yaml.safe_load(blocks("yaml")[0])["jobs"]["evals"]
    used = next(step for step in job["steps"] if step.get("id") == "evals")
    assert set(used["with"]) <= set(action["inputs"])


def scripts() -> list[list[str]]:
    gitlab = yaml.safe_load(next(text for text in blocks("yaml") if "gitlab" in text))["evals"]["script"]
    [jenkins] = re.findall(r"sh '''\n(.*?)'''", blocks("groovy")[0], re.DOTALL)
    return [gitlab, [line.strip() for line in jenkins.strip().splitlines()]]


@pytest.mark.parametrize("lines", scripts(), ids=["gitlab", "jenkins"])
def test_the_commands_of_a_job_in_the_docs_do_what_they_say(own: Project, ps: Script, lines: list[str]) -> None:
    subprocess.run(["bash", "-n"], input="\n".join(lines), text=True, check=True)
    command = next(line for line in lines if " eval " in line).replace(".venv/bin/", "")
    done = subprocess.run(
        ["bash", "-c", command], cwd=own.root, env=ps.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for name in re.findall(r"--report \w+:(\S+)", command):
        assert (own.root / name).stat().st_size > 100


def test_the_brackets_of_the_jenkinsfile_match() -> None:
    text = re.sub(r"'''.*?'''", "", blocks("groovy")[0], flags=re.DOTALL)
    assert text.count("{") == text.count("}") > 0
    assert text.count("(") == text.count(")")
