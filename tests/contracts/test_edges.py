"""Edges import queries and services, never a slice's models: not even to look one thing up. Names for annotations alone are allowed.

import-linter can leave out imports for annotations only for all contracts at once, which would let a lower slice lean on a higher one.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import watchkeeper

PACKAGE = Path(watchkeeper.__file__).parent
EDGES = ("cli", "worker", "web", "api")
FILES = [file for edge in EDGES for file in sorted((PACKAGE / edge).rglob("*.py"))]
ALLOWED = {"cli/demo/scenario.py"}  # plays people and teams on a platform of its own


def imported(nodes: list[ast.stmt]) -> Iterator[str]:
    """Modules that are imported when the file runs, at the top or in a function."""
    for node in nodes:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from imported(node.orelse)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        else:
            yield from imported([child for child in ast.walk(node) if isinstance(child, ast.Import | ast.ImportFrom)])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_an_edge_imports_no_models(file: Path) -> None:
    parts = [name.split(".") for name in imported(ast.parse(file.read_text()).body)]
    models = [".".join(name) for name in parts if name[2:3] == ["models"] and name[0] == "watchkeeper" and name[1] not in EDGES]

    assert models == [] or file.relative_to(PACKAGE).as_posix() in ALLOWED
