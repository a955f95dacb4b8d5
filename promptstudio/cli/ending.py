"""The end of a process, without the last part of Python's own: taking every module and object apart."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from typing import NoReturn

INTERRUPTED = 130
FLUSH_FAILED = 120  # Python's own exit code where its last flush fails


def end_process(code: int) -> NoReturn:
    """Do what Python does at exit, in its order (join threads, call exit functions, flush), and end."""
    try:
        _join_threads()
        atexit._run_exitfuncs()  # noqa: SLF001  the way multiprocessing ends its processes
    except KeyboardInterrupt:
        code = INTERRUPTED
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            code = code or FLUSH_FAILED
    os._exit(code)


def _join_threads() -> None:
    """Wait for threads that are not daemons, and let executors end theirs first, as Python does."""
    shutdown = getattr(threading, "_shutdown", None)  # private: without it the threads are joined one by one
    if shutdown is not None:
        shutdown()
        return
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
