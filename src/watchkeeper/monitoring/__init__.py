"""The risk engine: policies, bindings, evidence, findings, conditions and the light."""
