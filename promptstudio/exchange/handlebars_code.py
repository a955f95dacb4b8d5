"""A Handlebars tree → pieces of Jinja: conditions, loops, the names of each scope, and the helpers of dotprompt."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from promptstudio.exchange.curly import TagError
from promptstudio.exchange.handlebars_tree import Block, Call, CallNode, Expression, Node, Scoped, TextNode, is_number
from promptstudio.exchange.ledger import Ledger
from promptstudio.prompts.pieces import Piece, Tag, Text, Value
from promptstudio.prompts.wording import shown
from promptstudio.prompts.yamlfile import ValuePath

_CONSTANTS = {"true": "true", "false": "false", "null": "none", "undefined": "none"}
_LOOP = {"@index": "loop.index0", "@first": "loop.first", "@last": "loop.last"}
_SEGMENT = re.compile(r"\[([^\]]*)\]|([^./\[\]]+)")
_LOOPING = frozenset({"each"})
_CONDITIONS = frozenset({"if", "unless", "ifEquals", "unlessEquals"})


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a name is looked up. `this` is the code of the current value, empty at the root; `key` that of `@key`.

    `names` are the block's own: parameters (`as |x|`) and what a partial's call hands over.
    """

    this: str = ""
    key: str = ""
    in_loop: bool = False
    names: Mapping[str, str] = field(default_factory=dict)
    outer: Scope | None = None


@dataclass(slots=True)
class Writer:
    """Writes the pieces of a tree; notes the inputs it reads and what it had to leave out."""

    ledger: Ledger
    path: ValuePath | str
    kinds: Mapping[str, str]
    loops: int = 0

    def pieces(self, nodes: Iterable[Node], scope: Scope) -> Iterator[Piece]:
        for node in nodes:
            if isinstance(node, TextNode):
                yield Text(node.text)
            elif isinstance(node, CallNode):
                yield from self._called(node.call, scope)
            elif isinstance(node, Scoped):
                yield from self.pieces(node.body, self.scope_of(node, scope))
            else:
                yield from self._block(node, scope)

    def scope_of(self, node: Scoped, scope: Scope) -> Scope:
        """Return the scope within a partial."""
        names = {name: self.code(value, scope) for name, value in node.named.items()}
        this = self.code(node.this, scope) if node.this is not None else scope.this
        return replace(scope, this=this, names={**(scope.names if node.this is None else {}), **names})

    # -- values

    def _called(self, call: Call, scope: Scope) -> Iterator[Piece]:
        name = call.name.word
        if name == "json" and call.args:
            yield Value(self._json(call, scope))
        elif name == "lookup" and len(call.args) == 2:
            target, key = (self.code(arg, scope) for arg in call.args)
            yield Value(f"{target}[{key}] | default('')")
        elif name in ("role", "history", "media", "section"):
            raise TagError(f"{{{{{name}}}}} stands within a condition or a loop, where no message can begin", call.line)
        elif call.args or call.named:
            raise TagError(f"there is no helper {shown(name)} here", call.line)
        elif call.name.text is not None:
            yield Text(call.name.text)
        else:
            code = self.code(call.name, scope, kind="string")
            yield Value(f"{code} | default('')" if "." in code or "[" in code else code)

    def _json(self, call: Call, scope: Scope) -> str:
        code = self.code(call.args[0], scope)
        indent = call.named.get("indent")
        if indent is not None and is_number(indent.word) and indent.word != "0":
            return f"{code} | tojson({indent.word})"
        self.ledger.changed(self.path, "{{json}} is written with a blank after `,` and `:`", line=None)
        return f"{code} | tojson"

    def code(self, expression: Expression, scope: Scope, kind: str = "any") -> str:
        """Return the Jinja expression for a path or a literal."""
        if expression.text is not None:
            return "'" + expression.text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"
        word = expression.word
        if word in _CONSTANTS or is_number(word):
            return _CONSTANTS.get(word, word)
        return self._at(word, scope) if word.startswith("@") else self._named(expression, scope, kind)

    def _named(self, expression: Expression, scope: Scope, kind: str) -> str:
        word = expression.word
        while word.startswith("../"):
            if scope.outer is None:
                raise TagError(f"{shown(expression.word)} climbs out of the template", 1)
            scope, word = scope.outer, word[3:]
        if word in (".", "this", "..", "") and scope.this:
            return scope.this if word != ".." else (scope.outer or scope).this
        parts = _segments(word.removeprefix("./").removeprefix("this.").removeprefix("this/"))
        if not parts:
            raise TagError(f"{shown(expression.word)} is not a name", 1)
        first, *others = parts
        is_own = word.startswith(("./", "this.", "this/"))
        if first in scope.names and not is_own:
            return scope.names[first] + _steps(others)
        if scope.this:
            return scope.this + _steps(parts)
        return self.ledger.uses(first, self.kinds.get(first, "any" if others else kind), self.path) + _steps(others)

    def _at(self, word: str, scope: Scope) -> str:
        up = scope
        if word.startswith("@root."):
            return self.code(Expression(word=word.removeprefix("@root.")), Scope())
        if word == "@key" and up.key:
            return up.key
        if word in _LOOP and up.in_loop:
            return _LOOP[word]
        raise TagError(f"{shown(word)} is data of the calling program, which a prompt file has no word for", 1)

    # -- blocks

    def _block(self, block: Block, scope: Scope) -> Iterator[Piece]:
        name = block.call.name.word
        if name in _CONDITIONS and block.call.args:
            yield from self._condition(block, scope)
        elif name == "each" and len(block.call.args) == 1:
            yield from self._each(block, block.call.args[0], scope)
        elif name == "with" and len(block.call.args) == 1:
            yield from self._with(block, scope)
        elif block.call.args or block.call.named:
            raise TagError(f"there is no block helper {shown(name)} here", block.call.line)
        elif block.inverse:
            test = self._truth(block.call.name, scope)
            yield from self._if(f"not {test}", block, scope, scope)
        else:
            yield from self._section(block, scope)

    def _condition(self, block: Block, scope: Scope) -> Iterator[Piece]:
        name, args = block.call.name.word, block.call.args
        if name in ("if", "unless"):
            test = self._truth(args[0], scope)
            yield from self._if(f"not {test}" if (name == "unless") != block.inverse else test, block, scope, scope)
        elif len(args) == 2:
            one, other = (self.code(arg, scope) for arg in args)
            sign = "==" if name == "ifEquals" else "!="
            yield from self._if(f"{_safe(one)} {sign} {_safe(other)}", block, scope, scope)
        else:
            raise TagError(f"{{{{#{name}}}}} compares two values", block.call.line)

    def _truth(self, expression: Expression, scope: Scope) -> str:
        code = self.code(expression, scope)
        if code.isidentifier() and not scope.this and expression.word not in scope.names and code not in _CONSTANTS:
            self.ledger.optional.add(code)
        return _safe(code)

    def _if(self, test: str, block: Block, scope: Scope, inner: Scope, word: str = "if") -> Iterator[Piece]:
        yield Tag(f"{word} {test}", block.alone[0])
        yield from self.pieces(block.body, inner)
        if block.otherwise is not None:
            yield from self._else(block, scope)
        yield Tag("endif", block.alone[2])

    def _else(self, block: Block, scope: Scope) -> Iterator[Piece]:
        yield Tag("else", block.alone[1])
        yield from self.pieces(block.otherwise or (), scope)

    def _each(self, block: Block, over: Expression, scope: Scope) -> Iterator[Piece]:
        code = self.code(over, scope)
        kind = self.kinds.get(over.word) if not scope.this else None
        if code.isidentifier() and kind is None and over.word not in scope.names and not scope.this:
            self.ledger.optional.add(code)
        self.loops += 1
        item = "item" if self.loops == 1 else f"item{self.loops}"
        key = "key" if self.loops == 1 else f"key{self.loops}"
        of_map = kind == "object" or _reads_key(block.body)
        params = dict(zip(block.call.params, (item, key if of_map else "loop.index0"), strict=False))
        inner = Scope(item, key if of_map else "", in_loop=True, names={**scope.names, **params}, outer=scope)
        heading = f"for {key}, {item} in {_safe(code)} | items" if of_map else f"for {item} in {_safe(code)}"
        yield Tag(heading, block.alone[0])
        yield from self.pieces(block.body, inner)
        if block.otherwise is not None:
            yield from self._else(block, scope)
        yield Tag("endfor", block.alone[2])

    def _with(self, block: Block, scope: Scope) -> Iterator[Piece]:
        expression = block.call.args[0]
        code = self.code(expression, scope)
        params = dict(zip(block.call.params, (code,), strict=False))
        inner = Scope(code, scope.key, scope.in_loop, {**scope.names, **params}, scope)
        yield from self._if(self._truth(expression, scope), block, scope, inner)

    def _section(self, block: Block, scope: Scope) -> Iterator[Piece]:
        """`{{#x}}` without a helper: a loop over a list, `with` for a map, a condition for the rest."""
        over = block.call.name
        kind = self.kinds.get(over.word) if not scope.this else None
        if kind == "array":
            yield from self._each(block, over, scope)
        elif kind == "object":
            yield from self._with(
                replace(block, call=Call(Expression(word="with"), (over,), {}, (), block.call.line)), scope
            )
        else:
            if kind is None:
                said = (
                    f"the block {shown(over.word)} is read as a condition: a list would be rendered once, not per item"
                )
                self.ledger.changed(self.path, said)
            yield from self._if(self._truth(over, scope), block, scope, scope)


def _safe(code: str) -> str:
    """A field that is not there counts as null."""
    return (
        f"({code} | default(none))"
        if "." in code and not code.startswith(("'", "loop.")) and not is_number(code)
        else code
    )


def _segments(word: str) -> list[str]:
    return [bracketed or plain for bracketed, plain in _SEGMENT.findall(word.replace("/", "."))]


def _steps(parts: Iterable[str]) -> str:
    return "".join(_step(part) for part in parts)


def _step(part: str) -> str:
    if part.isdigit():
        return f"[{part}]"
    if part.isidentifier() and not part.startswith("_"):
        return f".{part}"
    return "['" + part.replace("\\", "\\\\").replace("'", "\\'") + "']"


def _reads_key(nodes: Iterable[Node]) -> bool:
    for node in nodes:
        if isinstance(node, CallNode) and any(word.word == "@key" for word in (node.call.name, *node.call.args)):
            return True
        if isinstance(node, Block) and node.call.name.word not in _LOOPING:
            inner = (*node.body, *(node.otherwise or ()))
            if any(word.word == "@key" for word in node.call.args) or _reads_key(inner):
                return True
    return False
