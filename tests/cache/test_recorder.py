"""Recording and replaying at the seam: by content, in any order, repeat by repeat; nothing secret, nothing needless."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cache_samples import CONNECTION, CountingWires, arguments, completion, send

from promptstudio.cache.cassette import cassette_text
from promptstudio.cache.folder import CassetteFolder, file_name
from promptstudio.cache.recorder import RecordingWires, ReplayWires
from promptstudio.errors import NotFoundError, RateLimitError, UserError
from promptstudio.providers.schema import Event, PartialOutput, Reply, TextDelta, WireCall
from promptstudio.types import Saved

KEY = "sk-proj-4Jx9Qb7Lm2Zt8Wd5Rf1Kc6Vn3Hs0Pg"


@pytest.fixture
def tapes(tmp_path: Path) -> Path:
    return tmp_path / "tapes"


def recording(tapes: Path, *raws: Any) -> RecordingWires:
    return RecordingWires(CassetteFolder(tapes), CountingWires(list(raws) or [completion()]))


def replaying(tapes: Path) -> ReplayWires:
    return ReplayWires(CassetteFolder(tapes))


def contents(tapes: Path) -> dict[str, tuple[str, int]]:
    return {path.name: (path.read_text(), path.stat().st_mtime_ns) for path in sorted(tapes.iterdir())}


def only(tapes: Path) -> Path:
    (path,) = tapes.iterdir()
    return path


def said(reply: Reply) -> tuple[Any, ...]:
    return (reply.text, reply.reasoning, reply.tool_calls, reply.finish_reason, reply.usage, reply.resolved_model)


CALLS = [{"id": "call_x", "type": "function", "function": {"name": "f", "arguments": '{"city":"حيفا"}'}}]


@pytest.mark.parametrize(
    "raw",
    [
        completion("Hello\nthere, أهلًا"),
        completion(None, message={"tool_calls": CALLS}, finish_reason="tool_calls"),
        completion("x", message={"reasoning_content": "let me think"}),
        completion("cut o", finish_reason="length"),
        completion("", message={"refusal": "I cannot"}),
        completion('{"a": 1}'),
    ],
    ids=["text", "tools", "reasoning", "truncated", "refusal", "json"],
)
async def test_a_replayed_answer_is_the_recorded_one(tapes: Path, raw: Any) -> None:
    first = await send(recording(tapes, raw))
    again = await send(replaying(tapes))
    assert said(again) == said(first)
    assert (again.cost_usd, again.saved and again.saved.cost_usd) == (Decimal(0), Decimal("0.00125"))
    message = again.raw["choices"][0]["message"]
    assert message.get("refusal") == raw["choices"][0]["message"].get("refusal")


async def test_requests_are_matched_in_any_order(tapes: Path) -> None:
    recorder = recording(tapes, completion("one"), completion("two"), completion("three"))
    for text in "abc":
        await send(recorder, text)
    replayed = replaying(tapes)
    assert [(await send(replayed, text)).text for text in "cab"] == ["three", "one", "two"]


async def test_the_kth_identical_request_gets_the_kth_answer(tapes: Path) -> None:
    recorder = recording(tapes, completion("one"), completion("two"))
    for _ in range(2):
        await send(recorder)
    assert only(tapes).exists()
    replayed = replaying(tapes)
    assert [(await send(replayed)).text for _ in range(2)] == ["one", "two"]
    with pytest.raises(NotFoundError, match="made for time 3, and its recorded answers are those of time 1, 2"):
        await send(replayed)


async def test_a_repeat_that_is_named_is_that_answer_whatever_came_before(tapes: Path) -> None:
    recorder = recording(tapes, completion("r2"), completion("r0"))
    for repeat in (2, 0):
        await send(recorder, call=WireCall("greet", repeat))
    replayed = replaying(tapes)
    assert [(await send(replayed, call=WireCall("greet", repeat))).text for repeat in (0, 0, 2)] == ["r0", "r0", "r2"]
    with pytest.raises(NotFoundError, match="made for time 2"):
        await send(replayed, call=WireCall("greet", 1))


async def test_one_repeat_is_asked_for_once_while_it_is_recorded(tapes: Path) -> None:
    recorder = recording(tapes, completion("one"), completion("two"))
    call = WireCall("greet", 0)
    replies = await asyncio.gather(*(send(recorder, call=call) for _ in range(5)))
    assert {reply.text for reply in replies} == {"one"}
    assert recorder.inner.calls == 1  # type: ignore[attr-defined]


async def test_recording_the_same_again_touches_no_file(tapes: Path) -> None:
    await send(recording(tapes))
    before = contents(tapes)
    again = {**completion(), "id": "chatcmpl-2", "created": 99}
    await send(recording(tapes, again))
    assert contents(tapes) == before
    await send(recording(tapes, completion("other")))
    assert "text: other" in next(iter(contents(tapes).values()))[0]


async def test_streams_are_recorded_and_replayed_as_they_came(tapes: Path) -> None:
    for wires in (recording(tapes, completion("Hello there, אהלן")), replaying(tapes)):
        events: list[Event] = []
        await send(wires, emit=events.append)
        assert [event.text for event in events if isinstance(event, TextDelta)] == ["Hell", "o th", "ere,", " אהל", "ן"]


async def test_a_typed_stream_grows_again(tapes: Path) -> None:
    await send(recording(tapes, completion(None, message={"tool_calls": CALLS}, finish_reason="tool_calls")))
    events: list[Event] = []
    await send(replaying(tapes), _typed=True, emit=events.append)
    assert [event.value for event in events if isinstance(event, PartialOutput)][-1] == {"city": "حيفا"}


async def test_an_error_is_raised_and_not_recorded(tapes: Path) -> None:
    recorder = recording(tapes, RateLimitError("slow down"), completion("good"))
    with pytest.raises(RateLimitError):
        await send(recorder)
    assert contents(tapes) == {}
    await send(recorder)
    assert (await send(replaying(tapes))).text == "good"


@pytest.mark.parametrize("where", ["prompt", "answer", "arguments", "parameter"])
async def test_a_secret_never_reaches_the_folder_and_the_request_still_matches(tapes: Path, where: str) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": f'{{"api_key": "{KEY}"}}'}}
    raws = {
        "answer": completion(f"your key is {KEY}"),
        "arguments": completion(None, message={"tool_calls": [call]}, finish_reason="tool_calls"),
    }
    text = f"my key is {KEY}" if where == "prompt" else "hi"
    more = {"user": KEY} if where == "parameter" else {}
    recorder = recording(tapes, raws.get(where, completion()))
    await send(recorder, text, **more)
    (written,) = [content for content, _ in contents(tapes).values()]
    assert KEY not in written
    assert "[redacted: OpenAI key]" in written
    assert recorder.redacted == (where in raws)
    assert (await send(replaying(tapes), text, **more)).finish_reason is not None


async def test_the_key_of_the_connection_never_reaches_the_folder_whatever_it_looks_like(tapes: Path) -> None:
    connection = replace(CONNECTION, api_key="an-odd-key-of-ours", headers={"x-auth": "odd-header-too"})
    wire = recording(tapes, completion("it is an-odd-key-of-ours")).wire_for(connection, WireCall("greet"))
    asked = arguments("why odd-header-too?")
    await wire.send(connection, asked, timeout_s=5, emit=None)
    (written,) = [content for content, _ in contents(tapes).values()]
    assert "odd" not in written.replace("odd?", "")
    assert written.count("[redacted: key]") == 2


async def test_a_secret_that_only_its_name_gives_away_is_taken_out(tapes: Path) -> None:
    value = "qX7rT2mK9vB4nL6wZ1pD8sF3"
    await send(recording(tapes), metadata_of={"db_password": value})
    assert value not in next(iter(contents(tapes).values()))[0]


async def test_a_file_that_would_hold_a_secret_is_refused_with_its_place(tapes: Path) -> None:
    recorder = recording(tapes)
    await send(recorder)
    path = only(tapes)
    cassette = recorder.folder.read(path)
    with pytest.raises(UserError, match=r"what looks like a secret \(OpenAI key\)") as caught:
        cassette_text(replace(cassette, prompt=KEY))
    assert caught.value.problems[0].line == 4


async def test_a_request_that_is_not_there_names_the_nearest_and_what_differs(tapes: Path) -> None:
    recorder = recording(tapes)
    await send(recorder, "Say hello to Ada", temperature=0)
    await send(recorder, "Summarize this", call=WireCall("sum"))
    with pytest.raises(NotFoundError) as caught:
        await send(replaying(tapes), "Say hello to Bob", temperature=0)
    text = str(caught.value)
    assert "prompt 'greet': a request was never recorded; the nearest is greet-" in text
    assert "messages[0].content is 'Say hello to Bob' and was 'Say hello to Ada'" in text
    assert "--record" in (caught.value.hint or "")


async def test_an_empty_folder_has_no_nearest(tapes: Path) -> None:
    CassetteFolder(tapes).make()
    with pytest.raises(NotFoundError, match=r"a request was never recorded$"):
        await send(replaying(tapes))


def test_there_is_nothing_to_replay_from_a_folder_that_is_not_there(tapes: Path) -> None:
    with pytest.raises(NotFoundError, match="no such folder"):
        replaying(tapes)
    tapes.write_text("x")
    with pytest.raises(NotFoundError, match="is a file"):
        replaying(tapes)
    with pytest.raises(UserError, match="cannot record here: is a file"):
        recording(tapes)


async def test_an_edited_request_is_not_replayed(tapes: Path) -> None:
    await send(recording(tapes))
    path = only(tapes)
    path.write_text(path.read_text().replace("content: hi", "content: ho"))
    for text in ("hi", "ho"):
        with pytest.raises(UserError, match=r"changed after it was recorded|cannot be used, `ps cassette verify`"):
            await send(replaying(tapes), text)
    (checked,) = CassetteFolder(tapes).check()
    assert "no longer fits its id" in checked.problems[0].message


async def test_a_renamed_file_is_found_by_its_content(tapes: Path) -> None:
    await send(recording(tapes, completion("found")))
    path = only(tapes)
    path.rename(tapes / "my own name.yaml")
    assert (await send(replaying(tapes))).text == "found"


async def test_which_prompt_asked_does_not_matter(tapes: Path) -> None:
    await send(recording(tapes, completion("found")))
    assert (await send(replaying(tapes), call=WireCall("another"))).text == "found"
    await send(recording(tapes, completion("other")), call=WireCall("another"))
    assert only(tapes).exists()


async def test_a_link_out_of_the_folder_is_refused(tapes: Path, tmp_path: Path) -> None:
    await send(recording(tapes))
    path = only(tapes)
    path.rename(tmp_path / "outside.yaml")
    path.symlink_to(tmp_path / "outside.yaml")
    with pytest.raises(UserError, match="the link leads out"):
        await send(replaying(tapes))


async def test_checking_names_duplicates_secrets_and_broken_files(tapes: Path) -> None:
    await send(recording(tapes))
    path = only(tapes)
    tapes.joinpath("copy.yaml").write_text(path.read_text().replace("text: hello", f"text: hello {KEY}"))
    tapes.joinpath("half.yaml").write_text(path.read_text().replace("complete: true\n", ""))
    tapes.joinpath("large.yaml").write_text("#" * 2_000_000)
    tapes.joinpath("notes.txt").write_text("not a cassette")
    found = {
        one.path.name: " ".join(problem.message for problem in one.problems) for one in CassetteFolder(tapes).check()
    }
    assert "looks like a secret (OpenAI key)" in found["copy.yaml"]
    assert "is cut off" in found["half.yaml"]
    assert "the limit is" in found["large.yaml"]
    assert "is recorded in copy.yaml too" in found[path.name]
    assert len(found) == 4


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("support/triage", "support-triage-0123456789ab.yaml"),
        ("../../etc/passwd", "etc-passwd-0123456789ab.yaml"),
        ("ar/ترحيب", "ar-ترحيب-0123456789ab.yaml"),
        ("", "prompt-0123456789ab.yaml"),
        (".", "prompt-0123456789ab.yaml"),
        ("א" * 300, "א" * 60 + "-0123456789ab.yaml"),
    ],
)
def test_a_file_is_named_after_its_prompt(prompt: str, name: str) -> None:
    assert file_name(prompt, "0123456789abcdef") == name


async def test_recorders_at_the_same_time_lose_nothing(tapes: Path) -> None:
    recorders = [recording(tapes, completion(f"answer {number}")) for number in range(8)]
    calls = [WireCall("greet", number) for number in range(8)]
    await asyncio.gather(*(send(one, call=call) for one, call in zip(recorders, calls, strict=True)))
    replayed = replaying(tapes)
    assert [(await send(replayed, call=call)).text for call in calls] == [f"answer {number}" for number in range(8)]
    assert [name for name in contents(tapes) if name.startswith(".")] == []


async def test_a_replay_says_what_the_answer_had_cost(tapes: Path) -> None:
    await send(recording(tapes))
    path = only(tapes)
    path.write_text(re.sub(r"duration_ms: \d+", "duration_ms: 812", path.read_text()))
    assert (await send(replaying(tapes))).saved == Saved(Decimal("0.00125"), 812)
    assert replaying(tapes).reach == "never"
