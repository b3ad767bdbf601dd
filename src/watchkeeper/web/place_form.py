"""The form of a place that is to be watched."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from watchkeeper.core.durations import format_duration
from watchkeeper.ingest.places import AGAIN, EVERY, Look, Wanted
from watchkeeper.telemetry import places
from watchkeeper.web.forms import PlainForm
from watchkeeper.web.model_forms import DurationField

ONE = ("id", "timestamp", "version", "prediction", "score", "label", "label_timestamp")
KINDS = (("folder", _("Folder of Parquet files")), ("delta", _("Delta table")), ("postgres", _("PostgreSQL table")))


class PlaceForm(PlainForm):
    """Columns that are left empty are guessed, all of them or none."""

    kind = forms.ChoiceField(label=_("Kind"), choices=KINDS)
    address = forms.CharField(label=_("Address"), max_length=500, help_text=_("/data/scored, or postgresql://reader@host:5432/database/schema.table"))
    password = forms.CharField(
        label=_("Password"),
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("Of the database. Kept encrypted, never shown: type it again after a look."),
    )
    every = DurationField(label=_("Look every"), initial=format_duration(EVERY))
    again = DurationField(label=_("Look back"), initial=format_duration(AGAIN), help_text=_("So far back late and changed rows are found."))
    id = forms.CharField(label=_("Id column"), required=False, help_text=_("Leave all columns empty to have them guessed."))
    timestamp = forms.CharField(label=_("Time column"), required=False)
    version = forms.CharField(label=_("Version column"), required=False)
    prediction = forms.CharField(label=_("Prediction column"), required=False)
    score = forms.CharField(label=_("Score column"), required=False)
    label = forms.CharField(label=_("Label column"), required=False)
    label_timestamp = forms.CharField(label=_("Column with the time of the label"), required=False)
    segments = forms.CharField(label=_("Segment columns"), required=False, help_text=_("Separated by commas."))
    features = forms.CharField(label=_("Feature columns"), required=False, help_text=_("Separated by commas; empty: all others."))

    def wanted(self) -> Wanted:
        given = self.cleaned_data
        single: dict[str, Any] = {name: given[name].strip() for name in ONE if given[name].strip()}
        many = {name: [part.strip() for part in given[name].split(",") if part.strip()] for name in ("segments", "features")}
        columns = {"id": "", **single, **{name: parts for name, parts in many.items() if parts}} if single or any(many.values()) else None
        kind = places.get(given["kind"]).key
        return Wanted(kind=kind, address=given["address"], password=given["password"], columns=columns, every=given["every"], again=given["again"])

    def after(self, seen: Look) -> dict[str, str]:
        """What was typed, with what the look guessed."""
        kept = {name: self.data.get(name, "") for name in self.fields if name not in ("password", *ONE)}
        return kept | {"address": seen.address} | {name: getattr(seen.columns, name) for name in ONE}
