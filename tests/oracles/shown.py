"""How the oracles' tests print what they measured: Markdown, so that docs/guide/oracles.md can take it as it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def show(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    print(f"\n\n{title}\n\n{_line(head)}\n{_line('---' for _ in head)}")
    for row in rows:
        print(_line(_told(cell) for cell in row))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _told(cell: object) -> str:
    return f"{cell:.5f}" if isinstance(cell, float) else str(cell)
