"""`make new-risk NAME`: a complete risk file and its test, ready to be changed. Does not overwrite anything."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from watchkeeper.core.errors import InvalidInput, WatchkeeperError

HERE = Path(__file__).parent
# Template to where its copy goes, from the root of the checkout.
FILES = {"_template.py.txt": "src/watchkeeper/risks/{name}.py", "_template_test.py.txt": "tests/risks/test_{name}.py"}


def new_risk(name: str, *, root: Path) -> list[Path]:
    """Write the skeleton of the risk `name` into the checkout at `root`."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        raise InvalidInput(f"{name!r} cannot name a risk.", remedy="Use small letters, digits and single underscores, e.g. labels_missing.")
    copies = {root / place.format(name=name): HERE / template for template, place in FILES.items()}
    taken = [str(path) for path in copies if path.exists()]
    if taken:
        raise InvalidInput(f"Already there: {', '.join(taken)}.", remedy="Choose another name, or edit the file.")
    for path, template in copies.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        title = name.replace("_", " ").capitalize()
        path.write_text(template.read_text(encoding="utf-8").replace("RISK_NAME", name).replace("RISK_TITLE", title), encoding="utf-8")
    return list(copies)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m watchkeeper.risks._new", description="Write the skeleton of a new risk.")
    parser.add_argument("name")
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="the checkout (default: here)")
    given = parser.parse_args(arguments)
    try:
        written = new_risk(given.name, root=given.root)
    except WatchkeeperError as problem:
        sys.stderr.write(f"{problem.detail} {problem.remedy}\n")
        return 1
    sys.stdout.write("".join(f"{path}\n" for path in written) + "Now change them, then run `make test` and `make check`.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
