"""`evals/calibrations.yaml`: how far each judge agrees with people, kept in the repository, reviewed, and seen by CI.

Keyed by the settings hash that scores bear: judge, parameters, prompt and assertion. A judge of another hash is
another judge, and not calibrated. Reading it loads no statistics.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from promptstudio.config import Settings
from promptstudio.errors import Problem, UserError
from promptstudio.evals.assertions.assertion import Assertion
from promptstudio.evals.gate import Check
from promptstudio.evals.records import RunRecord
from promptstudio.prompts.filewrite import create_file, write_atomically
from promptstudio.prompts.library import CALIBRATIONS
from promptstudio.prompts.wording import shown
from promptstudio.prompts.yamlfile import YamlDocument, read_text_file, read_yaml

SCHEMA_VERSION = 1
_HEAD = """\
# How far judges agree with people: written by `ps judge calibrate`, read by gates with min_kappa. Commit it.
"""
_ENOUGH = 1e-9
Data = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Agreed:
    """One figure of a calibration with its interval; None where it is not defined."""

    value: float | None
    lower: float | None = None
    upper: float | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What the file says of one judging. `labels` is how many answers people and judge both spoke on."""

    settings_hash: str
    metric: str
    assertion: str
    judge: str
    prompt: str | None
    threshold: float | None
    is_graded: bool
    labels: int
    raters: int
    accuracy: Agreed
    kappa: Agreed
    alpha: Agreed
    confidence: float
    date: str
    labels_file: str
    labels_digest: str


def calibrations_path(settings: Settings) -> Path | None:
    """Return the file of a project, which need not be there; None outside of one."""
    return settings.evals_dir / CALIBRATIONS if settings.evals_dir is not None else None


def is_calibratable(assertion: Assertion) -> bool:
    """Whether a model judges by this assertion: a set is judged by its members, and some metrics by nobody."""
    return assertion.judging is not None and assertion.judging.panel is not None and not assertion.members


def calibratable(assertions: Iterable[Assertion]) -> Iterator[Assertion]:
    """Yield the assertions that a model judges, members of sets among them, each judging once."""
    seen: set[tuple[str, float | None]] = set()
    for each in _flat(assertions):
        if is_calibratable(each) and each.judging is not None:
            key = (each.judging.digest, each.threshold)
            if key not in seen:
                seen.add(key)
                yield each


def _flat(assertions: Iterable[Assertion]) -> Iterator[Assertion]:
    for each in assertions:
        yield each
        yield from _flat(each.members)


def name_of(assertion: Assertion) -> str:
    """Return the name an assertion has in reports: its metric, else what was written."""
    return assertion.metric or assertion.written


# -- beside scores, and in a gate -----------------------------------------------------------------------------------


def calibration_of(assertion: Assertion, known: Mapping[str, Known]) -> Known | None:
    """Return the calibration of exactly this judging; one at another threshold is of another."""
    found = known.get(assertion.judging.digest) if assertion.judging else None
    return found if found is not None and found.threshold == assertion.threshold else None


def judging_rows(assertions: Iterable[Assertion], known: Mapping[str, Known]) -> list[Data]:
    """Return each judging of a suite with what is known of it, as plain data: it is kept with a run, and shown."""
    return [
        {
            "metric": name_of(each),
            "judge": each.judging.panel.name,
            "settings_hash": each.judging.digest,
            "threshold": each.threshold,
            **_figures(calibration_of(each, known)),
        }
        for each in calibratable(assertions)
        if each.judging is not None and each.judging.panel is not None
    ]


def _figures(known: Known | None) -> Data:
    if known is None:
        return {"is_calibrated": False}
    kappa = {"kappa": known.kappa.value, "kappa_lower": known.kappa.lower, "kappa_upper": known.kappa.upper}
    return {"is_calibrated": True, **kappa, "labels": known.labels, "date": known.date}


def judging_line(row: Mapping[str, Any]) -> str:
    """`openai/gpt-4.1 on polite: kappa 0.82 (0.71 to 0.90) on 120 labels`, or that it is not calibrated."""
    return f"{row['judge']} on {row['metric']}: {agreement_text(row)}"


def judging_lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line for each judge and metric; those that say the same, such as several rubrics, share one."""
    if rows and not any(row.get("is_calibrated") for row in rows):
        judges = ", ".join(dict.fromkeys(str(row["judge"]) for row in rows))
        yield f"{judges}: not calibrated (ps judge calibrate holds a judge against people)"
        return
    yield from dict.fromkeys(map(judging_line, rows))


def agreement_text(row: Mapping[str, Any]) -> str:
    if not row.get("is_calibrated"):
        return "not calibrated"
    between = Agreed(row.get("kappa"), row.get("kappa_lower"), row.get("kappa_upper"))
    return f"kappa {figure_text(between)} on {count_text(row['labels'])}"


def figure_text(figure: Agreed) -> str:
    if figure.value is None:
        return "not defined"
    known = figure.lower is not None and figure.upper is not None
    return f"{figure.value:.2f}" + (f" ({figure.lower:.2f} to {figure.upper:.2f})" if known else "")


def count_text(labels: int) -> str:
    return "1 label" if labels == 1 else f"{labels:,} labels"


@dataclass(frozen=True, slots=True)
class Standing:
    """How the judges of a suite stand with people: what is kept with a run, and the checks of its gate."""

    rows: tuple[Data, ...] = ()
    checks: tuple[Check, ...] = ()

    def kept_with(self, run: RunRecord) -> RunRecord:
        return replace(run, totals={**run.totals, "judges": list(self.rows)}) if self.rows else run


def standing_of(assertions: Sequence[Assertion], min_kappa: float | None, settings: Settings) -> Standing:
    """Look up the judges of a suite. Raises UserError where the file is not ours: before any call, not after them."""
    judged = list(calibratable(assertions))
    if not judged and min_kappa is None:
        return Standing()
    known = read_calibrations(settings)
    return Standing(tuple(judging_rows(judged, known)), kappa_checks(min_kappa, judged, known))


def with_news(run: RunRecord, settings: Settings) -> RunRecord:
    """Bring what the record of a run says of its judges up to date: it may have been calibrated since."""
    rows = run.totals.get("judges")
    if not rows:
        return run
    known = read_calibrations(settings)
    fresh = [
        {
            **{key: row[key] for key in ("metric", "judge", "settings_hash", "threshold")},
            **_figures(_at_threshold(known.get(row["settings_hash"]), row["threshold"])),
        }
        for row in rows
    ]
    return replace(run, totals={**run.totals, "judges": fresh})


def _at_threshold(known: Known | None, threshold: float | None) -> Known | None:
    return known if known is not None and known.threshold == threshold else None


def kappa_checks(min_kappa: float | None, judged: Sequence[Assertion], known: Mapping[str, Known]) -> tuple[Check, ...]:
    """Hold each judging of a suite against `min_kappa`. What is not calibrated, or has no kappa, misses it."""
    if min_kappa is None:
        return ()
    wanted = f"at least {min_kappa:g}"
    if not judged:
        return (Check("judge kappa", "", wanted, "nothing in the suite is judged by a model", is_met=False),)
    return tuple(_kappa_check(min_kappa, wanted, each, known) for each in judged)


def _kappa_check(min_kappa: float, wanted: str, assertion: Assertion, known: Mapping[str, Known]) -> Check:
    name = f"{name_of(assertion)} judge kappa"
    found = calibration_of(assertion, known)
    if found is None:
        return Check(name, "", wanted, "not calibrated", is_met=False)
    kappa = found.kappa
    if kappa.value is None:
        return Check(name, "", wanted, "not defined", is_met=False, note=count_text(found.labels))
    sure = "" if kappa.lower is None else f"{found.confidence:.0%} interval {kappa.lower:.2f} to {kappa.upper:.2f} "
    is_met = kappa.value >= min_kappa - _ENOUGH
    return Check(name, "", wanted, f"{kappa.value:.2f}", is_met, note=f"{sure}on {count_text(found.labels)}")


# -- the file -------------------------------------------------------------------------------------------------------


def read_calibrations(settings: Settings) -> dict[str, Known]:
    """Return what is calibrated, by settings hash. Raises UserError, with its place, where the file is not ours."""
    path = calibrations_path(settings)
    if path is None or not path.is_file():
        return {}
    where = _shown(path, settings)
    text = read_text_file(path, shown=where, error=UserError)
    document = read_yaml(text, file=where, error=UserError, empty_hint="remove the file, or calibrate a judge")
    entries = document.value.get("calibrations") if isinstance(document.value, dict) else None
    if not isinstance(entries, dict):
        raise UserError("expected a map `calibrations`", file=where, line=1, hint="git has the file as it was")
    if document.value.get("schema_version", 1) != SCHEMA_VERSION:
        line = document.place_of(("schema_version",))[0]
        raise UserError("the file is of a newer version", file=where, line=line, hint="upgrade promptstudio")
    return {str(name): _known(str(name), entry, document) for name, entry in entries.items()}


def _known(name: str, entry: Any, document: YamlDocument) -> Known:
    try:
        return Known(
            settings_hash=name,
            metric=_text(entry, "metric"),
            assertion=_text(entry, "assertion"),
            judge=_text(entry, "judge"),
            prompt=entry.get("prompt"),
            threshold=_number_or_none(entry, "threshold"),
            is_graded=entry.get("scale") == "graded",
            labels=int(entry["labels"]),
            raters=int(entry["raters"]),
            accuracy=_agreed(entry["accuracy"]),
            kappa=_agreed(entry["kappa"]),
            alpha=_agreed(entry["alpha"]),
            confidence=float(entry["confidence"]),
            date=_text(entry, "date"),
            labels_file=_text(entry, "labels_file"),
            labels_digest=_text(entry, "labels_digest"),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as cause:
        line, column = document.place_of(("calibrations", name))
        said = f"{cause.args[0]} is missing" if isinstance(cause, KeyError) else str(cause)
        raise UserError(
            Problem(
                f"the calibration {shown(name[:12])} is not one of ours: {said[:120]}",
                file=document.file,
                line=line,
                column=column,
                hint="git has the file as it was; or remove the entry, and calibrate again",
            )
        ) from cause


def _text(entry: Mapping[str, Any], key: str) -> str:
    value = entry[key]
    if not isinstance(value, str):
        raise TypeError(f"{key} is not text")
    return value


def _number_or_none(entry: Mapping[str, Any], key: str) -> float | None:
    value = entry.get(key)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise TypeError(f"{key} is not a number")
    return None if value is None else float(value)


def _agreed(entry: Mapping[str, Any]) -> Agreed:
    found = Agreed(*(_number_or_none(entry, key) for key in ("value", "lower", "upper")))
    if any(value is not None and not -1 - _ENOUGH <= value <= 1 + _ENOUGH for value in (found.value,)):
        raise ValueError("agreement is a number from -1 to 1")
    return found


def store_calibrations(found: Sequence[Known], settings: Settings) -> Path:
    """Put calibrations into the file, in place of those of the same hash; what stands there otherwise stays."""
    path = calibrations_path(settings)
    if path is None:
        raise UserError("calibrations are kept in a project", hint="`ps init` makes one here")
    was = path.read_bytes() if path.is_file() else None
    known = {**read_calibrations(settings), **{one.settings_hash: one for one in found}}
    text = _written(known.values())
    if was is None:
        create_file(path, text, shown=_shown(path, settings))
    elif was != text.encode("utf-8"):
        write_atomically(path, text, was=was, shown=_shown(path, settings))
    return path


def _written(known: Iterable[Known]) -> str:
    lines = [_HEAD + f"schema_version: {SCHEMA_VERSION}", "calibrations:"]
    for one in sorted(known, key=lambda each: (each.metric, each.judge, each.settings_hash)):
        lines.append(f"  {_scalar(one.settings_hash)}:")
        lines += [f"    {key}: {_scalar(value)}" for key, value in _entry(one).items()]
    return "\n".join(lines) + "\n"


def _entry(one: Known) -> Data:
    return {
        "metric": one.metric,
        "assertion": one.assertion,
        "judge": one.judge,
        "prompt": one.prompt,
        "threshold": one.threshold,
        "scale": "graded" if one.is_graded else "binary",
        "labels": one.labels,
        "raters": one.raters,
        "accuracy": _rounded(one.accuracy),
        "kappa": _rounded(one.kappa),
        "alpha": _rounded(one.alpha),
        "confidence": one.confidence,
        "date": one.date,
        "labels_file": one.labels_file,
        "labels_digest": one.labels_digest,
    }


def _rounded(figure: Agreed) -> Data:
    parts = {"value": figure.value, "lower": figure.lower, "upper": figure.upper}
    return {key: None if value is None else round(value, 4) for key, value in parts.items()}


def _scalar(value: Any) -> str:
    """Write a value as JSON, which is YAML as well: no text can be read as something else."""
    return json.dumps(value, ensure_ascii=False)


def _shown(path: Path, settings: Settings) -> str:
    root = settings.root
    return path.relative_to(root).as_posix() if root is not None and path.is_relative_to(root) else path.as_posix()
