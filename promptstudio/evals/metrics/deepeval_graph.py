"""A decision graph as a suite has it, under `graph:` of deepeval/dag → nodes, or everything that is wrong with it.

    task: List the headings        what to make of the answer, for the nodes in `then`
    ask: Is an intro among them?   a judgment with `yes` and `no`
    choose: In what order?         a judgment with `options`, one of which is chosen

A judgment leads to a score from 0 to 10, to a node, or to a metric. A node stands where it is led to, or under a name
in `nodes`, where several may lead to it; `start` says then where to begin. Imports no engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from promptstudio.evals.metrics.deepeval_settings import (
    OF_A_TURN,
    SINGLE_TURN,
    fields_of,
    inner_faults,
    text_list_faults,
)
from promptstudio.evals.metrics.schema import Field, MetricKind
from promptstudio.prompts.judge_faults import Fault, ValuePath
from promptstudio.prompts.wording import dotted, found, nearest, shown

NodeKind = Literal["task", "ask", "choose"]
Kinds = Callable[[], Mapping[str, MetricKind]]
MAX_NODES = 100
MAX_SCORE = 10
_KEYS: Mapping[NodeKind, tuple[str, ...]] = {
    "task": ("task", "label", "evaluation_params", "then"),
    "ask": ("ask", "label", "evaluation_params", "yes", "no"),
    "choose": ("choose", "label", "evaluation_params", "options"),
}
_OF_INNER_GEVAL = ("criteria", "evaluation_steps", "evaluation_params")
"""What the engine hands on to a GEval at the end of a branch; a rubric would be dropped without a word."""


@dataclass(frozen=True, slots=True)
class Inner:
    """A metric at the end of a branch."""

    kind: MetricKind
    settings: Mapping[str, Any]


End = int | str | Inner
"""Where a verdict leads: a score from 0 to 10, the name of a node, or a metric."""


@dataclass(frozen=True, slots=True)
class Node:
    """`then` are the nodes after a task, `ends` the verdicts of a judgment and where each leads."""

    name: str
    kind: NodeKind
    text: str
    label: str | None
    params: tuple[str, ...] | None
    window: tuple[int, int] | None = None
    then: tuple[str, ...] = ()
    ends: tuple[tuple[bool | str, End], ...] = ()
    path: ValuePath = ()

    @property
    def leads_to(self) -> tuple[str, ...]:
        return (*self.then, *(end for _, end in self.ends if isinstance(end, str)))


@dataclass(frozen=True, slots=True)
class Graph:
    """All nodes by name, and those a case begins with."""

    nodes: Mapping[str, Node]
    start: tuple[str, ...]

    @property
    def needs(self) -> tuple[Field, ...]:
        """What a case must have."""
        params = [name for node in self.nodes.values() for name in node.params or ()]
        inner = [name for end in self._inner for name in end.kind.fields(end.settings)]
        return tuple(dict.fromkeys((*fields_of(params), *inner)))

    def calls(self, *, has_reason: bool) -> int:
        """Return how often a case asks at most: every task, the longest way of judgments, and what it ends with."""
        tasks = sum(node.kind == "task" for node in self.nodes.values())
        longest: dict[str, int] = {}
        for name in reversed(_in_order(self)):
            node = self.nodes[name]
            ends = [1 if has_reason else 0 for _, end in node.ends if isinstance(end, int)]
            ends += [end.kind.calls(end.settings) for _, end in node.ends if isinstance(end, Inner)]
            longest[name] = (node.kind != "task") + max((*ends, *(longest[each] for each in node.leads_to)), default=0)
        return tasks + max(longest[name] for name in self.start)

    @property
    def calls_once(self) -> int:
        """Return how often the judge is asked once for all cases: for the steps of each GEval."""
        return sum(end.kind.calls_once(end.settings) for end in self._inner)

    @property
    def _inner(self) -> Iterator[Inner]:
        return (end for node in self.nodes.values() for _, end in node.ends if isinstance(end, Inner))


def _in_order(graph: Graph) -> list[str]:
    """Return the names so that each node stands before those it leads to."""
    ordered: list[str] = []
    seen: set[str] = set()

    def visit(name: str) -> None:
        if name not in seen:
            seen.add(name)
            for each in graph.nodes[name].leads_to:
                visit(each)
            ordered.append(name)

    for name in graph.start:
        visit(name)
    return ordered[::-1]


def graph_faults(written: Any, kinds: Kinds, *, of_turns: bool) -> Iterator[Fault]:
    """Yield what is wrong with a graph, each with its path within the metric's settings."""
    reader = _Reader(kinds, of_turns)
    graph = reader.graph(written)
    yield from reader.faults
    if not reader.faults:
        yield from _faults_of_shape(graph)


def graph_of(written: Any, kinds: Kinds, *, of_turns: bool) -> Graph:
    """Return a graph that has no faults."""
    return _Reader(kinds, of_turns).graph(written)


@dataclass(slots=True)
class _Reader:
    """Reads nodes wherever they stand, and writes down what is wrong. `named` are the names that lead somewhere."""

    kinds: Kinds
    of_turns: bool
    nodes: dict[str, Node] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    named: list[tuple[str, ValuePath]] = field(default_factory=list)

    def graph(self, written: Any) -> Graph:
        is_named = isinstance(written, Mapping) and "nodes" in written
        start = self._named(written) if is_named else tuple(self._targets(written, ("graph",)))
        for name, at in self.named:
            if name not in self.nodes:
                close = nearest(name, self.nodes)
                self._fault(at, f"there is no node {shown(name)}", f"did you mean {close!r}?" if close else None)
        return Graph(self.nodes, start)

    def _named(self, written: Mapping[str, Any]) -> tuple[str, ...]:
        """Read the nodes under `nodes`; return the names of those to begin with."""
        at: ValuePath = ("graph",)
        self._unknown_keys(written, ("start", "nodes"), at)
        named = written["nodes"]
        if not isinstance(named, Mapping) or not named:
            self._fault((*at, "nodes"), f"expected nodes by name, found {found(named)}")
            return ()
        for name, node in named.items():
            self._node(node, (*at, "nodes", name), str(name))
        start = written.get("start")
        names = start if isinstance(start, list) else [start]
        known = [name for name in names if isinstance(name, str)]
        if not known or len(known) < len(names):
            self._fault((*at, "start") if "start" in written else at, "`start` names the node to begin with")
            return ()
        self.named += [(name, (*at, "start")) for name in known]
        return tuple(known)

    def _targets(self, written: Any, at: ValuePath) -> Iterator[str]:
        """Read the nodes that one leads to: a name, a node, or a list of them."""
        several = written if isinstance(written, list) else [written]
        for index, one in enumerate(several):
            path = (*at, index) if isinstance(written, list) else at
            if isinstance(one, str) and at != ("graph",):
                self.named.append((one, path))
                yield one
            elif (name := self._node(one, path, dotted(path))) is not None:
                yield name

    def _node(self, written: Any, at: ValuePath, name: str) -> str | None:
        if len(self.nodes) >= MAX_NODES:
            self.faults = self.faults or [(("graph",), f"a graph has at most {MAX_NODES} nodes", None)]
            return None
        kinds = [kind for kind in _KEYS if isinstance(written, Mapping) and kind in written]
        if len(kinds) != 1:
            self._fault(
                at, f"a node has one of task, ask and choose, found {found(written)}", "as in {ask: …, yes: 10}"
            )
            return None
        kind, label = kinds[0], written.get("label")
        self._unknown_keys(written, (*_KEYS[kind], *(("turn_window",) if self.of_turns else ())), at)
        if not isinstance(written[kind], str) or not written[kind].strip():
            self._fault((*at, kind), f"expected text, found {found(written[kind])}")
        if (label is not None or kind == "task") and (not isinstance(label, str) or not label.strip()):
            self._fault(at, "a task has a `label`, which names what it made", "as in label: headings")
        params = self._params(written, at)
        window = self._window(written, at)
        node = Node(name, kind, str(written[kind]), label, params, window, path=at)
        self.nodes[name] = node  # before those it leads to, so that names count them in the order of the file
        then = tuple(self._targets(written.get("then", ()) or [], (*at, "then"))) if kind == "task" else ()
        if kind == "task" and not then:
            self._fault(at, "a task leads to nodes in `then`: it gives no score itself")
        ends = tuple(self._ends(written, kind, at))
        self.nodes[name] = Node(name, kind, node.text, label, params, window, then, ends, at)
        return name

    def _ends(self, written: Mapping[str, Any], kind: NodeKind, at: ValuePath) -> Iterator[tuple[bool | str, End]]:
        if kind == "task":
            return
        if kind == "ask":
            verdicts: Any = {key: written[key] for key in ("yes", "no") if key in written}
            if len(verdicts) < 2:
                self._fault(
                    at, "a node with `ask` says where `yes` and `no` lead", "to a score from 0 to 10, or a node"
                )
        else:
            verdicts = written.get("options")
            is_map = isinstance(verdicts, Mapping) and len(verdicts) > 1
            if not is_map or not all(isinstance(key, str) and key.strip() for key in verdicts):
                self._fault(at, "`options` are two or more answers, and where each leads", "as in options: {good: 10}")
                return
            at = (*at, "options")
        for verdict, written_end in verdicts.items():
            end = self._end(written_end, (*at, verdict))
            if end is not None:
                yield (verdict == "yes" if kind == "ask" else verdict), end

    def _end(self, written: Any, at: ValuePath) -> End | None:
        if isinstance(written, str):
            self.named.append((written, at))
            return written
        if isinstance(written, Mapping):
            return self._inner(written, at) if "metric" in written else self._node(written, at, dotted(at))
        if type(written) is int and 0 <= written <= MAX_SCORE:
            return written
        self._fault(at, f"expected a whole number from 0 to {MAX_SCORE}, a node or a metric, found {found(written)}")
        return None

    def _inner(self, written: Mapping[str, Any], at: ValuePath) -> Inner | None:
        self._unknown_keys(written, ("metric",), at)
        at, metric = (*at, "metric"), written["metric"]
        name, settings = metric, dict[str, Any]()
        if isinstance(metric, Mapping) and len(metric) == 1:
            name, settings = next(iter(metric.items()))
            settings = settings if settings is not None else {}
            at = (*at, name)
        fit = {
            each.name: each
            for each in self.kinds().values()
            if each.is_conversational == self.of_turns and "graph" not in each.settings
        }
        if name not in fit:
            close = nearest(str(name), fit)
            self._fault(
                at, f"there is no metric {shown(str(name))} for a graph", f"did you mean {close!r}?" if close else None
            )
            return None
        if not isinstance(settings, Mapping):
            self._fault(at, f"expected the metric's settings, found {found(settings)}")
            return None
        taken = _OF_INNER_GEVAL if name.endswith("g_eval") else tuple(fit[name].settings)
        for where, message, hint in inner_faults(fit[name], settings, taken):
            self._fault((*at, *where), f"{name}: {message}", hint)
        return Inner(fit[name], settings)

    def _params(self, written: Mapping[str, Any], at: ValuePath) -> tuple[str, ...] | None:
        params = written.get("evaluation_params")
        if params is None:
            return None
        if not isinstance(params, list):
            self._fault((*at, "evaluation_params"), f"expected a list, found {found(params)}")
            return None
        self.faults += text_list_faults((*at, "evaluation_params"), params, OF_A_TURN if self.of_turns else SINGLE_TURN)
        return tuple(str(one) for one in params)

    def _window(self, written: Mapping[str, Any], at: ValuePath) -> tuple[int, int] | None:
        window = written.get("turn_window") if self.of_turns else None
        if window is None:
            return None
        is_pair = isinstance(window, list) and len(window) == 2 and all(type(one) is int for one in window)
        if not is_pair or not 0 <= window[0] < window[1]:
            self._fault((*at, "turn_window"), "expected the first and the last turn, counted from 0", "as in [0, 3]")
            return None
        return window[0], window[1]

    def _unknown_keys(self, written: Mapping[str, Any], known: tuple[str, ...], at: ValuePath) -> None:
        for key in written:
            if key not in known and not str(key).startswith("x-"):
                close = nearest(str(key), known)
                hint = f"did you mean {close!r}?" if close else f"the keys are {', '.join(known)}"
                self._fault((*at, key), f"unknown key {shown(str(key))}", hint)

    def _fault(self, at: ValuePath, message: str, hint: str | None = None) -> None:
        self.faults.append((at, f"{dotted(at)}: {message}", hint))


def _faults_of_shape(graph: Graph) -> Iterator[Fault]:
    """Yield what is wrong with how nodes lead to each other."""
    if (circle := _circle(graph)) is not None:
        yield graph.nodes[circle].path, f"the node {shown(circle)} leads back to itself", None
        return
    reached = set(_in_order(graph))
    before: dict[str, list[Node]] = {name: [] for name in graph.nodes}
    for node in graph.nodes.values():
        for name in node.leads_to:
            before[name].append(node)
    for name, node in graph.nodes.items():
        if name not in reached:
            yield node.path, f"nothing leads to the node {shown(name)}", "remove it, or name it where it is to follow"
            continue
        if name in graph.start and before[name]:
            yield (
                ("graph", "start"),
                f"the node {shown(name)} follows another one, and cannot be the start as well",
                None,
            )
        if not node.params and not any(each.kind == "task" for each in before[name]):
            hint = "give it evaluation_params, or name it in `then` of the task whose output it looks at"
            yield node.path, f"{dotted(node.path)}: it has nothing to look at", hint
        if len({each.name for each in before[name] if each.kind != "task"}) > 1:
            said = f"the node {shown(name)} follows two judgments, and waits for both where only one leads to it"
            yield node.path, said, "write it out where each of them leads"
    yield from _faults_of_ends(graph, {name for name in reached if all(each.kind == "task" for each in before[name])})


def _faults_of_ends(graph: Graph, free: set[str]) -> Iterator[Fault]:
    """Two judgments at once would both give a score, and the one that happens to end last would win.

    Those that are not `free` wait for the verdict of another one.
    """
    begins: list[tuple[ValuePath, tuple[str, ...]]] = [(("graph",), graph.start)]
    begins += [(node.path, (end,)) for node in graph.nodes.values() for _, end in node.ends if isinstance(end, str)]
    for path, names in begins:
        judgments = {each for name in names for each in _first_judgments(graph, name) if each in free or each in names}
        if len(judgments) > 1:
            yield (
                path,
                f"{dotted(path)}: it leads to {len(judgments)} judgments at once: only one can give the score",
                None,
            )
        elif not judgments:
            yield path, f"{dotted(path)}: it leads to no judgment, so there would never be a score", None


def _first_judgments(graph: Graph, name: str) -> set[str]:
    """Return the judgments that a node leads to by tasks alone, or itself where it is one."""
    judgments: set[str] = set()
    seen, waiting = {name}, [name]
    while waiting:
        node = graph.nodes[waiting.pop()]
        if node.kind != "task":
            judgments.add(node.name)
            continue
        waiting += [each for each in node.then if each not in seen]
        seen.update(node.then)
    return judgments


def _circle(graph: Graph) -> str | None:
    """Return a node that leads back to itself, or None."""
    done: set[str] = set()
    for name in graph.nodes:
        way: list[tuple[str, Iterator[str]]] = [(name, iter(graph.nodes[name].leads_to))]
        on_way = {name}
        while way:
            at, rest = way[-1]
            following = next(rest, None)
            if following is None:
                way.pop()
                on_way.discard(at)
                done.add(at)
            elif following in on_way:
                return following
            elif following not in done:
                way.append((following, iter(graph.nodes[following].leads_to)))
                on_way.add(following)
    return None
