"""Registered models and what belongs to them: tables and invariants, no workflow."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q, QuerySet

from watchkeeper.accounts.models import Person, Team, Unit
from watchkeeper.accounts.rights import Ability, below, hold_everywhere, paths_where
from watchkeeper.core.text import N_


class Kind(models.TextChoices):
    MODEL = "model", N_("machine-learning model")
    RULE_SET = "rule_set", N_("rule set")
    FORECAST = "forecast", N_("forecast")
    DATA_PIPELINE = "data_pipeline", N_("data pipeline")
    LLM_APPLICATION = "llm_application", N_("LLM application")
    DASHBOARD = "dashboard", N_("dashboard")


class Stage(models.TextChoices):
    DEVELOPMENT = "development", N_("development")
    SHADOW = "shadow", N_("shadow")
    PRODUCTION = "production", N_("production")
    PAUSED = "paused", N_("paused")
    RETIRED = "retired", N_("retired")


EVALUATED_STAGES = (Stage.SHADOW, Stage.PRODUCTION, Stage.DEVELOPMENT)


class Tier(models.IntegerChoices):
    """How important a model is."""

    FIRST = 1, N_("1, highest")
    SECOND = 2, N_("2, middle")
    THIRD = 3, N_("3, lowest")


class ProblemType(models.TextChoices):
    UNKNOWN = "", N_("not said")
    BINARY = "binary", N_("binary classification")
    MULTICLASS = "multiclass", N_("multiclass classification")
    REGRESSION = "regression", N_("regression")
    RANKING = "ranking", N_("ranking")
    FORECASTING = "forecasting", N_("forecasting")
    OTHER = "other", N_("other")


class Window(models.TextChoices):
    """What of a model is compared with its reference at a time."""

    DAY = "day", N_("each day")
    HOUR = "hour", N_("each hour")
    RUN = "run", N_("each run of a batch model")


class ModelQuerySet(QuerySet["RegisteredModel"]):
    def visible_to(self, person: Person) -> ModelQuerySet:
        """The choke point of rights: models in a unit where the person may look, and those they own."""
        return self._where(person, Ability.VIEW)

    def editable_by(self, person: Person) -> ModelQuerySet:
        return self._where(person, Ability.EDIT)

    def _where(self, person: Person, ability: Ability) -> ModelQuerySet:
        if not person.is_active:
            return self.none()
        paths = paths_where(person, ability)
        if hold_everywhere(paths):
            return self.all()
        owned = Ownership.objects.filter(Q(person=person) | Q(team__members=person)).values("model")
        return self.filter(below(paths, field="unit__path") | Q(id__in=owned))


class RegisteredModel(models.Model):
    """The central object. What is not known is empty, and a fired risk says so; only the name is required."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=200)
    unit = models.ForeignKey(Unit, on_delete=models.PROTECT, related_name="registered_models", db_index=False)
    kind = models.CharField(max_length=20, choices=Kind.choices, default=Kind.MODEL)
    purpose = models.TextField(blank=True)
    stage = models.CharField(max_length=20, choices=Stage.choices, default=Stage.PRODUCTION)
    problem_type = models.CharField(max_length=20, choices=ProblemType.choices, blank=True)
    tier = models.PositiveSmallIntegerField(default=Tier.SECOND)
    repository_link = models.CharField(max_length=1000, blank=True)
    documentation_link = models.CharField(max_length=1000, blank=True)
    tags = models.JSONField(default=list)
    custom_fields = models.JSONField(default=dict)
    timezone = models.CharField(max_length=64, default="UTC")
    window = models.CharField(max_length=10, choices=Window.choices, default=Window.DAY)
    expected = models.JSONField(null=True)  # timetable of a batch model: {"cron", "timezone"?, "grace"?}
    created_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True)
    objects = ModelQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["unit", "name"], name="model_name_unique_in_unit")]
        indexes = [
            models.Index(fields=["stage"], name="model_stage"),  # the board leaves out retired models
            models.Index(fields=["unit", "stage", "id"], name="model_unit_stage"),  # models per unit, counted from the index alone on every page
        ]

    def __str__(self) -> str:
        return self.name


class Ownership(models.Model):
    """A business or technical owner: a person or a team."""

    class Side(models.TextChoices):
        BUSINESS = "business", N_("business")
        TECHNICAL = "technical", N_("technical")

    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="ownerships", db_index=False)
    side = models.CharField(max_length=10, choices=Side.choices)
    person = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="ownerships")
    team = models.ForeignKey(Team, null=True, on_delete=models.PROTECT, related_name="ownerships")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(person__isnull=True) ^ Q(team__isnull=True), name="owner_is_person_or_team"),
            models.UniqueConstraint(fields=["model", "side", "person"], name="owner_person_once"),
            models.UniqueConstraint(fields=["model", "side", "team"], name="owner_team_once"),
        ]

    def __str__(self) -> str:
        return str(self.person or self.team)


class Stakeholder(models.Model):
    """Anybody else with an interest: a person of the platform or just a name, with a free-text role."""

    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="stakeholders")
    person = models.ForeignKey(Person, null=True, on_delete=models.PROTECT)
    name = models.CharField(max_length=200, blank=True)
    role = models.CharField(max_length=200)

    def __str__(self) -> str:
        return f"{self.person or self.name}, {self.role}"


class ModelVersion(models.Model):
    """One training or release. Several may be current (devices, shadow)."""

    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="versions", db_index=False)
    name = models.CharField(max_length=200)
    trained_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    deployed_at = models.DateTimeField(null=True)
    is_current = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["model", "name"], name="version_name_unique")]

    def __str__(self) -> str:
        return self.name


class Baseline(models.Model):
    """The reference a version was accepted on. `inherited_from` marks one taken over from an earlier version.

    An accepted period is `first_day` to `last_day` of the model's own clock, both included: its rows are in the log.
    """

    class Role(models.TextChoices):
        TRAINING = "training", N_("training")
        VALIDATION = "validation", N_("validation")
        ACCEPTED = "accepted", N_("accepted period")

    version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="baselines", db_index=False)
    role = models.CharField(max_length=12, choices=Role.choices)
    schema = models.JSONField(null=True)  # column -> type
    metrics = models.JSONField(default=dict)
    importances = models.JSONField(default=dict)  # feature -> how much it matters, the largest is 1
    reference_rows = models.PositiveIntegerField(default=0)
    reference_path = models.CharField(max_length=500, blank=True)
    first_day = models.DateField(null=True)
    last_day = models.DateField(null=True)
    inherited_from = models.ForeignKey("self", null=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["version", "role"], name="baseline_role_once")]

    def __str__(self) -> str:
        return f"{self.role} baseline of {self.version}"


class Metric(models.Model):
    """A declared metric of a model."""

    class Kind(models.TextChoices):
        TECHNICAL = "technical", N_("technical")
        PROXY = "proxy", N_("proxy")
        BUSINESS = "business", N_("business")

    class Direction(models.TextChoices):
        HIGHER = "higher", N_("higher is better")
        LOWER = "lower", N_("lower is better")
        NONE = "none", N_("neither")

    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="metrics", db_index=False)
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=12, choices=Kind.choices, default=Kind.TECHNICAL)
    direction = models.CharField(max_length=8, choices=Direction.choices, default=Direction.NONE)
    unit = models.CharField(max_length=40, blank=True)
    description = models.TextField(blank=True)
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["model", "name"], name="metric_name_unique")]
        ordering = ["position", "name"]

    def __str__(self) -> str:
        return self.name


class DataSource(models.Model):
    """A table, topic or file, shared by the models that use it. The canonical address is unique: no duplicates on entry."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    address = models.CharField(max_length=500, unique=True)
    title = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField()
    used_by = models.ManyToManyField(RegisteredModel, related_name="data_sources")

    def __str__(self) -> str:
        return self.address


class IntegrationToken(models.Model):
    """A model's token: only its hash. At most two are active, during a rotation."""

    id = models.CharField(primary_key=True, max_length=16)
    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="tokens")
    digest = models.CharField(max_length=64)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"wk_{self.id}"


class LinkCheck(models.Model):
    """What the last check of a passport link said: evidence of `metadata_unreachable`."""

    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="link_checks", db_index=False)
    field = models.CharField(max_length=20)  # repository or documentation
    url = models.CharField(max_length=1000)
    checked_at = models.DateTimeField()
    failing_since = models.DateTimeField(null=True)
    failure = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["model", "field"], name="link_check_once")]

    def __str__(self) -> str:
        return f"{self.field} of {self.model}"


class ApiReply(models.Model):
    """What an `Idempotency-Key` of POST /models was answered with, so that a repeat creates nothing."""

    person = models.ForeignKey(Person, on_delete=models.CASCADE, db_index=False)
    key = models.CharField(max_length=200)
    request_digest = models.CharField(max_length=64)
    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["person", "key"], name="idempotency_key_once")]

    def __str__(self) -> str:
        return self.key
