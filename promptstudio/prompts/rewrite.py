"""A parsed template → the same template with a price at each of its steps; or the reason why it may not run at all.

Jinja offers hooks for calls, attributes and arithmetic. The other steps become filters of ours in the tree: `a ~ b`,
`[a, b]`, `x[1:2]`, `a == b`, each round of a loop and each body that a call can enter. Their names are in parentheses,
so no template can write them. Also here: how many words, brackets and levels a template may have.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, NoReturn

from jinja2 import nodes
from jinja2.exceptions import TemplateAssertionError
from jinja2.lexer import Token
from jinja2.visitor import NodeTransformer

from promptstudio.prompts.wording import nearest

SOURCE_LIMIT = 1_000_000
TOKEN_LIMIT = 20_000
BRACKET_LIMIT = 30
NESTING_LIMIT = 80
_STEP_PRICE = 20
_NODE_PRICE = 3


def did_you_mean(name: object, known: Iterable[object]) -> str:
    near = nearest(str(name), (key for key in known if isinstance(key, str)))
    return f" (did you mean {near!r:.60}?)" if near else ""


def counted_tokens(stream: Iterable[Token]) -> Iterator[Token]:
    """Pass tokens on, as long as they are not too many or too deep in brackets for the parser."""
    depth = 0
    for number, token in enumerate(stream):
        depth += {"lparen": 1, "lbracket": 1, "lbrace": 1, "rparen": -1, "rbracket": -1, "rbrace": -1}.get(
            token.type, 0
        )
        if depth > BRACKET_LIMIT:
            raise TemplateAssertionError(f"brackets are nested more than {BRACKET_LIMIT} deep", token.lineno)
        if number > TOKEN_LIMIT:
            raise TemplateAssertionError(
                f"a template has at most {TOKEN_LIMIT:,} words and signs in tags", token.lineno
            )
        yield token


def check_nesting(tree: nodes.Template) -> None:
    pending: list[tuple[nodes.Node, int]] = [(tree, 0)]
    while pending:
        node, depth = pending.pop()
        if depth > NESTING_LIMIT:
            raise TemplateAssertionError(f"the template is nested more than {NESTING_LIMIT} deep", node.lineno or 1)
        pending.extend((child, depth + 1) for child in node.iter_child_nodes())


def literal_name(node: Any) -> str:
    """The file an include names; it must be written out, so that one can know a prompt's text without running it."""
    if isinstance(node.template, nodes.Const) and isinstance(node.template.value, str):
        return node.template.value
    tag = type(node).__name__.lower().replace("fromimport", "from … import")
    raise TemplateAssertionError(f"{tag} takes one file name in quotes, not an expression", node.lineno)


def priced(tree: nodes.Template, *, filters: Collection[str], tests: Collection[str]) -> nodes.Template:
    """Rewrite a parsed template so that each of its steps pays; an unknown filter or test is an error."""
    return _Pricing(filters, tests).visit(tree)  # type: ignore[no-any-return]  # Jinja's visitors are untyped


class _Pricing(NodeTransformer):
    """Children first, so that nothing it puts in is visited again."""

    def __init__(self, filters: Collection[str], tests: Collection[str]) -> None:
        self._filters = filters
        self._tests = tests

    def visit_Output(self, node: nodes.Output) -> nodes.Output:  # noqa: N802 - Jinja's visitors are named after nodes
        self.generic_visit(node)
        node.nodes = [_printed_constant(child) for child in node.nodes]
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Expr:  # noqa: N802
        self.generic_visit(node)
        return _step("(concat)", nodes.List(node.nodes, lineno=node.lineno), node)

    def visit_List(self, node: nodes.List) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _step("(built)", node, node)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _step("(built)", node, node)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _step("(built)", node, node) if node.ctx == "load" else node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        if not isinstance(node.arg, nodes.Slice):
            return node
        bounds = (node.arg.start, node.arg.stop, node.arg.step)
        return _step("(slice)", node.node, node, *(bound or nodes.Const(None, lineno=node.lineno) for bound in bounds))

    def visit_Compare(self, node: nodes.Compare) -> nodes.Compare:  # noqa: N802
        self.generic_visit(node)
        node.expr = _step("(compared)", node.expr, node)
        for operand in node.ops:
            operand.expr = _step("(compared)", operand.expr, node)
        return node

    def visit_Getattr(self, node: nodes.Getattr) -> nodes.Getattr:  # noqa: N802
        if node.attr.startswith("__"):
            raise TemplateAssertionError(f"{node.attr!r:.60} cannot be reached from a template", node.lineno)
        self.generic_visit(node)
        return node

    def visit_Filter(self, node: nodes.Filter) -> nodes.Filter:  # noqa: N802
        _check_name("filter", node, self._filters)
        self.generic_visit(node)
        return node

    def visit_Test(self, node: nodes.Test) -> nodes.Test:  # noqa: N802
        _check_name("test", node, self._tests)
        self.generic_visit(node)
        return node

    def visit_For(self, node: nodes.For) -> nodes.For:  # noqa: N802
        if node.recursive:
            raise TemplateAssertionError("recursive loops are not available", node.lineno)
        self.generic_visit(node)
        price = _STEP_PRICE + _price(node.body) + (_price([node.test]) if node.test else 0)
        node.iter = _step("(steps)", node.iter, node, nodes.Const(price))
        return node

    def _visit_body(self, node: Any) -> nodes.Node:
        self.generic_visit(node)
        work = _step("(work)", nodes.Const(_price(node.body)), node)
        node.body.insert(0, nodes.ExprStmt(work).set_lineno(node.lineno))
        return node  # type: ignore[no-any-return]

    visit_Template = visit_Macro = visit_CallBlock = visit_Block = _visit_body  # noqa: N815

    def _visit_include(self, node: Any) -> nodes.Node:
        literal_name(node)
        return node  # type: ignore[no-any-return]

    visit_Include = visit_Import = visit_FromImport = visit_Extends = _visit_include  # noqa: N815

    def visit_ScopedEvalContextModifier(self, node: nodes.Node) -> NoReturn:  # noqa: N802
        raise TemplateAssertionError("autoescape is not available: a prompt is not a web page", node.lineno)


def _printed_constant(node: nodes.Expr) -> nodes.Expr:
    """Literal text as a constant that is printed, because only what is printed pays."""
    return nodes.Const(node.data, lineno=node.lineno) if isinstance(node, nodes.TemplateData) else node


def _step(name: str, value: Any, at: nodes.Node, *args: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(value, name, list(args), [], None, None, lineno=at.lineno)


def _price(body: Iterable[nodes.Node]) -> int:
    """What going through `body` once costs, before what it builds."""
    price, pending = 0, list(body)
    while pending:
        price += _NODE_PRICE
        pending.extend(pending.pop().iter_child_nodes())
    return price


def _check_name(what: str, node: nodes.Filter | nodes.Test, table: Collection[str]) -> None:
    if node.name not in table or node.name.startswith("("):
        near = did_you_mean(node.name, (name for name in table if not name.startswith("(")))
        raise TemplateAssertionError(f"there is no {what} {node.name!r:.60}{near}", node.lineno)
