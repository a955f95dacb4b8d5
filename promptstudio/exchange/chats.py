"""The messages that cases were asked with → one prompt for all of them, and what each case gives it.

Where the cases differ only in the last message, the others stand in the prompt and that one is its input; else the
whole conversation is an input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from promptstudio.exchange.drafts import ROLES
from promptstudio.exchange.writing import literal_to_jinja

Chat = tuple[tuple[str, str], ...]
"""Messages as pairs of role and text."""


def prompt_of_chats(chats: Sequence[Chat]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the prompt's file as plain data, and the inputs of each case."""
    first = chats[0]
    same = all(chat[:-1] == first[:-1] and len(chat) == len(first) and chat[-1][0] == "user" for chat in chats)
    if not same:
        prompt = {"inputs": {"conversation": {"type": "messages"}}, "messages": [{"placeholder": "conversation"}]}
        given = [{"conversation": [{"role": role, "content": text} for role, text in chat]} for chat in chats]
        return prompt, given
    before = [{"role": role, "content": literal_to_jinja(text)} for role, text in first[:-1]]
    messages = [*before, {"role": "user", "content": "{{ input }}"}]
    inputs: list[dict[str, Any]] = [{"input": chat[-1][1]} for chat in chats]
    return ({"messages": messages} if before else {"prompt": "{{ input }}"}), inputs


def own_role(role: Any) -> str | None:
    return ROLES.get(role) if isinstance(role, str) else None


def text_of(content: Any) -> tuple[str, list[str]]:
    """Return the text of a message's content, and the kinds of its parts that are no text."""
    if isinstance(content, str):
        return content, []
    texts: list[str] = []
    others: list[str] = []
    for part in content if isinstance(content, list) else []:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict) and isinstance(part.get("text"), str):
            texts.append(part["text"])
        else:
            others.append(str(part.get("type", "?")) if isinstance(part, dict) else "?")
    return "\n".join(texts), others
