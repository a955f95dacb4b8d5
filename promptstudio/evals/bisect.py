"""A suite, a commit where it was good and one where it is bad → the commit that broke it, with few evaluations.

The suite is asked as it is now, of the prompts as they were. Candidates are the commits on the way from good to bad at
which a prompt behaves otherwise than before; they are halved until one is left. What behaves alike is asked once, and
what is stored of it not at all, so the same command goes on where it was stopped. Prints nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Literal

from promptstudio.errors import NotFoundError, NothingSelected, UsageError, UserError
from promptstudio.evals.evaluate import Finished
from promptstudio.evals.gate import Gate, checks_of, share_text
from promptstudio.evals.records import CaseResult
from promptstudio.evals.runner import Limits
from promptstudio.evals.suite import Suite
from promptstudio.prompts.address import parse_address
from promptstudio.prompts.wording import shown
from promptstudio.versions.ancestry import history_of, signature
from promptstudio.versions.locate import located
from promptstudio.versions.moments import below_top
from promptstudio.versions.repo import Repository
from promptstudio.versions.revisions import revision_of
from promptstudio.versions.snapshots import Snapshots
from promptstudio.versions.walk import Commit

Judgment = Literal["good", "bad", "unknown"]
Behavior = tuple[object, ...]
PASS_RATE = "pass_rate"  # noqa: S105  a figure of the gate


@dataclass(frozen=True, slots=True)
class Stop:
    """A commit on the way at which the suite's prompts behave otherwise than at the one before.

    `addresses` are the prompts as they are to be asked there; `changed` those that differ from the stop before.
    """

    commit: Commit
    addresses: tuple[str, ...]
    behavior: Behavior
    changed: tuple[str, ...] = ()
    is_merge: bool = False


@dataclass(frozen=True, slots=True)
class Way:
    """From good to bad, both among the `stops`; `commits` counts all between them."""

    stops: tuple[Stop, ...]
    commits: int


@dataclass(frozen=True, slots=True)
class Measured:
    """What the evaluation of a stop says: whether it ended, the gate, the metric, and the calls it took."""

    finished: Finished | None
    value: float | None
    calls: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One stop that was judged. `value` is what decided, `reason` says it in words."""

    stop: Stop
    judgment: Judgment
    reason: str
    calls: int
    run: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Where it broke: the first bad stop, and the last good one before; `unknown` lie between, not judged."""

    bad: Stop
    good: Stop
    unknown: tuple[Stop, ...] = ()


class Unjudged(Exception):
    """A step that says neither good nor bad because the provider failed, or it was stopped: nothing to go on from."""

    def __init__(self, finished: Finished) -> None:
        super().__init__(finished.sentence)
        self.finished = finished


# -- the way


def way_between(suite: Suite, good: str, bad: str, snapshots: Snapshots) -> Way:
    """Return the stops from one revision to another. Raises UsageError, NotFoundError, and NothingSelected where
    nothing that a prompt consists of changed.
    """
    repository = snapshots.repository
    first, last = (_commit_named(each, suite, snapshots) for each in (good, bad))
    chain = _chain(repository, first, last, good, bad)
    followed = [_Followed(address, snapshots, last) for address in suite.prompts]
    if all(each.fixed for each in followed):
        raise UsageError(f"{suite.shown}: every prompt names its own version", hint="name them without @")
    stops = list(_stops(chain, followed, repository))
    if len(stops) < 2:
        raise NothingSelected(
            f"no prompt of {suite.shown} changed between {good} and {bad}",
            hint="what changed is not in the prompts: look at the model, the cases and the assertions",
        )
    return Way(tuple(stops), len(chain) - 1)


def _commit_named(name: str, suite: Suite, snapshots: Snapshots) -> str:
    """Return the commit a revision means, or a label or a version that all prompts of the suite have at one commit."""
    try:
        return snapshots.repository.commit_of(name)
    except NotFoundError:
        root = snapshots.settings.root or snapshots.repository.top
        addresses = [replace(parse_address(each), revision=name) for each in suite.prompts]
        found = {revision_of(each, snapshots.settings, root, snapshots.repository).commit for each in addresses}
        if len(found) == 1 and (commit := found.pop()) is not None:
            return commit
        raise


def _chain(repository: Repository, good: str, bad: str, *names: str) -> list[str]:
    """Return the commits from good to bad, each the parent of the next; of a merge the side that is asked for first."""
    if good == bad:
        raise UsageError(f"{names[0]} and {names[1]} are the same commit: {good[:12]}")
    listed = repository.read("rev-list", "--ancestry-path", "--parents", f"{good}..{bad}").decode().splitlines()
    parents = {words[0]: words[1:] for words in (line.split() for line in listed)}
    if bad not in parents:
        raise UsageError(
            f"{names[0]} ({good[:12]}) is no ancestor of {names[1]} ({bad[:12]})",
            hint=f"begin where they parted: git merge-base {names[0]} {names[1]}",
        )
    chain = [bad]
    while chain[-1] != good:
        chain.append(next(one for one in parents[chain[-1]] if one in parents or one == good))
    return chain[::-1]


class _Followed:
    """One prompt of a suite, found again under the names it had."""

    def __init__(self, address: str, snapshots: Snapshots, last: str) -> None:
        self.address = address
        parsed = parse_address(address)
        self.fixed = parsed.revision is not None
        self.variant = parsed.variant
        self._snapshots = snapshots
        self._paths: list[Path] = []
        self.touched: frozenset[str] = frozenset()
        if self.fixed:
            return
        root = snapshots.settings.root or snapshots.repository.top
        here = located(parsed.target, snapshots, root).path
        name = below_top(here, snapshots.repository)
        if name is None:
            raise UsageError(f"{address} lies outside of the git repository")
        nodes = history_of(snapshots, name, last).nodes
        self.touched = frozenset(nodes)
        top = snapshots.repository.top
        self._paths = [here, *dict.fromkeys(top / node.path for node in nodes.values() if top / node.path != here)]

    def path_at(self, commit: str) -> Path | None:
        files = self._snapshots.at(commit).files
        return next((path for path in self._paths if files.is_file(path)), None)

    def at(self, commit: str) -> tuple[str, object]:
        """Return the address to ask at a commit, and what it does there; None where the prompt is not there yet."""
        if self.fixed:
            return self.address, ""
        path = self.path_at(commit)
        if path is None:
            return f"{self.address}@{commit}", None
        known = self._snapshots.known(self._snapshots.at(commit), path)
        behavior: object = signature(known, self.variant)[0]
        if path == self._paths[0] and parse_address(self.address).kind == "name":
            return f"{self.address}@{commit}", behavior
        variant = f":{self.variant}" if self.variant else ""
        return f"{path}{variant}@{commit}", behavior


def _stops(chain: Sequence[str], followed: Sequence[_Followed], repository: Repository) -> Iterator[Stop]:
    """Yield the first commit, and every one at which a prompt behaves otherwise than at the one before."""
    merges = set(repository.read("rev-list", "--min-parents=2", f"{chain[0]}..{chain[-1]}").decode().split())
    touched = frozenset().union(*(each.touched for each in followed))
    before: Behavior | None = None
    for commit in chain:
        if before is not None and commit not in touched and commit not in merges:
            continue
        pairs = [each.at(commit) for each in followed]
        behavior = tuple(one for _, one in pairs)
        if behavior == before:
            continue
        old = before or (None,) * len(followed)
        changed = tuple(
            each.address for each, was, now in zip(followed, old, behavior, strict=True) if before and was != now
        )
        yield Stop(_commit(repository, commit), tuple(one for one, _ in pairs), behavior, changed, commit in merges)
        before = behavior


def _commit(repository: Repository, name: str) -> Commit:
    said = repository.read(
        "log", "-1", "--encoding=UTF-8", "--no-show-signature", "--format=%H%x00%aN%x00%aE%x00%at%x00%ct%x00%s", name
    )
    commit, author, email, authored, committed, subject = said.decode("utf-8", "replace").rstrip("\n").split("\0")
    return Commit(commit, author, email, int(authored), int(committed), subject)


# -- the search

Ask = Callable[[Suite, Stop], Awaitable[Finished]]


@dataclass(slots=True)
class Search:
    """Asks a stop, judges it, and halves. `told` hears of each step; `steps` are all of them."""

    suite: Suite
    ask: Ask
    told: Callable[[Step], None] = lambda _: None
    metric: str | None = None
    case: str | None = None
    steps: list[Step] = field(default_factory=list)
    calls: int = 0
    counted: Callable[[], int] = lambda: 0
    _known: dict[Behavior, Step] = field(default_factory=dict)
    _measures: dict[Behavior, Measured] = field(default_factory=dict)
    _middle: float | None = None

    async def run(self, way: Way) -> Found:
        """Verify the two ends, then halve. Raises UsageError where they are not as was said, Unjudged on trouble."""
        stops = way.stops
        await self._ends(stops[0], stops[-1])
        low, high = 0, len(stops) - 1
        unknown: set[int] = set()
        while left := [at for at in range(low + 1, high) if at not in unknown]:
            middle = min(left, key=lambda at: (abs(2 * at - low - high), at))
            judgment = (await self._judged(stops[middle])).judgment
            if judgment == "unknown":
                unknown.add(middle)
            elif judgment == "good":
                low = middle
            else:
                high = middle
        return Found(stops[high], stops[low], tuple(stops[at] for at in range(low + 1, high)))

    async def _ends(self, good: Stop, bad: Stop) -> None:
        """Hold both ends against what was said of them; a metric without a limit is halved between them."""
        if self.metric is not None and self._limit() is None:
            values = [(await self._measured(stop)).value for stop in (good, bad)]
            if values[0] is None or values[1] is None:
                raise UsageError(
                    f"{self.suite.shown} has no metric {shown(self.metric)}", hint="`ps runs show` lists them"
                )
            if values[1] >= values[0]:
                raise UsageError(
                    f"{self.metric} is {values[0]:.3g} at {good.commit.id[:12]} and {values[1]:.3g} at "
                    f"{bad.commit.id[:12]}: it did not get worse",
                    hint="exchange the two, or look at another metric",
                )
            self._middle = (values[0] + values[1]) / 2
        for stop, wanted in ((good, "good"), (bad, "bad")):
            step = await self._judged(stop)
            if step.judgment == "unknown":
                raise UsageError(f"{stop.commit.id[:12]}, said to be {wanted}, cannot be judged: {step.reason}")
            if step.judgment != wanted:
                hint = "name an older commit" if wanted == "good" else "nothing is broken there: name a later commit"
                raise UsageError(f"{stop.commit.id[:12]} is not {wanted}: {step.reason}", hint=hint)

    async def _judged(self, stop: Stop) -> Step:
        known = self._known.get(stop.behavior)
        if known is not None:
            step = replace(known, stop=stop, calls=0)
            if all(each.stop != stop for each in self.steps):
                self._tell(replace(step, reason=f"{known.reason} (as at {known.stop.commit.id[:12]})"))
            return step
        measured = await self._measured(stop)
        judgment, reason = self._judgment(measured)
        run = measured.finished.run.id if measured.finished is not None else None
        step = Step(stop, judgment, reason, measured.calls, run)
        self._known[stop.behavior] = step
        self._tell(step)
        return step

    def _tell(self, step: Step) -> None:
        self.steps.append(step)
        self.told(step)

    async def _measured(self, stop: Stop) -> Measured:
        """Evaluate a stop; what behaves alike was measured already."""
        if stop.behavior not in self._measures:
            self._measures[stop.behavior] = await self._evaluated(stop)
        return self._measures[stop.behavior]

    async def _evaluated(self, stop: Stop) -> Measured:
        if None in stop.behavior:
            return Measured(None, None, 0, "a prompt of the suite is not there")
        before = self.counted()
        short = stop.commit.id[:12]
        suite = replace(self.suite, prompts=stop.addresses, name=f"{self.suite.name}@{short}", gate=Gate())
        try:
            finished = await self.ask(suite, stop)
        except (UserError, NothingSelected) as error:
            if isinstance(error, NothingSelected):
                raise
            return Measured(None, None, self.counted() - before, error.problems[0].message)
        calls = self.counted() - before
        self.calls += calls
        if finished.run.status != "finished" or finished.ended.provider_errors:
            raise Unjudged(finished)
        return Measured(finished, self._value(finished), calls)

    def _value(self, finished: Finished) -> float | None:
        if self.metric is None:
            return None
        if self.metric in (PASS_RATE, "pass rate"):
            return finished.totals.figure("pass_rate")
        return finished.totals.metric(self.metric, "mean")

    def _limit(self) -> float | None:
        """Return what the suite's gate wants of the metric."""
        gate = self.suite.gate
        if self.metric in (PASS_RATE, "pass rate"):
            return gate.limits.get(PASS_RATE)
        return gate.metrics.get(self.metric or "", {}).get("mean")

    def _judgment(self, measured: Measured) -> tuple[Judgment, str]:
        if measured.finished is None:
            return "unknown", measured.reason
        totals = measured.finished.totals
        if self.case is not None:
            counts = ", ".join(f"{count:,} {name}" for name, count in totals.counts.items() if count)
            return "good" if totals.counts["pass"] == totals.judged else "bad", f"{self.case}: {counts}"
        if self.metric is not None:
            limit = self._limit()
            wanted = limit if limit is not None else self._middle
            if measured.value is None:
                return "unknown", f"{self.metric} was not scored"
            if wanted is None:
                return "unknown", f"{self.metric} has no limit"
            is_good = measured.value >= wanted - 1e-12
            return "good" if is_good else "bad", f"{self.metric} {measured.value:.3g}, {_bound(limit, wanted)}"
        missed = [check for check in checks_of(self.suite.gate, totals) if not check.is_met]
        rate = totals.figure(PASS_RATE)
        passed = f"pass rate {share_text(rate)}" if rate is not None else "nothing was judged"
        return ("bad", "; ".join(map(str, missed))) if missed else ("good", f"the gate is met, {passed}")


def _bound(limit: float | None, wanted: float) -> str:
    return f"wanted at least {wanted:.3g}" if limit is not None else f"the middle of the two ends is {wanted:.3g}"


def is_asked(result: CaseResult) -> bool:
    """Whether an answer was asked for in this run, and not taken from what is stored."""
    return not result.reused and not result.cached and result.outcome != "skipped"


def limits_left(limits: Limits, spent: Decimal) -> Limits:
    """Return the limits of the next step: that of the cost holds for all of them together."""
    most = limits.max_cost_usd
    return limits if most is None else replace(limits, max_cost_usd=max(Decimal(0), most - spent))
