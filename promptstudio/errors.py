"""Every error a user can meet, its exit code, and the places it points at.

    PromptStudioError                 4  our bug, unless a subclass says otherwise
    ├── CheckFailed                   1  the answer is no: a gate missed, lint found errors
    ├── UserError                     2  a file, a flag or the configuration
    │   ├── UsageError                   a flag or an argument
    │   ├── ConfigError                  promptstudio.toml or a PROMPTSTUDIO_* variable
    │   ├── PromptFileError              a prompt, a partial or an example file
    │   ├── SuiteFileError               an evaluation suite
    │   ├── LockFileError                promptstudio.lock
    │   ├── InputsError                  values given for a prompt's inputs
    │   ├── NotFoundError                a name that does not exist (nearest names in the hint)
    │   ├── HistoryError                 the history cannot be opened, read or written
    │   ├── ToolError                    a git or another program we need said no
    │   └── MissingExtraError            an optional dependency is not installed
    ├── ProviderError                 3  the provider, or the way to it
    │   ├── AuthenticationError          no key, a wrong key, a key without the right
    │   ├── QuotaError                   the account has no money or budget left
    │   ├── RateLimitError               429, and retries did not help
    │   ├── ProviderTimeoutError         no answer within `retry.timeout`
    │   ├── ProviderConnectionError      no connection, or it broke
    │   ├── ServerError                  5xx
    │   ├── BadRequestError              the provider refused the request as malformed
    │   ├── ModelNotFoundError           the provider does not know the model
    │   ├── ContextWindowError           more tokens than the model takes
    │   ├── ContentPolicyError           refused by a content filter
    │   ├── BadAnswerError               truncated, malformed or empty answer
    │   └── OutputValidationError        an answer that never fitted the output schema
    ├── NothingSelected               5  no case matched, nothing asserted
    ├── Inconclusive                  6  where the gate asks for it
    └── Interrupted                 130  Ctrl-C

A class adds two facts, `exit_code` and `kind` (the word in `--json`); text and exit code are made from them in one
place, `promptstudio.cli.failure`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar


class Problem:
    """One thing that is wrong: the fact, where it is, and what to do about it."""

    __slots__ = ("column", "file", "hint", "line", "message")

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        column: int | None = None,
        hint: str | None = None,
    ) -> None:
        self.message = message
        self.file = file
        self.line = line
        self.column = column
        self.hint = hint

    @property
    def place(self) -> str:
        """`file:line:column`, as far as it is known; lines and columns count from 1."""
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message

    def __repr__(self) -> str:
        return f"Problem({str(self)!r}, hint={self.hint!r})"


class PromptStudioError(Exception):
    """The base of all of ours. `problems` holds one or more facts; the first one is the headline."""

    exit_code: ClassVar[int] = 4
    kind: ClassVar[str] = "bug"

    def __init__(
        self,
        message: str | Problem | Iterable[Problem],
        *,
        hint: str | None = None,
        file: str | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        if isinstance(message, str):
            problems = [Problem(message, file=file, line=line, column=column, hint=hint)]
        elif isinstance(message, Problem):
            problems = [message]
        else:
            problems = list(message)
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    @property
    def message(self) -> str:
        """All facts, one a line, each with its place."""
        return "\n".join(str(problem) for problem in self.problems)

    @property
    def hint(self) -> str | None:
        """The first action any of the problems proposes."""
        return next((problem.hint for problem in self.problems if problem.hint), None)


class CheckFailed(PromptStudioError):
    exit_code, kind = 1, "check_failed"


class UserError(PromptStudioError):
    exit_code, kind = 2, "user"


class UsageError(UserError):
    kind = "usage"


class ConfigError(UserError):
    kind = "config"


class PromptFileError(UserError):
    kind = "prompt_file"


class SuiteFileError(UserError):
    kind = "suite_file"


class LockFileError(UserError):
    kind = "lock_file"


class InputsError(UserError):
    kind = "inputs"


class NotFoundError(UserError):
    kind = "not_found"


class HistoryError(UserError):
    kind = "history"


class ToolError(UserError):
    kind = "tool"


class MissingExtraError(UserError):
    kind = "missing_extra"


class ProviderError(PromptStudioError):
    """`status_code` is the HTTP status where there was one; `retry_after_s` what the provider asked us to wait."""

    exit_code, kind = 3, "provider"
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str | Problem | Iterable[Problem],
        *,
        hint: str | None = None,
        file: str | None = None,
        line: int | None = None,
        column: int | None = None,
        status_code: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint, file=file, line=line, column=column)
        self.status_code = status_code
        self.retry_after_s = retry_after_s


class AuthenticationError(ProviderError):
    kind = "authentication"


class QuotaError(ProviderError):
    kind = "quota"


class RateLimitError(ProviderError):
    kind = "rate_limit"
    retryable = True


class ProviderTimeoutError(ProviderError):
    kind = "timeout"
    retryable = True


class ProviderConnectionError(ProviderError):
    kind = "connection"
    retryable = True


class ServerError(ProviderError):
    kind = "server"
    retryable = True


class BadRequestError(ProviderError):
    kind = "bad_request"


class ModelNotFoundError(ProviderError):
    kind = "model_not_found"


class ContextWindowError(ProviderError):
    kind = "context_window"


class ContentPolicyError(ProviderError):
    kind = "content_policy"


class BadAnswerError(ProviderError):
    kind = "bad_answer"
    retryable = True


class OutputValidationError(ProviderError):
    kind = "output_validation"


class NothingSelected(PromptStudioError):
    exit_code, kind = 5, "nothing_selected"


class Inconclusive(PromptStudioError):
    exit_code, kind = 6, "inconclusive"


class Interrupted(PromptStudioError):
    exit_code, kind = 130, "interrupted"
