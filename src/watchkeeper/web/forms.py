"""Forms of the pages. They check what can be checked without the database; rights and conflicts are the services' business."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from watchkeeper.core.errors import InvalidInput
from watchkeeper.registry.addresses import canonical_address

Choices = Sequence[tuple[str, str]]
CRITICALITY = (("3", _("3, act")), ("2", _("2, look")), ("1", _("1, low")), ("0", _("0, not relevant")))


def translated(choices: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Choices whose words were marked where they stand, in the reader's language."""
    return [(value, gettext(words) if words else words) for value, words in choices]


class PlainForm(forms.Form):
    """Labels without colons, and inputs that look like the rest of the platform."""

    use_required_attribute = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: Django's own arguments
        kwargs.setdefault("label_suffix", "")
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            if not isinstance(field.widget, forms.CheckboxInput | forms.CheckboxSelectMultiple | forms.HiddenInput):
                field.widget.attrs.setdefault("class", "input")

    def offer(self, name: str, choices: Iterable[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = list(choices)


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


# account


class NamingForm(PlainForm):
    name = forms.CharField(label=_("Your name"), max_length=200, help_text=_("As colleagues know you: it stands beside what you own and change."))
    password = forms.CharField(
        label=_("Password"),
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("At least 10 characters. Without one you need a new link next time."),
    )


class ProfileForm(PlainForm):
    name = forms.CharField(label=_("Your name"), max_length=200, required=False)
    language = forms.ChoiceField(label=_("Language"), required=False)
    timezone = forms.CharField(
        label=_("Time zone"), required=False, widget=forms.TextInput(attrs={"list": "zones"}), help_text=_("An IANA name, e.g. Europe/Berlin.")
    )
    theme = forms.ChoiceField(label=_("Theme"), required=False)

    def __init__(self, *args: Any, themes: Choices, **kwargs: Any) -> None:  # Any: Django's own arguments
        super().__init__(*args, **kwargs)
        self.offer("language", [("", gettext("As the browser asks")), *settings.LANGUAGES])
        self.offer("theme", translated(themes))

    def clean_timezone(self) -> str:
        zone: str = self.cleaned_data["timezone"].strip()
        if zone and zone not in available_timezones():
            raise forms.ValidationError(gettext("No time zone has this name. Choose one of the list, e.g. Europe/Berlin."))
        return zone


class KeyForm(PlainForm):
    name = forms.CharField(label=_("What the key is for"), max_length=200, widget=forms.TextInput(attrs={"placeholder": _("e.g. nightly export")}))


# people and units


class UnitForm(PlainForm):
    name = forms.CharField(label=_("Name"), max_length=200)

    def __init__(self, *args: Any, taken: Iterable[str] = (), **kwargs: Any) -> None:  # Any: Django's own arguments
        super().__init__(*args, **kwargs)
        self.taken = set(taken)

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"].strip()
        if not name or "/" in name:
            raise forms.ValidationError(gettext("A unit needs a name without a slash: slashes separate the levels of the tree."))
        if name in self.taken:
            raise forms.ValidationError(gettext("There is a unit of this name at this place already. Use it, or choose another name."))
        return name


class GrantForm(PlainForm):
    role = forms.ChoiceField(label=_("Role"))
    unit = forms.ChoiceField(label=_("Unit"), help_text=_("The role holds there and in everything below."))

    def __init__(self, *args: Any, roles: Choices, units: Choices, **kwargs: Any) -> None:  # Any: Django's own arguments
        super().__init__(*args, **kwargs)
        self.offer("role", translated(roles))
        self.offer("unit", units)


class InviteForm(GrantForm):
    email = forms.EmailField(label=_("E-mail"), widget=forms.EmailInput(attrs={"placeholder": "name@example.com"}))
    name = forms.CharField(label=_("Name"), max_length=200, required=False)
    field_order = ("email", "name", "role", "unit")


class TeamForm(PlainForm):
    name = forms.CharField(label=_("Name"), max_length=200)
    members = forms.MultipleChoiceField(label=_("Members"), required=False, widget=forms.CheckboxSelectMultiple)

    def __init__(self, *args: Any, people: Choices, is_new: bool = True, **kwargs: Any) -> None:  # Any: Django's own arguments
        super().__init__(*args, **kwargs)
        self.offer("members", people)
        if not is_new:
            del self.fields["name"]


class LeavingForm(PlainForm):
    successor = forms.ChoiceField(label=_("Successor"), required=False, help_text=_("Gets the models of the person who leaves, in the same step."))
    reason = forms.CharField(label=_("Reason"), required=False, max_length=500)

    def __init__(self, *args: Any, people: Choices, **kwargs: Any) -> None:  # Any: Django's own arguments
        super().__init__(*args, **kwargs)
        self.offer("successor", [("", gettext("nobody")), *people])


# registration


class ModelForm(PlainForm):
    """Step 1: what the model is."""

    name = forms.CharField(label=_("Name"), max_length=200, help_text=_("As people call it. Nothing else is required."))
    unit = forms.CharField(
        label=_("Unit"),
        required=False,
        widget=forms.TextInput(attrs={"list": "units"}),
        help_text=_("The product or team that owns it, e.g. E-commerce/Personalisation. A new path is created."),
    )
    kind = forms.ChoiceField(label=_("Kind"))
    problem_type = forms.ChoiceField(label=_("Problem type"), required=False)
    stage = forms.ChoiceField(label=_("Stage"))
    tier = forms.TypedChoiceField(label=_("Tier"), coerce=int)
    technical = forms.CharField(
        label=_("Technical owners"),
        required=False,
        widget=forms.TextInput(attrs={"list": "owners"}),
        help_text=_("Keep it running. E-mails or names of teams, separated by commas."),
    )
    business = forms.CharField(
        label=_("Business owners"),
        required=False,
        widget=forms.TextInput(attrs={"list": "owners"}),
        help_text=_("Decide what its predictions are used for."),
    )

    def __init__(self, *args: Any, choices: Mapping[str, Choices], **kwargs: Any) -> None:  # Any: Django's own arguments
        super().__init__(*args, **kwargs)
        for name in ("kind", "problem_type", "stage", "tier"):
            self.offer(name, translated(choices[name]))

    def passport(self) -> dict[str, Any]:  # Any: values of fields
        return {name: self.cleaned_data[name] for name in ("kind", "problem_type", "stage", "tier")}


class LinkField(forms.CharField):
    def clean(self, value: Any) -> str:  # Any: Django's own argument
        link: str = super().clean(value).strip()
        if link and not re.fullmatch(r"https?://[^\s/?#]+\S*", link):
            raise forms.ValidationError(gettext("This is not a web address. Write it with http:// or https://."))
        return link


class PurposeForm(PlainForm):
    """Step 2: what it does and what it lives on."""

    purpose = forms.CharField(
        label=_("What it is for"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Which decision is made with it, in one or two sentences."),
    )
    repository_link = LinkField(label=_("Repository"), required=False, max_length=1000, widget=forms.TextInput(attrs={"placeholder": "https://"}))
    documentation_link = LinkField(
        label=_("Documentation"), required=False, max_length=1000, widget=forms.TextInput(attrs={"placeholder": "https://"})
    )
    data_sources = forms.CharField(
        label=_("Data sources"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "placeholder": "postgres://dwh/sales.orders"}),
        help_text=_("Tables, topics or files it is trained on or reads, one per line. A source that others use is shared, not doubled."),
    )
    stakeholders = forms.CharField(
        label=_("Stakeholders"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Anybody else with an interest, one per line: name, role."),
    )

    def clean_data_sources(self) -> list[str]:
        try:
            return list(dict.fromkeys(map(canonical_address, lines(self.cleaned_data["data_sources"]))))
        except InvalidInput as problem:
            raise forms.ValidationError(
                gettext("%(given)s is not an address of a data source. Write e.g. postgres://host/schema.table, s3://bucket/folder or schema.table.")
                % {"given": problem.fields.get("address", "")}
            ) from problem

    def clean_stakeholders(self) -> list[dict[str, str]]:
        split = [line.partition(",") for line in lines(self.cleaned_data["stakeholders"])]
        return [{"name": name.strip()[:200], "role": role.strip()[:200]} for name, _comma, role in split]


class MetricForm(PlainForm):
    """One metric of step 2; without a name the row is left out."""

    name = forms.CharField(label=_("Metric"), required=False, max_length=200)
    kind = forms.ChoiceField(label=_("Kind"))
    direction = forms.ChoiceField(label=_("Direction"))
    unit = forms.CharField(label=_("Unit of measure"), required=False, max_length=40)

    def __init__(self, *args: Any, choices: Mapping[str, Choices], **kwargs: Any) -> None:  # Any: Django's own arguments
        super().__init__(*args, **kwargs)
        self.offer("kind", translated(choices["metric_kind"]))
        self.offer("direction", translated(choices["direction"]))
        for field in self.fields.values():
            field.widget.attrs["aria-label"] = field.label


class RiskForm(PlainForm):
    """One risk of step 3."""

    is_on = forms.BooleanField(required=False)
    criticality = forms.ChoiceField(label=_("Criticality"), choices=CRITICALITY, required=False)
    cost_per_day = forms.DecimalField(label=_("Loss per day"), required=False, min_value=Decimal(0), max_digits=14, decimal_places=2, localize=True)
    metric = forms.CharField(label=_("Metric"), required=False, max_length=200, widget=forms.TextInput(attrs={"list": "metrics"}))
    lower = forms.FloatField(label=_("at least"), required=False, localize=True)
    upper = forms.FloatField(label=_("at most"), required=False, localize=True)
    type = forms.CharField(label=_("Type of the event"), required=False, max_length=200)

    def __init__(self, *args: Any, title: str, params: Iterable[str] = (), **kwargs: Any) -> None:  # Any: Django's own arguments
        super().__init__(*args, **kwargs)
        for name in {"metric", "lower", "upper", "type"} - set(params):
            del self.fields[name]
        self.asked = [name for name in ("metric", "lower", "upper", "type") if name in self.fields]
        self.fields["is_on"].widget.attrs["aria-label"] = title
        for name in ("criticality", "cost_per_day", *self.asked):
            self.fields[name].widget.attrs |= {"aria-label": f"{title}: {self.fields[name].label}", "placeholder": self.fields[name].label}

    def clean(self) -> dict[str, Any]:  # Any: values of fields
        given = self.cleaned_data
        if (
            given.get("is_on")
            and "metric" in self.fields
            and not (given.get("metric") and (given.get("lower") is not None or given.get("upper") is not None))
        ):
            self.add_error("metric", gettext("Name the metric and give a lower limit, an upper limit or both."))
        if given.get("is_on") and "type" in self.fields and not given.get("type"):
            self.add_error("type", gettext("Name the type of the event."))
        return given

    def params(self) -> dict[str, Any]:  # Any: JSON
        return {name: self.cleaned_data[name] for name in self.asked if self.cleaned_data.get(name) not in (None, "")}

    @property
    def limits(self) -> list[forms.BoundField]:
        return [self[name] for name in self.asked]


# channels and silences


class ChannelForm(PlainForm):
    """What every kind of channel has; its settings come from its own schema."""

    name = forms.CharField(label=_("Name"), max_length=200, help_text=_("As people call it, e.g. #model-alerts."))
    of = forms.ChoiceField(label=_("Whose channel"))

    def __init__(self, *args: Any, of: Any, **kwargs: Any) -> None:  # Any: Django's own arguments, and grouped choices
        super().__init__(*args, **kwargs)
        if of is None:
            del self.fields["of"]
        else:
            self.offer("of", of)


class SilenceForm(PlainForm):
    about = forms.ChoiceField(label=_("Model or unit"))
    risk_type = forms.ChoiceField(label=_("Risk"), required=False)
    hours = forms.TypedChoiceField(
        label=_("For"),
        coerce=int,
        choices=[(1, _("1 hour")), (4, _("4 hours")), (24, _("1 day")), (72, _("3 days")), (168, _("1 week")), (672, _("4 weeks"))],
        initial=24,
    )
    until = forms.DateTimeField(
        label=_("or until"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"],
    )
    reason = forms.CharField(label=_("Reason"), max_length=500, help_text=_("Say why nobody needs to be told."))
    is_maintenance = forms.BooleanField(label=_("Planned maintenance"), required=False)

    def __init__(self, *args: Any, about: Any, risks: Choices, **kwargs: Any) -> None:  # Any: Django's own arguments, and grouped choices
        super().__init__(*args, **kwargs)
        self.offer("about", about)
        self.offer("risk_type", [("", gettext("all risks")), *risks])

    def ends_at(self, now: datetime) -> datetime:
        until: datetime | None = self.cleaned_data.get("until")
        return until or now + timedelta(hours=self.cleaned_data["hours"])


# policies


class PolicyForm(PlainForm):
    name = forms.CharField(label=_("Name"), max_length=200, help_text=_("e.g. metrics refreshed daily"))
    unit = forms.ChoiceField(label=_("Unit"), help_text=_("Who is responsible for it."))

    def __init__(self, *args: Any, units: Choices, **kwargs: Any) -> None:  # Any: Django's own arguments
        super().__init__(*args, **kwargs)
        self.offer("unit", units)

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"].strip()
        if not name or "@" in name:
            raise forms.ValidationError(gettext("A policy needs a name without @: what follows @ is the number of its version."))
        return name


class VersionForm(PlainForm):
    """What a policy version sets besides its parameters."""

    every = forms.CharField(label=_("Evaluated every"), required=False, max_length=20, help_text=_("e.g. 10m, 1h, 1d; empty: as the risk says."))
    cron = forms.CharField(label=_("or by cron"), required=False, max_length=100, help_text=_("e.g. 0 7 * * 1"))
    criticality = forms.ChoiceField(label=_("Criticality"), required=False)
    action_plan = forms.CharField(
        label=_("Action plan"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_("One step per line; empty: the plan of the risk."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: Django's own arguments
        super().__init__(*args, **kwargs)
        self.offer("criticality", [("", gettext("as the risk says")), *((value, str(words)) for value, words in CRITICALITY)])

    def clean(self) -> dict[str, Any]:  # Any: values of fields
        if self.cleaned_data.get("every") and self.cleaned_data.get("cron"):
            self.add_error("cron", gettext("Give an interval or a cron line, not both."))
        return self.cleaned_data

    def schedule(self) -> dict[str, str] | None:
        if self.cleaned_data["every"]:
            return {"every": self.cleaned_data["every"].strip()}
        if self.cleaned_data["cron"]:
            return {"cron": self.cleaned_data["cron"].strip(), "timezone": timezone.get_current_timezone_name()}
        return None

    def criticality_given(self) -> int | None:
        given: str = self.cleaned_data["criticality"]
        return int(given) if given else None

    def plan(self) -> list[str] | None:
        return lines(self.cleaned_data["action_plan"]) or None
