"""Keeps RAGAS to itself: what it would send, write, print or leave running, from its import to its last answer."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import types
import warnings
from collections.abc import Awaitable, Generator, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec
from typing import Any, NoReturn, TypeVar

Result = TypeVar("Result")


class _LaterType(type):
    """A class that is looked up when it is used."""

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, import_module("datasets").Dataset)

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(import_module("datasets").Dataset, name)


class _LaterDataset(metaclass=_LaterType):
    """Stands for `datasets.Dataset`, which RAGAS names in its signatures and no metric of it uses."""


@contextmanager
def quiet_import() -> Iterator[None]:
    """Import RAGAS inside: it tracks nothing, and `datasets` is not loaded.

    That package takes half of the seconds RAGAS takes to load; it makes files for trials and starts a program. Whoever
    uses it afterwards, RAGAS included, gets the real one.
    """
    os.environ["RAGAS_DO_NOT_TRACK"] = "true"  # it wants this word
    stand_in = None
    if "datasets" not in sys.modules and "ragas" not in sys.modules:
        stand_in = types.ModuleType("datasets")
        stand_in.__spec__ = ModuleSpec("datasets", None)
        stand_in.__dict__["Dataset"] = _LaterDataset
        sys.modules["datasets"] = stand_in
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its own deprecations are nobody's business here
            yield
    finally:
        if stand_in is not None and sys.modules.get("datasets") is stand_in:
            del sys.modules["datasets"]


def stop_tracking(analytics: types.ModuleType) -> None:
    """Stop what the import has started: a thread, a function at exit, and an identity that is written to disk.

    A version that is made otherwise lacks some of it; what tells it not to track is the environment.
    """
    if (cached := getattr(analytics, "do_not_track", None)) is not None:
        cached.cache_clear()  # it may have been asked before we were here
    if hasattr(analytics, "user_data_dir"):
        analytics.user_data_dir = _no_folder  # type: ignore[attr-defined]  # it takes a name of no meaning then
    if (batcher := getattr(analytics, "_analytics_batcher", None)) is not None:
        batcher.shutdown()
        atexit.unregister(batcher.shutdown)


def _no_folder(*_: object, **__: object) -> NoReturn:
    raise OSError("RAGAS keeps no identity here")


class Quietly(Awaitable[Result]):
    """Awaits something so that nothing its own steps warn of or log is printed.

    RAGAS warns of what its scores say already, and calls `logging.error`, which, where a program has not set up
    logging, sets up printing for good. Between its steps, while the judge is asked, all is as it was.
    """

    def __init__(self, awaitable: Awaitable[Result]) -> None:
        self._awaitable = awaitable

    def __await__(self) -> Generator[Any, Any, Result]:
        steps = self._awaitable.__await__()
        sent: Any = None
        failure: BaseException | None = None
        while True:
            try:
                with _silence():
                    waits_for = steps.send(sent) if failure is None else steps.throw(failure)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]  # a generator's result has no type
            try:
                sent, failure = (yield waits_for), None
            except BaseException as error:  # noqa: BLE001 - thrown in, and handed on
                sent, failure = None, error


@contextmanager
def _silence() -> Iterator[None]:
    root, nobody = logging.getLogger(), logging.NullHandler()
    root.addHandler(nobody)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.removeHandler(nobody)
