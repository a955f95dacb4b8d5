"""A foreign file or folder → the files of ours that come of it, and everything that was lost. Nothing is written here.

Only regular files within limits are read, no link out of the folder is followed, and nothing that is code is ever run:
whatever is left out is a loss with its file. Two results of one name, also only by case or Unicode form, are one loss.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from promptstudio.errors import PromptFileError, UserError
from promptstudio.exchange.datafile import DATA_SUFFIXES, MAX_DATA_BYTES, head_of
from promptstudio.exchange.document import read_document
from promptstudio.exchange.formats import AUTO, importer_for, known_importers
from promptstudio.exchange.schema import AnswerSet, Foreign, Import, Importer, Loss, Made
from promptstudio.prompts.textfile import MAX_BYTES, read_text_file
from promptstudio.prompts.wording import shown

SUFFIXES = (".yaml", ".yml", ".json", ".prompt", ".prompty", *DATA_SUFFIXES)
SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__", "venv", "dist", "build"})
OURS = "/prompt.schema.json", "/suite.schema.json"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a folder is read."""

    files: int = 5_000
    depth: int = 20
    total_bytes: int = 64 << 20


@dataclass(slots=True)
class _Gathered:
    """What has come together so far; `taken` maps the folded name of each result to its source."""

    results: list[tuple[Foreign, str, Import]] = field(default_factory=list)
    made: list[Made] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    answers: list[AnswerSet] = field(default_factory=list)
    used: set[Path] = field(default_factory=set)
    unclaimed: list[tuple[Path, str]] = field(default_factory=list)
    sources: list[tuple[str, str]] = field(default_factory=list)
    taken: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, foreign: Foreign, importer: Importer) -> None:
        result = importer.read(foreign)
        self.results.append((foreign, importer.name, result))
        own = foreign.path.resolve()
        self.used |= {real for path in result.used if (real := path.resolve()) != own}

    def finish(self) -> Import:
        """Put the results together; a file that another names, such as the text of a prompt, is no prompt itself."""
        for foreign, format_name, result in self.results:
            if foreign.path.resolve() in self.used and result.made:
                continue
            self.losses += result.losses
            self.sources.append((foreign.shown, format_name))
            for made in result.made:
                self.place(made)
            self.answers += [
                each for each in result.answers if self.taken[("evals", folded(each.suite))] == each.source
            ]
        unclaimed = tuple(label for file, label in self.unclaimed if file.resolve() not in self.used)
        losses = tuple(sorted(dict.fromkeys(self.losses), key=lambda loss: (loss.file, loss.line or 0)))
        used, sources = tuple(sorted(self.used)), tuple(self.sources)
        return Import(tuple(self.made), losses, used, unclaimed, sources, tuple(self.answers))

    def place(self, made: Made) -> None:
        folder = "evals" if made.kind in ("suite", "data") else "prompts"
        key = (folder, folded(made.name))
        if key in self.taken:
            said = (
                f"{folder}/{made.name} is already made of {self.taken[key]}: the names differ by nothing, case or form"
            )
            self.losses.append(Loss(made.source, "", said))
            return
        self.taken[key] = made.source
        self.made.append(made)


def folded(name: str) -> str:
    """Return what two names must not share on a file system that ignores case and Unicode form."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", name).casefold())


def import_path(path: Path, *, format: str = AUTO, limits: Limits | None = None) -> Import:  # noqa: A002 — its name on the command line
    """Read a file, or a folder with all below it. Raises UserError for a file that cannot be read at all.

    In a folder such a file is a loss, and so is what two files would both become.
    """
    importer = None if format == AUTO else importer_for(format)
    gathered = _Gathered()
    try:
        is_folder = path.is_dir()
    except (OSError, ValueError) as cause:
        raise UserError(f"cannot be read: {cause}", file=str(path)) from cause
    if not is_folder:
        foreign = read_foreign(path, path.parent, path.name, as_data=importer is None or reads_data(importer))
        _read_single(foreign, importer, gathered)
    else:
        _read_folder(path, importer, gathered, limits or Limits())
    return gathered.finish()


def read_foreign(path: Path, root: Path, label: str, *, as_data: bool = True) -> Foreign:
    """Read one file, within limits; `as_data`, of a data file its beginning. Raises UserError."""
    if as_data and (head := head_of(path, label)) is not None:
        return Foreign(path, label, head, root, is_data=True)
    text = read_text_file(path, shown=label)
    return Foreign(path, label, text.replace("\r\n", "\n"), root)


def _read_single(foreign: Foreign, importer: Importer | None, gathered: _Gathered) -> None:
    chosen = importer or claimant(foreign)
    if chosen is None and foreign.is_data and (_is_json(foreign) or foreign.path.stat().st_size <= MAX_BYTES):
        foreign = read_foreign(foreign.path, foreign.root, foreign.shown, as_data=False)  # no data after all
        chosen = claimant(foreign)
    if chosen is None:
        hint = "name the format: --format promptfoo, dotprompt, prompty, langchain, deepeval, ragas, inspect, …"
        raise PromptFileError("this is of no format we know", file=foreign.shown, hint=hint)
    gathered.add(foreign, chosen)


def claimant(foreign: Foreign) -> Importer | None:
    """Return the importer that is surest of a file, or None; a file of ours is nobody's."""
    first_line = foreign.text[:400].partition("\n")[0]
    if first_line.startswith("#") and first_line.rstrip().endswith(OURS):
        return None
    if foreign.path.suffix.lower() in (".yaml", ".yml", ".json") and not foreign.is_data:
        read_document(foreign)  # a bomb is named with its line, whoever it might have belonged to
    best: Importer | None = None
    most = 0
    for importer in known_importers():
        sure = importer.confidence(foreign) if reads_data(importer) or not foreign.is_data else 0
        if sure > most:
            best, most = importer, sure
    return best


def reads_data(importer: Importer) -> bool:
    return bool(getattr(importer, "reads_data", False))


def _is_json(foreign: Foreign) -> bool:
    return foreign.path.suffix.lower() == ".json"


# -- a folder -------------------------------------------------------------------------------------------------------


def _read_folder(root: Path, importer: Importer | None, gathered: _Gathered, limits: Limits) -> None:
    total = count = 0
    for path, label in _files(root, gathered, limits):
        if importer is None and path.suffix.lower() not in SUFFIXES:
            gathered.unclaimed.append((path, label))
            continue
        size = path.lstat().st_size
        most = MAX_DATA_BYTES if path.suffix.lower() in (".json", *DATA_SUFFIXES) else MAX_BYTES
        if size > most:
            gathered.losses.append(Loss(label, "", f"the file has {size:,} bytes; the limit is {most:,}"))
            continue
        count, total = count + 1, total + size
        if count > limits.files or total > limits.total_bytes:
            said = f"more than {limits.files:,} files or {limits.total_bytes:,} bytes: the rest is not read"
            gathered.losses.append(Loss(label, "", said))
            return
        _read_one(path, root, label, importer, gathered)


def _read_one(path: Path, root: Path, label: str, importer: Importer | None, gathered: _Gathered) -> None:
    try:
        foreign = read_foreign(path, root, label, as_data=importer is None or reads_data(importer))
        chosen = importer if importer is not None and importer.confidence(foreign) > 0 else None
        if importer is None:
            chosen = claimant(foreign)
        if chosen is None and foreign.is_data and _is_json(foreign):
            foreign = read_foreign(path, root, label, as_data=False)
            chosen = claimant(foreign) if importer is None else None
        if chosen is None:
            gathered.unclaimed.append((path, label))
            return
        gathered.add(foreign, chosen)
    except UserError as cause:
        gathered.losses += [
            Loss(problem.file or label, "", f"not read: {problem.message}", problem.line) for problem in cause.problems
        ]


def _files(root: Path, gathered: _Gathered, limits: Limits) -> Iterator[tuple[Path, str]]:
    """Yield the regular files below a folder in a fixed order; note what is skipped for being something else."""
    real_root = root.resolve()
    for folder, folders, names in os.walk(root):
        at = Path(folder)
        depth = len(at.relative_to(root).parts)
        entered = []
        for name in sorted(folders):
            if name.startswith(".") or name in SKIPPED_FOLDERS:
                continue
            if (at / name).is_symlink():
                _note_link(at / name, root, real_root, gathered)
            elif depth >= limits.depth:
                gathered.losses.append(
                    Loss(_label(at / name, root), "", f"folders deeper than {limits.depth} are not read")
                )
            else:
                entered.append(name)
        folders[:] = entered
        for name in sorted(names):
            path = at / name
            if name.startswith("."):
                continue
            if path.is_symlink():
                _note_link(path, root, real_root, gathered)
            elif not stat.S_ISREG(path.lstat().st_mode):
                gathered.losses.append(Loss(_label(path, root), "", "this is a device or a pipe, not a regular file"))
            else:
                yield path, _label(path, root)


def _note_link(path: Path, root: Path, real_root: Path, gathered: _Gathered) -> None:
    try:
        target = path.resolve()
        inside = target.is_relative_to(real_root) and target.exists()
    except (OSError, RuntimeError):
        inside = False
    if inside:
        said = f"a link to {shown(target.relative_to(real_root).as_posix())}, which is read under its own name"
    else:
        said = "a link that leaves the folder, or leads nowhere: not followed"
    gathered.losses.append(Loss(_label(path, root), "", said))


def _label(path: Path, root: Path) -> str:
    relative = path.relative_to(root).as_posix()
    # A name that is not UTF-8 must not end the run when it is printed.
    return relative.encode("utf-8", "backslashreplace").decode("utf-8")
