"""Risk types: one file each, found by discovery. File name = key = its page /risks/KEY/ = test name. Knows no Django; a risk never imports a risk.

A file holds its docstring (first line = title, the rest = the page), `NEEDS` (the kind of evidence), `Params`, `DEFAULTS`, `PLAN`, `evaluate`
and `examples`; `MEASURES`, `KINDS` and `PROBLEM_TYPES` where the defaults do not fit; `propose` where it needs parameters that the evidence can tell. `make new-risk NAME` writes one. Third parties use the entry-point group `watchkeeper.risks`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, ErrorDetails

from watchkeeper.core.errors import InvalidInput, NotFound
from watchkeeper.core.evidence import Evidence
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.core.plugins import load_catalogue, title_and_page

GROUP = "watchkeeper.risks"

# The kinds of model that log predictions: the others live on heartbeats, events and metrics.
PREDICTING_KINDS = ("model", "rule_set", "forecast", "llm_application")


class RiskParams(BaseModel):
    """Base of every risk's parameters: each field has a default and a description, unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Defaults as people write them ("1h", not "PT1H"), so that a form filled from the schema is accepted."""
        schema = handler.resolve_ref_schema(handler(core))
        defaults = cls.model_construct().model_dump(mode="json", warnings=False)
        for name, described in schema.get("properties", {}).items():
            if "default" in described:
                described["default"] = defaults[name]
        return schema


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """How a risk is bound when nobody says otherwise. `schedule` as in the API; `for_` and `hold` are durations ("0s", "10m")."""

    schedule: Mapping[str, str]
    criticality: int
    for_: str = "0s"
    hold: str = "0s"
    n: int = 1
    m: int = 1
    in_base_set: bool = False


@dataclass(frozen=True, kw_only=True)
class Limit:
    """Marks a parameter, as in `Annotated[float, FEWER_WHEN_HIGHER]`, that says how much is too much: a rehearsal tries other values of it.

    It is multiplied, or, if it may have any sign, moved by standard deviations of what is measured (`shifts`).
    """

    fewer_when_higher: bool
    shifts: bool = False


FEWER_WHEN_HIGHER = Limit(fewer_when_higher=True)
FEWER_WHEN_LOWER = Limit(fewer_when_higher=False)
UPPER_BOUND = Limit(fewer_when_higher=True, shifts=True)
LOWER_BOUND = Limit(fewer_when_higher=False, shifts=True)


@dataclass(frozen=True, kw_only=True)
class Example:
    """A case the documentation shows and the contract test runs: this evidence must give this outcome."""

    title: str
    evidence: Evidence
    outcome: Outcome
    params: Mapping[str, Any] = field(default_factory=dict)  # Any: JSON of the parameters


@dataclass(frozen=True, kw_only=True)
class RiskType:
    """An abstract risk, valid for every model it fits. `kinds` and `problem_types` empty = all.

    `measures` says what value and limit of its findings are, in the formats of Text: "number", "integer", "share" or "duration" (seconds).
    """

    key: str
    title: str
    page: str
    needs: type[Evidence]
    params: type[RiskParams]
    defaults: Defaults
    plan: tuple[str, ...]
    evaluate: Callable[[Any, Any], Finding | Sequence[Finding]]  # Any: the file's own Evidence and Params, checked by the contract test
    make_examples: Callable[[], Sequence[Example]]
    kinds: frozenset[str] = frozenset()
    problem_types: frozenset[str] = frozenset()
    measures: str = "number"
    propose: Callable[[Any], Sequence[Mapping[str, Any]]] | None = None  # Any: the file's own Evidence, JSON of the parameters

    @cached_property
    def examples(self) -> tuple[Example, ...]:
        """Made when they are asked for: a process that only evaluates risks does without."""
        return tuple(self.make_examples())

    @property
    def limits(self) -> dict[str, Limit]:
        """The parameters that say how much is too much, by name."""
        marked = {name: [mark for mark in field.metadata if isinstance(mark, Limit)] for name, field in self.params.model_fields.items()}
        return {name: marks[0] for name, marks in marked.items() if marks}

    def starters(self, evidence: Evidence) -> Sequence[Mapping[str, Any]]:  # Any: JSON of the parameters
        """The parameters with which it would start on a model: its defaults, what its file proposes, or nothing when it cannot do without an answer."""
        if self.propose:
            return self.propose(evidence)
        return () if any(field.is_required() for field in self.params.model_fields.values()) else ({},)

    def fits(self, *, kind: str, problem_type: str) -> bool:
        return (not self.kinds or kind in self.kinds) and (not self.problem_types or problem_type in self.problem_types)

    def parse_params(self, given: Mapping[str, Any]) -> RiskParams:  # Any: JSON from outside
        """Validated parameters; the error names each wrong field, and what is possible."""
        try:
            return self.params.model_validate(dict(given))
        except ValidationError as problem:
            raise self._wrong(problem.errors()) from problem

    def check_some(self, given: Mapping[str, Any]) -> None:  # Any: JSON from outside
        """Parameters of which others are still to come, as a policy has them: each one given must be possible by itself."""
        try:
            self.params.model_validate(dict(given))
        except ValidationError as problem:
            wrong = [error for error in problem.errors() if error["loc"] and error["type"] != "missing"]
            if wrong:
                raise self._wrong(wrong) from problem

    def _wrong(self, errors: Sequence[ErrorDetails]) -> InvalidInput:
        fields = {".".join(map(str, error["loc"])) or "params": error["msg"] for error in errors}
        known = ", ".join(sorted(self.params.model_fields)) or "none"
        return InvalidInput(
            f"Parameters of {self.key} are wrong: " + "; ".join(f"{name}: {message}" for name, message in fields.items()),
            remedy=f"Known parameters: {known}. The page of this risk type describes them.",
            fields=fields,
        )

    def findings(self, evidence: Evidence, params: RiskParams) -> tuple[Finding, ...]:
        """One finding per segment; most risks have just the pooled one."""
        result = self.evaluate(evidence, params)
        return (result,) if isinstance(result, Finding) else tuple(result)


@cache
def catalogue() -> Mapping[str, RiskType]:
    """All risk types by key."""
    return load_catalogue(sys.modules[__name__], group=GROUP, build=_build)


def get(key: str) -> RiskType:
    found = catalogue().get(key)
    if found is None:
        raise NotFound(f"No risk type {key!r}.", remedy=f"Known: {', '.join(catalogue())}.")
    return found


def _build(key: str, module: ModuleType) -> RiskType:
    parts = ("NEEDS", "Params", "DEFAULTS", "PLAN", "evaluate", "examples")
    title, page = title_and_page("Risk type", key, module, parts=parts, hint="`make new-risk NAME` writes a complete file.")
    return RiskType(
        key=key,
        title=title,
        page=page,
        needs=module.NEEDS,
        params=module.Params,
        defaults=module.DEFAULTS,
        plan=tuple(module.PLAN),
        evaluate=module.evaluate,
        make_examples=module.examples,
        kinds=frozenset(getattr(module, "KINDS", ())),
        problem_types=frozenset(getattr(module, "PROBLEM_TYPES", ())),
        measures=getattr(module, "MEASURES", "number"),
        propose=getattr(module, "propose", None),
    )
