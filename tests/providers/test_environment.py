"""Importing LiteLLM leaves the environment alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# Code given with -c lets LiteLLM look for the file from the current folder upwards.
CODE = "import os; import promptstudio.providers.litellm_wire; print(os.environ.get('OPENAI_API_KEY'))"


def test_a_dotenv_file_nobody_asked_for_is_not_read(tmp_path: Path) -> None:
    tmp_path.joinpath(".env").write_text("OPENAI_API_KEY=from-a-file\n")

    done = subprocess.run([sys.executable, "-c", CODE], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert done.stdout == "None\n"
