"""Assertions on the tools a model called: which, in what order, with what arguments, and whether the calls are valid.

The calls are those of the answer; in a conversation those of its earlier turns come first for `trajectory:*`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from promptstudio.evals.assertions.assertion import Assertion, Setting, Subject, Verdict, broken, decided
from promptstudio.evals.assertions.reasons import listed, number, quoted
from promptstudio.evals.assertions.structure import misfits
from promptstudio.evals.assertions.values import parsed_json, same, subset_mismatch
from promptstudio.evals.schema import Answer
from promptstudio.types import ToolCall


@dataclass(frozen=True, slots=True)
class WantedTool:
    """A tool that should be called; `arguments` are None where any will do."""

    name: str
    arguments: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ToolOrder:
    """The tools in their order; `exact` allows no others in between."""

    steps: list[WantedTool]
    exact: bool = False


def tool_order(value: Any) -> ToolOrder:
    """Read a list of tools, or {steps: [...], mode: exact}."""
    if isinstance(value, dict):
        return ToolOrder(wanted_tools(value["steps"]), value.get("mode") == "exact")
    return ToolOrder(wanted_tools(value))


def wanted_tools(items: Any) -> list[WantedTool]:
    """Read names, or maps with a name and perhaps arguments (`args`, `arguments`, or DeepEval's `input_parameters`)."""
    if isinstance(items, str):
        items = [name.strip() for name in items.split(",") if name.strip()]
    return [_wanted_tool(item) for item in items]


def _wanted_tool(item: Any) -> WantedTool:
    if not isinstance(item, Mapping):
        return WantedTool(str(item).strip())
    given = (item.get(key) for key in ("arguments", "args", "input_parameters"))
    arguments = next((value for value in given if isinstance(value, Mapping)), None)
    return WantedTool(str(item.get("name", "")), arguments)


def _wanted(subject: Subject, assertion: Assertion) -> list[WantedTool]:
    return wanted_tools(subject.case.expected_tools if assertion.value is None else assertion.value)


def _nothing_wanted() -> Verdict:
    return broken("there is nothing to compare with: the assertion has no value and the case no expected_tools")


def _calls(answer: Answer) -> list[ToolCall]:
    """Return the calls of all turns, oldest first."""
    return [call for turn in (*answer.history, answer) for call in turn.tool_calls]


def _names(calls: list[ToolCall] | tuple[ToolCall, ...]) -> list[str]:
    return [call.name for call in calls]


def _matches(wanted: WantedTool, call: ToolCall, *, exact: bool = False) -> bool:
    if wanted.name != call.name:
        return False
    if wanted.arguments is None:
        return True
    given = parsed_json(call.arguments or "{}").value
    return same(wanted.arguments, given) if exact else subset_mismatch(dict(wanted.arguments), given) is None


def tool_call_f1(subject: Subject, assertion: Assertion, _setting: Setting) -> Verdict:
    """F1 of the set of names called and the set of names wanted; it must reach the threshold (default 1)."""
    wanted = {tool.name for tool in _wanted(subject, assertion)}
    if not wanted:
        return _nothing_wanted()
    called = {call.name for call in subject.answer.tool_calls}
    common = len(wanted & called)
    precision, recall = common / len(called) if called else 0.0, common / len(wanted)
    score = 2 * precision * recall / (precision + recall) if common else 0.0
    threshold = 1.0 if assertion.threshold is None else assertion.threshold
    return Verdict(
        "pass" if score >= threshold - 1e-9 else "fail",
        score,
        f"an F1 of at least {number(threshold)} for {listed(sorted(wanted))}",
        f"{number(score)} with {listed(sorted(called))}",
        expected=sorted(wanted),
        actual=sorted(called),
        threshold=threshold,
        details={"precision": precision, "recall": recall},
    )


def is_valid_tool_call(subject: Subject, assertion: Assertion, setting: Setting) -> Verdict:
    """At least one call, each to a tool that was offered, with arguments that fit the tool's JSON Schema."""
    schemas: Mapping[str, Any] = assertion.parsed or setting.tools
    calls = subject.answer.tool_calls
    names = _names(calls)
    if not schemas:
        return broken("no tool is known here: the prompt offers none, and the assertion gives no schemas", actual=names)
    problems = [problem for call in calls for problem in _call_problems(call, schemas)]
    found = problems[0] if problems else listed(names) if calls else f"none, but {quoted(subject.text)}"
    details = {"problems": problems} if problems else {}
    expected = sorted(schemas)
    return decided(
        bool(calls) and not problems, "valid tool calls", found, expected=expected, actual=names, details=details
    )


def _call_problems(call: ToolCall, schemas: Mapping[str, Any]) -> list[str]:
    if call.name not in schemas:
        return [f"a call of {quoted(call.name)}, which is not among {listed(sorted(schemas))}"]
    read = parsed_json(call.arguments or "{}")
    if read.problem:
        return [f"{quoted(call.name)} with arguments that are not JSON ({read.problem})"]
    return [f"{quoted(call.name)}: {problem}" for problem in misfits(schemas[call.name], read.value)]


def tool_used(subject: Subject, assertion: Assertion, _setting: Setting) -> Verdict:
    """Every one of the tools was called, at any time."""
    wanted = _wanted(subject, assertion)
    if not wanted:
        return _nothing_wanted()
    calls = _calls(subject.answer)
    missing = [tool.name for tool in wanted if not any(_matches(tool, call) for call in calls)]
    found = listed(_names(calls)) + (f" without {listed(missing)}" if missing and calls else "")
    names = [tool.name for tool in wanted]
    return decided(not missing, f"calls of {listed(names)}", found, expected=names, actual=_names(calls))


def tool_sequence(subject: Subject, assertion: Assertion, _setting: Setting) -> Verdict:
    order = tool_order(list(subject.case.expected_tools) if assertion.value is None else assertion.value)
    if not order.steps:
        return _nothing_wanted()
    calls = _calls(subject.answer)
    if order.exact:
        pairs = zip(order.steps, calls, strict=False)
        holds = len(order.steps) == len(calls) and all(_matches(step, call) for step, call in pairs)
    else:
        remaining = iter(calls)
        holds = all(any(_matches(step, call) for call in remaining) for step in order.steps)
    names = [step.name for step in order.steps]
    wanted = f"calls of {listed(names)}, {'exactly these' if order.exact else 'in this order'}"
    return decided(holds, wanted, listed(_names(calls)), expected=names, actual=_names(calls))


def tool_args_match(subject: Subject, assertion: Assertion, _setting: Setting) -> Verdict:
    """One call of the tool has these arguments."""
    wanted, exact = wanted_tools([assertion.value])[0], assertion.value.get("mode") == "exact"
    calls = [call for call in _calls(subject.answer) if call.name == wanted.name]
    holds = any(_matches(wanted, call, exact=exact) for call in calls)
    arguments = dict(wanted.arguments or {})
    given = [call.arguments for call in calls]
    words = f"a call of {quoted(wanted.name)} with {quoted(arguments)}"
    return decided(holds, words, listed(given, 3) if given else "no call of it", expected=arguments, actual=given)
