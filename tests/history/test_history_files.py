"""Files that are no history, places that cannot be written, disks that are full: each a clear error, never damage."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from history_samples import project_settings, request, response, run_python, stored

from promptstudio.errors import HistoryError, UserError
from promptstudio.history import History, open_history
from promptstudio.history.schema import SCHEMA_VERSION


def _text_file(path: Path) -> None:
    path.write_text("not a database, " * 100)


def _foreign(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE responses (id)")
    connection.commit()
    connection.close()


def _foreign_with_a_number(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE a (b)")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.commit()
    connection.close()


def _newer(path: Path) -> None:
    with open_history(project_settings(path.parent.parent)) as history:
        stored(history)
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.commit()
    connection.close()


def _cut(path: Path) -> None:
    with open_history(project_settings(path.parent.parent)) as history:
        for _ in range(20):
            stored(history)
    content = path.read_bytes()
    path.write_bytes(content[:8192] + b"\xff" * 4096 * 3 + content[20480:40960])


def _folder(path: Path) -> None:
    path.mkdir()


def _fifo(path: Path) -> None:
    os.mkfifo(path)


BAD: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "text": (_text_file, "the history is not a SQLite database", "move the file away"),
    "foreign": (_foreign, r"is a SQLite database of another program \(tables: responses\)", "PROMPTSTUDIO_HISTORY_URL"),
    "foreign with our number": (_foreign_with_a_number, "of another program", "PROMPTSTUDIO_HISTORY_URL"),
    "newer": (
        _newer,
        rf"written by a newer PromptStudio \(schema {SCHEMA_VERSION + 1}; this one knows {SCHEMA_VERSION}\)",
        "upgrade",
    ),
    "damaged": (_cut, "the history is damaged", "recover"),
    "folder": (_folder, "the history is a folder", "PROMPTSTUDIO_HISTORY_URL"),
    "fifo": (_fifo, "the history is not a regular file", "PROMPTSTUDIO_HISTORY_URL"),
}
ACTIONS: dict[str, Callable[[History], object]] = {
    "rows": lambda history: history.rows(),
    "row": lambda history: history.row("last"),
    "search": lambda history: history.search("x"),
    "begin": lambda history: history.begin(request()),
    "prune": lambda history: history.prune(keep=0),
}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("kind", BAD)
def test_a_file_that_is_no_usable_history_is_named_and_left_alone(
    history: History, path: Path, kind: str, action: str
) -> None:
    make, message, hint = BAD[kind]
    path.parent.mkdir()
    make(path)
    before = path.read_bytes() if path.is_file() else b""

    with pytest.raises(HistoryError, match=message) as caught:
        ACTIONS[action](history)

    assert caught.value.exit_code == 2
    assert caught.value.problems[0].file == str(path)
    assert hint in (caught.value.hint or "")
    assert (path.read_bytes() if path.is_file() else b"") == before


@pytest.mark.parametrize("kind", BAD)
def test_health_tells_what_is_wrong_and_raises_nothing(history: History, path: Path, kind: str) -> None:
    make, _, hint = BAD[kind]
    path.parent.mkdir()
    make(path)

    health = history.health()

    assert health.problem
    assert str(path) in health.problem
    assert health.hint
    assert hint in health.hint


def test_an_empty_file_is_a_new_history(history: History, path: Path) -> None:
    path.parent.mkdir()
    path.touch()

    assert history.rows() == []
    stored(history)
    assert history.count() == 1


def test_health_of_a_good_history_says_so(history: History, path: Path) -> None:
    stored(history)
    history.begin(request())

    health = history.health(deep=True)

    assert (health.exists, health.schema, health.rows, health.open_rows) == (True, SCHEMA_VERSION, 2, 1)
    assert (health.journal_mode, health.full_text, health.file_mode) == ("wal", True, "-rw-------")
    assert (health.integrity, health.problem, health.writable) == ("ok", None, True)
    assert health.size_bytes
    assert health.size_bytes >= path.stat().st_size


@pytest.fixture
def shared_root() -> Iterator[Path]:
    """A project that a user without rights can reach: tests may run as root, whom no permission stops."""
    folder = Path(tempfile.mkdtemp(prefix="ps-shared-"))
    folder.chmod(0o755)
    yield folder
    for place in (folder, *folder.rglob("*")):
        place.chmod(0o700)
    shutil.rmtree(folder)


WITHOUT_RIGHTS = """
import encodings.idna, sqlite3
from promptstudio.history import encode, decode, words, health, sql
from promptstudio.errors import HistoryError
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
def say(act):
    try:
        print(act())
    except HistoryError as error:
        print(error.exit_code, error.message, "|", error.hint)
"""
READ_ONLY = {"folder": (0o555, 0o644), "file": (0o777, 0o444), "both": (0o555, 0o444)}


@pytest.mark.parametrize("kind", READ_ONLY)
def test_a_read_only_history_is_read_and_not_written(shared_root: Path, kind: str) -> None:
    folder_mode, file_mode = READ_ONLY[kind]
    with open_history(project_settings(shared_root)) as history:
        stored(history)
    folder = shared_root / ".promptstudio"
    (folder / "history.db").chmod(file_mode)
    folder.chmod(folder_mode)

    out = run_python(
        shared_root,
        WITHOUT_RIGHTS
        + """
say(lambda: len(history.rows()))
say(lambda: history.row("last").detail.response_text)
say(lambda: len(history.search("charged").rows))
say(lambda: history.health().writable)
say(lambda: history.begin(request()))
say(lambda: history.remove([history.id_of("last")]))
""",
    ).splitlines()

    assert out[:4] == ["1", "billing", "1", "False"]
    for refusal in out[4:]:
        assert refusal.startswith("2 ")
        assert "PROMPTSTUDIO_HISTORY_URL" in refusal
        assert "--no-history" in refusal


def test_an_unreachable_folder_is_an_error_not_an_empty_history(shared_root: Path) -> None:
    with open_history(project_settings(shared_root)) as history:
        stored(history)
    (shared_root / ".promptstudio").chmod(0)

    out = run_python(shared_root, WITHOUT_RIGHTS + "say(history.rows)\nsay(lambda: history.begin(request()))")

    assert out.count("Permission denied") == 2
    assert out.count("--no-history") == 2


def test_a_project_folder_without_write_permission_is_a_clear_error(shared_root: Path) -> None:
    shared_root.chmod(0o555)

    out = run_python(shared_root, WITHOUT_RIGHTS + "say(lambda: history.begin(request()))")

    assert "the history's folder cannot be made: Permission denied" in out
    assert "--no-history" in out


def test_a_file_in_place_of_the_folder_is_a_clear_error(history: History, root: Path) -> None:
    (root / ".promptstudio").write_text("")

    assert history.rows() == []
    with pytest.raises(HistoryError, match="the history's folder cannot be made"):
        history.begin(request())


def test_a_full_disk_is_a_clear_error_and_what_was_stored_stays(history: History) -> None:
    row_id = stored(history)
    connection = history.store._connection  # type: ignore[attr-defined]
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(HistoryError, match="the disk is full") as caught:
        history.begin(request(text="x" * 1_000_000))

    assert "--no-history" in (caught.value.hint or "")
    assert history.row(row_id).status == "completed"
    connection.execute(f"PRAGMA max_page_count = {pages * 100}")
    stored(history)


def test_a_disk_that_takes_no_more_bytes_is_a_clear_error_and_can_still_be_read(root: Path) -> None:
    out = run_python(
        root,
        """
import resource
from promptstudio.errors import HistoryError
row_id = stored(history)
history.store.compact(thorough=False)
resource.setrlimit(resource.RLIMIT_FSIZE, ((root / ".promptstudio/history.db").stat().st_size,) * 2)
try:
    for number in range(50):
        history.begin(request(text="x" * 50_000))
except HistoryError as error:
    print(error.message, "|", error.hint)
print(history.row(row_id).status, history.health().integrity)
history.close()
print(len(history.rows()) - number)
""",
    ).splitlines()

    assert "the disk" in out[0]
    assert "--no-history" in out[0]
    assert out[1:] == ["completed ok", "1"]


PLACES = {
    "a#b?c%20d.db": "a#b?c%20d.db",
    "folder with spaces/تاريخ.db": "folder with spaces/تاريخ.db",
    "sqlite:///rel.db": "rel.db",
    "sqlite:///a%20b.db": "a b.db",
    "sqlite+pysqlite:///rel.db?timeout=5": "rel.db",
    "  plain.db ": "plain.db",
}


@pytest.mark.parametrize(("url", "expected"), PLACES.items())
def test_a_path_or_a_sqlite_url_counts_from_the_project(root: Path, url: str, expected: str) -> None:
    with open_history(project_settings(root, history_url=url)) as history:
        stored(history)
        assert history.count() == 1

    assert (root / expected).is_file()
    assert not (root / ".promptstudio").exists()


def test_an_absolute_or_home_path_is_taken_as_it_is(root: Path, tmp_path: Path, isolated: Path) -> None:
    for url, expected in ((f"sqlite:////{tmp_path}/abs.db", tmp_path / "abs.db"), ("~/h.db", isolated / "h.db")):
        with open_history(project_settings(root, history_url=url)) as history:
            stored(history)
        assert expected.is_file()


BAD_URLS = {
    "sqlite://": "names no file",
    "sqlite:///:memory:": "names no file",
    ":memory:": "names no file",
    "sqlite:x.db": "lacks its slashes",
    "sqlite://x.db": "has a host",
    "a\0b": "names no file",
    "~nobody-here/x.db": "home directory",
    "oracle12://ada:s3cret@host/db": "no database SQLAlchemy knows",
    "postgresql+psycopg2://ada:s3cret@127.0.0.1/db": "needs the driver psycopg2",
    "postgresql+psycopg://ada:s3cret@host:port/db": "is not a database URL",
    "mysql+pymysql://ada:s3cret@127.0.0.1/db": "needs the driver pymysql",
}


@pytest.mark.parametrize(("url", "message"), BAD_URLS.items())
def test_a_url_that_cannot_be_used_is_a_clear_error_without_its_password(root: Path, url: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        open_history(project_settings(root, history_url=url)).begin(request())

    assert caught.value.exit_code == 2
    assert caught.value.hint
    assert "s3cret" not in f"{caught.value.message} {caught.value.hint}"


def test_a_missing_driver_comes_with_the_command_that_installs_it(root: Path) -> None:
    with pytest.raises(UserError) as caught:
        open_history(project_settings(root, history_url="postgresql+psycopg2://127.0.0.1/db")).rows()

    assert (caught.value.kind, caught.value.hint) == ("missing_extra", "pip install psycopg2-binary")


def test_a_server_that_is_down_is_a_clear_error_without_its_password(postgres_url: str) -> None:
    url = "postgresql+psycopg://ada:s3cret@127.0.0.1:1/db?password=s3cret"
    history = open_history(project_settings(Path("/nonexistent"), history_url=url))

    with pytest.raises(HistoryError, match="the history's database said no: connection failed") as caught:
        history.rows()

    assert "s3cret" not in f"{caught.value.message} {caught.value.hint} {caught.value.__cause__} {history.health()}"


def test_the_history_lies_in_the_data_folder_outside_a_project(isolated: Path) -> None:
    from history_samples import Settings

    with open_history(Settings()) as history:
        stored(history)

    folder = isolated / ".local/share/promptstudio"
    assert sorted(file.name for file in folder.iterdir()) == ["history.db", "history.db.locks"]
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_relative_data_folder_is_ignored_as_its_specification_asks(
    isolated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from history_samples import Settings

    monkeypatch.setenv("XDG_DATA_HOME", "relative")

    place = open_history(Settings()).store.place

    assert place.path == isolated / ".local/share/promptstudio/history.db"


def test_a_history_locked_by_another_program_is_waited_for(history: History, path: Path, root: Path) -> None:
    stored(history)
    blocker = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    blocker.execute("BEGIN IMMEDIATE")
    from threading import Timer

    timer = Timer(0.3, lambda: blocker.execute("COMMIT"))
    timer.start()

    history.finish(history.begin(request()), response())

    timer.join()
    blocker.close()
    assert history.count() == 2
