"""Finding prompts by what they say, in any language."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from promptstudio.prompts.finding import find_prompts, terms_of
from tests.conftest import Project

LIBRARY = {
    "refunds": "description: Answer questions on refunds.\ntags: [support]\nprompt: Be kind to {{ name }}.\n",
    "answers/polite": "tags: [refund, tone]\nprompt: Answer {{ question }}.\n",
    "billing": "description: Sort bills.\nmessages:\n- role: user\n  content: Was there a refund? {{ x }}\n",
    "café": "description: Crème brûlée, STRASSE and Straße\nprompt: ﬁnd ｆｕｌｌ width\n",
    "كتب": "description: تلخيص الكِتَابِ للقارئ\ntags: [قراءة]\nprompt: لخّص المقالة في كتـــاب {{ x }}\n",
    "עברית": "description: סיכום הַסֵּפֶר\nprompt: כתוב {{ x }}\n",
    "日本": "description: 要約を書く\nprompt: 東京都の天気 {{ x }}\n",
    "escaped": 'prompt: "\\u0643\\u062a\\u0627\\u0628 \\x41bracadabra"\n',
    "including": "prompt: \"Say {% include '_partials/tone.md' %}\"\n",
    "hostile": "prompt: |\n  {% include '../../etc/passwd' %} {% include '_partials/loop.md' %}\n"
    "  {% include '_out.md' %}\n",
    "broken": "prompt: [refund\n",
    "named": "name: other/name\nprompt: |\n  one two\n   three\n",
}


@pytest.fixture
def library(project: Project, tmp_path: Path) -> Project:
    for name, text in LIBRARY.items():
        project.write(f"prompts/{name}.yaml", text)
    project.write("prompts/_partials/tone.md", "with a whimsical voice {% include '_partials/deeper.md' %}")
    project.write("prompts/_partials/deeper.md", "and a lighthouse")
    project.write("prompts/_partials/loop.md", "loopy {% include '_partials/loop.md' %}")
    (tmp_path / "secret.md").write_text("hunter2")
    (project.root / "prompts/_out.md").symlink_to(tmp_path / "secret.md")
    return project


def names(library: Project, words: str, **options: object) -> list[str]:
    return [found.name for found in find_prompts(library.settings(), words, **options).found]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("refund", ["refunds", "answers/polite", "billing"]),  # name, then tag, then text
        ("REFUND kind", ["refunds"]),
        ("refund nowhere", []),
        ("efund", []),  # not the beginning of a word
        ("cafe", ["café"]),
        ("creme BRULEE", ["café"]),
        ("strasse", ["café"]),
        ("find full", ["café"]),
        ("ｆｉｎｄ", ["café"]),
        ("كتاب", ["كتب", "escaped"]),
        ("الكتاب", ["كتب", "escaped"]),
        ("كِتاب", ["كتب", "escaped"]),
        ("قراءه", ["كتب"]),
        ("مقال", ["كتب"]),
        ("ספר", ["עברית"]),
        ("הספר", ["עברית"]),
        ("东京", []),
        ("天気", ["日本"]),
        ("abraca", ["escaped"]),
        ("whimsical", ["including"]),
        ("lighthouse", ["including"]),
        ("loopy", ["hostile"]),
        ("hunter2", []),
        ("root", []),
        ('"one two three"', ["other/name"]),
        ('"two one"', []),
        ("answers/pol", ["answers/polite"]),
        ('"{{ question"', ["answers/polite"]),
    ],
)
def test_what_words_find(library: Project, words: str, expected: list[str]) -> None:
    assert names(library, words) == expected


def test_a_search_can_be_kept_to_fields_and_tags(library: Project) -> None:
    assert names(library, "refund", fields=("tags",)) == ["answers/polite"]
    assert names(library, "refund", fields=("name", "text")) == ["refunds", "billing"]
    assert names(library, "refund", tags=("support",)) == ["refunds"]
    assert names(library, "refund", tags=("support", "tone")) == []


def test_a_file_that_cannot_be_read_is_named(library: Project) -> None:
    assert find_prompts(library.settings(), "refund").unreadable == ("prompts/broken.yaml",)


def test_a_limit_keeps_the_best_and_the_count(library: Project) -> None:
    findings = find_prompts(library.settings(), "refund", limit=1)
    assert [found.name for found in findings.found] == ["refunds"]
    assert findings.total == 3


@pytest.mark.parametrize(
    ("words", "field", "marked"),
    [
        ("refund", "description", "Answer questions on »refund«s."),
        ("الكتاب", "description", "تلخيص »الكِتَابِ« للقارئ"),
        ("ספר", "description", "סיכום »הַסֵּפֶר«"),
        ("brulee", "description", "Crème »brûlée«, STRASSE and Straße"),
        ("light", "text", "and a »light«house"),
    ],
)
def test_the_excerpt_marks_the_words_as_they_are_written(library: Project, words: str, field: str, marked: str) -> None:
    found = find_prompts(library.settings(), words).found[0]
    piece = next(match.excerpt for match in found.matches if match.field == field)
    text, last = "", 0
    for start, end in piece.marks:
        text += piece.text[last:start] + "»" + piece.text[start:end] + "«"
        last = end
    assert text + piece.text[last:] == marked


@pytest.mark.parametrize(
    "words", ["(", "[", "a)(", "\\", "*", "-x", "\0", '"', '""', "\u202e", "((((" * 200, "é" * 5000]
)
def test_no_word_can_break_the_search(library: Project, words: str) -> None:
    find_prompts(library.settings(), words)
    terms_of(words)


def test_nothing_heavy_is_loaded() -> None:
    code = (
        "import sys, promptstudio.prompts.finding; "
        "print([m for m in ('pydantic', 'jinja2', 'typer', 'jsonschema') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
