"""`make new-risk NAME=…`: a complete risk file and its test, ready to be changed."""

from __future__ import annotations

import sys
from pathlib import Path

from watchkeeper.core.skeletons import skeleton_command, write_skeleton

HERE = Path(__file__).parent
# Template to where its copy goes, from the root of the checkout.
FILES = {HERE / "_template.py.txt": "src/watchkeeper/risks/{name}.py", HERE / "_template_test.py.txt": "tests/risks/test_{name}.py"}


def new_risk(name: str, *, root: Path) -> list[Path]:
    """Write the skeleton of the risk `name` into the checkout at `root`."""
    return write_skeleton(name, what="risk", files=FILES, root=root)


if __name__ == "__main__":
    sys.exit(skeleton_command("risk", FILES))
