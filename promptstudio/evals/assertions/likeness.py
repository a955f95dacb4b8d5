"""Assertions on how much an answer is like a reference: edit distance, shared words, embeddings.

Several references mean: like the best of them. Without a value the case's expected_output is the reference.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from promptstudio.errors import PromptStudioError
from promptstudio.evals.assertions import overlap, promptfoo
from promptstudio.evals.assertions.assertion import Assertion, Setting, Subject, Verdict, as_text, broken, unscored
from promptstudio.evals.assertions.embedding import MEASURES, Measure, OfflineEmbedder, charge
from promptstudio.evals.assertions.reasons import listed, number, quoted
from promptstudio.evals.assertions.text import composed
from promptstudio.evals.judge.schema import Bill, Provenance
from promptstudio.providers.embed import Embeddings

MAX_CHARACTERS = 1_000_000
MAX_PAIRS = 2_500_000_000  # characters of one text times those of the other: about a second
DEFAULT_DISTANCE = 5
_ROUNDING = 1e-9  # a score of 0.7499999999 meets a threshold of 0.75


def _references(subject: Subject, assertion: Assertion) -> list[str] | None:
    """Return what to compare with, None where there is nothing."""
    if assertion.parsed is not None:
        return list(assertion.parsed)
    expected = subject.case.expected_output
    if expected is None:
        return None
    texts = expected if isinstance(expected, list | tuple) else [expected]
    return [as_text(text) for text in texts]


def _no_reference() -> Verdict:
    return broken("there is nothing to compare with: the assertion has no value and the case no expected_output")


def _scored(
    name: str, default_threshold: float, measure: Callable[..., float], theirs: Callable[..., float] | None = None
) -> Callable[[Subject, Assertion, Setting], Verdict]:
    """Make an assertion of a measure from 0 to 1 that must reach a threshold."""

    def score(subject: Subject, assertion: Assertion, _setting: Setting) -> Verdict:
        references = _references(subject, assertion)
        if not references:
            return _no_reference()
        text = subject.text
        longest = max(map(len, references))
        if max(longest, len(text)) > MAX_CHARACTERS or longest * len(text) > MAX_PAIRS * 4:
            return broken(f"the texts are too long to compare ({len(text):,} characters)", actual=text)
        options = {key: value for key, value in assertion.options.items() if not key.startswith("x-")}
        measured = theirs if assertion.compat and theirs else measure
        value = measured(composed(text, assertion), references, **options)
        label = name + (f"-{options['n']}" if "n" in options else "")
        if options.get("measure", "f1") != "f1":
            label += f" {options['measure']}"
        return _reached(label, value, assertion, default_threshold, references, text)

    return score


def _reached(
    label: str, value: float, assertion: Assertion, default: float, references: Sequence[str], text: str, **rest: Any
) -> Verdict:
    threshold = default if assertion.threshold is None else assertion.threshold
    bounded = max(0.0, min(1.0, value))
    return Verdict(
        "pass" if bounded >= threshold - _ROUNDING else "fail",
        bounded,
        f"a {label} of at least {number(float(threshold))} with {listed(references, 1)}",
        f"{number(bounded)} for {quoted(text)}",
        expected=references[0] if len(references) == 1 else list(references),
        actual=text,
        threshold=threshold,
        **rest,
    )


rouge_n = _scored("ROUGE", 0.75, overlap.best_rouge_n)
rouge_l = _scored("ROUGE-L", 0.75, overlap.best_rouge_l)
bleu = _scored("BLEU", 0.5, overlap.bleu, promptfoo.bleu)
gleu = _scored("GLEU", 0.5, overlap.gleu, promptfoo.gleu)
meteor = _scored("METEOR", 0.5, overlap.meteor, promptfoo.meteor)


def levenshtein(subject: Subject, assertion: Assertion, _setting: Setting) -> Verdict:
    """At most so many edits (default 5), or with `measure: similarity` at least so much alike (default 0.75)."""
    references = _references(subject, assertion)
    if not references:
        return _no_reference()
    text = composed(subject.text, assertion)
    wanted = [composed(reference, assertion) for reference in references]
    if max(map(len, wanted)) * len(text) > MAX_PAIRS:
        return broken(f"the texts are too long to compare ({len(text):,} characters)", actual=text)
    edits = [overlap.levenshtein_distance(text, reference) for reference in wanted]
    likeness = [
        overlap.levenshtein_similarity(text, reference, count) for reference, count in zip(wanted, edits, strict=True)
    ]
    details = {"distance": min(edits), "similarity": max(likeness)}
    if assertion.options.get("measure") == "similarity":
        label = "Levenshtein similarity"
        return _reached(label, max(likeness), assertion, 0.75, references, subject.text, details=details)
    limit: float = DEFAULT_DISTANCE
    if assertion.threshold is not None and (assertion.threshold or not assertion.compat):  # promptfoo reads 0 as 5
        limit = assertion.threshold
    holds = min(edits) <= limit
    return Verdict(
        "pass" if holds else "fail",
        1.0 if holds else 0.0,
        f"at most {number(limit)} edits from {listed(references, 1)}",
        f"{min(edits)} from {quoted(subject.text)}",
        expected=references[0] if len(references) == 1 else references,
        actual=subject.text,
        threshold=limit,
        details=details,
    )


def _similar(measure: Measure) -> Callable[[Subject, Assertion, Setting], Awaitable[Verdict]]:
    """Make an assertion on the embeddings of answer and references, by the setting's embedder or the offline one."""

    async def similar(subject: Subject, assertion: Assertion, setting: Setting) -> Verdict:
        references = _references(subject, assertion)
        if not references:
            return _no_reference()
        text = subject.text
        if max(len(text), *map(len, references)) > MAX_CHARACTERS:
            return broken(f"the texts are too long to compare ({len(text):,} characters)", actual=text)
        embedder = setting.embedder or OfflineEmbedder()
        model, dimensions = assertion.options.get("model"), assertion.options.get("dimensions")
        try:
            found = await embedder.embed([text, *references], model, dimensions)
        except PromptStudioError:
            raise  # said as it is, and counted as the provider's
        except Exception as error:  # noqa: BLE001 - an embedder may be somebody else's code
            return broken(
                f"the embedder {embedder.name} failed: {type(error).__name__}: {str(error)[:200]}", actual=text
            )
        verdict = _compared(measure, found, assertion, references, text)
        return replace(verdict, made_by=_provenance(measure, found, dimensions))

    return similar


def _compared(
    measure: Measure, found: Embeddings, assertion: Assertion, references: Sequence[str], text: str
) -> Verdict:
    details = {"embedder": found.model}
    first, *others = found.vectors
    lengths = sorted({len(vector) for vector in found.vectors if len(vector)})
    said = f"vectors of {' and '.join(map(str, lengths))} dimensions, which cannot be compared"
    if len(others) != len(references):
        said = f"{len(found.vectors)} vectors for {len(references) + 1} texts"
    if len(lengths) > 1 or len(others) != len(references):
        return broken(f"the embedder {found.model} gave {said}", actual=text, details=details)
    compare = MEASURES[measure]
    values = [value for other in others if len(first) and len(other) and (value := compare(first, other)) is not None]
    if not values:
        return unscored(f"the embedder {found.model} has nothing to compare these texts by", details=details)
    if measure == "euclidean":
        return _near(min(values), found.model, assertion, references, text, details)
    label = f"{'similarity' if measure == 'cosine' else 'dot product'} ({found.model})"
    verdict = _reached(label, max(values), assertion, 0.75, references, text, details=details)
    if measure == "cosine":
        return verdict
    holds = max(values) >= (verdict.threshold or 0.0) - _ROUNDING  # a product may be above 1, a score may not
    return replace(verdict, outcome="pass" if holds else "fail", found=f"{number(max(values))} for {quoted(text)}")


def _near(
    distance: float, model: str, assertion: Assertion, references: Sequence[str], text: str, details: dict[str, Any]
) -> Verdict:
    limit = 0.75 if assertion.threshold is None else assertion.threshold
    return Verdict(
        "pass" if distance <= limit + _ROUNDING else "fail",
        1 / (1 + distance),
        f"a distance ({model}) of at most {number(float(limit))} from {listed(references, 1)}",
        f"{number(distance)} for {quoted(text)}",
        expected=references[0] if len(references) == 1 else list(references),
        actual=text,
        threshold=limit,
        details=details,
    )


def _provenance(measure: Measure, found: Embeddings, dimensions: int | None) -> Provenance:
    bill = Bill()
    charge(bill, found)
    settings = f"{measure}|{found.model}|{dimensions or ''}"
    return Provenance("embedding", "1", hashlib.sha256(settings.encode()).hexdigest()[:16], bill=bill)


similar = _similar("cosine")
similar_dot = _similar("dot")
similar_euclidean = _similar("euclidean")
