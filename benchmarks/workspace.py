"""A project and a home for the measured commands, and the environment they get. Nothing of yours is read."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SCRIPTS = Path(sys.executable).parent
PS = SCRIPTS / "ps"
LLM = SCRIPTS / "llm"
PROMPT = 'model: loopback/bench\ninputs: {name: string}\nprompt: "Say hello to {{ name }}."\n'
OFFLINE = 'model: offline/echo\ninputs: {name: string}\nprompt: "Say hello to {{ name }}."\n'
LLM_MODEL = "- model_id: bench\n  model_name: bench\n  api_base: http://127.0.0.1:{port}/v1\n"


@dataclass(frozen=True)
class Workspace:
    """`project` is the working directory of both programs, `home` what they take for a home."""

    home: Path
    project: Path

    @property
    def env(self) -> dict[str, str]:
        """A plain environment; byte-code may be written and read, as in any installation."""
        return {
            "HOME": str(self.home),
            "XDG_CACHE_HOME": str(self.home / ".cache"),
            "XDG_CONFIG_HOME": str(self.home / ".config"),
            "XDG_DATA_HOME": str(self.home / ".local/share"),
            "LLM_USER_PATH": str(self.home / "llm"),
            "PATH": f"{SCRIPTS}{os.pathsep}/usr/local/bin{os.pathsep}/usr/bin{os.pathsep}/bin",
            "LANG": "C.UTF-8",
        }

    @contextlib.contextmanager
    def provider(self, *words: str) -> Iterator[None]:
        """Start a loopback provider and lead both programs to it: the quick one, or a module with its arguments."""
        process = subprocess.Popen(
            [sys.executable, "-m", *(words or ("benchmarks.provider",))],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parent.parent,
        )
        assert process.stdout is not None
        try:
            port = int(process.stdout.readline())
            toml = f'[providers.loopback]\napi_base = "http://127.0.0.1:{port}/v1"\n'
            (self.project / "promptstudio.toml").write_text(toml)
            (self.home / "llm/extra-openai-models.yaml").write_text(LLM_MODEL.format(port=port))
            yield
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()


def make_workspace(folder: Path) -> Workspace:
    """Make a home and a committed project with one prompt for the loopback provider and one for the offline one."""
    home, project = folder / "home", folder / "project"
    (home / "llm").mkdir(parents=True)
    (project / "prompts").mkdir(parents=True)
    (home / ".gitconfig").write_text("[user]\n\tname = Ada Lovelace\n\temail = ada@example.com\n")
    (project / "promptstudio.toml").write_text("")
    (project / "prompts/greet.yaml").write_text(PROMPT)
    (project / "prompts/echo.yaml").write_text(OFFLINE)
    (project / ".gitignore").write_text(".promptstudio/\n")
    workspace = Workspace(home, project)
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "A project to measure")):
        subprocess.run(["git", *words], cwd=project, env=workspace.env, check=True)
    return workspace
