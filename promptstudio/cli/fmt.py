"""`ps fmt`: put prompt and suite files into the canonical layout."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from promptstudio.cli.completers import complete_prompts
from promptstudio.cli.context import Context
from promptstudio.cli.failure import error_object
from promptstudio.config import Settings
from promptstudio.errors import NothingSelected, PromptFileError, UsageError, UserError
from promptstudio.prompts.assemble import assemble
from promptstudio.prompts.filewrite import FileCopy, read_copy, write_atomically
from promptstudio.prompts.layout import has_layout, laid_out
from promptstudio.prompts.library import is_record, prompt_paths, yaml_paths
from promptstudio.prompts.load import find_file, parse_address, place_of, shown_path_of
from promptstudio.prompts.prompt import Identity
from promptstudio.prompts.textfile import MAX_BYTES, decode_text
from promptstudio.prompts.wording import shown
from promptstudio.prompts.yamlfile import read_yaml

STDIN = "<stdin>"


@dataclass(frozen=True, slots=True)
class Formatted:
    """What became of one file; `after` is None where `error` says why there is none."""

    file: str
    before: str = field(default="", repr=False)
    after: str | None = field(default=None, repr=False)
    error: UserError | None = None
    copy: FileCopy | None = field(default=None, repr=False)

    @property
    def is_changed(self) -> bool:
        return self.after is not None and self.after != self.before


def fmt(
    ctx: typer.Context,
    prompts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PROMPT|PATH]...",
            help="Prompts, files or folders; the whole project without.",
            autocompletion=complete_prompts,
        ),
    ] = None,
    *,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 and name what would change.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Write nothing; print what would change.")] = False,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read a file from standard input, print it laid out.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Lay out prompts and suites: order of keys, indentation, long texts as blocks. Comments stay where they belong.

    No value, no hash and no comment is ever lost: a file where one would be is left as it is and named, exit code 2.
    """
    context: Context = ctx.obj
    if stdin or prompts == ["-"]:
        return _through(context, prompts or [], check=check, diff=diff, as_json=as_json)
    settings = context.settings() if prompts else context.project_settings()
    paths = _chosen(prompts or [], settings)
    if not paths:
        raise NothingSelected("there is no prompt and no suite to lay out")
    done = [formatted(path, settings) for path in paths]
    if not (check or diff):
        done = [_written(one) for one in done]
    _report(context, done, check=check, diff=diff, as_json=as_json)
    if any(one.error for one in done):
        return UserError.exit_code
    return 1 if check and any(one.is_changed for one in done) else 0


def _chosen(words: Sequence[str], settings: Settings) -> list[Path]:
    """Return the files that are meant, each once."""
    if not words:
        suites = _below(settings.evals_dir) if settings.evals_dir and settings.evals_dir.is_dir() else []
        return [*prompt_paths(settings), *suites]
    return list(dict.fromkeys(path for word in words for path in _paths(word, settings)))


def _paths(word: str, settings: Settings) -> Iterator[Path]:
    path = Path(word).expanduser()
    if path.is_dir() and "\0" not in word:
        yield from _below(path)
        return
    address = parse_address(word)
    if address.variant is not None or address.revision is not None:
        hint = "name the prompt or its file alone; a whole file is laid out"
        raise UsageError(f"{shown(word)} is not a file of the working tree", hint=hint)
    yield find_file(address, settings, Path.cwd())


def _below(folder: Path) -> list[Path]:
    """Return the prompts and suites below a folder; other YAML there belongs to somebody else."""
    return [path for path in sorted(yaml_paths(folder)) if _may_be_ours(path) and not is_record(path)]


def _may_be_ours(path: Path) -> bool:
    try:
        return has_layout(read_copy(path).text)
    except UserError:
        return True  # it is told when its turn comes


def formatted(path: Path, settings: Settings) -> Formatted:
    """Lay out a file; nothing is written."""
    file = shown_path_of(path, settings, Path.cwd())
    try:
        copy = read_copy(path, shown=file)
        after = _in_layout(copy.text, file)
        if after != copy.text and _identity(copy.text, path, settings) != _identity(after, path, settings):
            raise PromptFileError("its hashes would not be the same in the canonical layout", file=file)
    except UserError as error:
        return Formatted(file, error=error)
    return Formatted(file, copy.text, after, copy=copy)


def _in_layout(text: str, file: str) -> str:
    """Lay out a prompt or a suite. Raises for anything else: one wrong name must not rewrite a stranger's file."""
    if not has_layout(text, file=file):
        hint = "a prompt has the key `prompt` or `messages`, a suite the key `cases`"
        raise PromptFileError("this is neither a prompt nor a suite", file=file, hint=hint)
    return laid_out(text, file=file)


def _identity(text: str, path: Path, settings: Settings) -> Identity | None:
    """Return the hashes of a prompt; None for what is no prompt that loads."""
    place = place_of(path, settings)
    try:
        return assemble(read_yaml(text, file=place.shown), place, settings, None).identity
    except UserError:
        return None  # a suite, or a prompt that lint has more to say about


def _written(one: Formatted) -> Formatted:
    if not one.is_changed or one.copy is None or one.after is None:
        return one
    try:
        write_atomically(one.copy.path, one.after, was=one.copy.data, shown=one.file)
    except UserError as error:
        return Formatted(one.file, error=error)
    return one


def _through(context: Context, words: Sequence[str], *, check: bool, diff: bool, as_json: bool) -> int:
    """Lay out standard input."""
    if [word for word in words if word != "-"] or as_json:
        raise UsageError("--stdin takes no names and no --json", hint="--stdin < FILE")
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("nothing is piped in", hint="--stdin < FILE")
    text = decode_text(sys.stdin.buffer.read(MAX_BYTES + 1), file=STDIN)
    one = Formatted(STDIN, text, _in_layout(text, STDIN))
    if diff:
        context.output.write("".join(_diff_lines(one)))
    elif not check:
        context.output.write(one.after or "")
    return 1 if check and one.is_changed else 0


def _report(context: Context, done: Sequence[Formatted], *, check: bool, diff: bool, as_json: bool) -> None:
    dry = check or diff
    if as_json:
        context.output.json(_object(done, diff=diff, dry=dry))
        return
    for one in done:
        if one.error is not None:
            for problem in one.error.problems:
                context.output.labeled("error", str(problem), "red")
            if one.error.hint:
                context.output.labeled("hint", one.error.hint, "green")
        elif one.is_changed and diff:
            context.output.write("".join(_diff_lines(one)))
        elif one.is_changed:
            context.output.line(f"{'would change' if dry else 'changed'} {one.file}")
    context.output.note(_summary(done, dry=dry))


def _summary(done: Sequence[Formatted], *, dry: bool) -> str:
    changed, failed = sum(one.is_changed for one in done), sum(one.error is not None for one in done)
    same = len(done) - changed - failed
    parts = [
        f"{changed} {'would change' if dry else 'changed'}" if changed else "",
        f"{failed} left alone" if failed else "",
    ]
    said = ", ".join(part for part in [*parts, f"{same} already in layout" if same else ""] if part)
    return f"{len(done)} file{'' if len(done) == 1 else 's'}: {said}"


def _diff_lines(one: Formatted) -> Iterator[str]:
    before, after = one.before.splitlines(keepends=True), (one.after or "").splitlines(keepends=True)
    for line in difflib.unified_diff(before, after, f"a/{one.file}", f"b/{one.file}"):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _object(done: Sequence[Formatted], *, diff: bool, dry: bool) -> dict[str, Any]:
    files = []
    for one in done:
        outcome: Literal["error", "would change", "changed", "same"] = "same"
        if one.error is not None:
            outcome = "error"
        elif one.is_changed:
            outcome = "would change" if dry else "changed"
        entry: dict[str, Any] = {"file": one.file, "outcome": outcome}
        entry |= error_object(one.error) if one.error is not None else {}
        entry |= {"diff": "".join(_diff_lines(one))} if diff and one.is_changed else {}
        files.append(entry)
    return {"changed": sum(one.is_changed for one in done), "files": files}
