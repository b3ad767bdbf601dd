"""Why it broke: the closed list of causes an incident is resolved with. Attack techniques follow MITRE ATLAS; one sentence each for the form."""

from __future__ import annotations

from django.db import models

from watchkeeper.core.text import N_


class Cause(models.TextChoices):
    BAD_FROM_START = "bad_from_start", N_("bad from the start")
    DATA_OUTLIERS = "data_outliers", N_("data: outliers or rare values")
    DATA_GAPS = "data_gaps", N_("data: gaps")
    DATA_SHIFT = "data_shift", N_("data: shifted distribution")
    DATA_MEANING = "data_meaning", N_("data: changed meaning or unit")
    DATA_SCHEMA = "data_schema", N_("data: changed schema")
    FAILURE_SOFTWARE = "failure_software", N_("failure: software")
    FAILURE_HARDWARE = "failure_hardware", N_("failure: hardware")
    FAILURE_ORGANISATION = "failure_organisation", N_("failure: organisation")
    MODEL_INSTABILITY = "model_instability", N_("model: instability")
    MODEL_UNDERSPECIFIED = "model_underspecified", N_("model: underspecification")
    MODEL_QUALITY = "model_quality", N_("model: low quality")
    ATTACK = "attack", N_("attack")
    MISUSE = "misuse", N_("misuse: outside the model card")
    RULE_WRONG = "rule_wrong", N_("no fault: the rule was wrong")
    UNKNOWN = "unknown", N_("not found")
