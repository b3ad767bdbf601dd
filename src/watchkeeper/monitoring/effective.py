"""What a binding really uses: RiskType's default < Policy < the binding's own, with the source of each value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from watchkeeper import risks
from watchkeeper.monitoring.models import PolicyVersion, RiskBinding
from watchkeeper.risks import RiskParams, RiskType


@dataclass(frozen=True)
class Effective:
    """Validated parameters, and for each name where its value comes from: "default", "policy NAME@N" or "binding"."""

    params: RiskParams
    sources: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:  # Any: JSON
        return self.params.model_dump(mode="json", by_alias=True)


def effective_params(kind: RiskType, policy: PolicyVersion | None, own: Mapping[str, Any]) -> Effective:  # Any: JSON
    from_policy = policy.params if policy else {}
    params = kind.parse_params({**from_policy, **own})
    sources = {
        name: "binding" if name in own else str(f"policy {policy}") if name in from_policy else "default" for name in type(params).model_fields
    }
    return Effective(params, sources)


def effective_of(binding: RiskBinding) -> Effective:
    return effective_params(risks.get(binding.type), binding.policy_version, binding.params)


def plan_of(binding: RiskBinding) -> list[str]:
    """The action plan: the binding's own, else the policy's, else the RiskType's."""
    if binding.action_plan is not None:
        return list(binding.action_plan)
    if binding.policy_version and binding.policy_version.action_plan is not None:
        return list(binding.policy_version.action_plan)
    return list(risks.get(binding.type).plan)


def inherited_params(kind: RiskType, policy: PolicyVersion | None) -> dict[str, Any]:  # Any: JSON
    """What a binding without parameters of its own would use, as far as it is known: a required one has no default."""
    shapes = kind.params.model_json_schema().get("properties", {})
    defaults = {name: shape["default"] for name, shape in shapes.items() if "default" in shape}
    return defaults | (dict(policy.params) if policy else {})


def usual_plan(type: str, policy: PolicyVersion | None) -> list[str]:
    """The plan of a binding that has none of its own."""
    return list(policy.action_plan) if policy and policy.action_plan is not None else list(risks.get(type).plan)
