"""Assertions on the form of an answer: JSON, JSON that fits a schema, XML, and the fields that were expected."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from promptstudio.evals.assertions.assertion import (
    Assertion,
    Setting,
    Subject,
    Verdict,
    broken,
    decided,
    failed,
    passed,
    unscored,
)
from promptstudio.evals.assertions.reasons import listed, path_text, quoted
from promptstudio.evals.assertions.text import equals
from promptstudio.evals.assertions.values import ReadJson, json_values, parsed_json, subset_mismatch, subset_share
from promptstudio.evals.assertions.xmltext import XmlFragment, document, fragments


def _value_of(subject: Subject) -> ReadJson:
    """Return the data an assertion on JSON looks at: a field, else the text as JSON, else the typed output."""
    if subject.has_field:
        return parsed_json(subject.field) if isinstance(subject.field, str) else ReadJson(subject.field)
    answer = subject.answer
    if answer.output is not None and not answer.text:
        return ReadJson(answer.output)
    read = parsed_json(answer.text)
    return ReadJson(answer.output) if read.problem and answer.output is not None else read


def misfits(schema: Any, value: Any) -> list[str]:
    """Return where and why a value does not fit a JSON Schema, one line each."""
    if isinstance(schema, bool):
        return [] if schema else ["nothing fits the schema `false`"]
    from promptstudio.prompts.jsonschemas import value_problems  # jsonschema: 100 ms, and only where a schema is given

    return [f"{path_text(path)}: {message}" if path else message for path, message in value_problems(schema, value)]


def _fits(schema: Any, value: Any, subject: Subject, wanted: str) -> Verdict:
    problems = misfits(schema, value)
    found = f"{problems[0]}" + (f" (and {len(problems) - 1} more)" if len(problems) > 1 else "") if problems else "it"
    return decided(
        not problems,
        wanted,
        found,
        expected=schema,
        actual=subject.text,
        details={"problems": problems} if problems else {},
    )


def is_json(subject: Subject, assertion: Assertion, _setting: Setting) -> Verdict:
    wanted = "JSON" if assertion.parsed is None else "JSON that fits the schema"
    read = _value_of(subject)
    if read.problem:
        found = f"{quoted(subject.text)} ({read.problem})"
        return failed(wanted, found, expected=assertion.parsed, actual=subject.text)
    if assertion.parsed is None:
        return passed(wanted, quoted(subject.text), actual=subject.text)
    return _fits(assertion.parsed, read.value, subject, wanted)


def contains_json(subject: Subject, assertion: Assertion, _setting: Setting) -> Verdict:
    """One object or list in the text is enough; with a schema, one that fits it."""
    schema, text = assertion.parsed, subject.text
    wanted = "text that contains JSON" + ("" if schema is None else " that fits the schema")
    values, complete = json_values(text)
    problems = [misfits(schema, value) for value in values] if schema is not None else [[] for _ in values]
    if [] in problems:
        return passed(wanted, quoted(values[problems.index([])]), expected=schema, actual=text)
    if not complete:
        return broken("the text holds too many brackets that lead nowhere to search all of it", actual=text)
    found = problems[0][0] if problems else f"{quoted(text)}, without an object or a list"
    return failed(wanted, found, expected=schema, actual=text)


def json_schema(subject: Subject, assertion: Assertion, _setting: Setting) -> Verdict:
    read = _value_of(subject)
    if read.problem:
        found = f"{quoted(subject.text)}, which is not JSON ({read.problem})"
        return failed("JSON that fits the schema", found, expected=assertion.parsed, actual=subject.text)
    return _fits(assertion.parsed, read.value, subject, "JSON that fits the schema")


def is_xml(subject: Subject, assertion: Assertion, _setting: Setting) -> Verdict:
    read = document(subject.text)
    if isinstance(read, str):
        found = f"{quoted(subject.text)} ({read})"
        return failed(_xml_wanted("XML", assertion), found, expected=assertion.parsed, actual=subject.text)
    return _has_elements([read], "XML", subject, assertion)


def contains_xml(subject: Subject, assertion: Assertion, _setting: Setting) -> Verdict:
    found, complete = fragments(subject.text)
    wanted = "text that contains XML"
    if not found and complete:
        words = f"{quoted(subject.text)}, without an element"
        return failed(_xml_wanted(wanted, assertion), words, expected=assertion.parsed, actual=subject.text)
    verdict = _has_elements(found, wanted, subject, assertion)
    if verdict.outcome == "fail" and not complete:
        return broken("the text holds too many broken tags to search all of it", actual=subject.text)
    return verdict


def _xml_wanted(word: str, assertion: Assertion) -> str:
    return f"{word} with {listed(assertion.parsed)}" if assertion.parsed else word


def _has_elements(found: list[XmlFragment], word: str, subject: Subject, assertion: Assertion) -> Verdict:
    wanted: list[str] = assertion.parsed or []
    missing: list[list[str]] = [[name for name in wanted if name not in fragment.paths] for fragment in found]
    least = min(missing, key=len, default=[])
    words = f"XML without {listed(least)}" if least else quoted(subject.text)
    return decided([] in missing, _xml_wanted(word, assertion), words, expected=assertion.parsed, actual=subject.text)


def expected_output(subject: Subject, assertion: Assertion, setting: Setting) -> Verdict:
    """Compare with the case's expected_output: a map or a list key by key (a subset), text as text.

    The score is the share of expected fields that are as expected; it passes only when all are.
    """
    wanted = subject.case.expected_output
    if wanted is None:
        return unscored("the case has no expected_output")
    if not isinstance(wanted, dict | list | tuple):
        return equals(subject, replace(assertion, parsed=wanted), setting)
    read = _value_of(subject)
    if read.problem:
        found = f"{quoted(subject.text)}, which is not JSON"
        return failed(quoted(wanted), found, expected=wanted, actual=subject.text)
    mismatch = subset_mismatch(wanted, read.value)
    if mismatch is None:
        return passed(quoted(wanted), quoted(read.value), expected=wanted, actual=read.value)
    place = f"{path_text(mismatch.path)}: " if mismatch.path else ""
    found = f"{place}nothing" if mismatch.missing else f"{place}{quoted(mismatch.actual)}"
    share = min(subset_share(wanted, read.value), 0.999)
    return Verdict("fail", share, f"{place}{quoted(mismatch.expected)}", found, expected=wanted, actual=read.value)
