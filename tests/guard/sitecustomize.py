"""Loaded by every Python that a test starts (through PYTHONPATH): no host but this machine, and a note of each write.

A refused host is appended to the file named by GUARD_HOSTS, a path opened for writing to the one named by GUARD_WRITES.
"""

import os
import sys

_LOCAL = ("127.", "::1", "localhost", "0.0.0.0", "::ffff:127.")
_HOSTS = os.environ.get("GUARD_HOSTS")
_WRITES = os.environ.get("GUARD_WRITES")


def _note(path, text):
    # Without codecs and buffers: this runs inside an event, in processes of every kind.
    notes = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(notes, os.fsencode(text + "\n"))
    os.close(notes)


def _host(event, args):
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        return args[0]
    if event in ("socket.connect", "socket.sendto"):
        address = args[1]
        return address[0] if isinstance(address, tuple) else None
    return None


def _writes(event, args):
    if event in ("os.mkdir", "sqlite3.connect"):
        return True
    if event != "open":
        return False
    mode, flags = args[1:3]
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def _watch(event, args):
    if event.startswith("socket."):
        host = _host(event, args)
        if isinstance(host, bytes):
            host = host.decode()
        if host and not host.startswith(_LOCAL):
            _note(_HOSTS, host)
            raise PermissionError(f"a test may not reach {host}")
    elif (
        _WRITES
        and isinstance(args[0] if args else None, str)
        and args[0] not in (_HOSTS, _WRITES)
        and _writes(event, args)
    ):
        _note(_WRITES, os.path.abspath(args[0]))  # noqa: PTH100 — no pathlib here: it would cost every test


if _HOSTS:
    sys.addaudithook(_watch)
