"""Policies, bindings, conditions, findings, lights. Tables and invariants, no workflow."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from watchkeeper.accounts.models import Unit
from watchkeeper.registry.models import RegisteredModel


class Policy(models.Model):
    """A customised risk: named, versioned, reusable."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=200, unique=True)
    unit = models.ForeignKey(Unit, on_delete=models.PROTECT)
    type = models.CharField(max_length=60)

    def __str__(self) -> str:
        return self.name


class PolicyVersion(models.Model):
    """One version of a policy: never changed; bindings pin it."""

    policy = models.ForeignKey(Policy, on_delete=models.CASCADE, related_name="versions", db_index=False)
    number = models.PositiveIntegerField()
    params = models.JSONField(default=dict)
    schedule = models.JSONField(null=True)
    criticality = models.PositiveSmallIntegerField(null=True)
    action_plan = models.JSONField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["policy", "number"], name="policy_version_once")]

    def __str__(self) -> str:
        return f"{self.policy.name}@{self.number}"


class RiskBinding(models.Model):
    """A risk bound to one model. `claim` and `claimed_until` are the lease of the worker that evaluates it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="bindings")
    type = models.CharField(max_length=60)
    policy_version = models.ForeignKey(PolicyVersion, null=True, on_delete=models.PROTECT)
    params = models.JSONField(default=dict)
    schedule = models.JSONField()
    pending_for = models.DurationField()
    n = models.PositiveSmallIntegerField(default=1)
    m = models.PositiveSmallIntegerField(default=1)
    hold = models.DurationField()
    criticality = models.PositiveSmallIntegerField()
    not_relevant_reason = models.TextField(blank=True)
    action_plan = models.JSONField(null=True)
    cost_per_day = models.DecimalField(max_digits=14, decimal_places=2, null=True)
    created_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True)
    next_due_at = models.DateTimeField(null=True)
    claim = models.CharField(max_length=32, blank=True)
    claimed_until = models.DateTimeField(null=True)
    evaluated_at = models.DateTimeField(null=True)
    missed = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(criticality__lte=3), name="criticality_0_to_3"),
            models.CheckConstraint(condition=Q(n__gte=1) & Q(m__gte=models.F("n")), name="n_of_m"),
        ]
        indexes = [
            models.Index(fields=["next_due_at"], condition=Q(next_due_at__isnull=False), name="binding_due"),  # the worker's queue
        ]

    def __str__(self) -> str:
        return f"{self.type} on {self.model_id}"


class ConditionRow(models.Model):
    """The stored form of conditions.Condition, one per binding and segment (pooled = empty)."""

    binding = models.ForeignKey(RiskBinding, on_delete=models.CASCADE, related_name="conditions", db_index=False)
    segment = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=10)
    data = models.CharField(max_length=12)
    since = models.DateTimeField(null=True)
    true_since = models.DateTimeField(null=True)
    elapsed = models.FloatField(default=0)
    read_at = models.DateTimeField(null=True)
    recent = models.CharField(max_length=100, blank=True)
    past = models.CharField(max_length=21, blank=True)
    no_data_since = models.DateTimeField(null=True)
    value = models.FloatField(null=True)
    limit = models.FloatField(null=True)
    peak = models.FloatField(null=True)
    parts = models.JSONField(default=list)
    errors = models.PositiveIntegerField(default=0)
    is_flapping = models.BooleanField(default=False)
    explanation = models.JSONField(default=dict)
    evaluated_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["binding", "segment"], name="condition_once")]
        indexes = [models.Index(fields=["state"], condition=~Q(state="ok"), name="condition_not_ok")]  # what fires, on every page

    def __str__(self) -> str:
        return f"{self.binding_id} {self.segment}: {self.state}"


class FiredFinding(models.Model):
    """A finding that fired, kept for years. Quiet ones are counted per day."""

    binding = models.ForeignKey(RiskBinding, on_delete=models.CASCADE, related_name="fired_findings", db_index=False)
    segment = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField()
    value = models.FloatField(null=True)
    limit = models.FloatField(null=True)
    explanation = models.JSONField(default=dict)

    class Meta:
        indexes = [models.Index(fields=["binding", "-at"], name="fired_of_binding")]  # the incident's evidence

    def __str__(self) -> str:
        return f"{self.binding_id} fired {self.at}"


class FindingCount(models.Model):
    """How often a binding was evaluated on a day, by outcome."""

    binding = models.ForeignKey(RiskBinding, on_delete=models.CASCADE, related_name="finding_counts", db_index=False)
    day = models.DateField()
    quiet = models.PositiveIntegerField(default=0)
    fired = models.PositiveIntegerField(default=0)
    unknown = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["binding", "day"], name="finding_count_once")]

    def __str__(self) -> str:
        return f"{self.binding_id} {self.day}"


class ModelLight(models.Model):
    """The light of a model now."""

    model = models.OneToOneField(RegisteredModel, primary_key=True, on_delete=models.CASCADE, related_name="light")
    light = models.CharField(max_length=6, default="grey")
    score = models.PositiveIntegerField(default=0)
    known = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    since = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["-score", "-light", "model"], name="light_board_order"),  # a page of the board, worst first
            models.Index(fields=["light", "model"], name="light_of_models"),  # counts of what is not green, on every page
            models.Index(fields=["since"], name="light_since"),  # what turned since a moment, over all models
        ]

    def __str__(self) -> str:
        return f"{self.model_id}: {self.light}"


class LightChange(models.Model):
    """Each change of light is a row with its causes: `[{binding, type, criticality, explanation, value, limit}]`."""

    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="light_changes", db_index=False)
    at = models.DateTimeField()
    light = models.CharField(max_length=6)
    score = models.PositiveIntegerField()
    causes = models.JSONField(default=list)

    class Meta:
        indexes = [models.Index(fields=["model", "-at"], name="light_of_model")]  # strips, `?at=`

    def __str__(self) -> str:
        return f"{self.model_id}: {self.light} at {self.at}"


class WorkerBeat(models.Model):
    """The last full cycle of each worker: how far the platform itself lags."""

    worker = models.CharField(primary_key=True, max_length=64)
    at = models.DateTimeField()
    cycle_ms = models.FloatField(default=0)
    is_idle = models.BooleanField(default=False)

    def __str__(self) -> str:
        return self.worker


class Outage(models.Model):
    """A time when no worker ran: silence in it is never held against a model."""

    start = models.DateTimeField(unique=True)  # several workers notice the same one
    end = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.start} to {self.end}"
