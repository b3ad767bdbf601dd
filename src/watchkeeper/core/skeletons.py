"""Skeletons of new plugins: complete files, ready to be changed. Does not overwrite anything."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from watchkeeper.core.errors import InvalidInput, WatchkeeperError


def write_skeleton(name: str, *, what: str, files: Mapping[Path, str], root: Path) -> list[Path]:
    """Copy each template to its place below the checkout at `root`; `{name}` in a place, PLUGIN_NAME and PLUGIN_TITLE in a text are filled in."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        raise InvalidInput(f"{name!r} cannot name a {what}.", remedy="Use small letters, digits and single underscores, e.g. labels_missing.")
    copies = {root / place.format(name=name): template for template, place in files.items()}
    taken = [str(path) for path in copies if path.exists()]
    if taken:
        raise InvalidInput(f"Already there: {', '.join(taken)}.", remedy="Choose another name, or edit the file.")
    for path, template in copies.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        title = name.replace("_", " ").capitalize()
        path.write_text(template.read_text(encoding="utf-8").replace("PLUGIN_NAME", name).replace("PLUGIN_TITLE", title), encoding="utf-8")
    return list(copies)


def skeleton_command(what: str, files: Mapping[Path, str]) -> int:
    """The program behind `make new-risk` and `make new-channel`."""
    parser = argparse.ArgumentParser(description=f"Write the skeleton of a new {what}.")
    parser.add_argument("name")
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="the checkout (default: here)")
    given = parser.parse_args()
    try:
        written = write_skeleton(given.name, what=what, files=files, root=given.root)
    except WatchkeeperError as problem:
        sys.stderr.write(f"{problem.detail} {problem.remedy}\n")
        return 1
    sys.stdout.write("".join(f"{path}\n" for path in written) + "Now change them, then run `make test` and `make check`.\n")
    return 0
