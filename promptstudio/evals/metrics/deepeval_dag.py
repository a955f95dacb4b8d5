"""A decision graph → DeepEval's nodes, with a fresh metric at the end of each branch that has one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from promptstudio.evals.metrics import deepeval_door as deepeval
from promptstudio.evals.metrics.deepeval_fixes import ConversationalNonBinaryJudgementNode, NonBinaryJudgementNode
from promptstudio.evals.metrics.deepeval_graph import Graph, Inner, Node, NodeKind

_SINGLE: dict[NodeKind, Any] = {
    "task": deepeval.nodes.TaskNode,
    "ask": deepeval.nodes.BinaryJudgementNode,
    "choose": NonBinaryJudgementNode,
}
_OF_TURNS: dict[NodeKind, Any] = {
    "task": deepeval.turn_nodes.ConversationalTaskNode,
    "ask": deepeval.turn_nodes.ConversationalBinaryJudgementNode,
    "choose": ConversationalNonBinaryJudgementNode,
}


def built(graph: Graph, measure: Callable[[Inner], Any], *, of_turns: bool) -> Any:
    """Return the graph as DeepEval runs it."""
    nodes = {name: _made(node, of_turns=of_turns) for name, node in graph.nodes.items()}
    for name, node in graph.nodes.items():
        for each in node.then:
            nodes[name].add_node(nodes[each])
        for verdict, end in node.ends:
            if isinstance(end, int):
                nodes[name].add_verdict(verdict, score=end)
            else:
                nodes[name].add_verdict(verdict, then=nodes[end] if isinstance(end, str) else measure(end))
    return deepeval.metrics.DeepAcyclicGraph([nodes[name] for name in graph.start])


def _made(node: Node, *, of_turns: bool) -> Any:
    params = deepeval.MultiTurnParams if of_turns else deepeval.SingleTurnParams
    settings: dict[str, Any] = {
        "evaluation_params": None if node.params is None else [params(name) for name in node.params],
        "label": node.label,
    }
    if of_turns:
        settings["turn_window"] = node.window
    if node.kind == "task":
        settings |= {"instructions": node.text, "output_label": node.label}
    else:
        settings["criteria"] = node.text
    return (_OF_TURNS if of_turns else _SINGLE)[node.kind](**settings)
