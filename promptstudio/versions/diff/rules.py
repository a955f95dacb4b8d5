"""The rules of the verdict: all that can change in a prompt, and what each means. docs/diff.md shows this table."""

from __future__ import annotations

from promptstudio.versions.diff.schema import Level, Reason, Rule

MAJOR, MINOR, PATCH = Level.MAJOR, Level.MINOR, Level.PATCH

_ROWS = (
    # The contract is broken: who calls the prompt, or reads its answer, must change.
    Rule("prompt-removed", MAJOR, "the prompt is gone"),
    Rule("variant-removed", MAJOR, "a variant is gone"),
    Rule("input-removed", MAJOR, "an input is gone; passing it is an error"),
    Rule("input-renamed", MAJOR, "an input has another name"),
    Rule("input-added-required", MAJOR, "an input must be given that did not exist"),
    Rule("input-became-required", MAJOR, "an input must be given that could be left out"),
    Rule("input-type-changed", MAJOR, "an input takes values of another type"),
    Rule("input-narrowed", MAJOR, "an input refuses values that it took"),
    Rule("input-not-shown", MAJOR, "an input's new schema cannot be shown compatible"),
    Rule("output-added", MAJOR, "the answer was text and is now an object"),
    Rule("output-removed", MAJOR, "the answer was an object and is now text"),
    Rule("output-model-changed", MAJOR, "the class of the answer is another, or only now one"),
    Rule("output-field-removed", MAJOR, "a field of the answer is gone"),
    Rule("output-field-renamed", MAJOR, "a field of the answer has another name"),
    Rule("output-field-optional", MAJOR, "a field of the answer may be missing that never was"),
    Rule("output-type-changed", MAJOR, "a field of the answer may have a type it never had, null too"),
    Rule("output-widened", MAJOR, "a field of the answer may have a value it never had"),
    Rule("output-not-shown", MAJOR, "the answer's new schema cannot be shown compatible"),
    # The behavior is another, or the contract takes or promises more.
    Rule("prompt-added", MINOR, "the prompt is new"),
    Rule("variant-added", MINOR, "a variant is new"),
    Rule("input-added-optional", MINOR, "an input can be given that did not exist"),
    Rule("input-became-optional", MINOR, "an input may be left out that had to be given"),
    Rule("input-loosened", MINOR, "an input takes values that it refused"),
    Rule("input-restated", MINOR, "an input's schema says the same in other words"),
    Rule("input-default-changed", MINOR, "an input left out has another value"),
    Rule("output-field-added", MINOR, "the answer has a field more"),
    Rule("output-field-required", MINOR, "a field of the answer is always there now"),
    Rule("output-narrowed", MINOR, "a field of the answer has fewer possible values"),
    Rule("output-reworded", MINOR, "the model reads other words about the answer"),
    Rule("output-renamed", MINOR, "the type of the answer has another name, which the model reads"),
    Rule("model-changed", MINOR, "another model answers"),
    Rule("parameters-changed", MINOR, "the model is called with other parameters"),
    Rule("messages-changed", MINOR, "the model is told something else"),
    Rule("examples-changed", MINOR, "the model is shown other examples"),
    Rule("tools-changed", MINOR, "the model is offered other tools"),
    Rule("fallbacks-changed", MINOR, "other models stand in"),
    Rule("retry-changed", MINOR, "attempts or their time are other ones"),
    Rule("reask-changed", MINOR, "answers that do not fit are asked again otherwise"),
    Rule("behavior-changed", MINOR, "the behavior hash is another, in a way no other rule names"),
    # Words outside the behavior.
    Rule("renamed", PATCH, "the prompt has another name; its behavior is the same"),
    Rule("version-changed", PATCH, "the version number is another"),
    Rule("description-changed", PATCH, "people read another description"),
    Rule("type-changed", PATCH, "the prompt is filed under another category"),
    Rule("tags-changed", PATCH, "other tags"),
    Rule("metadata-changed", PATCH, "other metadata"),
    Rule("profile-changed", PATCH, "another profile with the same parameters"),
    Rule("tests-changed", PATCH, "other tests beside the prompt"),
    Rule("evals-changed", PATCH, "other suites beside the prompt"),
    Rule("input-described", PATCH, "an input is described in other words"),
)

RULES = {rule.name: rule for rule in _ROWS}


def reason(rule: str, where: str, text: str, variant: str | None = None) -> Reason:
    return Reason(rule, RULES[rule].level, where, text, variant)
