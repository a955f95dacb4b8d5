"""A promptfoo configuration → prompts and a suite. Neither its code nor its providers are run, nothing is fetched."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from promptstudio.errors import UserError
from promptstudio.exchange.document import plain, read_document, safe_name, stem_of, suite_text
from promptstudio.exchange.drafts import Draft
from promptstudio.exchange.ledger import Ledger
from promptstudio.exchange.promptfoo_asserts import checks_of, is_templated
from promptstudio.exchange.promptfoo_prompts import Source, Sources, draft_of
from promptstudio.exchange.promptfoo_providers import Provider, add_variants, providers_of
from promptstudio.exchange.promptfoo_tests import Tests
from promptstudio.exchange.schema import Foreign, Import, Loss, Made
from promptstudio.prompts.suite_schema import SuiteFile
from promptstudio.prompts.yamlfile import YamlDocument

# More cases than this go to a file beside the suite.
MAX_INLINE_CASES = 200
_KNOWN = (
    "description",
    "prompts",
    "providers",
    "targets",
    "tests",
    "scenarios",
    "defaultTest",
    "tags",
    "evaluateOptions",
)
_ABOUT_RUNS = ("outputPath", "sharing", "writeLatestResults", "commandLineOptions", "env", "$schema")


class PromptfooImporter:
    """`promptfooconfig.yaml` and its like."""

    name = "promptfoo"
    title = "promptfoo configuration"

    def confidence(self, foreign: Foreign) -> int:
        if foreign.path.suffix.lower() not in (".yaml", ".yml", ".json"):
            return 0
        try:
            value = read_document(foreign).value
        except UserError:
            return 90 if foreign.path.name.lower().startswith("promptfooconfig") else 0
        if not isinstance(value, dict) or "prompts" not in value or "cases" in value:
            return 0
        others = {"providers", "targets", "tests", "scenarios", "defaultTest"} & value.keys()
        return 95 if others else 90 if foreign.path.name.lower().startswith("promptfooconfig") else 0

    def read(self, foreign: Foreign) -> Import:
        return _Reading(foreign, read_document(foreign)).result()


IMPORTER = PromptfooImporter()


@dataclass(slots=True)
class _Reading:
    foreign: Foreign
    document: YamlDocument
    losses: list[Loss] = field(default_factory=list)

    def result(self) -> Import:
        config = self.document.value if isinstance(self.document.value, dict) else {}
        ledger = Ledger(self.foreign, self.document)
        ledger.rest(config, (*_KNOWN, *_ABOUT_RUNS))
        for key in _ABOUT_RUNS:
            if key in config and key != "$schema":
                ledger.dropped((key,), "this is about how promptfoo runs, not about prompts or cases")
        sources = Sources(ledger)
        found = list(sources.all(config.get("prompts")))
        tests = self._tests(config, ledger)
        providers = providers_of(config.get("providers", config.get("targets")), ledger, sources.used)
        stem = _stem(self.foreign)
        prompts = self._prompts(found, stem, tests, providers)
        made = [draft.made(name) for name, draft in prompts]
        if tests.cases and prompts:
            made += self._suite(config, stem, prompts, tests, ledger)
        elif tests.cases:
            ledger.dropped(("tests",), "no prompt of this file could be read, so there is nothing to judge")
        for _, draft in prompts:
            self.losses += [loss for loss in draft.ledger.losses if loss not in ledger.losses]
        used = tuple(near.path for near in (*sources.used, *tests.used))
        return Import(tuple(made), tuple(dict.fromkeys([*ledger.losses, *self.losses])), used)

    def _tests(self, config: Mapping[str, Any], ledger: Ledger) -> Tests:
        tests = Tests(ledger)
        default = config.get("defaultTest")
        if isinstance(default, str):
            default = next((test for test, _ in tests._tests(default, ("defaultTest",), ledger)), {})  # noqa: SLF001
        tests.default = default if isinstance(default, dict) else {}
        ledger.rest(
            tests.default, ("vars", "assert", "threshold", "metadata", "description", "options"), ("defaultTest",)
        )
        for key in tests.default.get("options") or ():
            ledger.dropped(("defaultTest", "options", str(key)), "a suite here has no such key")
        tests.read(config.get("tests"), ("tests",))
        tests.scenarios(config.get("scenarios"), ("scenarios",))
        return tests

    def _prompts(
        self, sources: list[Source], stem: str, tests: Tests, providers: list[Provider]
    ) -> list[tuple[str, Draft]]:
        drafts: list[tuple[str, Draft]] = []
        taken: set[str] = set()
        for number, source in enumerate(sources, start=1):
            in_config = source.foreign is self.foreign
            ledger = Ledger(source.foreign, self.document if in_config else None)
            try:
                draft = draft_of(source, ledger)
            except UserError as cause:
                self.losses += ledger.losses
                self.losses += [
                    Loss(problem.file or source.foreign.shown, _dotted(source), problem.message, problem.line)
                    for problem in cause.problems
                ]
                continue
            name = stem if len(sources) == 1 else f"{stem}/{_free(safe_name(_label(source, number)), taken)}"
            _type_inputs(draft, tests.cases)
            add_variants(draft, providers, source.config, self.document)
            drafts.append((name, draft))
        return drafts

    def _suite(
        self,
        config: Mapping[str, Any],
        stem: str,
        prompts: list[tuple[str, Draft]],
        tests: Tests,
        ledger: Ledger,
    ) -> list[Made]:
        inputs = set().union(*(set(draft.ledger.inputs) for _, draft in prompts))
        cases = [_renamed(case, prompts, inputs) for case in tests.cases]
        for name, draft in prompts:
            if missing := sorted({key for case in cases for key in case["inputs"]} - set(draft.ledger.inputs)):
                ledger.changed(("tests",), f"the prompt {name} does not take {', '.join(missing)}, which cases give")
        addresses = [
            f"{name}{f':{variant}' if variant else ''}" for name, draft in prompts for variant in _variants(draft)
        ]
        description = config.get("description")
        suite: dict[str, Any] = {"name": stem}
        if isinstance(description, str):
            suite["description"] = description
        elif description is not None:
            ledger.dropped(("description",), "expected text")
        suite |= {"metadata": {"tags": config["tags"]}} if config.get("tags") else {}
        suite |= {"prompt": addresses[0]} if len(addresses) == 1 else {"prompts": addresses}
        suite |= _compatibility() | self._defaults(tests, ledger) | _options(config.get("evaluateOptions"), ledger)
        return self._with_cases(suite, stem, cases)

    def _with_cases(self, suite: dict[str, Any], stem: str, cases: list[dict[str, Any]]) -> list[Made]:
        made: list[Made] = []
        if len(cases) > MAX_INLINE_CASES:
            base = PurePosixPath(stem).name
            rows = "".join(json.dumps(plain(case), ensure_ascii=False) + "\n" for case in cases)
            made.append(Made("data", f"{stem}.cases.jsonl", rows, self.foreign.shown))
            suite["cases"] = f"{base}.cases.jsonl"
        else:
            suite["cases"] = cases
        text = suite_text(suite, f"{stem}.yaml")
        return [Made("suite", f"{stem}.yaml", text, self.foreign.shown), *made]

    def _defaults(self, tests: Tests, ledger: Ledger) -> dict[str, Any]:
        """What the default test says of every case, where it is the same for every case."""
        found: dict[str, Any] = {}
        if not is_templated(tests.default.get("assert")):
            checks = checks_of(tests.default.get("assert"), ledger, ("defaultTest", "assert"), None)
            found = {"assert": checks.assertions, "metrics": checks.metrics}
        threshold = tests.default.get("threshold")
        if isinstance(threshold, int | float) and not isinstance(threshold, bool) and 0 <= threshold <= 1:
            found["threshold"] = threshold
        return found


def _stem(foreign: Foreign) -> str:
    """Return what the prompts are called after: the file, or its folder where the file has promptfoo's own name."""
    stem = stem_of(foreign, ())
    folder, _, last = stem.rpartition("/")
    if last.lower() not in ("promptfooconfig", "promptfoo"):
        return stem
    return folder or safe_name(foreign.path.resolve().parent.name, "promptfoo")


def _label(source: Source, number: int) -> str:
    label = source.label.removeprefix("file://")
    return PurePosixPath(label).stem if "." in label and "/" in label else label or f"prompt-{number}"


def _free(name: str, taken: set[str]) -> str:
    """Return a name that no other prompt of the file has, also not in another case."""
    last = name.replace("/", "-")
    free, number = last, 2
    while free.casefold() in taken:
        free, number = f"{last}-{number}", number + 1
    taken.add(free.casefold())
    return free


def _dotted(source: Source) -> str:
    return (
        source.path
        if isinstance(source.path, str)
        else "".join(f"[{step}]" if isinstance(step, int) else step for step in source.path)
    )


def _variants(draft: Draft) -> list[str]:
    return ["", *draft.fields.get("variants", {})]


def _type_inputs(draft: Draft, cases: list[dict[str, Any]]) -> None:
    """Give inputs the types of the values that cases give; one that not every case gives may be absent."""
    for name, own in draft.ledger.names().items():
        if draft.ledger.inputs.get(own) not in ("string", "any"):
            continue
        values = [case["inputs"][name] for case in cases if name in case["inputs"]]
        if any(not isinstance(value, str) for value in values):
            draft.ledger.inputs[own] = "any"
        if cases and len(values) < len(cases):
            draft.declared.setdefault(own, {})["required"] = False
        if own in draft.ledger.optional:
            draft.declared.setdefault(own, {})["required"] = False


def _renamed(case: dict[str, Any], prompts: list[tuple[str, Draft]], inputs: set[str]) -> dict[str, Any]:
    """Return the case with our names of inputs; values that no prompt takes are kept in its metadata."""
    names: dict[str, str] = {}
    for _, draft in prompts:
        names |= draft.ledger.names()
    taken = {names.get(name, name): value for name, value in case["inputs"].items()}
    unused = {name: value for name, value in taken.items() if name not in inputs}
    renamed = {**case, "inputs": {name: value for name, value in taken.items() if name in inputs}}
    if unused:
        renamed["metadata"] = {**case.get("metadata", {}), "vars": unused}
    return renamed


def _compatibility() -> dict[str, Any]:
    key = "compat" if "compat" in SuiteFile.key_names() else "x-compat"
    return {key: "promptfoo"}


def _options(options: Any, ledger: Ledger) -> dict[str, Any]:
    if not isinstance(options, dict):
        return {}
    ledger.rest(options, ("repeat",), ("evaluateOptions",), "this is about how promptfoo runs")
    repeat = options.get("repeat")
    return {"repeats": repeat} if isinstance(repeat, int) and 1 < repeat <= 1000 else {}
