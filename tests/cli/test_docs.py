"""The generated parts of docs/ are what the program says today."""

from __future__ import annotations

from pathlib import Path

from promptstudio.cli.docs import pages


def test_every_generated_page_is_up_to_date() -> None:
    stale = [path.name for path, text in pages().items() if path.read_text(encoding="utf-8") != text]

    assert stale == [], "run `python -m promptstudio.cli.docs`"


def test_the_pages_show_no_path_of_this_machine(request: object) -> None:
    for path in pages():
        assert str(Path.home()) not in path.read_text(encoding="utf-8")
