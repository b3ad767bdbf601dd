"""Channels, the intent to tell somebody (Notification), and what was sealed and sent (Message). No workflow here."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from watchkeeper.accounts.models import Person, Unit
from watchkeeper.core.text import N_
from watchkeeper.incidents.models import Incident
from watchkeeper.registry.models import RegisteredModel


class Channel(models.Model):
    """Where messages go: of a person, a model or a unit. The configuration is encrypted."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    kind = models.CharField(max_length=40)
    name = models.CharField(max_length=200)
    config = models.TextField()  # encrypted JSON, see secrets.py
    person = models.ForeignKey(Person, null=True, on_delete=models.CASCADE, related_name="channels")
    model = models.ForeignKey(RegisteredModel, null=True, on_delete=models.CASCADE, related_name="channels")
    unit = models.ForeignKey(Unit, null=True, on_delete=models.CASCADE, related_name="channels")
    created_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True)
    failing_since = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=(
                    Q(person__isnull=False, model__isnull=True, unit__isnull=True)
                    | Q(person__isnull=True, model__isnull=False, unit__isnull=True)
                    | Q(person__isnull=True, model__isnull=True, unit__isnull=False)
                ),
                name="channel_of_one_thing",
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.kind})"


class Message(models.Model):
    """A sealed group of notifications for one channel: rendered once, resent with the same bytes under the same key."""

    class State(models.TextChoices):
        WAITING = "waiting", N_("waiting")
        DELIVERED = "delivered", N_("delivered")
        DEAD = "dead", N_("not deliverable")

    key = models.CharField(max_length=64, unique=True)
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="messages", db_index=False)
    model = models.ForeignKey(RegisteredModel, null=True, on_delete=models.CASCADE)
    to = models.CharField(max_length=320, blank=True)
    subject = models.TextField()
    text = models.TextField()
    html = models.TextField(blank=True)
    body = models.BinaryField()
    sealed_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True)
    claim = models.CharField(max_length=32, blank=True)
    claimed_until = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    last_error = models.JSONField(default=dict)

    class Meta:
        indexes = [
            models.Index(fields=["next_attempt_at"], condition=Q(state="waiting"), name="message_due"),  # the worker's queue
            models.Index(fields=["channel", "model", "id"], condition=Q(state="waiting"), name="message_order"),  # resolved never overtakes firing
            models.Index(fields=["channel", "-sealed_at"], name="message_log"),  # delivery log, at most every 5 minutes
        ]

    def __str__(self) -> str:
        return f"{self.subject} to {self.channel}"


class Attempt(models.Model):
    """One try to send a message, and what came back."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="tries")
    at = models.DateTimeField()
    result = models.CharField(max_length=12)
    detail = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"{self.result} {self.at}"


class Notification(models.Model):
    """The intent to tell one recipient one thing about one incident, written in the transaction that made it so.

    `recipient` is "inbox:<person>" or "channel:<channel>" or "channel:<channel>:<person>". An inbox entry needs no message.
    """

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="notifications", db_index=False)
    recipient = models.CharField(max_length=120)
    person = models.ForeignKey(Person, null=True, on_delete=models.CASCADE, related_name="notifications", db_index=False)
    channel = models.ForeignKey(Channel, null=True, on_delete=models.CASCADE, related_name="notifications")
    kind = models.CharField(max_length=12)
    occurrence = models.PositiveIntegerField(default=0)
    why = models.CharField(max_length=40)  # which step of the search for recipients found them
    snapshot = models.JSONField(default=dict)  # value, limit, explanation and light when it happened
    created_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True)  # sealed into a message from then on; None for the inbox and when sealed
    suppressed = models.CharField(max_length=16, blank=True)
    message = models.ForeignKey(Message, null=True, on_delete=models.SET_NULL, related_name="notifications")
    read_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["incident", "recipient", "kind", "occurrence"], name="told_once")]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="notification_due"),  # sealing
            models.Index(fields=["person", "-created_at"], name="inbox"),  # the inbox page
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.incident_id} to {self.recipient}"


class Silence(models.Model):
    """No messages about a model, a unit or a type of risk for a time. Changes neither condition nor incident."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    model = models.ForeignKey(RegisteredModel, null=True, on_delete=models.CASCADE)
    unit = models.ForeignKey(Unit, null=True, on_delete=models.CASCADE)
    risk_type = models.CharField(max_length=60, blank=True)
    is_maintenance = models.BooleanField(default=False)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = models.TextField()
    created_by = models.ForeignKey(Person, on_delete=models.PROTECT)

    def __str__(self) -> str:
        return f"{self.reason} until {self.ends_at}"
