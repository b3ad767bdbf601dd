"""The pages of docs/risks, written from the risk files: `python -m watchkeeper.risks._pages docs/risks [--check]`.

Built-in risks only, so that the pages do not depend on what else is installed. Does not translate: the pages are English.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from watchkeeper.core.text import NO_BREAK
from watchkeeper.risks import Defaults, Example, RiskType, catalogue

INDEX = "README.md"
CRITICALITY = ("not relevant", "low", "medium", "high")


def pages(risks: Mapping[str, RiskType]) -> dict[str, str]:
    """File name to Markdown: the index and one page per risk."""
    return {INDEX: index(risks)} | {f"{key}.md": page(risk) for key, risk in risks.items()}


def index(risks: Mapping[str, RiskType]) -> str:
    rows = [
        [f"[{risk.title}]({key}.md)", f"`{key}`", _schedule(risk), _criticality(risk), "yes" if risk.defaults.in_base_set else ""]
        for key, risk in risks.items()
    ]
    return _document(
        "# Risks",
        "What can go wrong with a model, one page each. A risk is bound to a model with parameters, a schedule and a criticality; the table shows "
        "the defaults. The base set is bound to every new model. `make docs` writes these pages from `src/watchkeeper/risks/`.",
        _table(["risk", "type", "evaluated", "criticality", "base set"], rows),
    )


def page(risk: RiskType) -> str:
    return _document(
        f"# {risk.title}",
        f"Type `{risk.key}`. {_facts(risk)}",
        risk.page,
        "## Parameters",
        _parameters(risk),
        "## What to do",
        "\n".join(f"{number}. {step}" for number, step in enumerate(risk.plan, start=1)),
        "## Examples",
        _table(["case", "parameters", "outcome", "what it says"], [_example(risk, example) for example in risk.examples]),
    )


def _facts(risk: RiskType) -> str:
    kinds, problems = ", ".join(sorted(risk.kinds)) or "all kinds of model", ", ".join(sorted(risk.problem_types)) or "all problem types"
    base = " It belongs to the base set that every new model gets." if risk.defaults.in_base_set else ""
    return (
        f"It looks at `{risk.needs.__name__}` and fits {kinds}, and {problems}. "
        f"By default it is evaluated {_schedule(risk)}{_patience(risk)}, with criticality {_criticality(risk)}.{base}"
    )


def _patience(risk: RiskType) -> str:
    """What else must be true before it fires or is resolved, as far as it is not the plain default."""
    defaults, plain = risk.defaults, Defaults(schedule={}, criticality=0)
    words = {"for_": f", fires after {defaults.for_}", "hold": f", is resolved after {defaults.hold}", "m": f", {defaults.n} of {defaults.m} times"}
    return "".join(text for name, text in words.items() if getattr(defaults, name) != getattr(plain, name))


def _schedule(risk: RiskType) -> str:
    schedule = risk.defaults.schedule
    if "every" in schedule:
        return f"every {schedule['every']}"
    if "on" in schedule:
        return f"on each {schedule['on']}"
    return f"by cron {schedule['cron']}"


def _criticality(risk: RiskType) -> str:
    return f"{risk.defaults.criticality} ({CRITICALITY[risk.defaults.criticality]})"


def _parameters(risk: RiskType) -> str:
    schema = risk.params.model_json_schema()
    required = schema.get("required", ())
    rows = [
        [f"`{name}`", _type(shape), "required" if name in required else _code(shape["default"]), shape["description"]]
        for name, shape in schema.get("properties", {}).items()
    ]
    return _table(["name", "type", "default", "meaning"], rows) if rows else "None."


def _type(shape: Mapping[str, Any]) -> str:  # Any: JSON schema
    if "anyOf" in shape:
        return " or ".join(_type(choice) for choice in shape["anyOf"])
    if "enum" in shape:
        return "one of " + ", ".join(_code(choice) for choice in shape["enum"])
    if shape["type"] == "array":
        return f"list of {_type(shape['items'])}"
    name = "duration" if "examples" in shape and "pattern" in shape else {"null": "empty"}.get(shape["type"], shape["type"])
    return " ".join([name, *_range(shape)])


def _range(shape: Mapping[str, Any]) -> Iterator[str]:  # Any: JSON schema
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    for name, sign in signs.items():
        if name in shape:
            yield f"{sign} {shape[name]}"


def _example(risk: RiskType, example: Example) -> list[str]:
    findings = risk.findings(example.evidence, risk.parse_params(example.params))
    said = "; ".join(finding.explanation.render() for finding in findings).replace(NO_BREAK, " ")
    return [example.title, _code(dict(example.params)) if example.params else "", str(example.outcome), said]


def _code(value: object) -> str:
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _document(*blocks: str) -> str:
    return "\n\n".join(blocks) + "\n"


def built_in() -> dict[str, RiskType]:
    return {key: risk for key, risk in catalogue().items() if risk.evaluate.__module__ == f"watchkeeper.risks.{key}"}


def stale(folder: Path, wanted: Mapping[str, str]) -> list[str]:
    """Names of pages that are missing, out of date or left over."""
    present = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}
    return sorted(name for name in present.keys() | wanted.keys() if present.get(name) != wanted.get(name))


def write(folder: Path, wanted: Mapping[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in stale(folder, wanted):
        if name in wanted:
            (folder / name).write_text(wanted[name], encoding="utf-8")
        else:
            (folder / name).unlink()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m watchkeeper.risks._pages", description="Write the pages of the risks.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a page is out of date")
    given = parser.parse_args(arguments)
    wanted = pages(built_in())
    if not given.check:
        write(given.folder, wanted)
        return 0
    out_of_date = stale(given.folder, wanted)
    if out_of_date:
        sys.stderr.write(f"Out of date in {given.folder}: {', '.join(out_of_date)}. Run `make docs`.\n")
    return 1 if out_of_date else 0


if __name__ == "__main__":
    sys.exit(main())
