"""A service level as OpenSLO v1 documents (https://github.com/OpenSLO/OpenSLO): service, objective, and a policy with the burn-rate alerts.

Written as JSON, which every reader of YAML reads. Computes no figure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from watchkeeper.stats.slo import MODEL_WINDOWS, BurnWindow

Document = dict[str, Any]  # Any: JSON
_DAY = timedelta(days=1)


def open_slo(
    *, model: str, name: str, description: str, target: float, budget: timedelta, address: str, windows: Sequence[BurnWindow] = MODEL_WINDOWS
) -> str:
    """The documents of one objective, apart by "---". `address` is where the counts of good and labelled predictions are read."""
    key = resource_name(name)
    policies = [f"{key}-burn-{_days(window.long)}d" for window in windows]
    service: Document = {"kind": "Service", "metadata": {"name": key, "displayName": name}, "spec": {"description": description}}
    objective: Document = {
        "kind": "SLO",
        "metadata": {"name": f"{key}-good-predictions", "displayName": f"{name}: good predictions", "annotations": {"watchkeeper.io/model": model}},
        "spec": {
            "description": "Share of good ones among the labelled predictions of mature days.",
            "service": key,
            "indicator": {"metadata": {"name": f"{key}-good-share"}, "spec": {"ratioMetric": _ratio(address)}},
            "timeWindow": [{"duration": f"{_days(budget)}d", "isRolling": True}],
            "budgetingMethod": "Occurrences",
            "objectives": [{"displayName": "good predictions", "target": target}],
            "alertPolicies": [{"alertPolicyRef": policy} for policy in policies],
        },
    }
    alerts = [document for window, policy in zip(windows, policies, strict=True) for document in _alert(policy, window)]
    return "---\n".join(json.dumps({"apiVersion": "openslo/v1", **document}, indent=2) + "\n" for document in (service, objective, *alerts))


def resource_name(name: str) -> str:
    """A name as RFC 1123 allows it: lowercase letters, digits and dashes, at most 40 so that suffixes fit.

    >>> resource_name("Late flights, New York"), resource_name("Оттоk!")
    ('late-flights-new-york', 'k')
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-") or "model"


def _ratio(address: str) -> Document:
    def source(which: str) -> Document:
        return {"metricSource": {"type": "Watchkeeper", "spec": {"url": address, "field": which}}}

    return {"counter": True, "good": source("good"), "total": source("labelled")}


def _alert(policy: str, window: BurnWindow) -> list[Document]:
    condition = {
        "severity": window.severity.value,
        "condition": {"kind": "burnrate", "op": "gt", "threshold": window.burn, "lookbackWindow": f"{_days(window.long)}d", "alertAfter": "0m"},
    }
    return [
        {
            "kind": "AlertPolicy",
            "metadata": {"name": policy},
            "spec": {
                "alertWhenBreaching": True,
                "alertWhenResolved": True,
                "conditions": [{"kind": "AlertCondition", "metadata": {"name": f"{policy}-rate"}, "spec": condition}],
                "notificationTargets": [],
            },
        }
    ]


def _days(span: timedelta) -> int:
    return round(span / _DAY)
