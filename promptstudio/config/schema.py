"""The keys of promptstudio.toml, one a row. Checks, variables, docs and the JSON Schema are made from this table."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

Kind = Literal[
    "string", "boolean", "integer", "number", "folder", "url", "database", "variable", "header", "parameter", "tool",
    "judge", "age", "any",
]  # fmt: skip
Path_ = tuple[str, ...]


class Key(NamedTuple):
    """One key. `*` in `name` stands for a name the user chooses; `minimum` is inclusive, `above` exclusive."""

    name: str
    kind: Kind
    default: Any
    help: str
    minimum: float | None = None
    above: float | None = None
    own_variable: str | None = None

    @property
    def path(self) -> Path_:
        return tuple(self.name.split("."))

    @property
    def variable(self) -> str | None:
        """The environment variable that sets this key; only plain values with a fixed name have one,
        and [project], which says what lies where, has none."""
        if "*" in self.name or self.kind not in SCALARS or self.path[0] == "project":
            return None
        return self.own_variable or "PROMPTSTUDIO_" + self.name.replace(".", "_").upper()


SCALARS = frozenset({"string", "boolean", "integer", "number", "database", "age"})
ENV_VARIABLE = "PROMPTSTUDIO_ENV"

# One row: dotted name, kind, default, help.
KEYS: tuple[Key, ...] = (
    Key("project.name", "string", None, "Name of the project; the folder's name when absent."),
    Key("project.prompts", "folder", "prompts", "Folder of the prompt files, inside the project."),
    Key("project.evals", "folder", "evals", "Folder of the evaluation suites, inside the project."),
    Key(
        "project.dotenv",
        "boolean",
        default=False,
        help="Look for provider keys in the .env file beside promptstudio.toml too.",
    ),
    Key("run.model", "string", "offline/echo", "Model for prompts that name none."),
    Key("run.profile", "string", None, "Profile for prompts that name none."),
    Key("run.timeout", "number", None, "Seconds for one attempt, for prompts that do not say.", above=0),
    Key(
        "run.warm",
        "number",
        None,
        "Seconds that a process waits for the next run with everything loaded; 0 is none.",
        minimum=0,
        own_variable="PROMPTSTUDIO_WARM",
    ),
    Key("run.record", "string", None, "Folder to record the requests and answers of runs to, as cassettes."),
    Key("run.replay", "string", None, "Folder of cassettes that answer runs; nothing is sent."),
    Key("profiles.*.*", "parameter", None, "A named set of parameters: temperature, top_p, seed, max_tokens, …"),
    Key("providers.*.api_base", "url", None, "Where the provider answers, with http:// or https://."),
    Key("providers.*.api_key_env", "variable", None, "Name of the environment variable that holds the key."),
    Key("providers.*.headers.*", "header", None, 'An extra header: text, or {env = "VARIABLE"} for a secret.'),
    Key("history.url", "database", None, "Database of the history: a file, sqlite:/// or another SQLAlchemy URL."),
    Key(
        "history.redact", "boolean", default=True, help="Replace text that has the shape of a key before it is stored."
    ),
    Key(
        "history.retention_days",
        "integer",
        None,
        "Days a run stays; older ones are deleted when new ones end.",
        minimum=1,
    ),
    Key(
        "eval.concurrency", "integer", None, "Requests at once for each account; unset: as many as it takes.", minimum=1
    ),
    Key(
        "eval.embedder",
        "string",
        "offline/ngrams-v1",
        "Model that embeds for `similar`, such as openai/text-embedding-3-small; the default sees spelling, offline.",
    ),
    Key("eval.judge", "judge", None, "Model that judges, a table with model and parameters, or a list: a panel."),
    Key(
        "eval.judge_concurrency",
        "integer",
        None,
        "Requests at once for each judge; unset: as many as it takes.",
        minimum=1,
    ),
    Key("eval.record", "string", None, "Folder to record the requests and answers of evaluations to, as cassettes."),
    Key("eval.replay", "string", None, "Folder of cassettes that answer evaluations; nothing is sent."),
    Key("cache.enabled", "boolean", None, "Whether answers come from the cache; unset: in `ps eval`, not in `ps run`."),
    Key("cache.ttl", "age", "30d", "How long a cached answer is good for: 12h, 30d, 4w, or never to let none expire."),
    Key("cache.max_size_mb", "integer", 512, "Megabytes of answers; what was not used for longest goes.", minimum=1),
    Key("budget.*", "any", None, "Limits on spending. Read, and not used by this version."),
    Key("tools.*", "tool", None, "A tool a prompt may name, as module:function from this repository."),
)

# Overlays chosen by PROMPTSTUDIO_ENV may set all of these; what the project is and where its files lie does not vary.
OVERLAY_SECTIONS = ("run", "profiles", "providers", "history", "eval", "cache", "budget", "tools")


def key_for(path: Path_) -> Key | None:
    """Return the row that a key path falls under; None for a table on the way to one, or an unknown key."""
    return next((key for key in KEYS if _matches(key.path, path)), None)


def names_below(path: Path_) -> tuple[str, ...] | None:
    """Return the fixed names a table may hold, empty where the user chooses them; None if there is no such table."""
    rows = [key.path for key in KEYS if len(key.path) > len(path) and _matches(key.path[: len(path)], path)]
    if not rows:
        return None
    names = dict.fromkeys(row[len(path)] for row in rows)
    return tuple(name for name in names if name != "*")


def variables() -> dict[str, Key]:
    """Return each PROMPTSTUDIO_* variable with the key it sets."""
    return {key.variable: key for key in KEYS if key.variable}


def _matches(pattern: Path_, path: Path_) -> bool:
    return len(pattern) == len(path) and all(want in ("*", have) for want, have in zip(pattern, path, strict=True))
