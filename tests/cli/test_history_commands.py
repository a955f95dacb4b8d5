"""`ps history`: list, show, search, rm and prune, on a history that real runs wrote."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from promptstudio.cli.moments import moment_from
from promptstudio.errors import UsageError
from promptstudio.history import RequestRow, ResponseRow, open_history
from promptstudio.types import Message, Usage
from tests.conftest import Project, Script


@pytest.fixture
def past(project: Project) -> list[str]:
    """Four runs, oldest first: three answered ones and one that failed."""
    now = datetime.now(UTC)
    rows = [
        ("greet", 40, "Hello Ada", "completed"),
        ("support/triage", 20, "billing of the invoice", "completed"),
        ("ar/welcome", 2, "أهلًا وسهلًا يا ليلى", "completed"),
        ("greet", 1, "", "failed"),
    ]
    ids = []
    with open_history(project.settings()) as history:
        for prompt, days, text, status in rows:
            asked = RequestRow(
                prompt=prompt,
                model="offline/echo",
                user="Ada Lovelace",
                behavior="p1:" + "a" * 64,
                interface="p1:" + "b" * 64,
                reason="a trial",
                tags=("nightly",) if prompt == "greet" else (),
                inputs={"name": "Ada"},
                messages=(Message.of("user", f"about {prompt}"),),
                created_at=now - timedelta(days=days),
            )
            ids.append(history.begin(asked))
            failed = status == "failed"
            answer = ResponseRow(
                response_text=text,
                usage=Usage(3, 5),
                duration_ms=12,
                error_kind="timeout" if failed else None,
                error_message="no answer \x1b[31m within 60 s" if failed else None,
            )
            history.finish(ids[-1], answer, status="failed" if failed else "completed")
    return ids


def test_bare_history_is_the_newest_first(past: list[str], ps: Script) -> None:
    outcome = ps("history")

    header, *lines = outcome.out.splitlines()
    assert header.split() == ["ID", "WHEN", "PROMPT", "MODEL", "STATUS", "COST", "ANSWER"]
    assert [line.split()[3] for line in lines] == ["greet", "ar/welcome", "support/triage", "greet"]
    assert "أهلًا وسهلًا يا ليلى" in outcome.out
    assert all(line.split()[6] == "?" for line in lines), "an unknown price is not zero"
    assert "\x1b" not in outcome.out


@pytest.mark.parametrize(
    ("args", "prompts"),
    [
        (["--limit", "2"], ["greet", "ar/welcome"]),
        (["--prompt", "greet"], ["greet", "greet"]),
        (["--prompt", "support/*"], ["support/triage"]),
        (["--status", "failed"], ["greet"]),
        (["--since", "30d"], ["greet", "ar/welcome", "support/triage"]),
        (["--until", "30d"], ["greet"]),
        (["--tag", "nightly", "--status", "completed"], ["greet"]),
        (["--model", "openai/gpt-4.1"], []),
    ],
    ids=" ".join,
)
def test_filters_work_with_and_without_the_word_list(
    past: list[str], ps: Script, args: list[str], prompts: list[str]
) -> None:
    for command in (["history", "list"], ["history"]):
        rows = ps(*command, *args, "--json").json
        assert [row["prompt"] for row in rows] == prompts


def test_before_continues_a_list(past: list[str], ps: Script) -> None:
    rows = ps("history", "list", "--before", past[2], "--json").json

    assert [row["id"] for row in rows] == [past[1], past[0]]


def test_show_takes_an_id_its_beginning_or_last(past: list[str], ps: Script) -> None:
    assert ps("history", "show", past[1], "--json").json["text"] == "billing of the invoice"
    assert ps("history", "show", "--json").json["id"] == past[3]
    assert ps("history", "show", "last", "--json").json["error"]["kind"] == "timeout"

    page = ps("history", "show", past[0][:13]).out
    for text in ("Hello Ada", "about greet", "a trial", "nightly", "Ada Lovelace", "3 in, 5 out"):
        assert text in page


def test_an_unknown_id_is_an_error(past: list[str], ps: Script) -> None:
    outcome = ps("history", "show", "ffff")

    assert outcome.code == 2
    assert "ffff" in outcome.err


def test_search_finds_words_in_any_script_and_marks_them(past: list[str], ps: Script) -> None:
    found = ps("history", "search", "invoice")
    assert "support/triage" in found.out
    assert "»invoice«" in found.out

    assert [row["prompt"] for row in ps("history", "search", "ليلى", "--json").json] == ["ar/welcome"]
    assert ps("history", "search", "nothing-like-this").code == 0


@pytest.mark.parametrize("words", ['hel"lo', "NEAR(", "*", "a:b", "x -y", "'", "()", "AND"])
def test_no_punctuation_breaks_a_search(past: list[str], ps: Script, words: str) -> None:
    outcome = ps("history", "search", "--", words)

    assert outcome.code == 0
    assert "error" not in outcome.err


def test_rm_asks_and_takes_yes(past: list[str], ps: Script) -> None:
    refused = ps("history", "rm", past[0])
    assert refused.code == 2
    assert "--yes" in refused.err

    removed = ps("history", "rm", past[0], "last", "--yes", "--json")
    assert removed.json == {"removed": 2}
    assert [row["id"] for row in ps("history", "--json").json] == [past[2], past[1]]


def test_prune_says_first_and_deletes_with_yes(past: list[str], ps: Script) -> None:
    planned = ps("history", "prune", "--older-than", "30d", "--dry-run", "--json")
    assert planned.json == {"removed": 0, "would_remove": 1}
    assert ps("history", "prune", "--older-than", "30d").code == 2

    assert ps("history", "prune", "--older-than", "30d", "--yes", "--json").json == {"removed": 1}
    assert ps("history", "prune", "--keep", "1", "--yes", "--json").json == {"removed": 2}
    assert [row["id"] for row in ps("history", "--json").json] == [past[3]]


def test_prune_without_a_rule_uses_the_settings_or_refuses(past: list[str], project: Project, ps: Script) -> None:
    assert ps("history", "prune", "--yes").code == 2

    env = {"PROMPTSTUDIO_HISTORY_RETENTION_DAYS": "30"}
    assert ps("history", "prune", "--yes", "--json", env=env).json == {"removed": 1}


def test_an_empty_history_says_how_to_fill_it(project: Project, ps: Script) -> None:
    outcome = ps("history")

    assert (outcome.code, outcome.out) == (0, "")
    assert "ps run" in outcome.err
    assert not (project.root / ".promptstudio" / "history.db").exists()


class TestMoments:
    NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("text", "moment"),
        [
            ("30m", datetime(2026, 11, 21, 11, 30, tzinfo=UTC)),
            ("12h", datetime(2026, 11, 21, 0, 0, tzinfo=UTC)),
            ("7d", datetime(2026, 11, 14, 12, 0, tzinfo=UTC)),
            ("2w", datetime(2026, 11, 7, 12, 0, tzinfo=UTC)),
            ("2026-11-01T00:00+00:00", datetime(2026, 11, 1, 0, 0, tzinfo=UTC)),
            ("2026-11-01T02:00+02:00", datetime(2026, 11, 1, 0, 0, tzinfo=UTC)),
        ],
    )
    def test_ages_and_dates(self, text: str, moment: datetime) -> None:
        assert moment_from(text, "--since", self.NOW) == moment

    def test_a_date_without_a_zone_is_local(self, monkeypatch: pytest.MonkeyPatch) -> None:
        local = moment_from("2026-11-01", "--since", self.NOW).astimezone()
        assert (local.year, local.month, local.day, local.hour) == (2026, 11, 1, 0)

    @pytest.mark.parametrize("text", ["", "soon", "7", "7y", "-1d", "2026-13-01", "999999w"])
    def test_anything_else_is_refused(self, text: str) -> None:
        with pytest.raises(UsageError, match="is no time"):
            moment_from(text, "--since", self.NOW)


def test_a_search_for_bytes_that_are_no_text_finds_nothing(project: Project, ps: Script) -> None:
    ps("run", "greet", "-v", "name=Ada")
    assert ps("history", "search", "\udcff").code in (0, 5)
