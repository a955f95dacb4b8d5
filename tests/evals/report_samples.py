"""Runs for the tests of reports, stored in a real file: texts that want to be markup, and one case of every kind."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from promptstudio.evals.coding import digest_of
from promptstudio.evals.gate import Check
from promptstudio.evals.records import CaseResult, RunRecord
from promptstudio.evals.report import RunReport
from promptstudio.evals.report.data import line_of
from promptstudio.evals.report.figures import figures_of
from promptstudio.evals.schema import Answer, Case, Outcome, Score
from promptstudio.evals.store import EvalStore
from promptstudio.evals.totals import totals_data, totals_of
from promptstudio.types import ErrorInfo, ToolCall, Usage

# What a report must show as a text and nothing else → why somebody might write it.
HOSTILE = {
    "script": "</script><script>document.title='owned'</script>",
    "handler": "<img src=x onerror=\"document.title='owned'\">",
    "comment": "<!-- <script> --!> ]]> <![CDATA[ x",
    "entity": "&lt;b&gt; &amp; &#64; %0A%25 ::error::x",
    "fence": "```\n~~~\n````` out\n<details>\n</pre></code>",
    "mention": "@octocat please see #1 and https://example.com www.example.com a@b.example",
    "table": "a | b || c \\| d\n|---|\n* _x_ **y** [z](http://example.com)",
    "formula": '=HYPERLINK("http://example.com/"&A1)',
    "plus": "+1-1@SUM(A1)",
    "tab": "\t=1+1",
    "control": "\x00\x01\x08\x0b\x0c\x1b[31mred\x1b[0m\x7f\x85\ufffe\uffff",
    "surrogate": "half \ud83d of it",
    "lines": "one\r\ntwo\rthree\u2028four\u2029five",
    "bidi": "user\u202e gnp.exe \u2066x\u2069",
    "arabic": "أهلاً وسهلاً بكم في المتجر",
    "hebrew": "שלום לכולם, מה שלומכם?",
    "template": "%%SCRIPT%% %%DATA%% $STYLE {{ name }}",
    "json": '{"a": [1, 2], "b": "\\u003c"}',
    "emoji": "👩‍👩‍👧‍👦 🏴󠁧󠁢󠁳󠁣󠁴󠁿 e\u0301",
}
WHEN = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
TARGETS = (("support/triage", "openai/gpt-4.1-mini"), ("support/triage:terse", "anthropic/claude-haiku-4-5"))


def case_result(
    ident: str, outcome: Outcome = "pass", *, target: int = 0, said: str = "fine", **more: Any
) -> CaseResult:
    """Return a case that ended so, with as little as there can be."""
    prompt, model = TARGETS[target]
    case = more.pop("case", None) or Case(
        ident, inputs=more.pop("inputs", {"name": ident}), expected_output=more.pop("expected", None),
        tags=more.pop("tags", ()), file="evals/data/cases.jsonl", line=more.pop("line", 1),
    )  # fmt: skip
    answer = more.pop("answer", Answer(said, usage=Usage(20, 10), model=model.partition("/")[2], finish_reason="stop"))
    number = int.from_bytes(digest_of(f"{ident} {target} {more.get('repeat', 0)}"), "big")
    given: dict[str, Any] = {
        "key": f"{number:032x}", "answer_key": f"{number:032x}", "case": case, "prompt": prompt, "model": model,
        "repeat": 0, "outcome": outcome, "reason": "" if outcome == "pass" else f"{outcome} it is",
        "score": {"pass": 1.0, "fail": 0.0}.get(outcome), "answer": answer, "answers": (answer,) if answer else (),
        "scores": (Score("contains", outcome, 1.0 if outcome == "pass" else 0.0),) if answer else (),
        "cost_usd": Decimal("0.0012"), "latency_ms": 420.0, "behavior": "p1:" + "ab" * 32,
    }  # fmt: skip
    return CaseResult(**{**given, **more})


def one_of_each() -> list[CaseResult]:
    """Return a pass, a fail with everything to look at, an error, an unscored, a skipped and a conversation."""
    triage = {"category": "billing", "urgency": 4, "reply": "We are sorry. You get your money back within 5 days."}
    found = {"category": "bug", "urgency": 4, "reply": "We are very sorry. You get a refund within 3 days."}
    turns = (Answer("Which order is it about?"), Answer("Order 7 is on its way.", usage=Usage(60, 12)))
    fine, wrong = "It is a billing matter.", "category: expected 'billing', found 'bug'"
    tools = Answer("", tool_calls=(ToolCall("c1", "find_order", '{"order": 7}'),), finish_reason="tool_calls")
    return [
        case_result("double-charge", said=fine, expected=fine, tags=("billing",)),
        case_result(
            "refund-now", "fail", line=2, answer=Answer(line_of(found), output=found, usage=Usage(310, 55)),
            inputs={"ticket": "I want my money back, now!", "product": "web"}, expected=triage,
            tags=("billing", "angry"), reason=f"equals: {wrong}", score=0.5, latency_ms=1_350.0,
            scores=(
                Score("is-json", "pass", 1.0),
                Score("equals", "fail", 0.0, wrong, expected="billing", metric="accuracy"),
                Score("assert-set", "fail", 0.5, "1 of 2", threshold=1.0, children=(
                    Score("contains", "pass", 1.0),
                    Score("contains", "fail", 0.0, "'5 days' is missing", expected="5 days"),
                )),
            ), metrics={"accuracy": 0.0},
        ),
        case_result(
            "تذكرة-عربية", "fail", line=3, said="أهلاً بك! سنعيد إليك المبلغ خلال ثلاثة أيام عمل.", tags=("arabic",),
            inputs={"ticket": "نسيت كلمة المرور، ماذا أفعل؟"},
            expected="أهلاً بك! سنعيد إليك المبلغ خلال خمسة أيام عمل.",
            reason="expected-output: المتوقع «خمسة»، والموجود «ثلاثة»",
            scores=(Score("expected-output", "fail", 0.0, "المتوقع «خمسة»، والموجود «ثلاثة»"),),
        ),
        case_result(
            "שאלה", said="אפשר לאפס את הסיסמה במסך הכניסה.", inputs={"ticket": "איך מאפסים סיסמה?"},
            tags=("hebrew",), target=1,
        ),
        case_result(
            "too-long", "error", target=1, line=5, answer=None, score=None, cost_usd=None, latency_ms=None,
            error=ErrorInfo("rate_limit", "429: too many requests", "wait a minute"),
            reason="rate_limit: 429: too many requests",
        ),
        case_result("no-assertion", "unscored", target=1, reason="there is nothing to judge", scores=(), line=6),
        case_result("left-out", "skipped", answer=None, cost_usd=Decimal(0), latency_ms=None, line=7),
        case_result("where-is-it", answer=turns[-1], answers=turns, target=1, line=8),
        case_result("tool", answer=tools, scores=(Score("tool-called", "pass", 1.0),), line=9, cached=True),
        case_result("double-charge", repeat=1, reused=True, said=fine, tags=("billing",)),
    ]  # fmt: skip


def hostile_results() -> list[CaseResult]:
    """Return a failing case for each hostile text, with the text in every place there is."""
    return [
        case_result(
            f"{name} {text}", "fail", said=text, inputs={"q": text, f"in {name}": [text]}, expected=f"not {text}",
            tags=(text[:20],), reason=f"contains: {text}",
            scores=(Score("contains", "fail", 0.0, f"no {text}", expected=text, metric=text[:20]),),
            error=None, metrics={text[:20]: 0.5},
        )
        for name, text in HOSTILE.items()
    ]  # fmt: skip


def record(results: Sequence[CaseResult], **more: Any) -> RunRecord:
    """Return the record of a run that ended with these results."""
    totals = totals_of(result.end for result in results)
    checks = (
        Check("pass_rate", "", "at least 95.0%", f"{totals.figure('pass_rate') or 0:.1%}", totals.counts["fail"] == 0),
        Check("errors", "tag billing", "at most 0", "0", is_met=True),
    )
    is_met = not totals.counts["fail"] and not totals.counts["error"]
    targets = [
        {
            "prompt": prompt,
            "model": model,
            "behavior": "p1:" + "ab" * 32,
            "file": "prompts/support/triage.yaml",
            "line": 12,
        }
        for prompt, model in TARGETS
    ]
    given: dict[str, Any] = {
        "id": "01a1fc74-bfd4-72ec-99bf-264d9d33c7d1", "suite": "support/triage", "suite_file": "evals/triage.yaml",
        "suite_digest": "ab", "created_at": WHEN, "user": "Ada", "status": "finished",
        "prompts": {prompt: "p1:" + "ab" * 32 for prompt, _ in TARGETS},
        "models": tuple(model for _, model in TARGETS),
        "commit": "0123456789abcdef0123", "dirty": False, "finished_at": WHEN + timedelta(seconds=12.5),
        "totals": totals_data(totals), "checks": checks, "exit_code": 0 if is_met else 1,
        "options": {"targets": targets},
        "note": "the gate is met" if is_met else f"the gate is missed: {checks[0]}",
    }  # fmt: skip
    return RunRecord(**{**given, **more})


@contextmanager
def stored(folder: Path, results: Iterable[CaseResult], **more: Any) -> Any:
    """Store a run in a file, and give the store and the record as they are read from it."""
    listed = list(results)
    run = record(listed, **more)
    with EvalStore(folder / ".promptstudio" / "evals.db") as store:
        number = store.begin(run)
        store.add(number, 0, [(TARGETS.index((result.prompt, result.model)), result) for result in listed])
        yield store, store.run(run.id)


def reported(results: Iterable[CaseResult], **more: Any) -> RunReport:
    """Return a run as a reporter gets it."""
    listed = list(results)
    run = record(listed, **more)
    return RunReport(run, listed, figures_of(run, listed))


def renamed(report: RunReport, suite: str) -> RunReport:
    """Return the same run under the name of another suite."""
    return replace(report, run=replace(report.run, suite=suite, id=report.run.id[:-1] + "2"))


def figure(estimate: float, lower: float, upper: float, n: int = 10, **more: Any) -> dict[str, Any]:
    """Return a figure as records keep it."""
    return {"estimate": estimate, "lower": lower, "upper": upper, "confidence": 0.95, "n": n, **more}


def compared(baseline: float, candidate: float, verdict: str, **more: Any) -> dict[str, Any]:
    """Return a comparison as records keep it."""
    difference = candidate - baseline
    return {
        "verdict": verdict, "baseline": baseline, "candidate": candidate, "difference": difference,
        "lower": difference - 0.1, "upper": difference + 0.1, "confidence": 0.95, "pairs": 10, "could_detect": 0.09,
        "needs_cases": 307, "broke": [], "mended": [], "broke_count": 0, "mended_count": 0, "only_baseline": [],
        "only_candidate": [], "unmatched": 0, "note": None, "sentence": "", **more,
    }  # fmt: skip


def flips(*cases: str, before: float = 1.0, after: float = 0.0) -> list[dict[str, Any]]:
    return [{"case": case, "baseline": before, "candidate": after} for case in cases]


NAMES = tuple(f"{prompt} · {model}" for prompt, model in TARGETS)


def against(*, named: str = "main", **more: Any) -> dict[str, Any]:
    """Return what a run of `one_of_each` found against its baseline: two broke, one was mended, some do not compare."""
    broke = flips("refund-now", "تذكرة-عربية")
    first = {
        "pass rate": compared(0.9, 0.6, "regressed", broke=broke, broke_count=2),
        "accuracy": compared(0.41, 0.38, "inconclusive"),
    }
    second = {
        "pass rate": compared(
            0.5, 0.75, "improved", mended=flips("שאלה", before=0.0, after=1.0), mended_count=1,
            only_baseline=["gone"], only_candidate=["new-1", "new-2"], unmatched=3,
        )
    }  # fmt: skip
    why = "the baseline's scores are of deepeval 4.2.0, these are of deepeval 4.3.1"
    targets = [
        {"baseline": NAMES[0], "candidate": NAMES[0], "same": False, "figures": first, "refused": {}},
        {"baseline": NAMES[1], "candidate": NAMES[1], "same": False, "figures": second, "refused": {"faithful": why}},
    ]
    found = {"named": named, "run": "01a0", "commit": "abcdef0123", "new_prompts": ["support/new"], "targets": targets}
    return {**found, **more}


def sure(**more: Any) -> dict[str, Any]:
    """Return the figures of a run with their intervals, as its record keeps them."""
    whole = {"pass_rate": figure(0.625, 0.31, 0.86, 8), "metrics": {"accuracy": figure(0.5, 0.25, 0.75, 8, clusters=3)}}
    repeats = {"flake_rate": 0.125, "pass_at": {"1": 0.6, "3": 0.9}, "pass_hat": {"1": 0.6, "3": 0.4}}
    return {**whole, **repeats, **more}


def judged_results() -> list[CaseResult]:
    """Return `one_of_each` with a panel of judges in the case that failed first, and an engine in another."""
    by = {"engine": "promptstudio", "engine_version": "1", "settings_hash": "5e77" * 8}
    members = tuple(
        Score("llm-rubric", "fail" if number else "pass", 1.0 - number, f"said member {number}", judge=name,
              cost_usd=Decimal("0.0004"), **by)  # type: ignore[arg-type]
        for number, name in enumerate(("openai/gpt-4.1", "anthropic/claude-sonnet-4-5"))
    )  # fmt: skip
    panel = Score(
        "llm-rubric", "fail", 0.5, "1 of 2 judges pass it (50% agree)", metric="polite", children=members,
        judge="panel of openai/gpt-4.1, anthropic/claude-sonnet-4-5", cost_usd=Decimal("0.0008"), **by,  # type: ignore[arg-type]
    )  # fmt: skip
    engine = Score(
        "deepeval/faithfulness", "pass", 0.9, "all claims hold", metric="faithful", engine="deepeval",
        engine_version="4.3.1", settings_hash="ab12" * 8, judge="openai/gpt-4.1", cost_usd=Decimal("0.002"),
    )  # fmt: skip
    first, second, *rest = one_of_each()
    return [
        replace(first, scores=(*first.scores, engine), judge_usd=Decimal("0.002")),
        replace(second, scores=(*second.scores, panel)),
        *rest,
    ]


def held_report(results: Sequence[CaseResult] | None = None, **more: Any) -> RunReport:
    """Return a run with a baseline, intervals, repeats and judges."""
    listed = list(results) if results is not None else judged_results()
    totals = totals_data(totals_of(result.end for result in listed))
    noted = {"figures": sure(), "against": against(), **more.pop("totals", {})}
    checks = (
        Check("pass_rate", "", "at least 95%", "62.5%", is_met=False, note="95% interval 31% to 86%"),
        Check("accuracy against main", "", "no worse", "inconclusive (could detect 9 points)", True, True),
    )
    note = "the gate is missed: pass_rate 62.5%; against main: pass rate: worse than the baseline on 10 cases."
    given = {"checks": checks, "note": note, "exit_code": 1, "baseline": "01a0", **more}
    return reported(listed, totals={**totals, **noted}, **given)
