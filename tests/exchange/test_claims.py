"""Which format a file is of: each is claimed by its own importer, and a prompt of ours by none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from promptstudio.exchange.importing import claimant, read_foreign

MESSAGES = [{"role": "system", "content": "x"}, {"role": "user", "content": "y"}]
FILES: dict[str, tuple[str, Any]] = {
    "langchain saved": ("langchain", {"_type": "prompt", "template": "{a}", "input_variables": ["a"]}),
    "langchain few-shot": ("langchain", {"_type": "few_shot", "suffix": "x", "examples": []}),
    "langchain dumps": (
        "langchain",
        {
            "lc": 1,
            "type": "constructor",
            "id": ["langchain", "prompts", "chat", "ChatPromptTemplate"],
            "kwargs": {"messages": []},
        },
    ),
    "langfuse text": ("langfuse", {"name": "a", "type": "text", "prompt": "x", "labels": []}),
    "langfuse chat": ("langfuse", {"name": "a", "type": "chat", "prompt": MESSAGES, "config": {"model": "x"}}),
    "langfuse list": ("langfuse", [{"name": "a", "type": "text", "prompt": "x", "version": 1}]),
    "promptlayer": ("promptlayer", {"prompt_name": "a", "prompt_template": {"type": "chat", "messages": MESSAGES}}),
    "promptlayer bare": (
        "promptlayer",
        {"type": "chat", "messages": [{"role": "user", "template_format": "f-string", "content": []}]},
    ),
    "openai": ("openai-json", {"model": "gpt-4o", "messages": MESSAGES, "temperature": 0}),
    "openai messages": ("openai-json", MESSAGES),
    "package.json": ("", {"name": "x", "version": "1.0.0", "type": "module", "dependencies": {}}),
    "a schema": ("", {"type": "object", "properties": {"prompt": {"type": "string"}}}),
    "rows": ("", [{"inputs": {"a": 1}}]),
    "a number": ("", 3),
}
TEXTS = {
    "a.prompty": ("prompty", "---\nname: x\n---\nuser:\nhi\n"),
    "llm.yaml": ("llm", "system: Be $mood\nprompt: $input\n"),
    "llm-options.yaml": ("llm", "prompt: Go\nextract: true\n"),
    "saved.yaml": ("langchain", "_type: prompt\ntemplate: '{a}'\n"),
    "ours.yaml": ("", "model: offline/echo\nprompt: Say hello to {{ name }}.\n"),
    "ours-long.yaml": ("", "inputs: {name: string}\nprompt: hi {{ name }}\n"),
    "compose.yaml": ("", "services: {web: {image: x}}\n"),
}


@pytest.mark.parametrize("label", FILES)
def test_json_is_claimed_by_its_own_format(tmp_path: Path, label: str) -> None:
    owner, value = FILES[label]
    path = tmp_path / "file.json"
    path.write_text(json.dumps(value))
    chosen = claimant(read_foreign(path, tmp_path, path.name))

    assert (chosen.name if chosen else "") == owner


@pytest.mark.parametrize("name", TEXTS)
def test_yaml_is_claimed_by_its_own_format(tmp_path: Path, name: str) -> None:
    owner, text = TEXTS[name]
    (tmp_path / name).write_text(text)
    chosen = claimant(read_foreign(tmp_path / name, tmp_path, name))

    assert (chosen.name if chosen else "") == owner
