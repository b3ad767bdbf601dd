"""The company as a tree of Units, its people and teams, and what they may do. No workflow here."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models import Q

MAX_DEPTH = 20


class Unit(models.Model):
    """A node of the organisation tree. `path` is the ids from the root, so that "this unit and below" is one prefix."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    parent = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="children", db_index=False)
    name = models.CharField(max_length=200)
    path = models.TextField(unique=True)  # "below this unit" is `path__startswith`
    depth = models.PositiveSmallIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["parent", "name"], name="unit_name_unique_below_parent"),
            models.UniqueConstraint(fields=["depth"], condition=Q(depth=0), name="unit_one_root"),
        ]

    def __str__(self) -> str:
        return self.name


class PersonManager(BaseUserManager["Person"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> Person:  # Any: Django's interface
        person = self.model(email=self.normalize_email(email).lower(), **fields)
        person.set_password(password)
        person.save(using=self._db)
        return person


class Person(AbstractBaseUser):
    """Somebody who signs in, or a service account that only has API keys."""

    class Theme(models.TextChoices):
        SYSTEM = "", "System"
        LIGHT = "light", "Light"
        DARK = "dark", "Dark"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=200, blank=True)
    language = models.CharField(max_length=8, blank=True)
    timezone = models.CharField(max_length=64, blank=True)
    theme = models.CharField(max_length=8, blank=True, choices=Theme.choices)
    is_active = models.BooleanField(default=True)
    is_service = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    looked_at = models.DateTimeField(null=True)  # when the board was last looked at: "what changed since"

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects = PersonManager()

    def __str__(self) -> str:
        return self.name or self.email


class Team(models.Model):
    """People who own together. A team counts as an owner while one member is active."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=200, unique=True)
    members = models.ManyToManyField(Person, related_name="teams")

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    """What somebody may do on a Unit and everything below it."""

    VIEWER = "viewer", "viewer"
    MAINTAINER = "maintainer", "maintainer"
    VALIDATOR = "validator", "validator"
    RISK_OFFICER = "risk_officer", "risk officer"
    ADMINISTRATOR = "administrator", "administrator"


class RoleGrant(models.Model):
    """A role of one person on one unit, inherited downwards."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="grants", db_index=False)
    unit = models.ForeignKey(Unit, on_delete=models.CASCADE, related_name="grants")
    role = models.CharField(max_length=20, choices=Role.choices)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["person", "unit", "role"], name="grant_once")]

    def __str__(self) -> str:
        return f"{self.person} {self.role} on {self.unit}"


class ApiKey(models.Model):
    """A key that acts as its person, never with more rights than the person has now."""

    id = models.CharField(primary_key=True, max_length=16)
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=200)
    digest = models.CharField(max_length=64)
    created_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.name} ({self.id})"


class SignInLink(models.Model):
    """A one-time link: the first administrator, or an invitation. Only its hash is kept."""

    digest = models.CharField(primary_key=True, max_length=64)
    person = models.ForeignKey(Person, on_delete=models.CASCADE)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"link for {self.person}"
