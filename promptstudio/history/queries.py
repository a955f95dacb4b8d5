"""All SQL that reads and removes rows, in the words SQLite and PostgreSQL share; parameters are `:named`.

`"user"` and `"commit"` are quoted because they are key words. Values never become part of a statement.
"""

from __future__ import annotations

from typing import Any, Final

from promptstudio.history.schema import Filters

Parameters = dict[str, Any]

REQUEST_COLUMNS: Final = (
    *("id", "created_at", "status", "prompt", "variant", "version", "prompt_type", "behavior", "interface", "commit"),
    *("dirty", "model", "user", "reason", "session_id", "eval_run_id", "label", "profile", "tags", "owner"),
    *("parameters", "overrides", "inputs", "messages"),
)
_NAMES: Final = ", ".join('"' + name + '"' for name in REQUEST_COLUMNS)
_VALUES: Final = ", ".join(":" + name for name in REQUEST_COLUMNS)
INSERT_REQUEST: Final = f"INSERT INTO prompt_requests ({_NAMES}) VALUES ({_VALUES})"  # noqa: S608

# What a list shows; `history.decode` reads the columns in this order.
LIST_COLUMNS: Final = """
  r.seq, r.id, r.created_at, r.prompt, r.model, r.status, r."user", r.behavior, r.interface, r.prompt_type, r.variant,
  r.version, r.reason, r."commit", r.dirty, r.profile, r.label, r.tags, r.session_id, r.eval_run_id,
  p.finish_reason, p.resolved_model, p.input_tokens, p.output_tokens, p.cached_tokens, p.reasoning_tokens,
  p.cost_microusd, p.duration_ms, p.first_token_ms, p.cached, p.error_kind, p.error_message,
  p.created_at AS finished_at, substr(p.response_text, 1, 200) AS excerpt"""
JOINED: Final = "prompt_requests AS r LEFT JOIN prompt_responses AS p ON p.prompt_id = r.id"

DETAIL: Final = """
SELECT r.parameters, r.overrides, r.inputs, r.messages, p.response_text, p.output, p.reasoning, p.tool_calls,
       p.provider_response_id, p.system_fingerprint, r.owner
  FROM prompt_requests AS r LEFT JOIN prompt_responses AS p ON p.prompt_id = r.id WHERE r.id = :id"""
ATTEMPTS: Final = """
SELECT number, model, reason, started_at, duration_ms, input_tokens, output_tokens, cached_tokens, reasoning_tokens,
       cost_microusd, status_code, error_kind, error_message, waited_ms
  FROM attempts WHERE prompt_id = :id ORDER BY number"""

# The index over the status holds what is not completed, and is used where a query says so in these words.
_NOT_COMPLETED: Final = "status <> 'completed'"
OPEN_ROWS: Final = (
    f"SELECT id, owner, created_at FROM prompt_requests WHERE status IN ('pending', 'running') AND {_NOT_COMPLETED}"  # noqa: S608
)
INTERRUPT: Final = (
    "UPDATE prompt_requests SET status = 'interrupted' WHERE id = :id AND status IN ('pending', 'running')"
)
START: Final = "UPDATE prompt_requests SET status = 'running' WHERE id = :id AND status = 'pending'"
REMOVE: Final = "DELETE FROM prompt_requests WHERE id = :id"
NEWEST_ID: Final = "SELECT id FROM prompt_requests ORDER BY created_at DESC, seq DESC LIMIT 1"
IDS_BETWEEN: Final = "SELECT id FROM prompt_requests WHERE id >= :low AND id < :high ORDER BY id LIMIT :limit"
NEWEST_BUT: Final = (
    "SELECT created_at, seq FROM prompt_requests ORDER BY created_at DESC, seq DESC LIMIT 1 OFFSET :keep"
)
PLACE_OF_ROW: Final = "SELECT created_at, seq FROM prompt_requests WHERE id = :id"
ALL_TABLES: Final = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
COUNT_ALL: Final = "SELECT count(*) FROM prompt_requests"
COUNT_OPEN: Final = f"SELECT count(*) FROM prompt_requests WHERE status IN ('pending', 'running') AND {_NOT_COMPLETED}"  # noqa: S608

SCANNED_ROWS: Final = 100_000
"""How many of the newest rows a search without the full-text index reads."""

TEXT_COLUMNS: Final = (
    *("r.prompt", "r.variant", "r.label", "r.reason", "r.tags", "r.inputs", "r.messages"),
    *("p.response_text", "p.output", "p.error_message"),
)


def one_row() -> str:
    return f"SELECT {LIST_COLUMNS} FROM {JOINED} WHERE r.id = :id"  # noqa: S608


def newest_rows(filters: Filters, limit: int, before: tuple[Any, int] | None = None) -> tuple[str, Parameters]:
    """The newest rows that pass; `before` is the place (time, seq) after which a further page begins."""
    clauses, parameters = conditions(filters)
    if before:
        clauses.append("(r.created_at, r.seq) < (:before_time, :before_seq)")
        parameters |= {"before_time": before[0], "before_seq": before[1]}
    sql = f"SELECT {LIST_COLUMNS} FROM {JOINED}{where(clauses)} ORDER BY r.created_at DESC, r.seq DESC LIMIT :limit"  # noqa: S608
    return sql, {**parameters, "limit": limit}


def counted(filters: Filters) -> tuple[str, Parameters]:
    clauses, parameters = conditions(filters)
    return f"SELECT count(*) FROM prompt_requests AS r{where(clauses)}", parameters  # noqa: S608


def indexed_search(match: str, scanned: list[str], filters: Filters, limit: int) -> tuple[str, Parameters]:
    """Rows the full-text index finds, newest first; `scanned` are words it cannot hold."""
    clauses, parameters = conditions(filters)
    more, more_parameters = containing(scanned)
    sql = (
        f"SELECT {LIST_COLUMNS} FROM prompt_search AS s CROSS JOIN prompt_requests AS r ON r.seq = s.rowid"  # noqa: S608
        f" LEFT JOIN prompt_responses AS p ON p.prompt_id = r.id"
        f"{where(['s.prompt_search MATCH :match', *clauses, *more])} ORDER BY s.rowid DESC LIMIT :limit"
    )
    return sql, {**parameters, **more_parameters, "match": match, "limit": limit}


def scanning_search(scanned: list[str], filters: Filters, limit: int) -> tuple[str, Parameters]:
    """Rows among the newest `SCANNED_ROWS` whose text holds all the words, newest first."""
    clauses, parameters = conditions(filters)
    more, more_parameters = containing(scanned)
    floor = "r.seq > (SELECT coalesce(max(seq), 0) FROM prompt_requests) - :scanned_rows"
    sql = f"SELECT {LIST_COLUMNS} FROM {JOINED}{where([floor, *clauses, *more])} ORDER BY r.seq DESC LIMIT :limit"  # noqa: S608
    return sql, {**parameters, **more_parameters, "scanned_rows": SCANNED_ROWS, "limit": limit}


def doomed(before: Any, newest: tuple[Any, ...] | None) -> tuple[str, Parameters]:
    """Ended rows to prune: older than `before`, at or behind the place (time, seq) `newest`, or both."""
    clauses, parameters = ["r.status NOT IN ('pending', 'running')"], {}
    if before is not None:
        clauses.append("r.created_at < :before")
        parameters["before"] = before
    if newest is not None:
        clauses.append("(r.created_at, r.seq) <= (:newest_time, :newest_seq)")
        parameters |= {"newest_time": newest[0], "newest_seq": newest[1]}
    return f"FROM prompt_requests AS r{where(clauses)}", parameters


def extent_of(rows: str) -> str:
    return f"SELECT count(*), min(r.created_at), max(r.created_at) {rows}"


def first_ids(rows: str) -> str:
    return f"SELECT r.id {rows} ORDER BY r.created_at, r.seq LIMIT :limit"


def conditions(filters: Filters) -> tuple[list[str], Parameters]:
    clauses: list[str] = []
    parameters: Parameters = {}
    for name in ("variant", "model", "status", "user", "session_id", "eval_run_id"):
        if (value := getattr(filters, name)) is not None:
            clauses.append(f'r."{name}" = :{name}')
            parameters[name] = value
    if filters.status not in (None, "completed"):
        clauses.append(f"r.{_NOT_COMPLETED}")
    if filters.prompt is not None:
        _add_prompt(filters.prompt, clauses, parameters)
    if filters.since is not None:
        clauses.append("r.created_at >= :since")
        parameters["since"] = filters.since
    if filters.until is not None:
        clauses.append("r.created_at < :until")
        parameters["until"] = filters.until
    if filters.tag is not None:
        # Tags are a JSON list of strings; unlike LIKE, replace() minds the case in every database.
        clauses.append("replace(r.tags, :tag, '') <> r.tags")
        parameters["tag"] = _json_string(filters.tag)
    return clauses, parameters


def _add_prompt(prompt: str, clauses: list[str], parameters: Parameters) -> None:
    if prompt.endswith("*"):
        clauses.append("r.prompt >= :prompt AND r.prompt < :prompt_end")
        parameters |= {"prompt": prompt[:-1], "prompt_end": prompt[:-1] + "\U0010ffff"}
    else:
        clauses.append("r.prompt = :prompt")
        parameters["prompt"] = prompt


def _json_string(text: str) -> str:
    import json  # a list without a tag filter does not need it here

    return json.dumps(text, ensure_ascii=False)


def containing(words: list[str]) -> tuple[list[str], Parameters]:
    """Clauses for words that must stand somewhere in a row's text, whatever their case."""
    clauses, parameters = [], {}
    for number, word in enumerate(words):
        name = f"word{number}"
        clauses.append("(" + " OR ".join(f"lower({column}) LIKE :{name} ESCAPE '!'" for column in TEXT_COLUMNS) + ")")
        parameters[name] = like_pattern(word)
    return clauses, parameters


def like_pattern(word: str) -> str:
    """Return the LIKE pattern (escape character `!`) of a word standing anywhere, in lower case."""
    for special in "!%_":
        word = word.replace(special, "!" + special)
    return f"%{word.lower()}%"


def where(clauses: list[str]) -> str:
    return f" WHERE {' AND '.join(clauses)}" if clauses else ""
