"""`--report` as it was written, and the environment → what to write where. Raises UsageError before anything runs."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from promptstudio.errors import Problem, UsageError
from promptstudio.evals.report.formats import FORMATS, format_of_file, format_of_suffix, others, row_of
from promptstudio.evals.report.schema import ReportRequest
from promptstudio.prompts.wording import nearest, shown

MAX_SUMMARY_BYTES = 1 << 20
"""What GitHub takes as the summary of a step; of a larger one it shows nothing at all."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def report_requests(texts: Sequence[str], env: Mapping[str, str]) -> tuple[ReportRequest, ...]:
    """Read `FORMAT`, `FORMAT:FILE` and `FILE.ext`, and add what GitHub Actions shows by itself.

    Raises UsageError with all that is wrong: an unknown format or suffix, a file that cannot be written.
    """
    problems: list[Problem] = []
    requests: list[ReportRequest] = []
    for text in texts:
        try:
            requests.append(_placed(_request(text), env))
        except UsageError as error:
            problems += error.problems
    problems += _same_file_twice(requests)
    if problems:
        raise UsageError(problems)
    return (*requests, *_by_themselves(requests, env))


def _request(text: str) -> ReportRequest:
    if not text.strip() or "\0" in text:
        raise UsageError(f"--report {shown(text)} names no format", hint=_formats())
    name, colon, file = text.partition(":")
    if row_of(text) is not None:
        return ReportRequest(text, None, text)
    if colon and _NAME.fullmatch(name):
        if row_of(name) is None and name not in others():
            raise _unknown(name, text)
        if not file:
            raise UsageError(f"--report {shown(text)}: the file is missing", hint=f"--report {name}:FILE")
        return ReportRequest(name, Path(file).expanduser(), text)
    path = Path(text).expanduser()
    if (found := format_of_file(path)) is not None:
        return ReportRequest(found, path, text)
    if text in others():
        raise UsageError(f"--report {shown(text)}: the file is missing", hint=f"--report {text}:FILE")
    raise _unknown(text, text)


def _unknown(name: str, text: str) -> UsageError:
    suffix = Path(name).suffix
    if suffix and format_of_suffix(suffix) is None and text == name:
        ends = [end for row in FORMATS for end in row.suffixes]
        close = nearest(suffix.lstrip("."), [end.lstrip(".") for end in ends])
        meant = f"did you mean {shown(f'{name.removesuffix(suffix)}.{close}')}? Or " if close else ""
        hint = f"{meant}say FORMAT:FILE; {_formats()}"
        return UsageError(f"--report {shown(text)}: no format has files that end in {shown(suffix)}", hint=hint)
    names = [*(row.name for row in FORMATS), *others()]
    near = nearest(name, names)
    return UsageError(
        f"--report {shown(text)}: there is no format {shown(name)}",
        hint=f"did you mean {near!r}?" if near else _formats(),
    )


def _formats() -> str:
    return f"the formats are {', '.join(row.name for row in FORMATS)}"


def _placed(request: ReportRequest, env: Mapping[str, str]) -> ReportRequest:
    """Give a request the file it has by default, and look whether it can be written."""
    row = row_of(request.format)
    if row is not None and not row.suffixes:
        if request.path is not None:
            raise UsageError(
                f"--report {shown(request.asked)}: {request.format} is printed and has no file",
                hint=f"--report {request.format}",
            )
        return replace(request, workspace=_workspace(env))
    if request.path is None and request.format == "markdown" and env.get("GITHUB_STEP_SUMMARY"):
        return _summary(request.asked, env)
    if request.path is None and row is not None:
        request = replace(request, path=Path(f"report{row.suffixes[0]}"))
    if (reason := _why_not(request.path)) is not None:
        raise UsageError(f"--report {shown(request.asked)}: {reason}", hint="name another file")
    return request


def _why_not(path: Path | None) -> str | None:
    """Return why a file cannot be written, as far as that is known before it is."""
    if path is None:
        return None
    try:
        if path.is_dir():
            return f"{path} is a folder"
        if path.exists():
            return None if os.access(path, os.W_OK) else f"{path} is read-only"
        folder = next(each for each in (path.parent, *path.parent.parents) if each.exists())
        if not folder.is_dir():
            return f"{folder} is no folder"
        return None if os.access(folder, os.W_OK | os.X_OK) else f"{folder} may not be written to"
    except OSError as error:
        return f"{error.strerror}"


def _same_file_twice(requests: Sequence[ReportRequest]) -> list[Problem]:
    problems, seen = [], set()
    for request in requests:
        if request.path is None or request.is_shared:
            continue
        place = request.path.absolute()
        if place in seen:
            problems.append(Problem(f"--report {shown(request.asked)}: another report goes to the same file"))
        seen.add(place)
    return problems


def _by_themselves(requests: Sequence[ReportRequest], env: Mapping[str, str]) -> list[ReportRequest]:
    """Return what GitHub Actions is given without being asked for it: a summary, and annotations."""
    found = []
    if env.get("GITHUB_STEP_SUMMARY") and not any(request.is_shared for request in requests):
        found.append(_summary("GITHUB_STEP_SUMMARY", env))
    if env.get("GITHUB_ACTIONS") == "true" and not any(request.format == "github" for request in requests):
        found.append(ReportRequest("github", None, "GITHUB_ACTIONS", workspace=_workspace(env)))
    return found


def _summary(asked: str, env: Mapping[str, str]) -> ReportRequest:
    path = Path(env["GITHUB_STEP_SUMMARY"])
    return ReportRequest("markdown", path, asked, is_shared=True, max_bytes=MAX_SUMMARY_BYTES)


def _workspace(env: Mapping[str, str]) -> Path | None:
    return Path(env["GITHUB_WORKSPACE"]) if env.get("GITHUB_WORKSPACE") else None
