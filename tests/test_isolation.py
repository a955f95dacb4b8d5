"""The fences around the tests hold: no network beyond this machine, no real home."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests import conftest
from tests.conftest import Script


def test_this_process_reaches_no_other_host() -> None:
    with pytest.raises(PermissionError, match=r"may not reach example\.com"):
        socket.create_connection(("example.com", 80))
    with (
        socket.socket() as plain,
        pytest.raises(PermissionError, match=r"may not reach 192\.0\.2\.1"),
    ):
        plain.connect(("192.0.2.1", 80))


def test_loopback_is_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        client.sendall(b"x")


@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.create_connection(('example.com', 80))",
        "import socket; socket.socket().connect(('192.0.2.1', 80))",
        "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
        "import urllib.request; urllib.request.urlopen('http://example.com')",
    ],
)
def test_a_process_of_a_test_reaches_no_other_host_and_is_told_on(ps: Script, code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], env=ps.environment(), capture_output=True, check=False)

    assert done.returncode != 0
    assert set(ps.denied) <= {"example.com", "192.0.2.1"}
    assert ps.denied


def test_what_such_a_process_writes_is_noted(ps: Script, tmp_path: Path) -> None:
    code = (
        f"open({str(tmp_path / 'a')!r}, 'w').close(); import os; os.mkdir({str(tmp_path / 'b')!r}); open('/etc/passwd')"
    )

    subprocess.run([sys.executable, "-c", code], env=ps.environment(), check=True)

    assert {tmp_path / "a", tmp_path / "b"} <= set(ps.written)
    assert Path("/etc/passwd") not in ps.written


def test_home_is_not_the_real_one(isolated: Path) -> None:
    assert Path.home() == isolated
    assert Path(os.environ["XDG_CACHE_HOME"]).is_relative_to(isolated)


def test_the_real_home_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(conftest, "_REAL_HOME", tmp_path)
    monkeypatch.setattr(conftest, "_MAY_WRITE", ("/nowhere/",))

    with pytest.raises(PermissionError, match="the real home"):
        (tmp_path / "file").write_text("x")


def test_no_key_of_yours_is_visible() -> None:
    assert not [name for name in os.environ if name.endswith("_API_KEY") or name.startswith("PROMPTSTUDIO_")]
