"""Forms of a model's pages and of its risks and incidents."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from watchkeeper.core.durations import format_duration, parse_duration
from watchkeeper.registry import queries as registry
from watchkeeper.registry.services import Owners
from watchkeeper.web.forms import CRITICALITY, Choices, LinkField, PlainForm, lines, translated

if TYPE_CHECKING:
    from watchkeeper.accounts.models import Person
    from watchkeeper.monitoring.models import RiskBinding
    from watchkeeper.registry.models import RegisteredModel

PASSPORT = (
    "name",
    "kind",
    "problem_type",
    "stage",
    "tier",
    "purpose",
    "repository_link",
    "documentation_link",
    "tags",
    "custom_fields",
    "timezone",
    "window",
    "expected",
)


class ReasonField(forms.CharField):
    def __init__(self, **kwargs: Any) -> None:  # Any: Django's own arguments
        kwargs |= {"label": _("Reason of the change"), "required": False, "max_length": 500}
        super().__init__(help_text=_("Stands in the history beside what changed."), **kwargs)


class PassportForm(PlainForm):
    """The base fields of a model."""

    name = forms.CharField(label=_("Name"), max_length=200)
    unit = forms.ChoiceField(label=_("Unit"))
    kind = forms.ChoiceField(label=_("Kind"))
    problem_type = forms.ChoiceField(label=_("Problem type"), required=False)
    stage = forms.ChoiceField(label=_("Stage"))
    tier = forms.TypedChoiceField(label=_("Tier"), coerce=int)
    purpose = forms.CharField(label=_("What it is for"), required=False, widget=forms.Textarea(attrs={"rows": 3}))
    repository_link = LinkField(label=_("Repository"), required=False, max_length=1000)
    documentation_link = LinkField(label=_("Documentation"), required=False, max_length=1000)
    tags = forms.CharField(label=_("Tags"), required=False, help_text=_("Separated by commas."))
    custom_fields = forms.CharField(
        label=_("Own fields"), required=False, widget=forms.Textarea(attrs={"rows": 2}), help_text=_("One per line: name: value.")
    )
    timezone = forms.CharField(label=_("Time zone"), help_text=_("Of timestamps that name none, e.g. Europe/Berlin."))
    window = forms.ChoiceField(
        label=_("Window"), required=False, help_text=_("What of its features and predictions is compared with the reference at a time.")
    )
    cron = forms.CharField(label=_("Expected runs"), required=False, help_text=_("For a model that runs by a timetable, as cron: 0 6 * * *"))
    grace = forms.CharField(label=_("A run may be late by"), required=False, help_text=_("e.g. 2h"))
    reason = ReasonField()

    def __init__(self, *args: Any, model: RegisteredModel, units: Choices, **kwargs: Any) -> None:  # Any: Django's own arguments
        timetable = model.expected or {}
        initial = {name: getattr(model, name) for name in PASSPORT} | {
            "unit": str(model.unit_id),
            "tags": ", ".join(model.tags),
            "custom_fields": "\n".join(f"{name}: {value}" for name, value in model.custom_fields.items()),
            "cron": timetable.get("cron", ""),
            "grace": timetable.get("grace", ""),
        }
        super().__init__(*args, initial=initial, **kwargs)
        offered = registry.choices()
        for name in ("kind", "problem_type", "stage", "tier", "window"):
            self.offer(name, translated(offered[name]))
        self.offer("unit", units)

    def wanted(self) -> dict[str, Any]:  # Any: values of fields
        """The fields of the passport as the registry takes them."""
        given = self.cleaned_data
        pairs = [line.partition(":") for line in lines(given["custom_fields"])]
        timetable = {"cron": given["cron"].strip(), "timezone": given["timezone"]} | ({"grace": given["grace"].strip()} if given["grace"] else {})
        return {name: given[name] for name in PASSPORT if name in given} | {
            "window": given["window"] or "day",
            "tags": [tag.strip() for tag in given["tags"].split(",") if tag.strip()],
            "custom_fields": {name.strip(): value.strip() for name, _colon, value in pairs},
            "expected": timetable if given["cron"] else None,
        }


class OwnersForm(PlainForm):
    """Owners of both sides, set in one call."""

    technical = forms.MultipleChoiceField(
        label=_("Technical owners"), required=False, widget=forms.SelectMultiple(attrs={"size": 7}), help_text=_("Keep it running.")
    )
    business = forms.MultipleChoiceField(
        label=_("Business owners"),
        required=False,
        widget=forms.SelectMultiple(attrs={"size": 7}),
        help_text=_("Decide what its predictions are used for."),
    )
    reason = ReasonField()

    def __init__(self, *args: Any, model: RegisteredModel, seen_by: Person, **kwargs: Any) -> None:  # Any: Django's own arguments
        ownerships = registry.ownerships_of(model)
        initial = {side: [_owner_key(entry) for entry in ownerships if entry.side == side] for side in ("technical", "business")}
        super().__init__(*args, initial=initial, **kwargs)
        people = {*registry.people_visible_to(seen_by).filter(is_active=True, is_service=False), *registry.people_who_see(model)}
        self.found: dict[str, Any] = {f"person:{person.id}": person for person in people}  # Any: people and teams
        self.found |= {f"team:{team.id}": team for team in registry.teams_visible_to(seen_by)}
        self.found |= {_owner_key(entry): entry.person or entry.team for entry in ownerships}
        offered = sorted(((key, str(owner)) for key, owner in self.found.items()), key=lambda pair: pair[1].lower())
        for side in ("technical", "business"):
            self.offer(side, offered)

    def owners(self) -> Owners:
        return Owners(**{side: tuple(self.found[key] for key in self.cleaned_data[side]) for side in ("technical", "business")})


def _owner_key(ownership: Any) -> str:  # Any: Ownership
    return f"person:{ownership.person_id}" if ownership.person_id else f"team:{ownership.team_id}"


class DeclareForm(PlainForm):
    """One metric: declared anew or changed."""

    name = forms.CharField(label=_("Metric"), max_length=200)
    kind = forms.ChoiceField(label=_("Kind"))
    direction = forms.ChoiceField(label=_("Direction"))
    unit = forms.CharField(label=_("Unit of measure"), required=False, max_length=40)

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: Django's own arguments
        super().__init__(*args, **kwargs)
        offered = registry.choices()
        self.offer("kind", translated(offered["metric_kind"]))
        self.offer("direction", translated(offered["direction"]))


class SourcesForm(PlainForm):
    addresses = forms.CharField(
        label=_("Add data sources"),
        widget=forms.Textarea(attrs={"rows": 2, "placeholder": "postgres://dwh/sales.orders"}),
        help_text=_("One per line. A source that others use is shared, not doubled."),
    )

    def given(self) -> list[str]:
        return lines(self.cleaned_data["addresses"])


SCHEDULES = (("every", _("every")), ("cron", _("by cron")), ("event", _("on each event")))


class DurationField(forms.CharField):
    """A duration as people write it: 10m, 2h, 1d."""

    def clean(self, value: Any) -> Any:  # Any: Django's own argument; gives a timedelta
        text = super().clean(value)
        try:
            return parse_duration(text) if text else timedelta(0)
        except ValueError as problem:
            raise forms.ValidationError(
                gettext("%(given)s is not a duration. Write a number and a unit, e.g. 90s, 10m, 2h, 7d.") % {"given": text}
            ) from problem


class BindingForm(PlainForm):
    """What every binding has, whatever its risk; the parameters come from the risk's own schema."""

    criticality = forms.ChoiceField(label=_("Criticality"), choices=CRITICALITY)
    not_relevant_reason = forms.CharField(label=_("Why it is not relevant"), required=False, max_length=500, help_text=_("Needed for criticality 0."))
    schedule = forms.ChoiceField(label=_("Evaluated"), choices=SCHEDULES)
    every = forms.CharField(label=_("Interval"), required=False, max_length=20, help_text=_("e.g. 10m, 1h, 1d"))
    cron = forms.CharField(label=_("Cron"), required=False, max_length=100, help_text=_("e.g. 0 7 * * 1"))
    timezone = forms.CharField(label=_("in the zone"), required=False, max_length=64)
    for_ = DurationField(
        label=_("Fires only after"), required=False, max_length=20, help_text=_("It must hold for so long first, e.g. 30m; 0s: at once.")
    )
    n = forms.IntegerField(label=_("and in n"), min_value=1, max_value=100)
    m = forms.IntegerField(label=_("of the last m evaluations"), min_value=1, max_value=100)
    hold = DurationField(label=_("Repaired only after"), required=False, max_length=20, help_text=_("It must be quiet for so long, e.g. 1h."))
    cost_per_day = forms.DecimalField(
        label=_("Loss per day"), required=False, min_value=Decimal(0), max_digits=14, decimal_places=2, localize=True, help_text=_("Empty: unknown.")
    )
    action_plan = forms.CharField(label=_("Action plan"), required=False, widget=forms.Textarea(attrs={"rows": 6}), help_text=_("One step per line."))
    reason = ReasonField()

    field_order = (
        "criticality",
        "cost_per_day",
        "schedule",
        "every",
        "cron",
        "timezone",
        "for_",
        "hold",
        "n",
        "m",
        "action_plan",
        "not_relevant_reason",
        "reason",
    )

    def clean(self) -> dict[str, Any]:  # Any: values of fields
        given = self.cleaned_data
        if given.get("criticality") == "0" and not given.get("not_relevant_reason"):
            self.add_error("not_relevant_reason", gettext("Say why this risk is not relevant for the model."))
        if given.get("schedule") in ("every", "cron") and not given.get(given["schedule"]):
            self.add_error(given["schedule"], gettext("Say how often."))
        if given.get("n") and given.get("m") and given["n"] > given["m"]:
            self.add_error("n", gettext("n cannot be more than m."))
        return given

    def schedule_given(self) -> dict[str, str]:
        given = self.cleaned_data
        if given["schedule"] == "event":
            return {"on": "event"}
        if given["schedule"] == "cron":
            return {"cron": given["cron"].strip()} | ({"timezone": given["timezone"].strip()} if given["timezone"] else {})
        return {"every": given["every"].strip()}

    def plan(self, usual: Iterable[str]) -> list[str] | None:
        """The steps; None when they are the usual ones, so that a better usual plan still reaches this model."""
        steps = lines(self.cleaned_data["action_plan"])
        return None if steps == list(usual) else steps


def schedule_initial(schedule: Any) -> dict[str, str]:  # Any: JSON
    chosen = "event" if "on" in schedule else "cron" if "cron" in schedule else "every"
    return {"schedule": chosen, "every": schedule.get("every", ""), "cron": schedule.get("cron", ""), "timezone": schedule.get("timezone", "")}


def binding_initial(binding: RiskBinding, plan: Iterable[str]) -> dict[str, Any]:  # Any: values of fields
    return {
        "criticality": str(binding.criticality),
        "not_relevant_reason": binding.not_relevant_reason,
        "for_": format_duration(binding.pending_for),
        "n": binding.n,
        "m": binding.m,
        "hold": format_duration(binding.hold),
        "cost_per_day": binding.cost_per_day,
        "action_plan": "\n".join(plan),
        **schedule_initial(binding.schedule),
    }


class ResolveForm(PlainForm):
    cause = forms.ChoiceField(label=_("Cause"))
    reason = forms.CharField(label=_("What was done"), required=False, max_length=2000, widget=forms.Textarea(attrs={"rows": 3}))

    def __init__(self, *args: Any, causes: Choices, still_fires: bool, **kwargs: Any) -> None:  # Any: Django's own arguments
        super().__init__(*args, **kwargs)
        self.offer("cause", [("", gettext("choose")), *translated(causes)])
        if still_fires:
            self.fields["reason"].required = True
            self.fields["reason"].label = _("Why it may be closed while it still fires")
            self.fields["reason"].help_text = _("It opens again after 24 hours if it still fires.")


class AcknowledgeForm(PlainForm):
    until = forms.DateTimeField(
        label=_("Until"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"],
        help_text=_("Reminders rest until then; empty: 2 hours for criticality 3, else a day."),
    )

    def until_given(self) -> datetime | None:
        given: datetime | None = self.cleaned_data["until"]
        return given
