"""One table of Changes, one of their seals. Both are insert-only: the database refuses UPDATE and DELETE (migration 0002)."""

from __future__ import annotations

import uuid

from django.db import models


class Change(models.Model):
    """One recorded change of anything. Names people by id; their names stand beside it when it is shown."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    at = models.DateTimeField()
    actor_kind = models.CharField(max_length=20)
    actor_id = models.CharField(max_length=64)
    action = models.CharField(max_length=64)
    object_type = models.CharField(max_length=64)
    object_id = models.CharField(max_length=64)
    model_id = models.UUIDField(null=True)
    reason = models.TextField(blank=True)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    parent = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="consequences")

    class Meta:
        indexes = [
            models.Index(fields=["model_id", "-at"], name="change_of_model"),  # a model's history page
            models.Index(fields=["object_type", "object_id", "-at"], name="change_of_object"),  # GET /changes?object=
            models.Index(fields=["-at"], name="change_latest"),  # GET /changes?since=
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.object_type} {self.object_id}"


class Seal(models.Model):
    """A Change's place in the hash chain, given within a second by one leased sealer."""

    number = models.BigIntegerField(primary_key=True)
    change = models.OneToOneField(Change, on_delete=models.PROTECT)
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)
    sealed_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.number} {self.hash[:12]}"


class Lease(models.Model):
    """A named right to do something alone: the sealer, a model's log. `fence` grows with each holder, so a frozen one is told apart."""

    name = models.CharField(primary_key=True, max_length=120)
    holder = models.CharField(max_length=64)
    fence = models.BigIntegerField(default=0)
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} by {self.holder}"
