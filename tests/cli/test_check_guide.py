"""Runs the very blocks of docs/guide/check.md, in their order, in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.patience import PATIENCE

GUIDE = Path(__file__).parents[2] / "docs/guide/check.md"


def test_the_guide_works_as_it_is_written(tmp_path: Path) -> None:
    blocks = re.findall(r"```(python|bash|bash fails)\n(.*?)```", GUIDE.read_text(), flags=re.DOTALL)
    path = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    known: list[str] = []

    for kind, block in blocks:
        if kind == "python":
            known.append(block)
            continue
        _python(tmp_path, known)
        done = subprocess.run(["bash", "-c", block], cwd=tmp_path, env=path, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == (1 if kind == "bash fails" else 0), done.stdout + done.stderr
    _python(tmp_path, known)

    assert [kind for kind, _ in blocks].count("python") == 5
    assert "1 of 3 columns differs" in (tmp_path / "report.html").read_text()


def _python(folder: Path, blocks: list[str]) -> None:
    """Later blocks use names of earlier ones."""
    done = subprocess.run([sys.executable, "-c", "\n".join(blocks)], cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
