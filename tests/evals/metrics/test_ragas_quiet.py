"""RAGAS is quiet: a process of its own looks at everything it opens, sends, starts, prints and leaves behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.conftest import REPOSITORY

SEEN = """
import asyncio, json, os, sys, tempfile, threading

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
HARMLESS = {"socket.__new__", "socket.bind"}  # urllib3 asks once whether there is IPv6
seen = []

def hook(event, args):
    if event == "open":
        path, mode, flags = args
        wants = set("wax+") & set(mode) if isinstance(mode, str) else flags & WRITES
        if wants and not str(path).endswith(".pyc") and "__pycache__" not in str(path):
            seen.append(f"open {path}")
    elif event.split(".")[0] in ("socket", "subprocess", "shutil", "urllib", "ftplib", "smtplib") or event in (
        "os.mkdir", "os.rename", "os.remove", "os.system", "os.exec", "os.fork", "os.posix_spawn"
    ):
        if event not in HARMLESS and "__pycache__" not in str(args):
            seen.append(f"{event} {args!r:.100}")

from promptstudio.evals.metrics.schema import Means
from promptstudio.evals.metrics.table import METRICS, engine_of
tempfile.gettempdir()  # Python itself tries out, once, whether it can write there; sacrebleu's first import asks
loop = asyncio.new_event_loop()
sys.addaudithook(hook)
engine_of("ragas")
loaded = sorted({"datasets", "litellm", "deepeval", "torch"} & set(sys.modules))
from tests.evals.metrics.ragas_hand import ScriptedEmbedder, ScriptedJudge, sample
from promptstudio.evals.metrics.ragas_table import RAGAS

GIVEN = {"ragas/topic_adherence": {"reference_topics": ["Paris"]},
         "ragas/instance_specific_rubrics": {"rubrics": {"score1": "bad", "score2": "good"}}}

async def one(name, number):
    means = Means(ScriptedJudge(), ScriptedEmbedder())
    try:
        return (await engine_of("ragas").measure(METRICS[name], GIVEN.get(name, {}), sample(number), means)).score
    except Exception:
        return None

async def all_of_them():
    return await asyncio.gather(*(one(name, number) for name in RAGAS for number in range(4)))

scores = loop.run_until_complete(all_of_them())
import ragas._analytics as analytics
analytics._analytics_batcher._flush_thread.join(5)
analytics.track(analytics.IsCompleteEvent(event_type="trial"))  # as other parts of RAGAS do

def last():
    result = {"seen": seen, "scores": sum(isinstance(one, float) for one in scores), "loaded": loaded,
              "threads": [each.name for each in threading.enumerate() if each is not threading.main_thread()]}
    os.write(int(sys.argv[1]), json.dumps(result).encode())
"""


def test_ragas_sends_writes_prints_and_leaves_nothing(tmp_path: Path) -> None:
    home, folder, temporary = tmp_path / "a-home", tmp_path / "a-folder", tmp_path / "a-tmp"
    for place in (home, folder, temporary):
        place.mkdir()
    # What is registered first is run last: it sees what others do at exit.
    script = f"import atexit\natexit.register(lambda: last())\n{SEEN}"
    answer = tmp_path / "answer.json"
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(temporary),
    }

    with answer.open("wb") as told:
        done = subprocess.run(
            [sys.executable, "-c", script, str(told.fileno())],
            cwd=folder, env=environment, pass_fds=[told.fileno()], capture_output=True, text=True, check=False,
        )  # fmt: skip

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    found = json.loads(answer.read_text())
    assert found["seen"] == []
    assert found["loaded"] == []
    assert found["threads"] == []
    assert found["scores"] > 80
    assert [*home.iterdir()] == [*folder.iterdir()] == [*temporary.iterdir()] == []
