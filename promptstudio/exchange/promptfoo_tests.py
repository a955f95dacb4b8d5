"""promptfoo's tests, scenarios and default test → cases of ours, with its variables expanded as it expands them."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from promptstudio.errors import PromptFileError
from promptstudio.exchange.document import read_document
from promptstudio.exchange.ledger import Ledger
from promptstudio.exchange.nearby import CODE, near_file, near_files
from promptstudio.exchange.promptfoo_asserts import Checks, assertion_from_text, checks_of, is_templated
from promptstudio.exchange.schema import Foreign
from promptstudio.prompts.includes import read_json
from promptstudio.prompts.wording import shown
from promptstudio.prompts.yamlfile import ValuePath

MAX_CASES = 5_000
MAX_COMBINATIONS = 1_000
_KNOWN = ("description", "vars", "assert", "threshold", "metadata", "options")
_TEMPLATE = re.compile(r"\{\{.*?\}\}|\{%")
_NOT_A_FILE = ("http://", "https://", "huggingface://", "az://", "s3://")


@dataclass(slots=True)
class Tests:
    """Reads tests; `default` is the default test, whose values and assertions every case gets."""

    ledger: Ledger
    default: Mapping[str, Any] = field(default_factory=dict)
    used: list[Foreign] = field(default_factory=list)
    cases: list[dict[str, Any]] = field(default_factory=list)

    def read(self, value: Any, path: ValuePath) -> None:
        """Read what stands at `tests:`: a file, or a list of tests and files."""
        for test, at in self._tests(value, path, self.ledger):
            self._add(test, at, {})

    def scenarios(self, value: Any, path: ValuePath) -> None:
        """Read `scenarios:`: each set of values with each of its tests."""
        for index, scenario in enumerate(value if isinstance(value, list) else []):
            at = (*path, index)
            if not isinstance(scenario, dict):
                self.ledger.dropped(at, "a scenario is a map of config and tests")
                continue
            self.ledger.rest(scenario, ("config", "tests", "description"), at)
            tests = list(self._tests(scenario.get("tests"), (*at, "tests"), self.ledger)) or [({}, at)]
            for base, _ in self._tests(scenario.get("config"), (*at, "config"), self.ledger):
                for test, test_at in tests:
                    self._add(test, test_at, base)

    def _tests(self, value: Any, path: ValuePath, ledger: Ledger) -> Iterator[tuple[dict[str, Any], ValuePath]]:
        if isinstance(value, str):
            yield from self._file(value, path, ledger)
            return
        if isinstance(value, dict) and "path" in value:
            ledger.dropped(path, "tests that a program makes: it is not run")
            return
        for index, item in enumerate(value if isinstance(value, list) else []):
            at = (*path, index)
            if isinstance(item, str):
                yield from self._file(item, at, ledger)
            elif isinstance(item, dict) and "path" not in item:
                yield item, at
            else:
                ledger.dropped(at, "expected a test or the name of a file of them")

    def _file(self, name: str, path: ValuePath, ledger: Ledger) -> Iterator[tuple[dict[str, Any], ValuePath]]:
        plain = name.removeprefix("file://")
        if name.startswith(_NOT_A_FILE) or CODE.search(plain):
            ledger.dropped(path, f"{shown(name)} is code or lies elsewhere: not run, not fetched")
            return
        try:
            for foreign in near_files(plain, ledger.foreign, ledger.line_of(path)):
                self.used.append(foreign)
                yield from ((test, path) for test in _tests_in(foreign))
        except PromptFileError as cause:
            ledger.dropped(path, cause.problems[0].message)

    def _add(self, test: Mapping[str, Any], path: ValuePath, base: Mapping[str, Any]) -> None:
        self.ledger.rest(test, _KNOWN, path, "a case here has no such key")
        self._options(test.get("options"), (*path, "options"))
        given = {**self._vars(self.default.get("vars"), ("defaultTest", "vars"))}
        given |= self._vars(base.get("vars"), path) | self._vars(test.get("vars"), (*path, "vars"))
        for values in _combinations(given, self.ledger, path):
            if len(self.cases) >= MAX_CASES:
                self.ledger.dropped(path, f"more than {MAX_CASES:,} cases: this one and the rest are left out")
                return
            self.cases.append(self._case(test, base, values, path))

    def _case(
        self, test: Mapping[str, Any], base: Mapping[str, Any], values: dict[str, Any], path: ValuePath
    ) -> dict[str, Any]:
        case: dict[str, Any] = {}
        if isinstance(said := test.get("description") or base.get("description"), str):
            case["description"] = said
        case["inputs"] = values
        checks = Checks()
        if is_templated(self.default.get("assert")):
            checks = checks_of(self.default["assert"], self.ledger, ("defaultTest", "assert"), values)
        for items, at in ((base.get("assert"), path), (test.get("assert"), path)):
            found = checks_of(items, self.ledger, (*at, "assert"), values)
            checks.assertions += found.assertions
            checks.metrics += found.metrics
        metadata = {**_map(self.default.get("metadata")), **_map(base.get("metadata")), **_map(test.get("metadata"))}
        case |= {"metadata": metadata} if metadata else {}
        case |= {"assert": checks.assertions} if checks.assertions else {}
        case |= {"metrics": checks.metrics} if checks.metrics else {}
        threshold = test.get("threshold")
        if isinstance(threshold, int | float) and not isinstance(threshold, bool) and 0 <= threshold <= 1:
            case["threshold"] = threshold
        elif threshold is not None:
            self.ledger.dropped((*path, "threshold"), "a threshold is a number from 0 to 1")
        return case

    def _options(self, options: Any, path: ValuePath) -> None:
        for key in options if isinstance(options, dict) else ():
            self.ledger.dropped((*path, key), "a case here changes neither the prompt nor the answer nor the judge")

    def _vars(self, value: Any, path: ValuePath) -> dict[str, Any]:
        if isinstance(value, str):
            return self._vars_file(value, path)
        return {str(name): self._var(item, (*path, name)) for name, item in _map(value).items()}

    def _vars_file(self, name: str, path: ValuePath) -> dict[str, Any]:
        try:
            foreign = near_file(name.removeprefix("file://"), self.ledger.foreign, self.ledger.line_of(path))
            self.used.append(foreign)
            return _map(read_document(foreign).value)
        except PromptFileError as cause:
            self.ledger.dropped(path, cause.problems[0].message)
            return {}

    def _var(self, value: Any, path: ValuePath) -> Any:
        if isinstance(value, list):
            return [self._var(item, path) for item in value]
        if not isinstance(value, str):
            return value
        if value.startswith("file://"):
            return self._var_file(value, path)
        if _TEMPLATE.search(value):
            said = "the value is a template there; here values are data, and it stays as it is written"
            self.ledger.changed(path, said)
        return value.removesuffix("\n")

    def _var_file(self, value: str, path: ValuePath) -> Any:
        name = value.removeprefix("file://")
        if CODE.search(name):
            self.ledger.dropped(path, f"{shown(value)} is code: not run; the value is its name")
            return value
        try:
            foreign = near_file(name, self.ledger.foreign, self.ledger.line_of(path))
            self.used.append(foreign)
        except PromptFileError as cause:
            self.ledger.dropped(path, f"{cause.problems[0].message}; the value is its name")
            return value
        if name.endswith((".yaml", ".yml")):  # such a file becomes JSON text there, all others the text they are
            return json.dumps(read_document(foreign).value, ensure_ascii=False, separators=(",", ":"))
        return foreign.text.strip()


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _combinations(values: dict[str, Any], ledger: Ledger, path: ValuePath) -> Iterator[dict[str, Any]]:
    """A list of texts as a value stands for one case each; several of them for all their combinations."""
    lists = {name: value for name, value in values.items() if isinstance(value, list) and value}
    number = 1
    for value in lists.values():
        number *= len(value)
    if number > MAX_COMBINATIONS:
        ledger.dropped(path, f"{number:,} combinations of values: more than {MAX_COMBINATIONS:,} are not written")
        return
    for chosen in itertools.product(*lists.values()):
        yield {**values, **dict(zip(lists, chosen, strict=True))}


def _tests_in(foreign: Foreign) -> list[dict[str, Any]]:
    suffix = foreign.path.suffix.lower()
    if suffix == ".csv":
        return [_test_of_row(row) for row in csv.DictReader(io.StringIO(foreign.text))]
    if suffix == ".jsonl":
        lines = enumerate(foreign.text.splitlines(), start=1)
        found = [read_json(line, file=foreign.shown, line=number) for number, line in lines if line.strip()]
    elif suffix in (".yaml", ".yml", ".json"):
        value = read_document(foreign).value
        found = value if isinstance(value, list) else [value]
    else:
        raise PromptFileError(f"{shown(foreign.shown)}: files of this kind hold no tests", file=foreign.shown)
    return [item for item in found if isinstance(item, dict)]


def _test_of_row(row: Mapping[str | None, Any]) -> dict[str, Any]:
    """Read a row: `__expected` columns are assertions, other `__` columns are about the test, the rest are values."""
    test: dict[str, Any] = {"vars": {}, "assert": []}
    metric = row.get("__metric")
    for key, value in row.items():
        if key is None or value is None:
            continue
        if key.startswith("__expected"):
            if value.strip():
                test["assert"].append(assertion_from_text(value.strip()) | ({"metric": metric} if metric else {}))
        elif key == "__description" and value:
            test["description"] = value
        elif key == "__threshold" and value:
            test["threshold"] = float(value) if re.fullmatch(r"\d*\.?\d+", value) else value
        elif key.startswith("__metadata:") and value:
            test.setdefault("metadata", {})[key.removeprefix("__metadata:")] = value
        elif key in ("__prefix", "__suffix") and value:
            test.setdefault("options", {})[key.removeprefix("__")] = value
        elif key.startswith("__") and key != "__metric" and value:
            test[key] = value
        elif not key.startswith("__"):
            test["vars"][key] = value
    return test
