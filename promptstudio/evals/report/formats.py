"""The formats of reports, as one table; a name outside of it is looked up among the installed entry points.

A format's module is imported when it is used, and entry points are asked for only at that moment.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import NamedTuple, cast

from promptstudio.errors import NotFoundError, UserError
from promptstudio.evals.report.schema import Reporter
from promptstudio.prompts.wording import shown, suggestion

GROUP = "promptstudio.reporters"


class Row(NamedTuple):
    """A format: its name, `module:function` of its reporter, the ends of file names it goes by, and what it is for.

    Without a suffix it is printed line by line and has no file.
    """

    name: str
    target: str
    suffixes: tuple[str, ...]
    title: str


FORMATS: tuple[Row, ...] = (
    Row("html", "promptstudio.evals.report.html:write", (".html", ".htm"), "one page to look at and to send around"),
    Row("markdown", "promptstudio.evals.report.markdown:write", (".md", ".markdown"), "a summary for a pull request"),
    Row("junit", "promptstudio.evals.report.junit:write", (".xml",), "JUnit XML for GitLab, Jenkins and others"),
    Row("json", "promptstudio.evals.report.json:write", (".json",), "everything, as one object"),
    Row("jsonl", "promptstudio.evals.report.jsonl:write", (".jsonl", ".ndjson"), "one line a case, then one a run"),
    Row("csv", "promptstudio.evals.report.csv:write", (".csv",), "one row a case, for a spreadsheet"),
    Row("github", "promptstudio.evals.report.github:write", (), "annotations on lines, for GitHub Actions"),
    Row(
        "deepeval",
        "promptstudio.evals.report.deepeval:write",
        (".deepeval.json",),
        "goldens and test cases for DeepEval",
    ),
    Row("ragas", "promptstudio.evals.report.ragas:write", (".ragas.jsonl",), "samples for RAGAS"),
    Row("pandas", "promptstudio.evals.report.pandas:write", (".pandas.jsonl",), "flat rows for pandas and others"),
    Row("parquet", "promptstudio.evals.report.parquet:write", (".parquet",), "flat rows as Parquet"),
)


def row_of(name: str) -> Row | None:
    return next((row for row in FORMATS if row.name == name), None)


def format_of_suffix(suffix: str) -> str | None:
    """Return the format a file name ends in."""
    return next((row.name for row in FORMATS if suffix.lower() in row.suffixes), None)


def format_of_file(path: Path) -> str | None:
    """Return the format a file name says by its last two suffixes, or its last one."""
    return format_of_suffix("".join(path.suffixes[-2:])) or format_of_suffix(path.suffix)


def others() -> list[str]:
    """Return the names of the formats other packages bring."""
    from importlib.metadata import entry_points  # 30 ms, and only for names that are not ours

    return sorted(entry_points(group=GROUP).names)


def reporter_for(name: str) -> Reporter:
    """Return the reporter of a format. Raises NotFoundError with the nearest name."""
    row = row_of(name)
    if row is not None:
        module, _, attribute = row.target.partition(":")
        return cast("Reporter", getattr(import_module(module), attribute))
    from importlib.metadata import entry_points  # as above

    entries = entry_points(group=GROUP)
    if name not in entries.names:
        known = [*(row.name for row in FORMATS), *sorted(entries.names)]
        raise NotFoundError(
            f"there is no report format {shown(name)}", hint=suggestion(name, known, otherwise="the formats are")
        )
    try:
        return cast("Reporter", entries[name].load())
    except Exception as cause:  # somebody else's module may raise anything when it is imported
        raise UserError(f"the report format {shown(name)} of another package does not load: {cause}") from cause
