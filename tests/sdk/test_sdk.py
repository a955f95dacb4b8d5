"""The Python API: in a script, under a running loop, streamed, typed, and as a Mirascope object."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import warnings

import pytest
from mirascope import llm

import promptstudio
from promptstudio.errors import InputsError, NotFoundError, ProviderError
from promptstudio.history import open_history
from tests.conftest import Project


def test_a_prompt_runs_and_is_remembered(project: Project) -> None:
    greet = promptstudio.load("greet")
    result = greet.run(name="Ada")
    assert result.text == "Say hello to Ada in a warm way."
    assert result.usage.output_tokens
    assert result.cost_usd == 0
    with open_history(project.settings()) as history:
        row = history.row(result.id)
    assert (row.prompt, row.status, row.behavior) == ("greet", "completed", greet.behavior)


def test_a_typed_answer_is_an_object_with_attributes(project: Project) -> None:
    result = promptstudio.load("support/triage").run(ticket="Help")
    assert result.output.category == "billing"
    assert result.output.urgency == 1
    assert json.loads(result.text) == {"category": "billing", "urgency": 1}


async def test_sync_and_async_both_work_under_a_running_loop(project: Project) -> None:
    greet = promptstudio.load("greet", history=False)
    assert greet.run(name="sync").text == "Say hello to sync in a warm way."
    answers = await asyncio.gather(*(greet.arun(name=f"n{number}") for number in range(5)))
    assert [answer.text for answer in answers] == [f"Say hello to n{number} in a warm way." for number in range(5)]


def test_a_stream_gives_text_as_it_comes_and_then_the_result(project: Project) -> None:
    stream = promptstudio.load("ar/welcome").stream(name="سارة")
    chunks = list(stream)
    assert len(chunks) > 2
    assert "".join(str(chunk) for chunk in chunks) == stream.result.text
    assert "سارة" in stream.result.text


async def test_a_typed_stream_gives_growing_objects(project: Project) -> None:
    stream = promptstudio.load("support/triage").astream(ticket="Help")
    partials = [chunk.partial async for chunk in stream]
    assert partials[-1] == {"category": "billing", "urgency": 1}
    assert stream.result.output.urgency == 1


def test_leaving_a_stream_early_cancels_the_run(project: Project) -> None:
    for _ in promptstudio.load("ar/welcome").stream(name="سارة"):
        break
    with open_history(project.settings()) as history:
        assert history.rows(limit=1)[0].status in ("cancelled", "completed")


def test_the_result_of_an_unread_stream_is_an_error(project: Project) -> None:
    with pytest.raises(RuntimeError, match="not been read"):
        _ = promptstudio.load("greet").stream(name="x").result


def test_messages_are_rendered_without_a_call(project: Project) -> None:
    messages = promptstudio.load("support/triage").messages(ticket="عربي {{ not_a_template }}")
    assert [message.role for message in messages] == ["system", "user"]
    assert messages[1].text == "<ticket>عربي {{ not_a_template }}</ticket>"


def test_options_change_one_run(project: Project) -> None:
    options = promptstudio.RunOptions(parameters={"temperature": 0.1}, reason="try", tags=("x",))
    result = promptstudio.load("greet").run(options, name="Ada")
    with open_history(project.settings()) as history:
        row = history.row(result.id)
    assert row.reason == "try"
    assert row.tags == ("x",)


def test_errors_are_ours_and_say_what_is_wrong(project: Project) -> None:
    with pytest.raises(NotFoundError, match="greeet"):
        promptstudio.load("greeet")
    with pytest.raises(InputsError, match="name"):
        promptstudio.load("greet").run()
    with pytest.raises(ProviderError, match="no key") as caught:
        promptstudio.load("greet").run(promptstudio.RunOptions(model="openai/gpt-4.1-mini"), name="x")
    assert isinstance(caught.value, promptstudio.PromptStudioError)


def test_a_prompt_is_a_real_mirascope_object(project: Project) -> None:
    prompt = promptstudio.load("greet").as_mirascope()
    assert isinstance(prompt, llm.prompts.Prompt)
    messages = prompt.messages(name="Ada")
    assert [message.role for message in messages] == ["user"]
    response = prompt.call("litellm/offline/echo", name="Ada")
    assert response.text() == "Say hello to Ada in a warm way."
    assert "".join(prompt.stream("litellm/offline/echo", name="Ada").text_stream()).strip() == response.text()


def test_a_mirascope_object_of_a_typed_prompt_parses_its_answer(project: Project) -> None:
    project.write("offline.yaml", "rules: [{output: {category: bug, urgency: 4}}]\n")
    prompt = promptstudio.load("support/triage").as_mirascope()
    parsed = prompt.call("litellm/offline/script", ticket="Help").parse()
    assert parsed.category == "bug"


def test_importing_the_package_imports_nothing_else() -> None:
    code = "import sys, promptstudio; print([name for name in sys.modules if name.startswith('promptstudio.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_script_ends_without_warnings(project: Project) -> None:
    code = "import promptstudio; print(promptstudio.load('greet').run(name='A').text)"
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "Say hello to A in a warm way.\n"
    assert done.stderr == ""
    warnings.resetwarnings()
