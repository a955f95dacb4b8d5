"""Jinja source + plain values → text; and what can be said of a source without running it.

`sandbox.py` is the world a template runs in; this module is the way in and out of it: values are checked to be plain
data and copied, and whatever goes wrong becomes one of our errors with the file and the line in that file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from jinja2 import Template, TemplateNotFound, TemplateSyntaxError, UndefinedError, meta, nodes
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.visitor import NodeTransformer

from promptstudio.errors import InputsError, PromptFileError, PromptStudioError
from promptstudio.prompts.budget import OverBudgetError, fresh_budget
from promptstudio.prompts.filters import RefusedError
from promptstudio.prompts.plain import plain_values
from promptstudio.prompts.rewrite import literal_name
from promptstudio.prompts.sandbox import GLOBALS, Sandbox

RESERVED_NAMES = frozenset(GLOBALS) | {"caller", "kwargs", "loop", "self", "super", "varargs"}
"""Names that mean something of their own in a template, so an input should not bear them."""

MAX_KEPT = 1 << 14
"""Characters of a text up to which what was found out about it is kept: partials are asked for by many prompts."""

_SOURCE_NAME = "<prompt>"
# Everything Jinja, Python's compiler or an operation on plain data may raise; a hostile template chooses which.
_FAILURES = (
    TemplateError,
    OverBudgetError,
    RefusedError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
)


def render_template(
    source: str,
    values: Mapping[str, Any],
    partials: Mapping[str, str],
    *,
    file: str | None = None,
    line: int | None = 1,
) -> str:
    """Render `source`. `line` is where it starts in `file`; a name without a value raises InputsError."""
    data = plain_values(values)
    try:
        template = _compiled(source, _key(partials))
        with fresh_budget():
            return "".join(template.root_render_func(template.new_context(data)))
    except _FAILURES as error:
        raise _ours(error, file, line) from error


def check_syntax(source: str, *, file: str | None = None, line: int | None = 1, column: int | None = None) -> None:
    """Raise PromptFileError if `source` cannot be compiled: a tag left open, an unknown filter, `__class__`, …"""
    try:
        _compiled(source, ())
    except _FAILURES as error:
        raise _ours(error, file, line, column if "\n" not in source else None) from error


def free_variables(
    source: str, partials: Mapping[str, str], *, file: str | None = None, line: int | None = 1
) -> set[str]:
    """The names `source` and what it includes read from outside; loop and `set` variables are not among them."""
    try:
        return set(_free_variables(source, _key(partials)))
    except _FAILURES as error:
        raise _ours(error, file, line) from error


def literal_includes(source: str, *, file: str | None = None, line: int | None = 1) -> list[str]:
    """The files `source` itself includes, imports or extends, in order; one that is computed raises PromptFileError."""
    if "{%" not in source:
        return []
    try:
        return list(_kept_includes(source) if len(source) <= MAX_KEPT else _literal_includes(source))
    except _FAILURES as error:
        raise _ours(error, file, line) from error


def _literal_includes(source: str) -> tuple[str, ...]:
    return tuple(literal_name(node) for node in _sandbox(()).parse(source).find_all(_INCLUDING))


_kept_includes = lru_cache(maxsize=256)(_literal_includes)


_INCLUDING = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)


def without_comments(source: str) -> str:
    """A template that means the same, without `{# … #}` and the blank space that Jinja drops around tags.

    Where what is left would read otherwise (two halves of a tag meet, a line feed comes to stand after a tag), the text
    is put between `{% raw %}` and `{% endraw %}`.
    """
    return _kept_without_comments(source) if len(source) <= MAX_KEPT else _without_comments(source)


def _without_comments(source: str) -> str:
    try:
        tokens = _tokens(source)
    except _FAILURES as error:
        raise _ours(error, None, 1) from error
    written: list[str] = []
    end = 0
    for start, stop in _text_runs(tokens):
        written += [text for _, text in tokens[end:start]]
        written.append(_run_without_comments(tokens, start, stop))
        end = stop
    written += [text for _, text in tokens[end:]]
    return _whole("".join(written))


_kept_without_comments = lru_cache(maxsize=512)(_without_comments)


_Tokens = list[tuple[str, str]]
_MARKS = re.compile(r"[{}%#]")


def _tokens(source: str) -> _Tokens:
    """(kind, text) of each token as written, a whole comment being one token without text."""
    found: _Tokens = []
    for _, kind, text in _sandbox(()).lexer.tokeniter(source, None):
        if not kind.startswith("comment"):
            found.append((kind, text))
        elif kind == "comment_begin":
            found.append(("comment", ""))
    return found


def _text_runs(tokens: _Tokens) -> Iterator[tuple[int, int]]:
    """[start, stop) of each stretch of text and comments between two tags; what is raw already is left alone."""
    start = 0
    for place, (kind, _) in enumerate([*tokens, ("end", "")]):
        if kind in ("data", "comment"):
            continue
        if start < place and (start == 0 or tokens[start - 1][0] != "raw_begin"):
            yield start, place
        start = place + 1


def _run_without_comments(tokens: _Tokens, start: int, stop: int) -> str:
    """The run's text if it still reads the same between its neighbors, else that text as raw."""
    bare = "".join(text for _, text in tokens[start:stop])
    if stop - start == 1 and _is_safe_between(bare, tokens[start - 1 : start], tokens[stop : stop + 1]):
        return bare
    raw = f"{{% raw %}}{bare}{{%+ endraw +%}}"
    before = _tag_ending_with(*tokens[start - 1]) if start else ""
    after = _tag_beginning_with(*tokens[stop]) if stop < len(tokens) else ""
    try:
        same = _read(before + bare + after) == _read(before + raw + after)
    except TemplateSyntaxError:
        same = False
    return bare if same else raw


def _is_safe_between(text: str, before: _Tokens, after: _Tokens) -> bool:
    """Whether a text plainly reads the same between its neighbors: a quick look at what is most of all prompts."""
    if not text or _MARKS.search(text):
        return False
    starts_well = not text[0].isspace() or before == [("variable_end", "}}")]
    ends_well = not text[-1].isspace() or after == [("variable_begin", "{{")]
    return starts_well and ends_well


def _read(source: str) -> _Tokens:
    """What Jinja makes of `source`: tags, and text in one piece whether it is raw or not."""
    merged: _Tokens = []
    for kind, text in _tokens(_whole(source)):
        if kind == "data" and merged and merged[-1][0] == "data":
            merged[-1] = ("data", merged[-1][1] + text)
        elif kind not in ("raw_begin", "raw_end") and (kind, text) != ("data", ""):
            merged.append((kind, text))
    return merged


def _whole(source: str) -> str:
    """`source` so that the line feed Jinja drops at the end of a template is not one that is meant."""
    return source + "\n" if source.endswith("\n") else source


def _tag_ending_with(kind: str, end: str) -> str:
    return {"variable_end": "{{ x ", "block_end": "{% x ", "raw_end": "{% raw %}"}[kind] + end


def _tag_beginning_with(kind: str, begin: str) -> str:
    return begin + {"variable_begin": " x }}", "block_begin": " x %}", "raw_begin": "{% endraw %}"}[kind]


# -- compiling ------------------------------------------------------------------------------------------------------


def _key(partials: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(partials.items()))


@lru_cache(maxsize=64)
def _sandbox(partials: tuple[tuple[str, str], ...]) -> Sandbox:
    return Sandbox(dict(partials))


@lru_cache(maxsize=256)
def _compiled(source: str, partials: tuple[tuple[str, str], ...]) -> Template:
    sandbox = _sandbox(partials)
    code = sandbox.compile(source, None, _SOURCE_NAME)
    return sandbox.template_class.from_code(sandbox, code, sandbox.make_globals(None))


@lru_cache(maxsize=256)
def _free_variables(source: str, partials: tuple[tuple[str, str], ...]) -> frozenset[str]:
    sandbox = _sandbox(partials)
    tree = _Inlined(sandbox, dict(partials), ()).visit(sandbox.parse(source))
    return frozenset(meta.find_undeclared_variables(tree))


def _tree(body: list[nodes.Node], sandbox: Sandbox) -> nodes.Template:
    tree = nodes.Template(body, lineno=1)
    tree.set_environment(sandbox)
    return tree


class _Inlined(NodeTransformer):
    """Puts each included text in its place, so that a partial in a loop sees the loop's variable."""

    def __init__(self, sandbox: Sandbox, partials: Mapping[str, str], inside: tuple[str, ...]) -> None:
        self._sandbox = sandbox
        self._partials = partials
        self._inside = inside

    def visit_Include(self, node: nodes.Include) -> nodes.Node | list[nodes.Node]:  # noqa: N802 - Jinja's visitors are named after nodes
        if node.ignore_missing and literal_name(node) not in self._partials:
            return []
        body = self._body(node)
        return nodes.Scope(body).set_lineno(node.lineno) if node.with_context else self._closed(node, body)

    def _visit_import(self, node: Any) -> list[nodes.Node]:
        body = self._body(node)
        if not node.with_context:
            self._closed(node, body)
        return [node, nodes.Scope(body).set_lineno(node.lineno)] if node.with_context else [node]

    visit_Import = visit_FromImport = _visit_import  # noqa: N815

    def visit_Extends(self, node: nodes.Extends) -> nodes.Node:  # noqa: N802
        return nodes.Scope(self._body(node)).set_lineno(node.lineno)

    def visit_Block(self, node: nodes.Block) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return nodes.Scope(node.body).set_lineno(node.lineno)

    def _body(self, node: Any) -> list[nodes.Node]:
        name = literal_name(node)
        if name in self._inside:
            raise TemplateSyntaxError(f"{name!r} includes itself", node.lineno)
        if name not in self._partials:
            raise TemplateNotFound(name)
        inner = _Inlined(self._sandbox, self._partials, (*self._inside, name))
        return list(inner.visit(self._sandbox.parse(self._partials[name], name)).body)

    def _closed(self, node: Any, body: list[nodes.Node]) -> list[nodes.Node]:
        """Nothing is visible in what is taken without context, so what it reads could never be given."""
        names = meta.find_undeclared_variables(_tree(body, self._sandbox))
        if names:
            listed = ", ".join(sorted(names))
            raise TemplateSyntaxError(f"{literal_name(node)!r} reads {listed}: add 'with context'", node.lineno)
        return []


# -- errors ---------------------------------------------------------------------------------------------------------


def _ours(error: BaseException, file: str | None, line: int | None, column: int | None = None) -> PromptStudioError:
    partial, inner_line = _place_in_template(error)
    if partial is not None:
        file, line, column = partial, inner_line, None
    elif line is not None:
        line += (inner_line or 1) - 1
    kind = InputsError if isinstance(error, UndefinedError) else PromptFileError
    message, hint = _told(error)
    return kind(message, file=file, line=line, column=column, hint=hint)


def _place_in_template(error: BaseException) -> tuple[str | None, int | None]:
    """(partial or None for the prompt itself, line in it)."""
    if isinstance(error, TemplateSyntaxError):
        name = error.name or error.filename  # the lexer fills in only one of them
        return (None if name == _SOURCE_NAME else name), error.lineno
    place: tuple[str | None, int | None] = (None, None)
    trace = error.__traceback__
    while trace is not None:
        template = trace.tb_frame.f_globals.get("__jinja_template__")
        if isinstance(template, Template):
            place = template.name, template.get_corresponding_lineno(trace.tb_lineno)
        trace = trace.tb_next
    return place


def _told(error: BaseException) -> tuple[str, str | None]:
    """Fact and action for what went wrong in a template."""
    if isinstance(error, TemplateNotFound):
        return f"the included file {error.name!r:.100} is not there", None
    if isinstance(error, MemoryError):
        return "there is not enough memory to render the template", None
    if isinstance(error, (RecursionError, SyntaxError)):
        return "the template is nested too deeply", "split it into partials"
    if isinstance(error, tuple(_HINTS)):
        message = f"{error!s:.300}"
    else:
        message = f"template: {error.message if isinstance(error, TemplateError) else error!s:.300}"
    return message, next((hint for kind, hint in _HINTS.items() if isinstance(error, kind)), None)


_HINTS: dict[type[BaseException], str] = {
    OverBudgetError: "shorten the loops or the repeated text: templates only lay out text",
    RefusedError: "docs/inputs.md lists what templates may use",
    SecurityError: "docs/inputs.md lists what templates may use",
    UndefinedError: "give it a value, or write {{ name | default('…') }} where it may be missing",
}
