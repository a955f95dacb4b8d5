"""The pytest plugin: `pytest evals/` collects suites as tests, and Python tests get the fixture `promptstudio`.

Loaded into every pytest run of its environment, so it costs nothing where there is no suite: what does the work is
imported when a suite file is collected, or when the fixture is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from promptstudio.testing.studio import Studio

SETTINGS_FILE = "promptstudio.toml"
HEAD_BYTES = 20_000
# Lines that begin a key of a suite; a recording has `cassette:` and is none.
_SUITE_KEYS = (b"cases:", b"prompt:", b"prompts:", b"assert:", b"gate:")

_not_asked = pytest.StashKey[set[Path]]()

# name of the ini setting, and of the option with `--` and dashes → what it is for
_SETTINGS = {
    "promptstudio_record": "Ask the providers and write cassettes to this folder.",
    "promptstudio_replay": "Answer from the cassettes in this folder: no network, no key.",
    "promptstudio_model": "Ask this model instead of those of suites and prompts.",
    "promptstudio_verdict": "cases (default): a case that fails is a failed test. gate: it is an expected failure, and "
    "the gate of its suite decides.",
    "promptstudio_record_mode": "Cassettes of Python tests, one folder a test: off (default), none, once or all.",
}
_CHOICES = {"promptstudio_verdict": ("cases", "gate"), "promptstudio_record_mode": ("off", "none", "once", "all")}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("promptstudio", "evaluation suites and prompts")
    for name, text in _SETTINGS.items():
        option = "--" + name.replace("_", "-")
        group.addoption(option, dest=name, default=None, choices=_CHOICES.get(name), metavar=_metavar(name), help=text)
        parser.addini(name, text, default="")
    group.addoption(
        "--promptstudio-fresh",
        dest="promptstudio_fresh",
        action="store_true",
        help="Ask everything again; take nothing from earlier runs or the cache.",
    )
    parser.addini(
        "promptstudio_collect",
        "asked (default): suites are collected where the evals folder or a file in it was named. always. never.",
        default="asked",
    )
    parser.addini("promptstudio_cassettes", "Folder of the cassettes of Python tests.", default="")


def _metavar(name: str) -> str | None:
    return None if name in _CHOICES else "MODEL" if name.endswith("model") else "DIR"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "promptstudio(record_mode=…): evaluation cases; cassettes of a Python test")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path.suffix not in (".yaml", ".yml") or file_path.name.startswith(("_", ".")):
        return None
    root = next((folder for folder in file_path.parents if (folder / SETTINGS_FILE).is_file()), None)
    if root is None or not _looks_like_a_suite(file_path):
        return None
    from promptstudio.testing.collect import is_in_evals, is_wanted, suite_file  # only where there may be a suite

    if not is_in_evals(file_path, root):
        return None
    if not is_wanted(file_path, root, parent.config):
        parent.config.stash.setdefault(_not_asked, set()).add(file_path)
        return None
    return suite_file(file_path, root, parent)


def _looks_like_a_suite(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES).removeprefix(b"\xef\xbb\xbf")
    except OSError:
        return False  # whoever wants the file will say so
    lines = head.splitlines()
    return any(line.startswith(_SUITE_KEYS) for line in lines) and not any(
        line.startswith(b"cassette:") for line in lines
    )


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    import sys  # the module is there where a suite was collected, and only then is there anything to end

    if (module := sys.modules.get("promptstudio.testing.evaluations")) is not None:
        module.finish(session.config)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    files = config.stash.get(_not_asked, set())
    if files:
        folder = sorted({file.parent for file in files})[0]
        shown = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
        suites = "1 suite was" if len(files) == 1 else f"{len(files)} suites were"
        terminalreporter.write_line(f"promptstudio: {suites} not run, because suites ask models: pytest {shown}")


@pytest.fixture(name="promptstudio")
def _promptstudio(request: pytest.FixtureRequest) -> Iterator[Studio]:
    """Prompts of the project, for a Python test: `promptstudio.run("greet", name="Ada")` gives a `Result`."""
    from promptstudio.testing.fixture import studio_of  # weight: the runner

    with studio_of(request) as studio:
        yield studio
