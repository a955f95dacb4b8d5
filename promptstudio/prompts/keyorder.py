"""The order in which our files list their keys: docs/prompt-file.md writes it out, `ps fmt` puts it in place.

Literals, so that nobody who edits a file needs Pydantic; a test compares them with the models.
"""

from __future__ import annotations

PROMPT_KEYS = (
    *("schema_version", "name", "description", "version", "type", "tags", "metadata"),
    *("model", "parameters", "profile", "fallbacks", "retry"),
    *("inputs", "output", "system", "prompt", "messages", "examples", "tools", "variants", "tests", "evals"),
)
SUITE_KEYS = (
    *("schema_version", "name", "description", "tags", "metadata", "prompt", "prompts", "models", "repeats"),
    *("cases", "assert", "metrics", "threshold", "compat", "judge", "gate"),
)
# Maps further down whose keys have an order too; `*` is any item of a list.
NESTED_KEYS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("messages", "*"): ("role", "placeholder", "content"),
    ("output",): ("name", "fields", "schema", "model", "max_retries", "mode"),
    ("retry",): ("max_attempts", "timeout"),
    ("examples", "*"): ("inputs", "output"),
    ("judge",): ("model", "parameters"),
}
