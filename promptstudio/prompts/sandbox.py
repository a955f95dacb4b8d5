"""The small world a template runs in: plain data, the filters and tests of a table, a budget that pays for each step.

`budget.py` counts, `filters.py` works on the data, `rewrite.py` puts a price on each step of a parsed template, and
this module ties them into Jinja. Constants are not folded while compiling: that would run a bomb before anybody asked
for the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any, cast

from jinja2 import FunctionLoader, StrictUndefined, Template, Undefined, filters, nodes, pass_context, pass_environment
from jinja2.environment import TemplateModule
from jinja2.exceptions import SecurityError, TemplateAssertionError, TemplateSyntaxError
from jinja2.lexer import TokenStream
from jinja2.runtime import BlockReference, Context, LoopContext, Macro, TemplateReference
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS as ENGINE_TESTS
from jinja2.utils import Namespace

from promptstudio.prompts.budget import CALL_DEPTH_LIMIT, Budget, OverBudgetError, budget
from promptstudio.prompts.filters import (
    FILTERS,
    Method,
    RefusedError,
    calculated,
    concatenated,
    joined,
    listed,
    method_of,
    noun,
    number_range,
    summed,
    text_of,
)
from promptstudio.prompts.rewrite import SOURCE_LIMIT, check_nesting, counted_tokens, did_you_mean, priced

_CALL_PRICE = 50


class MissingValue(StrictUndefined):
    """What stands for a name or key that is not there: using it is an error that names it."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return self._undefined_hint
        if isinstance(self._undefined_obj, dict):
            near = did_you_mean(self._undefined_name, self._undefined_obj)
            return f"there is no key {self._undefined_name!r:.60}{near}"
        if type(self._undefined_obj).__name__ == "_MissingType":
            return f"{self._undefined_name!r} is not defined"
        return f"{noun(self._undefined_obj)} has no {self._undefined_name!r:.60} in a template"


class Allowed:
    """A function templates may call."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)


class SandboxedTemplate(Template):
    """A compiled template whose imported modules are built anew each time, so every rendering pays the same."""

    def _get_default_module(self, ctx: Context | None = None) -> TemplateModule:  # noqa: ARG002 - Jinja's signature
        return self.make_module()


@contextmanager
def _errors_in(name: str | None) -> Iterator[None]:
    """Our own refusals know a line; the template they are in is known here."""
    try:
        yield
    except TemplateSyntaxError as error:
        error.name = error.name or name
        raise


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja with nothing in it that could read Python, or work without paying."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})
    template_class = SandboxedTemplate

    def __init__(self, partials: Mapping[str, str]) -> None:
        super().__init__(
            loader=FunctionLoader(lambda name: (partials[name], name, None) if name in partials else None),
            undefined=MissingValue,
            finalize=_printed,
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,
            autoescape=False,
            auto_reload=False,
        )
        self.filters = dict(_ALL_FILTERS)
        self.tests = dict(_ALL_TESTS)
        self.globals = dict(GLOBALS)

    # -- reading

    def _tokenize(
        self, source: str, name: str | None, filename: str | None = None, state: str | None = None
    ) -> TokenStream:
        return TokenStream(counted_tokens(super()._tokenize(source, name, filename, state)), name, filename)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        with _errors_in(name):
            if len(source) > SOURCE_LIMIT:
                raise TemplateAssertionError(f"a template has at most {SOURCE_LIMIT:,} characters", 1)
            tree = super()._parse(source, name, filename)
            check_nesting(tree)
        return tree

    def _generate(
        self, source: nodes.Template, name: str | None, filename: str | None, defer_init: bool = False
    ) -> str:
        with _errors_in(name):
            tree = priced(source, filters=_ALL_FILTERS, tests=_ALL_TESTS)
        return super()._generate(tree, name, filename, defer_init)

    # -- running

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        if attribute.startswith("_"):
            raise SecurityError(f"{attribute!r:.60} cannot be reached from a template")
        method = method_of(obj, attribute)
        return method if method is not None else self._engine_attribute(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, (dict, list, tuple, str, range)):
            try:
                return obj[argument]
            except (TypeError, LookupError):
                pass
        if isinstance(argument, str) and not isinstance(obj, dict):
            return self.getattr(obj, argument)
        return self.undefined(obj=obj, name=argument)

    def _engine_attribute(self, obj: Any, attribute: str) -> Any:
        """What Jinja's own objects offer: the loop, a namespace, an imported module, a block, a group."""
        if isinstance(obj, LoopContext):
            return _loop_attribute(self, obj, attribute)
        if isinstance(obj, TemplateReference):
            return obj[attribute]
        offered = (
            isinstance(obj, (Namespace, Undefined))
            or (isinstance(obj, TemplateModule) and attribute in vars(obj))
            or (isinstance(obj, tuple) and attribute in getattr(obj, "_fields", ()))
            or (isinstance(obj, BlockReference) and attribute == "super")
        )
        missing = self.undefined(obj=obj, name=attribute)
        return getattr(obj, attribute, missing) if offered else missing

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        if isinstance(obj, Undefined):
            return obj()
        if not isinstance(obj, (Method, Allowed, Macro, BlockReference)):
            raise SecurityError(f"{noun(obj)} cannot be called from a template")
        purse = budget()
        purse.spend(_CALL_PRICE)
        named = {name: value for name, value in kwargs.items() if name not in _ENGINE_KEYWORDS}
        for value in (*args, *named.values()):
            purse.spend_on(value)
        if isinstance(obj, (Method, Allowed)):
            return obj(*map(_defined, args), **{name: _defined(value) for name, value in named.items()})
        return self._nested_call(purse, context, obj, args, kwargs)

    def _nested_call(
        self, purse: Budget, context: Context, obj: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if purse.depth >= CALL_DEPTH_LIMIT:
            raise OverBudgetError(f"macros call one another more than {CALL_DEPTH_LIMIT} deep")
        purse.depth += 1
        try:
            return context.call(obj, *args, **kwargs)
        finally:
            purse.depth -= 1

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:  # noqa: ARG002 - Jinja's signature
        return calculated(operator, _defined(left), _defined(right))


_LOOP_VALUES = frozenset(
    {"depth", "depth0", "first", "index", "index0", "last", "length", "nextitem", "previtem", "revindex", "revindex0"}
)
_LOOP_METHODS = frozenset({"changed", "cycle"})
_ENGINE_KEYWORDS = frozenset({"_block_vars", "_loop_vars"})
"""Jinja hands the variables of the place to whatever is called there."""


def _loop_attribute(sandbox: Sandbox, loop: LoopContext, attribute: str) -> Any:
    if attribute in _LOOP_METHODS:
        return Allowed(_paid_call(getattr(loop, attribute)))
    return getattr(loop, attribute) if attribute in _LOOP_VALUES else sandbox.undefined(obj=loop, name=attribute)


def _paid_call(function: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args: Any) -> Any:
        for value in args:
            budget().spend_comparing(value)
        return function(*args)

    return run


@pass_context
def _printed(context: Context, value: Any) -> str:  # noqa: ARG001 - a context keeps Jinja from folding constants
    text = text_of(_defined(value))
    budget().spend(len(text) + 1)
    return text


def _defined(value: Any) -> Any:
    """`value`, or the error that names what is missing; the empty branch of `a if b` counts as null."""
    if isinstance(value, Undefined):
        str(value)
        return None
    return value


# -- filters and tests that need the engine -------------------------------------------------------------------------


def _default(value: Any, default_value: Any = "", boolean: bool = False) -> Any:
    """`default_value` in place of what is missing or null; with `boolean` in place of anything empty."""
    missing = value is None or isinstance(value, Undefined) or (boolean and not value)
    return default_value if missing else value


@pass_environment
def _join(environment: Sandbox, values: Any, d: Any = "", attribute: str | int | None = None) -> str:
    return joined(map(_defined, _picked(environment, values, attribute)), d)


@pass_environment
def _sum(environment: Sandbox, values: Any, attribute: str | int | None = None, start: float = 0) -> float:
    return summed(map(_defined, _picked(environment, values, attribute)), start)


def _picked(environment: Sandbox, values: Any, attribute: str | int | None) -> Iterable[Any]:
    elements = listed(values)
    return elements if attribute is None else map(filters.make_attrgetter(environment, attribute), elements)


def _batch(values: Any, linecount: int, fill_with: Any = None) -> Iterator[list[Any]]:
    return filters.do_batch(values, _small(linecount), fill_with)


def _slice(values: Any, slices: int, fill_with: Any = None) -> Iterator[list[Any]]:
    return filters.sync_do_slice(values, _small(slices), fill_with)


def _small(number: Any) -> int:
    if not isinstance(number, int) or not 1 <= number <= 1000:
        raise RefusedError(f"{number!r:.40} is not between 1 and 1,000")
    return number


def _cut(value: Any, *bounds: Any) -> Any:
    return _defined(value)[slice(*bounds)]


_SEQUENCE_FILTERS: dict[str, Callable[..., Any]] = {
    "batch": _batch,
    "dictsort": filters.do_dictsort,
    "first": filters.sync_do_first,
    "groupby": filters.sync_do_groupby,
    "join": _join,
    "last": filters.do_last,
    "map": filters.sync_do_map,
    "max": filters.do_max,
    "min": filters.do_min,
    "reject": filters.sync_do_reject,
    "rejectattr": filters.sync_do_rejectattr,
    "select": filters.sync_do_select,
    "selectattr": filters.sync_do_selectattr,
    "slice": _slice,
    "sort": filters.do_sort,
    "sum": _sum,
    "unique": filters.do_unique,
}
"""For these null counts as an empty list, so that an absent optional input needs no `if` around it."""


def _paying(function: Callable[..., Any], *, of_sequence: bool = False) -> Callable[..., Any]:
    """`function` that pays for what it is given and what it returns, and returns lists where Jinja has generators."""
    at = 1 if hasattr(function, "jinja_pass_arg") else 0

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        purse = budget()
        given = [_defined(value) for value in args[at:]]
        if of_sequence and given[0] is None:
            given[0] = []
        for value in (*given, *kwargs.values()):
            purse.spend_on(value)
        result = function(*args[:at], *given, **{name: _defined(value) for name, value in kwargs.items()})
        if isinstance(result, Iterator):
            result = list(_paid_elements(result, purse, 1))
        purse.spend_on(result)
        return result

    return run


def _paid_elements(values: Iterator[Any], purse: Budget, price: int) -> Iterator[Any]:
    for value in values:
        purse.spend(price)
        yield value


def _built(value: Any) -> Any:
    budget().spend_on(value)
    return value


def _compared(value: Any) -> Any:
    budget().spend_comparing(value)
    return value


def _steps(value: Any, price: int) -> Iterator[Any]:
    """The rounds of a loop. Of null there are none."""
    value = _defined(value)
    if value is not None and not isinstance(value, (str, list, tuple, dict, range)):
        raise RefusedError(f"a loop needs a list or a mapping, not {noun(value)}")
    return _paid_elements(iter(value or ()), budget(), price)


def _work(price: int) -> None:
    budget().spend(price)


_ALL_FILTERS: dict[str, Callable[..., Any]] = {
    **{name: _paying(function) for name, function in FILTERS.items()},
    **{name: _paying(function, of_sequence=True) for name, function in _SEQUENCE_FILTERS.items()},
    "default": _default,
    "d": _default,
    "(built)": _built,
    "(compared)": _compared,
    "(concat)": _paying(lambda values: concatenated([_defined(value) for value in values])),
    "(slice)": _paying(_cut),
    "(steps)": _steps,
    "(work)": _work,
}

_ENGINE_TESTS = cast("Mapping[str, Callable[..., Any]]", ENGINE_TESTS)
_FREE_TESTS = "boolean false float integer iterable mapping number sequence string true divisibleby even odd"
_COMPARING_TESTS = "== != < <= > >= eq equalto ge greaterthan gt in le lessthan lt ne"


def _paying_test(function: Callable[..., Any]) -> Callable[..., bool]:
    def run(*args: Any) -> bool:
        for value in args:
            budget().spend_comparing(value)
        return bool(function(*args))

    return run


_ALL_TESTS: dict[str, Callable[..., Any]] = {
    **{name: _ENGINE_TESTS[name] for name in _FREE_TESTS.split()},
    **{name: _paying_test(_ENGINE_TESTS[name]) for name in _COMPARING_TESTS.split()},
    "defined": lambda value: value is not None and not isinstance(value, Undefined),
    "undefined": lambda value: value is None or isinstance(value, Undefined),
    "none": lambda value: value is None,
}


def _mapping(**values: Any) -> dict[str, Any]:
    return values


GLOBALS: dict[str, Any] = {
    "dict": Allowed(_mapping),
    "namespace": Allowed(Namespace),
    "range": Allowed(number_range),
}
