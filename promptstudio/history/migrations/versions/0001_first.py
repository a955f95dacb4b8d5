"""Requests, responses, attempts and, on SQLite, the full-text index.

The index is kept by triggers, so that any program that writes or deletes rows keeps it right. It holds no text of its
own: it reads the view `prompt_search_text`, which folds Arabic and Hebrew (marks dropped, letter forms unified) because
SQLite's tokenizer would cut words at those marks. A row is indexed once, when its run has ended.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")

DROPPED = [
    *range(0x0591, 0x05BE),  # Hebrew accents and vowel points
    *(0x05BF, 0x05C1, 0x05C2, 0x05C4, 0x05C5, 0x05C7),
    0x0640,  # Arabic tatweel
    *range(0x064B, 0x0660),  # Arabic vowel marks, hamza and madda above and below
    0x0670,
    *range(0x06D6, 0x06DD),  # Quranic marks
    *(*range(0x06DF, 0x06E5), 0x06E7, 0x06E8, *range(0x06EA, 0x06EE)),
]
UNIFIED = {
    **dict.fromkeys("آأإٱ", "ا"),
    **dict.fromkeys("ىی", "ي"),
    "ک": "ك",
    "ة": "ه",
    **{chr(0x0660 + digit): str(digit) for digit in range(10)},
    **{chr(0x06F0 + digit): str(digit) for digit in range(10)},
}
REPLACEMENTS = {**{chr(mark): "" for mark in DROPPED}, **UNIFIED}
COLUMNS = ("about", "asked", "answered")

# One replacement after the other, taken from a table, and only where a right-to-left letter occurs at all.
FOLDED = """CASE WHEN {name} GLOB '*[' || char(1425) || '-' || char(1791) || ']*' THEN (
           WITH RECURSIVE folded (step, text) AS (
             SELECT 0, {name} UNION ALL
             SELECT f.step, replace(folded.text, f.letter, f.plain)
               FROM folded JOIN prompt_search_folds AS f ON f.step = folded.step + 1)
           SELECT text FROM folded WHERE step = (SELECT max(step) FROM prompt_search_folds))
         ELSE {name} END AS {name}"""
PROMPT_SEARCH_TEXT = "CREATE VIEW prompt_search_text AS\nSELECT seq,\n       {columns}\n  FROM prompt_texts".format(
    columns=",\n       ".join(FOLDED.format(name=name) for name in COLUMNS)
)
FOLDS_TABLE = "CREATE TABLE prompt_search_folds (step INTEGER PRIMARY KEY, letter TEXT NOT NULL, plain TEXT NOT NULL)"

PROMPT_TEXTS = """
CREATE VIEW prompt_texts AS
SELECT r.seq AS seq,
       r.prompt || ' ' || coalesce(r.variant, '') || ' ' || coalesce(r.label, '') || ' ' || coalesce(r.reason, '')
         || ' ' || coalesce((SELECT group_concat(t.value, ' ') FROM json_each(r.tags) AS t), '') AS about,
       coalesce((SELECT group_concat(t.atom, char(10))
                   FROM json_each(CASE WHEN json_valid(r.messages) THEN r.messages ELSE '[]' END) AS m,
                        json_tree(m.value) AS t
                  WHERE json_extract(m.value, '$.role') NOT IN ('system', 'developer')
                    AND t.key IN ('content', 'text') AND t.type = 'text'), '')
         || char(10) ||
       coalesce((SELECT group_concat(t.atom, char(10))
                   FROM json_tree(CASE WHEN json_valid(r.inputs) THEN r.inputs ELSE '{}' END) AS t
                  WHERE t.type IN ('text', 'integer', 'real')), '') AS asked,
       CASE WHEN json_valid(p.output)
            THEN coalesce((SELECT group_concat(t.atom, char(10)) FROM json_tree(p.output) AS t
                            WHERE t.type IN ('text', 'integer', 'real')), '')
            ELSE coalesce(p.response_text, '') END
         || char(10) || coalesce(p.error_message, '') AS answered
  FROM prompt_requests AS r LEFT JOIN prompt_responses AS p ON p.prompt_id = r.id
"""

SEARCH_TABLE = """
CREATE VIRTUAL TABLE prompt_search USING fts5(
  about, asked, answered,
  content = 'prompt_search_text', content_rowid = 'seq',
  tokenize = 'unicode61 remove_diacritics 2', columnsize = 0)
"""

ADD = "INSERT INTO prompt_search (rowid, about, asked, answered) SELECT seq, about, asked, answered"
DROP = (
    "INSERT INTO prompt_search (prompt_search, rowid, about, asked, answered)"
    " SELECT 'delete', seq, about, asked, answered"
)
ENDED = "{row}.status NOT IN ('pending', 'running')"
TEXT_OF_REQUEST = "FROM prompt_search_text WHERE seq = {row}.seq"
TEXT_OF_RESPONSE = (
    "FROM prompt_search_text WHERE seq = (SELECT seq FROM prompt_requests"
    " WHERE id = {row}.prompt_id AND status NOT IN ('pending', 'running'))"
)


def upgrade() -> None:
    create_requests()
    create_responses()
    create_attempts()
    if op.get_bind().dialect.name == "sqlite":
        create_search()


def create_requests() -> None:
    op.create_table(
        "prompt_requests",
        sa.Column("seq", BIG, primary_key=True),
        sa.Column("id", sa.String(36), nullable=False, unique=True),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("prompt", sa.String(512), nullable=False),
        sa.Column("variant", sa.Text),
        sa.Column("version", sa.Text),
        sa.Column("prompt_type", sa.Text, nullable=False),
        sa.Column("behavior", sa.Text, nullable=False),
        sa.Column("interface", sa.Text, nullable=False),
        sa.Column("commit", sa.Text),
        sa.Column("dirty", sa.Boolean),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("session_id", sa.String(64)),
        sa.Column("eval_run_id", sa.String(64)),
        sa.Column("label", sa.Text),
        sa.Column("profile", sa.Text),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("owner", sa.Text),
        sa.Column("parameters", sa.Text, nullable=False),
        sa.Column("overrides", sa.Text, nullable=False),
        sa.Column("inputs", sa.Text, nullable=False),
        sa.Column("messages", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_prompt_requests_created_at", "prompt_requests", ["created_at", "seq"])
    op.create_index("ix_prompt_requests_prompt", "prompt_requests", ["prompt", "created_at"])
    op.create_index("ix_prompt_requests_status", "prompt_requests", ["status", "created_at"])
    op.create_index("ix_prompt_requests_session_id", "prompt_requests", ["session_id"])
    op.create_index("ix_prompt_requests_eval_run_id", "prompt_requests", ["eval_run_id"])


def create_responses() -> None:
    op.create_table(
        "prompt_responses",
        sa.Column("id", BIG, primary_key=True),
        sa.Column(
            "prompt_id",
            sa.String(36),
            sa.ForeignKey("prompt_requests.id", ondelete="CASCADE"),
            nullable=False,
            unique=True,
        ),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("finish_reason", sa.Text),
        sa.Column("resolved_model", sa.Text),
        sa.Column("provider_response_id", sa.Text),
        sa.Column("system_fingerprint", sa.Text),
        *usage_columns(),
        sa.Column("duration_ms", sa.Integer, nullable=False),
        sa.Column("first_token_ms", sa.Integer),
        sa.Column("cached", sa.Boolean, nullable=False),
        sa.Column("error_kind", sa.Text),
        sa.Column("error_message", sa.Text),
        sa.Column("response_text", sa.Text, nullable=False),
        sa.Column("output", sa.Text),
        sa.Column("tool_calls", sa.Text),
        sa.Column("reasoning", sa.Text),
    )


def create_attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("id", BIG, primary_key=True),
        sa.Column("prompt_id", sa.String(36), sa.ForeignKey("prompt_requests.id", ondelete="CASCADE"), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("started_at", sa.DateTime, nullable=False),
        sa.Column("duration_ms", sa.Integer, nullable=False),
        sa.Column("waited_ms", sa.Integer, nullable=False),
        *usage_columns(),
        sa.Column("status_code", sa.Integer),
        sa.Column("error_kind", sa.Text),
        sa.Column("error_message", sa.Text),
        sa.UniqueConstraint("prompt_id", "number", name="uq_attempts_prompt_id_number"),
    )


def usage_columns() -> list[sa.Column[int]]:
    return [
        sa.Column("input_tokens", sa.Integer),
        sa.Column("output_tokens", sa.Integer),
        sa.Column("cached_tokens", sa.Integer),
        sa.Column("reasoning_tokens", sa.Integer),
        sa.Column("cost_microusd", sa.BigInteger),
    ]


def create_search() -> None:
    """Skip the index where this SQLite has no FTS5: searching then reads the rows themselves."""
    connection = op.get_bind()
    if not connection.exec_driver_sql("SELECT sqlite_compileoption_used('ENABLE_FTS5')").scalar():
        return
    for statement in (FOLDS_TABLE, fold_rows(), PROMPT_TEXTS, PROMPT_SEARCH_TEXT, SEARCH_TABLE, *triggers()):
        connection.exec_driver_sql(statement.strip())


def fold_rows() -> str:
    rows = (f"({step}, char({ord(letter)}), '{plain}')" for step, (letter, plain) in enumerate(REPLACEMENTS.items(), 1))
    return f"INSERT INTO prompt_search_folds (step, letter, plain) VALUES {', '.join(rows)}"  # noqa: S608


def triggers() -> list[str]:
    changed = "UPDATE OF status, prompt, variant, label, reason, tags, inputs, messages ON prompt_requests"
    return [
        request_trigger("added", "AFTER INSERT ON prompt_requests", "new", ADD),
        request_trigger("changing", f"BEFORE {changed}", "old", DROP),
        request_trigger("changed", f"AFTER {changed}", "new", ADD),
        request_trigger("removing", "BEFORE DELETE ON prompt_requests", "old", DROP),
        response_trigger("adding", "BEFORE INSERT", "new", DROP),
        response_trigger("added", "AFTER INSERT", "new", ADD),
        response_trigger("changing", "BEFORE UPDATE", "old", DROP),
        response_trigger("changed", "AFTER UPDATE", "new", ADD),
        response_trigger("removing", "BEFORE DELETE", "old", DROP),
        response_trigger("removed", "AFTER DELETE", "old", ADD),
    ]


def request_trigger(name: str, event: str, row: str, action: str) -> str:
    head = f"CREATE TRIGGER prompt_search_request_{name} {event}\nWHEN {ENDED.format(row=row)}"
    return f"{head}\nBEGIN\n  {action}\n  {TEXT_OF_REQUEST.format(row=row)};\nEND"


def response_trigger(name: str, event: str, row: str, action: str) -> str:
    head = f"CREATE TRIGGER prompt_search_response_{name} {event} ON prompt_responses"
    return f"{head}\nBEGIN\n  {action}\n  {TEXT_OF_RESPONSE.format(row=row)};\nEND"
