"""Words a person types find the runs that hold them, in every script, and no punctuation is an error."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from history_samples import request, response, stored
from hypothesis import given, settings
from hypothesis import strategies as st

from promptstudio.history import History, sqlite
from promptstudio.history.decode import texts_of
from promptstudio.history.schema import Snippet
from promptstudio.history.sqlite import schema_statements
from promptstudio.history.words import fold_letters, parse_query, snippet
from promptstudio.types import Message

FOUND = [
    # what is stored, what is typed
    ("I was charged twice", "charged"),
    ("I was charged twice", "CHARGED twice"),
    ("I was charged twice", '"charged twice"'),
    ("I was charged twice", "char*"),
    ("I was charged twice", "twice charged"),
    ('he said hel"lo', 'hel"lo'),
    ("use NEAR(a b)", "NEAR("),
    ("key a:b", "a:b"),
    ("pass -x flag", "-x"),
    ("snake_case name", "snake_case"),
    ("order 4711 is late", "4711"),
    ("first line\nsecond", "second"),
    ("crème brûlée", "creme brulee"),
    ("creme brulee", "crème"),
    ("Straße", "straße"),
    ("مَرْحَبًا بِكُم", "مرحبا"),
    ("مرحبا بكم", "مَرْحَبًا"),
    ("والكتاب الجديد", "كتاب"),
    ("كتاب جديد", "الكتاب"),
    ("كتاب جديد", "والكتاب"),
    ("إلى المدرسة", "مدرسه"),
    ("الى المدرسه", "إلى المدرسة"),
    ("مدارس كثيرة", "مدار*"),
    ("العـــربية", "العربية"),
    ("السعر ٢٥٠ ريال", "250"),
    ("می‌خواهم بدانم", "می‌خواهم"),
    ("שָׁלוֹם עוֹלָם", "שלום"),
    ("שלום עולם", "שָׁלוֹם"),
    ("קראתי בספר טוב", "ספר"),
    ("ספר טוב", "הספר"),
    ('צה"ל', 'צה"ל'),
    ("今日は良い天気です", "天気"),
    ("สวัสดีชาวโลก", "ชาวโลก"),
    ("ship it 🎉 now", "🎉"),
    ("a * b", "*"),
    ("100%", "%"),
    ("under _ score", "_"),
    ("c++ and c#", "c++"),
]
NOT_FOUND = [
    ("I was charged twice", "charge"),
    ("I was charged twice", "charged thrice"),
    ("I was charged twice", '"twice charged"'),
    ("plain", "%"),
    ("plain", "_"),
    ("كتابة", "كتاب"),
    ("anything", "OR"),
    ("anything", ""),
    ("anything", '"'),
    ("anything", "   "),
]


@pytest.mark.parametrize(("text", "words"), FOUND)
def test_words_find_what_was_asked(history: History, text: str, words: str) -> None:
    row_id = stored(history, text=text, answer="x")
    stored(history, text="something else", answer="y")

    assert [row.id for row in history.search(words).rows] == [row_id]


@pytest.mark.parametrize(("text", "words"), NOT_FOUND)
def test_words_that_are_not_there_find_nothing(history: History, text: str, words: str) -> None:
    stored(history, text=text, answer="x")

    assert history.search(words).rows == ()


def test_answers_reasons_names_tags_and_errors_are_searched(history: History) -> None:
    row_id = history.begin(request(reason="quarterly", prompt="support/refund", variant="terse", tags=("red tape",)))
    history.finish(
        row_id, response("", output={"category": "angry\ncustomer"}, error_message="rate limit"), status="failed"
    )

    for words in ("quarterly", "refund", "terse", "tape", "customer", "limit", "charged customer"):
        assert [row.id for row in history.search(words).rows] == [row_id], words


def test_system_messages_and_keys_of_the_data_are_not_searched(history: History) -> None:
    stored(history, text="hello")

    assert history.search("tickets").rows == history.search("ticket").rows == history.search("role").rows == ()


def test_a_row_is_found_once_it_ended(history: History) -> None:
    row_id = history.begin(request(text="needle"))
    assert history.search("needle").rows == ()

    history.finish(row_id, response("haystack"))

    assert [row.id for row in history.search("needle haystack").rows] == [row_id]


def test_the_latest_rows_come_first_and_the_limit_holds(history: History) -> None:
    ids = [stored(history, text="needle") for _ in range(5)]

    assert [row.id for row in history.search("needle", limit=2).rows] == ids[:2:-1]


def test_a_removed_row_is_found_no_more_and_its_words_leave_the_file(history: History, path: Path) -> None:
    kept = stored(history, text="needle")
    removed = stored(history, text="needle xylophonist", answer="zanzibari")
    assert b"xylophonist" in _bytes_of(path)
    assert b"zanzibari" in _bytes_of(path)

    history.remove([removed])

    assert [row.id for row in history.search("needle").rows] == [kept]
    assert history.search("xylophonist").rows == ()
    assert b"xylophon" not in _bytes_of(path)
    assert b"zanzibar" not in _bytes_of(path)
    _check_index(path)


WRITES = [
    "UPDATE prompt_requests SET reason = 'changed'",
    "UPDATE prompt_requests SET tags = '[\"changed\"]', status = 'failed'",
    "UPDATE prompt_requests SET status = 'running'",
    "UPDATE prompt_responses SET response_text = 'changed'",
    "DELETE FROM prompt_responses",
    "DELETE FROM prompt_requests",
    "DELETE FROM prompt_requests WHERE seq = 1",
]


@pytest.mark.parametrize("statement", WRITES)
def test_the_index_follows_whatever_another_program_writes(history: History, path: Path, statement: str) -> None:
    for text in ("one", "ثَلاثة"):
        stored(history, text=text, answer="billing")
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")

    connection.execute(statement)
    connection.close()

    _check_index(path)
    expected = [
        row.id for row in history.rows() if row.status == "completed" and "changed" in str((row.reason, row.excerpt))
    ]
    if "'changed'" in statement:
        assert [row.id for row in history.search("changed").rows] == expected != []


def test_an_interrupted_row_that_finishes_after_all_is_indexed_once(history: History, path: Path) -> None:
    row_id = history.begin(request(text="needle"))
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE prompt_requests SET status = 'interrupted'")
    connection.close()
    assert len(history.search("needle").rows) == 1

    history.finish(row_id, response("haystack"))

    assert len(history.search("needle haystack").rows) == 1
    _check_index(path)


@pytest.mark.parametrize("broken", ["{", "", "[" * 3000, '{"a": NaN}', "null", "3"])
def test_broken_json_from_another_program_breaks_neither_lists_nor_index(
    history: History, path: Path, broken: str
) -> None:
    row_id = stored(history)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("UPDATE prompt_requests SET inputs = :b, messages = :b, parameters = :b", {"b": broken})
    connection.execute("UPDATE prompt_responses SET output = :b, tool_calls = :b", {"b": broken})
    connection.close()

    assert history.row(row_id).detail
    assert history.rows()[0].id == row_id
    assert [row.id for row in history.search("triage").rows] == [row_id]
    _check_index(path)


@pytest.fixture
def no_fts5(monkeypatch: pytest.MonkeyPatch) -> None:
    """A SQLite without FTS5 can only be had by building one: what decides is told that it is missing."""
    monkeypatch.setattr(sqlite, "has_fts5", lambda: False)


@pytest.mark.usefixtures("no_fts5")
@pytest.mark.parametrize("words", ["charged", "CHARGED", "harge", "twice charged", "الكتاب", "*", "billing"])
def test_without_fts5_the_newest_rows_are_read_and_a_notice_says_so(history: History, path: Path, words: str) -> None:
    row_id = stored(history, text="I was charged * twice الكتاب")
    stored(history, text="other", answer="other")

    found = history.search(words)

    assert [row.id for row in found.rows] == [row_id]
    assert found.notice == "this history has no full-text index: only the newest 100,000 runs were read"
    with sqlite3.connect(path) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master")]
    connection.close()
    assert not any(name.startswith(("prompt_search", "prompt_texts")) for name in names)


def test_words_are_found_in_every_kind_of_store(any_history: History) -> None:
    row_id = stored(any_history, text="I was charged twice", answer="مرحبا")

    for words in ("charged", "مرحبا", "twice مرحبا", "triage"):
        assert [row.id for row in any_history.search(words).rows] == [row_id]
    assert any_history.search("absent").rows == ()


@pytest.fixture(scope="module")
def index() -> sqlite3.Connection:
    """The schema in memory, to which any query can be put."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for statement in schema_statements(search=True):
        connection.execute(statement)
    return connection


@settings(max_examples=300, deadline=None)
@given(
    typed=st.text(max_size=60)
    | st.text('"*()^:-+{}aا ', max_size=20)
    | st.sampled_from(["AND", "a OR", "NOT b", "NEAR/2"])
)
def test_no_typed_text_is_an_error(index: sqlite3.Connection, typed: str) -> None:
    query = parse_query(typed)

    if query.match:
        index.execute("SELECT rowid FROM prompt_search WHERE prompt_search MATCH ?", (query.match,)).fetchall()
    snippet([typed], query.needles)


def test_the_database_folds_letters_exactly_as_we_do(index: sqlite3.Connection) -> None:
    letters = [chr(code) for code in range(1, 0x10000) if not 0xD800 <= code <= 0xDFFF]
    text = "ا".join(letters)
    index.execute("DELETE FROM prompt_requests")
    columns = {"id": "1", "created_at": "2026", "status": "running", "prompt": text, "prompt_type": "chat"}
    columns |= dict.fromkeys(("behavior", "interface", "model", "user"), "x") | {"tags": "[]", "parameters": "{}"}
    columns |= {"overrides": "{}", "inputs": "{}", "messages": "[]"}
    names = ", ".join(f'"{name}"' for name in columns)
    index.execute(
        f"INSERT INTO prompt_requests ({names}) VALUES ({', '.join('?' * len(columns))})", [*columns.values()]
    )

    (folded,) = index.execute("SELECT about FROM prompt_search_text").fetchone()

    assert folded.rstrip() == fold_letters(text).rstrip()


@pytest.mark.parametrize(
    ("text", "typed", "marked"),
    [
        ("I was charged twice", "charged", ["charged"]),
        ("I was Charged, charged twice", "charged twice", ["Charged", "charged", "twice"]),
        ("قال: مَرْحَبًا بِكُم", "مرحبا", ["مَرْحَبًا"]),
        ("في المدرسة", "مدرسه", ["مدرسة"]),
        ("שָׁלוֹם עוֹלָם", "עולם", ["עוֹלָם"]),
        ("crème brûlée", "brulee", ["brûlée"]),
        ("e\u0301te\u0301", "été", ["e\u0301te\u0301"]),
        ("İstanbul", "istanbul", ["İstanbul"]),
        ("a * b", "*", ["*"]),
    ],
)
def test_a_snippet_marks_the_words_as_they_are_written(text: str, typed: str, marked: list[str]) -> None:
    found = snippet([text], parse_query(typed).needles)

    assert found
    assert [found.text[start:end] for start, end in found.marks] == marked
    assert found.text == text


def test_a_snippet_of_a_long_text_is_cut_at_words_around_the_first_mark() -> None:
    text = "مَرْحَبًا word " * 400 + "the needle is here " + "tail " * 400

    found = snippet([text], ("needle",))

    assert found
    assert found.text.startswith("…")
    assert found.text.endswith("tail…")
    assert len(found.text) < 200
    assert [found.text[start:end] for start, end in found.marks] == ["needle"]


def test_a_text_without_the_words_has_no_snippet() -> None:
    assert snippet(["abc", ""], ("x",)) is None
    assert snippet([], ()) is None


def test_the_snippet_prefers_the_answer(history: History) -> None:
    stored(history, text="a needle asked", answer="a needle answered")

    assert history.search("needle").rows[0].snippet == Snippet("a needle answered", ((2, 8),))


def test_texts_of_a_row_hold_all_that_is_searched(history: History) -> None:
    row_id = stored(
        history, text="asked", answer="answered", messages=(Message.of("user", "asked"), Message.of("system", "no"))
    )

    assert texts_of(history.row(row_id))[:3] == ["answered", "asked", "asked"]


def _check_index(path: Path) -> None:
    """Compare every word and place in the index with those of an index made afresh from the ended rows."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(
        "CREATE VIRTUAL TABLE fresh USING fts5(about, asked, answered, tokenize='unicode61 remove_diacritics 2')"
    )
    ended = "(SELECT seq FROM prompt_requests WHERE status NOT IN ('pending', 'running'))"
    columns = "about, asked, answered"
    connection.execute(
        f"INSERT INTO fresh (rowid, {columns}) SELECT seq, {columns} FROM prompt_search_text WHERE seq IN {ended}"
    )
    words = []
    for index in ("prompt_search", "fresh"):
        connection.execute(f"CREATE VIRTUAL TABLE temp.{index}_words USING fts5vocab(main, {index}, instance)")
        words.append(connection.execute(f"SELECT * FROM {index}_words ORDER BY 1, 2, 3, 4").fetchall())
    connection.execute("DROP TABLE fresh")
    connection.close()
    assert words[0] == words[1]


def _bytes_of(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(path.parent.glob("history.db*")) if file.is_file())
