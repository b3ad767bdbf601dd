"""Incidents with their plan and timeline. Tables and invariants, no workflow."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from watchkeeper.accounts.models import Person
from watchkeeper.core.text import N_
from watchkeeper.incidents.causes import Cause
from watchkeeper.monitoring.models import RiskBinding
from watchkeeper.registry.models import RegisteredModel

MANY_SEGMENTS = "*"  # the segment of an incident that several share; `parts` lists them


class Incident(models.Model):
    """At most one open per binding × segment. `true_since` is when it became true, `opened_at` when it was opened."""

    class Kind(models.TextChoices):
        RISK = "risk", N_("risk")
        PLATFORM = "platform", N_("platform")  # an evaluation keeps failing: for administrators, not for owners

    class State(models.TextChoices):
        OPEN = "open", N_("open")
        ACKNOWLEDGED = "acknowledged", N_("acknowledged")
        RESOLVED = "resolved", N_("resolved")

    class How(models.TextChoices):
        AUTO = "auto", N_("by itself")
        MANUAL = "manual", N_("by hand")
        EXPIRED = "expired", N_("expired")
        RULE_CHANGED = "rule_changed", N_("rule changed")
        NOT_RELEVANT = "not_relevant", N_("switched off")
        DELETED = "deleted", N_("risk removed")
        RETIRED = "retired", N_("model retired")

    number = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.RISK)
    binding = models.ForeignKey(RiskBinding, on_delete=models.CASCADE, related_name="incidents", db_index=False)
    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="incidents", db_index=False)
    segment = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=12, choices=State.choices, default=State.OPEN)
    how = models.CharField(max_length=14, choices=How.choices, blank=True)
    criticality = models.PositiveSmallIntegerField()
    true_since = models.DateTimeField()
    opened_at = models.DateTimeField()
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="+")
    acknowledged_until = models.DateTimeField(null=True)
    assignee = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="assigned_incidents")
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="+")
    resolution = models.TextField(blank=True)
    cause = models.CharField(max_length=24, choices=Cause.choices, blank=True)
    reopen_at = models.DateTimeField(null=True)  # resolved by hand while it fired: looked at again then
    reopened = models.PositiveIntegerField(default=0)
    previous = models.ForeignKey("self", null=True, on_delete=models.SET_NULL)
    value = models.FloatField(null=True)
    limit = models.FloatField(null=True)
    peak = models.FloatField(null=True)
    parts = models.JSONField(default=list)
    explanation = models.JSONField(default=dict)
    cost_per_day = models.DecimalField(max_digits=14, decimal_places=2, null=True)
    no_data_since = models.DateTimeField(null=True)
    next_reminder_at = models.DateTimeField(null=True)
    reminders = models.PositiveIntegerField(default=0)
    escalate_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["binding", "segment", "kind"], condition=~Q(state="resolved"), name="one_open_incident"),
        ]
        indexes = [
            models.Index(fields=["model", "-opened_at"], name="incident_of_model"),  # the model's page
            models.Index(fields=["binding", "segment", "-opened_at"], name="incident_of_binding"),  # reopen or link to the last
            models.Index(fields=["state", "-opened_at"], name="incident_list"),  # GET /incidents
            models.Index(fields=["next_reminder_at"], condition=Q(next_reminder_at__isnull=False), name="incident_reminder"),  # worker
            models.Index(fields=["escalate_at"], condition=Q(escalate_at__isnull=False), name="incident_escalation"),  # worker
            models.Index(fields=["reopen_at"], condition=Q(reopen_at__isnull=False), name="incident_reopen"),  # worker
        ]

    def __str__(self) -> str:
        return f"incident {self.number}"

    @property
    def is_open(self) -> bool:
        return self.state != self.State.RESOLVED

    @property
    def is_shared(self) -> bool:
        return self.segment == MANY_SEGMENTS


class PlanStep(models.Model):
    """One step of the action plan, carried into the incident."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="steps", db_index=False)
    position = models.PositiveSmallIntegerField()
    text = models.TextField()
    done_at = models.DateTimeField(null=True)
    done_by = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="+")
    skipped_reason = models.TextField(blank=True)

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["incident", "position"], name="plan_step_position")]

    def __str__(self) -> str:
        return self.text


class TimelineEntry(models.Model):
    """What happened in an incident. `text` is a stored Text; `comment` what a person wrote."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="timeline", db_index=False)
    at = models.DateTimeField()
    kind = models.CharField(max_length=24)
    actor_kind = models.CharField(max_length=20)
    actor_id = models.CharField(max_length=64)
    text = models.JSONField(default=dict)
    comment = models.TextField(blank=True)

    class Meta:
        indexes = [models.Index(fields=["incident", "at"], name="timeline_of_incident")]  # the incident's page

    def __str__(self) -> str:
        return f"{self.kind} {self.at}"
