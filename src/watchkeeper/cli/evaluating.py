"""Evaluate and explain on the command line."""

from __future__ import annotations

from rich.console import Console

from watchkeeper.alerts import flow
from watchkeeper.cli.founding import now
from watchkeeper.core.errors import NotFound
from watchkeeper.monitoring import evaluation
from watchkeeper.monitoring.queries import bound_risks
from watchkeeper.registry.queries import model_by


def evaluate_model(out: Console, *, model: str, risk: str, dry_run: bool) -> int:
    """Explain every (or one) risk; without dry run the worker stores it within a second. 1 when something fires."""
    chosen = [
        bound for bound in bound_risks(model_by(model).id) if risk in ("", bound.binding.type, str(bound.binding.id)) and bound.binding.criticality
    ]
    if not chosen:
        raise NotFound(f"No risk {risk!r} on this model.", remedy="Leave the risk out to evaluate all.")
    has_fired = False
    for bound in chosen:
        for finding in evaluation.dry_run(bound.binding.id, now=now()).findings:
            has_fired = has_fired or finding.outcome == "fired"
            out.print(f"{finding.outcome:8} {bound.binding.criticality}  {bound.type.title}: {finding.explanation.render()}")
    if not dry_run:
        flow.evaluate_now([bound.binding.id for bound in chosen], now=now())
    return int(has_fired)
