"""What is stored of a run, and what comes back, whatever kind of database holds it."""

from __future__ import annotations

import json
import math
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from history_samples import HASH, Settings, attempt, project_settings, request, response, run_python, stored
from pydantic import BaseModel

from promptstudio.errors import HistoryError, NotFoundError
from promptstudio.history import Filters, History, HistoryRow, ResponseRow, open_history
from promptstudio.history.ids import new_id
from promptstudio.types import Media, Message, Part, ToolCall, Usage

ARABIC = "مَرْحَبًا بِالعالَم \u200f(١٢٣)\u200e"
HEBREW = "שָׁלוֹם עוֹלָם"


def test_a_row_exists_and_runs_before_its_answer_comes(any_history: History) -> None:
    row_id = any_history.begin(request())

    row = any_history.row(row_id)

    assert (row.status, row.finished_at, row.duration_ms, row.cost_usd) == ("running", None, None, None)
    assert row.detail
    assert row.detail.response_text is None
    assert row.detail.attempts == ()


def test_everything_of_a_finished_run_comes_back(any_history: History) -> None:
    asked = request(
        variant="terse",
        version="1.10",
        reason="trying",
        commit="c" * 40,
        dirty=True,
        parameters={"temperature": 0.2},
        overrides={"model": "offline/echo"},
        profile="strict",
        label="production",
        tags=("a", 'b"c'),
        session_id="s1",
        eval_run_id="e1",
        prompt_type="chat",
    )
    answered = response(
        output={"category": "billing"},
        reasoning="because",
        tool_calls=(ToolCall("1", "lookup", '{"n": 1}'),),
        finish_reason="stop",
        resolved_model="echo-1",
        provider_response_id="r1",
        system_fingerprint="f1",
        usage=Usage(10, 3, 2, 1),
        cost_usd=Decimal("0.001234"),
        duration_ms=1200,
        first_token_ms=300,
        cached=True,
    )
    tries = [attempt(1, error_kind="rate_limit", status_code=429, error_message="slow down", waited_ms=50), attempt(2)]

    assert any_history.finish(any_history.begin(asked), answered, tries)

    row = any_history.row("last")
    assert row.detail
    same = ("prompt", "model", "user", "variant", "version", "reason", "commit", "dirty", "profile", "label", "tags")
    assert all(
        getattr(row, name) == getattr(asked, name) for name in (*same, "session_id", "eval_run_id", "created_at")
    )
    known = ("finish_reason", "resolved_model", "usage", "cost_usd", "duration_ms", "first_token_ms", "cached")
    assert all(getattr(row, name) == getattr(answered, name) for name in known)
    heavy = ("response_text", "output", "reasoning", "tool_calls", "provider_response_id", "system_fingerprint")
    assert all(getattr(row.detail, name) == getattr(answered, name) for name in heavy)
    assert (row.detail.parameters, row.detail.overrides) == ({"temperature": 0.2}, {"model": "offline/echo"})
    assert row.detail.attempts == tuple(tries)
    assert (row.status, row.excerpt, row.finished_at) == ("completed", "billing", answered.created_at)


def test_a_list_is_light_and_newest_first(any_history: History) -> None:
    ids = [stored(any_history) for _ in range(3)]

    rows = any_history.rows()

    assert [row.id for row in rows] == ids[::-1]
    assert all(row.detail is None for row in rows)


@pytest.mark.parametrize(("end", "status"), [("finish", "completed"), ("fail", "failed"), ("cancel", "cancelled")])
def test_a_run_ends_with_the_status_it_was_given(any_history: History, end: str, status: str) -> None:
    row_id = any_history.begin(request())

    getattr(any_history, end)(row_id, response(error_kind="timeout"))

    assert any_history.row(row_id).status == status


def test_a_pending_row_runs_when_it_is_started(any_history: History) -> None:
    row_id = any_history.begin(request(status="pending"))
    assert any_history.row(row_id).status == "pending"

    any_history.start(row_id)

    assert any_history.row(row_id).status == "running"


def test_finishing_a_row_that_was_removed_meanwhile_stores_nothing(any_history: History) -> None:
    row_id = any_history.begin(request())
    any_history.remove([row_id])

    assert any_history.finish(row_id, response(), [attempt()]) is False
    assert any_history.count() == 0


def test_a_run_is_finished_once(any_history: History) -> None:
    row_id = stored(any_history)

    with pytest.raises(HistoryError):
        any_history.finish(row_id, response("other"))

    assert any_history.row(row_id).excerpt == "billing"


FILTERS: list[tuple[Filters, str]] = [
    (Filters(prompt="greet"), "greet"),
    (Filters(prompt="support/*"), "triage"),
    (Filters(variant="terse"), "triage"),
    (Filters(model="openai/x"), "greet"),
    (Filters(status="failed"), "greet"),
    (Filters(user="Grace"), "greet"),
    (Filters(tag="عربي"), "greet"),
    (Filters(tag="100%"), "triage"),
    (Filters(session_id="s1"), "triage"),
    (Filters(eval_run_id="e1"), "greet"),
    (Filters(since=datetime(2026, 6, 1, tzinfo=UTC)), "triage"),
    (Filters(until=datetime(2026, 6, 1, tzinfo=UTC)), "greet"),
    (Filters(since=datetime(2026, 6, 2, 2, tzinfo=timezone(timedelta(hours=3)))), "triage"),
]


@pytest.mark.parametrize(("filters", "expected"), FILTERS)
def test_a_filter_keeps_the_rows_it_names(any_history: History, filters: Filters, expected: str) -> None:
    greet = request(
        prompt="greet", model="openai/x", user="Grace", tags=("عربي",), eval_run_id="e1", created_at=_june(1, -1)
    )
    triage = request(
        prompt="support/triage", variant="terse", tags=("100%", "A"), session_id="s1", created_at=_june(1, 24)
    )
    any_history.finish(any_history.begin(greet), response("hello"), status="failed")
    any_history.finish(any_history.begin(triage), response("hello"))
    row_id = {"greet": greet.id, "triage": triage.id}[expected]

    assert [row.id for row in any_history.rows(filters)] == [row_id]
    assert [row.id for row in any_history.search("hello", filters).rows] == [row_id]
    assert any_history.count(filters) == 1


@pytest.mark.parametrize("tag", ["a", "A%", "100", "%", "_"])
def test_a_tag_is_matched_whole_and_by_case(any_history: History, tag: str) -> None:
    stored(any_history, tags=("100%", "A"))

    assert any_history.rows(Filters(tag=tag)) == []


def test_pages_follow_each_other_without_gap_or_repeat(any_history: History) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    ids = [stored(any_history, created_at=moment) for _ in range(7)]  # one moment: only the order of storing tells

    pages: list[list[HistoryRow]] = [any_history.rows(limit=3)]
    while pages[-1]:
        pages.append(any_history.rows(limit=3, before=pages[-1][-1].id))

    assert [row.id for page in pages for row in page] == ids[::-1]


def test_rows_are_ordered_by_their_time_not_by_when_they_were_stored(any_history: History) -> None:
    late = stored(any_history, created_at=_june(2))
    early = stored(any_history, created_at=_june(1))

    assert [row.id for row in any_history.rows()] == [late, early]


def test_a_row_is_named_by_its_id_its_beginning_or_last(any_history: History) -> None:
    first, last = stored(any_history), stored(any_history)

    assert any_history.id_of("last") == last
    assert any_history.id_of(first.upper()) == first
    assert any_history.id_of(first[:35]) == first


@pytest.mark.parametrize("name", ["", "zzz", "%", "00000000", "'; DROP TABLE attempts; --"])
def test_a_name_without_a_row_is_an_error(any_history: History, name: str) -> None:
    stored(any_history)

    with pytest.raises(NotFoundError, match="no run in the history"):
        any_history.row(name)


def test_a_beginning_shared_by_several_rows_names_them(any_history: History) -> None:
    ids = [stored(any_history) for _ in range(5)]

    with pytest.raises(NotFoundError, match=f"several runs begin with '{ids[0][:6]}': {ids[0]}, {ids[1]}") as caught:
        any_history.row(ids[0][:6])

    assert caught.value.hint == "give more of the id"


def test_last_of_an_empty_history_says_so(any_history: History) -> None:
    with pytest.raises(NotFoundError, match="the history is empty"):
        any_history.row("last")


TEXTS = [
    ARABIC,
    HEBREW,
    "\x1b[31mred\u202e",
    "line\r\nline\ttab",
    "𝒳 👩‍👩‍👧 e\u0301",
    "%s %(a)s :name ? {{ x }}",
    "'; DROP TABLE attempts",
]


@pytest.mark.parametrize("text", TEXTS)
def test_text_comes_back_byte_for_byte(any_history: History, text: str) -> None:
    row_id = any_history.begin(request(text=text, reason=text, tags=(text,), prompt=text, variant=text, user=text))
    any_history.finish(row_id, response(text, output={text: [text]}, reasoning=text))

    row = any_history.row(row_id)

    assert row.detail
    assert (row.reason, row.tags, row.prompt, row.variant, row.user, row.excerpt) == (
        text,
        (text,),
        text,
        text,
        text,
        text,
    )
    assert row.detail.inputs == {"ticket": text}
    assert row.detail.messages[1]["content"] == text
    assert (row.detail.response_text, row.detail.output, row.detail.reasoning) == (text, {text: [text]}, text)


def test_a_nul_is_kept_in_a_file_and_replaced_where_the_server_refuses_it(any_history: History) -> None:
    row_id = any_history.begin(request(reason="a\0b"))
    any_history.finish(row_id, response("a\0b"))

    row = any_history.row(row_id)

    expected = "a\0b" if any_history.store.place.path else "a\ufffdb"
    assert row.detail
    assert (row.reason, row.detail.response_text) == (expected, expected)


def test_half_a_character_becomes_a_replacement_character(any_history: History) -> None:
    row_id = any_history.begin(request(text="a\ud800b", reason="\udcff"))
    any_history.finish(row_id, response("\ud83d\ude00 \udc00"))

    row = any_history.row(row_id)

    assert row.detail
    assert row.detail.inputs == {"ticket": "a\ufffdb"}
    assert (row.reason, row.detail.response_text) == ("\ufffd", "😀 \ufffd")


class Answer(BaseModel):
    category: str
    price: Decimal


VALUES: list[tuple[Any, Any]] = [
    (math.nan, "nan"),
    (math.inf, "inf"),
    (10**30, hex(10**30)),
    (b"\x00\x01", {"bytes": 2, "sha256": "b413f47d13ee2fe6c845b2ee141af81de858df4ec549a58b7970bb96645bc8d2"}),
    (Path("/a b"), "/a b"),
    (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01T00:00:00+00:00"),
    ({1: (2, {3})}, {"1": [2, [3]]}),
    (Answer(category="x", price=Decimal("1.50")), {"category": "x", "price": "1.50"}),
    (Media("image/png", b"abc", name="a.png"), {"mime_type": "image/png", "name": "a.png", "bytes": 3}),
]


@pytest.mark.parametrize(("value", "expected"), VALUES, ids=[type(value).__name__ for value, _ in VALUES])
def test_any_value_is_stored_as_valid_json(history: History, path: Path, value: Any, expected: Any) -> None:
    row_id = history.begin(request(inputs={"v": value}))
    history.finish(row_id, response(output=value))

    detail = history.row(row_id).detail
    assert detail
    for found in (detail.inputs["v"], detail.output):
        shown = {**found, "sha256": None} if isinstance(value, Media) else found
        assert shown == ({**expected, "sha256": None} if isinstance(value, Media) else expected)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT json_valid(inputs) FROM prompt_requests").fetchone() == (1,)
    connection.close()


def test_data_nested_a_thousand_deep_is_cut_and_stored(history: History) -> None:
    value: Any = "x"
    for _ in range(900):
        value = [value]

    row_id = history.begin(request(inputs={"v": value}))
    history.finish(row_id, response(output=value))

    detail = history.row(row_id).detail
    assert detail
    assert "…" in json.dumps(detail.inputs, ensure_ascii=False)


def test_counts_no_provider_can_mean_are_cut_to_what_a_column_holds(any_history: History) -> None:
    row_id = any_history.begin(request())
    any_history.finish(row_id, response(usage=Usage(10**30, -(10**30)), cost_usd=Decimal("5000.123456")))

    row = any_history.row(row_id)

    assert (row.usage.input_tokens, row.usage.output_tokens) == (2**31 - 1, -(2**31 - 1))
    assert row.cost_usd == Decimal("5000.123456")


def test_an_unknown_cost_is_none_and_a_free_answer_zero(any_history: History) -> None:
    unknown, free = any_history.begin(request()), any_history.begin(request())
    any_history.finish(unknown, response(cost_usd=None))
    any_history.finish(free, response(cost_usd=Decimal(0)))

    assert any_history.row(unknown).cost_usd is None
    assert any_history.row(free).cost_usd == 0


def test_media_are_described_and_never_stored(history: History, path: Path) -> None:
    pixels = b"PIXELS-OF-A-PRIVATE-PHOTO"
    media = Media("image/png", pixels, name="photo.png")
    parts = (Part("text", "What is this?"), Part("image", media=media))
    row_id = history.begin(request(inputs={"photo": media}, messages=(Message("user", parts),)))

    detail = history.row(row_id).detail

    assert detail
    described = {"mime_type": "image/png", "name": "photo.png", "bytes": len(pixels)}
    assert described.items() <= detail.inputs["photo"].items()
    assert detail.messages[0]["content"][0] == {"type": "text", "text": "What is this?"}
    assert {"type": "image", **described}.items() <= detail.messages[0]["content"][1].items()
    assert pixels not in _bytes_of(path)


KEY = "sk-proj-" + "Ab3dEf6hIj9k" * 4


def test_no_key_reaches_the_disk(history: History, path: Path) -> None:
    row_id = history.begin(request(text=f"my key {KEY}", reason=KEY, parameters={"k": KEY}, overrides={"k": [KEY]}))
    said = response(f"echo {KEY}", output={"k": KEY}, reasoning=KEY, tool_calls=(ToolCall("1", "f", KEY),))
    history.finish(row_id, replace(said, error_message=f"bad key {KEY}"), [attempt(error_message=KEY)])

    assert KEY.encode() not in _bytes_of(path)
    assert history.search("my key").rows


def test_without_redaction_only_error_messages_are_blanked_out(root: Path) -> None:
    with open_history(project_settings(root, redact=False)) as history:
        row_id = history.begin(request(text=KEY))
        history.finish(row_id, response(KEY, error_message=f"bad key {KEY}"), [attempt(error_message=KEY)])
        row = history.row(row_id)

    assert row.detail
    assert row.detail.inputs == {"ticket": KEY}
    assert row.detail.response_text == KEY
    assert row.error_message
    assert KEY not in row.error_message
    assert KEY not in str(row.detail.attempts[0].error_message)


def test_ids_sort_by_the_order_in_which_they_were_made() -> None:
    ids = [new_id() for _ in range(5000)]

    assert ids == sorted(ids)
    assert len(set(ids)) == 5000
    assert {(row_id[14], row_id[19] in "89ab", len(row_id)) for row_id in ids} == {("7", True, 36)}


def test_reading_makes_no_file(history: History, root: Path) -> None:
    assert (history.rows(), history.count(), history.search("x").rows) == ([], 0, ())
    assert history.health().exists is False
    assert list(root.iterdir()) == []


def test_a_project_history_never_reaches_a_commit_by_accident(history: History, root: Path) -> None:
    stored(history)

    assert (root / ".promptstudio" / ".gitignore").read_text() == "*\n"


def test_files_are_their_owners_alone_at_any_umask(root: Path, path: Path) -> None:
    modes = run_python(
        root,
        """
os.umask(0)
stored(history)
print(*(oct(file.stat().st_mode & 0o777) for file in sorted((root / ".promptstudio").rglob("history*"))))
print(oct((root / ".promptstudio").stat().st_mode & 0o777))
""",
    )

    assert modes.split() == ["0o600", "0o600", "0o600", "0o700", "0o700"]


def test_one_history_serves_several_threads(history: History) -> None:
    with ThreadPoolExecutor(8) as threads:
        ids = set(threads.map(lambda _: stored(history), range(40)))

    assert {row.id for row in history.rows(limit=100)} == ids
    assert {row.status for row in history.rows(limit=100)} == {"completed"}


def test_a_history_whose_file_was_deleted_starts_a_new_one(history: History, root: Path) -> None:
    stored(history)
    shutil.rmtree(root / ".promptstudio")

    row_id = stored(history)

    assert [row.id for row in history.rows()] == [row_id]


def test_a_forked_child_writes_with_a_connection_of_its_own(root: Path) -> None:
    out = run_python(
        root,
        """
stored(history)
if child := os.fork():
    os.waitpid(child, 0)
    stored(history)
    print(history.count(Filters(status="completed")), history.health().integrity)
else:
    stored(history)
""",
    )

    assert out.split() == ["3", "ok"]


def test_other_programs_read_the_columns_under_their_names(history: History, path: Path) -> None:
    stored(history, commit="c" * 40, dirty=False, created_at=datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC))

    with sqlite3.connect(path) as connection:
        row = connection.execute(
            'SELECT r.created_at, r.behavior, r."commit", r.dirty, p.cost_microusd, a.cost_microusd, p.cached'
            " FROM prompt_requests r JOIN prompt_responses p ON p.prompt_id = r.id"
            " JOIN attempts a ON a.prompt_id = r.id"
        ).fetchone()
    connection.close()

    assert row == ("2026-01-02 03:04:05.000678", HASH, "c" * 40, 0, None, 123, 0)


def test_settings_need_no_more_than_the_history_reads() -> None:
    assert open_history(Settings()).rows() == []


def test_an_answer_may_be_empty(history: History) -> None:
    row_id = history.begin(request(messages=(), inputs={}))
    history.cancel(row_id)

    assert history.row(row_id).excerpt == ResponseRow().response_text == ""


def _june(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 6, day, tzinfo=UTC) + timedelta(hours=hour)


def _bytes_of(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(path.parent.glob("history.db*")) if file.is_file())
