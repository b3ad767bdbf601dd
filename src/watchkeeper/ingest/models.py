"""Batches as received, and what became of them: quarantine, metric points, events, profiles. No workflow here."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from watchkeeper.core.text import N_
from watchkeeper.registry.models import Baseline, RegisteredModel


class Batch(models.Model):
    """One acknowledged call. `id` is the sequence number of the log; `key` the client's batch id."""

    class State(models.TextChoices):
        PENDING = "pending", N_("waiting")
        APPLIED = "applied", N_("applied")

    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="batches", db_index=False)
    stream = models.CharField(max_length=12)
    key = models.CharField(max_length=200)
    digest = models.CharField(max_length=64)
    media_type = models.CharField(max_length=60)
    payload = models.BinaryField(null=True)
    payload_path = models.CharField(max_length=300, blank=True)
    size = models.PositiveBigIntegerField()
    rows = models.PositiveIntegerField()
    rejected = models.PositiveIntegerField(default=0)
    rejected_rows = models.JSONField(default=list)
    errors = models.JSONField(default=list)
    token_id = models.CharField(max_length=16)
    received_at = models.DateTimeField()
    state = models.CharField(max_length=8, choices=State.choices, default=State.PENDING)
    log_group = models.PositiveBigIntegerField(null=True)  # which commit of the log it belongs to, fixed before that commit is tried
    applied_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["model", "key"], name="batch_key_once")]
        indexes = [
            models.Index(fields=["model", "stream", "id"], condition=Q(state="pending"), name="batch_pending"),  # the worker's queue
            models.Index(fields=["received_at"], name="batch_received"),  # retention
            models.Index(fields=["model", "-received_at"], name="batch_of_model"),  # the wizard, evidence of quarantine_growing
        ]

    def __str__(self) -> str:
        return f"{self.stream} {self.key}"

    @property
    def accepted(self) -> int:
        return self.rows - self.rejected


class QuarantinedRow(models.Model):
    """A row that was refused, with the reason and what to do."""

    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="quarantine", db_index=False)
    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="quarantine")
    stream = models.CharField(max_length=12)
    row = models.PositiveIntegerField()
    field = models.CharField(max_length=200)
    message = models.TextField()
    remedy = models.TextField(blank=True)
    content = models.JSONField(null=True)
    received_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["model", "-received_at"], name="quarantine_of_model")]  # the owner's list, and the evidence

    def __str__(self) -> str:
        return f"row {self.row}: {self.message}"


class StreamTimer(models.Model):
    """The dead-man timer of one stream: moved in the transaction that acknowledges rows."""

    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="timers", db_index=False)
    stream = models.CharField(max_length=12)
    first_received_at = models.DateTimeField()
    last_received_at = models.DateTimeField()
    rows = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["model", "stream"], name="timer_of_stream")]

    def __str__(self) -> str:
        return f"{self.stream} of {self.model_id}"


class MetricPoint(models.Model):
    """One reported value of a metric."""

    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="points", db_index=False)
    name = models.CharField(max_length=200)
    value = models.FloatField()
    timestamp = models.DateTimeField()
    received_at = models.DateTimeField()
    dataset = models.CharField(max_length=200, blank=True)
    version = models.CharField(max_length=200, blank=True)
    segment = models.CharField(max_length=200, blank=True)
    batch = models.ForeignKey(Batch, null=True, on_delete=models.SET_NULL)
    is_recent = models.BooleanField(default=True)  # among the newest of its series: see points.py

    class Meta:
        indexes = [
            models.Index(fields=["model", "name", "-timestamp"], name="point_of_metric"),  # charts
            models.Index(fields=["model"], condition=models.Q(is_recent=True), name="point_recent"),  # what risks look at
            models.Index(fields=["timestamp"], name="point_time"),  # retention
        ]

    def __str__(self) -> str:
        return f"{self.name} = {self.value}"


class Event(models.Model):
    """Something that happened to a model, as it said itself."""

    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="events", db_index=False)
    type = models.CharField(max_length=200)
    timestamp = models.DateTimeField()
    received_at = models.DateTimeField()
    fields = models.JSONField(default=dict)
    batch = models.ForeignKey(Batch, null=True, on_delete=models.SET_NULL)

    class Meta:
        indexes = [models.Index(fields=["model", "-timestamp"], name="event_of_model")]  # timeline, and the evidence

    def __str__(self) -> str:
        return self.type


class LogColumn(models.Model):
    """A column of a model's log and the type it had first: another type later goes to quarantine."""

    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="log_columns", db_index=False)
    stream = models.CharField(max_length=12)
    name = models.CharField(max_length=210)
    type = models.CharField(max_length=12)
    last_seen_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["model", "stream", "name"], name="log_column_once")]

    def __str__(self) -> str:
        return f"{self.name}: {self.type}"


class LogCursor(models.Model):
    """The last group of batches of a stream that was given a number, and when: the number outlives the batches."""

    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, db_index=False)
    stream = models.CharField(max_length=12)
    group = models.PositiveBigIntegerField()
    committed_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["model", "stream"], name="log_cursor_once")]

    def __str__(self) -> str:
        return f"{self.model_id} {self.stream}: {self.group}"


class DirtyWindow(models.Model):
    """An hour of a model whose profile must be computed again. `batch` grows with each new row, so a recompute clears only what it saw."""

    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, db_index=False)
    start = models.DateTimeField()
    batch = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["model", "start"], name="dirty_window_once")]

    def __str__(self) -> str:
        return f"{self.model_id} {self.start}"


class WindowProfile(models.Model):
    """Counts of one hour: version × window × segment, replaced as a whole. `counts` is telemetry.profiles' packed form."""

    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="profiles", db_index=False)
    version = models.CharField(max_length=200, blank=True)
    start = models.DateTimeField()
    segment = models.CharField(max_length=200, blank=True)
    rows = models.PositiveBigIntegerField()
    duplicates = models.PositiveBigIntegerField(default=0)
    counts = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["model", "version", "start", "segment"], name="profile_once")]
        indexes = [models.Index(fields=["model", "start"], name="profile_of_model")]  # volumes, charts

    def __str__(self) -> str:
        return f"{self.model_id} {self.start}"


class ProfileBins(models.Model):
    """Frozen bins of a model's columns, and the counts of the reference rows they were made from. Never changed: a new reference makes new ones.

    Only what is learned of them when the log has a week of rows comes later.
    """

    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="bins", db_index=False)
    number = models.PositiveIntegerField()
    baseline = models.ForeignKey(Baseline, null=True, on_delete=models.SET_NULL)  # None: made of the model's own first days
    made_at = models.DateTimeField()
    cut = models.CharField(max_length=10, default="day")  # telemetry.days.Cut: what its profiles are counted by
    columns = models.JSONField()  # telemetry.bins.ColumnBins, in the order of the counts
    rows = models.PositiveBigIntegerField(default=0)
    counts = models.BinaryField(null=True)  # of the reference rows
    importances = models.JSONField(null=True)  # column -> how much it matters, learned once from the log; None: not yet

    class Meta:
        constraints = [models.UniqueConstraint(fields=["model", "number"], name="bins_number_once")]

    def __str__(self) -> str:
        return f"{self.model_id} bins {self.number}"


class ColumnProfile(models.Model):
    """Counts of every column on one day of the model's own clock, or in a part of it, replaced as a whole. `counts` is telemetry.bins' packed form."""

    bins = models.ForeignKey(ProfileBins, on_delete=models.CASCADE, related_name="profiles", db_index=False)
    version = models.CharField(max_length=200, blank=True)
    segment = models.CharField(max_length=200, blank=True)
    day = models.DateField()
    part = models.CharField(max_length=200, blank=True)  # the clock time of an hour, or the id of a run; empty: the whole day
    ended_at = models.DateTimeField(null=True)  # of a part, as are the next two
    changed_at = models.DateTimeField(null=True)  # when it was first counted with these rows
    counted_at = models.DateTimeField(null=True)
    rows = models.PositiveBigIntegerField()
    counts = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["bins", "day", "part", "segment", "version"], name="column_profile_once")]

    def __str__(self) -> str:
        return f"{self.bins_id} {self.day}"


class OutcomeProfile(models.Model):
    """Predictions of one day joined with the labels that came for them, replaced as a whole. `field` and `segment` are empty for all rows.

    `cells` and `delays` are those of telemetry.outcomes, compressed. `bad` of `valid` predictions were wrong, as service levels count them; null where
    only the cells tell.
    """

    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="outcomes", db_index=False)
    kind = models.CharField(max_length=12)
    version = models.CharField(max_length=200, blank=True)
    field = models.CharField(max_length=200, blank=True)
    segment = models.CharField(max_length=200, blank=True)
    day = models.DateField()
    rows = models.PositiveBigIntegerField()
    labelled = models.PositiveBigIntegerField()
    classes = models.JSONField(default=list)
    cells = models.BinaryField()
    delays = models.BinaryField()
    bad = models.FloatField(null=True)
    valid = models.FloatField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["model", "field", "day", "segment", "version"], name="outcome_profile_once")]

    def __str__(self) -> str:
        return f"{self.model_id} {self.day} {self.segment}"


class ValidationOutcome(models.Model):
    """Validation rows of a version, counted as decisions when they came: the rows themselves are not kept. `field` and `segment` are empty for all."""

    baseline = models.ForeignKey(Baseline, on_delete=models.CASCADE, related_name="outcomes", db_index=False)
    field = models.CharField(max_length=200, blank=True)
    segment = models.CharField(max_length=200, blank=True)
    rows = models.PositiveIntegerField()
    labelled = models.PositiveIntegerField()
    cells = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["baseline", "field", "segment"], name="validation_outcome_once")]

    def __str__(self) -> str:
        return f"{self.baseline_id} {self.segment}"


class AuditSample(models.Model):
    """Random predictions of some days for people to label. `rows` (telemetry.audits.DrawnRow as JSON) is None until a worker drew them.

    `labels` maps the ids that were labelled to 1 or 0; `looked_at` is when the log was last asked for them, `looked_to` the last group of labels
    that it had then.
    """

    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="audits", db_index=False)
    number = models.PositiveIntegerField()
    made_at = models.DateTimeField()
    first = models.DateField()
    last = models.DateField()
    size = models.PositiveIntegerField()
    population = models.PositiveBigIntegerField(default=0)
    rows = models.JSONField(null=True)
    labels = models.JSONField(default=dict)
    looked_at = models.DateTimeField(null=True)
    looked_to = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["model", "number"], name="audit_number_once")]

    def __str__(self) -> str:
        return f"{self.model_id} audit {self.number}"


class WantedMoments(models.Model):
    """A model whose second moments are counted, since somebody asked for them: they cost a sum for each pair of features."""

    model = models.OneToOneField(RegisteredModel, on_delete=models.CASCADE, primary_key=True)
    since = models.DateTimeField()

    def __str__(self) -> str:
        return f"moments of {self.model_id} since {self.since}"


class MomentScale(models.Model):
    """How the numeric features are shifted and scaled before they are summed up, frozen with their bins, and the moments of the reference rows so scaled."""

    bins = models.OneToOneField(ProfileBins, on_delete=models.CASCADE, primary_key=True, related_name="moment_scale")
    columns = models.JSONField()  # telemetry.moments.MomentColumn, in the order of the moments
    parts = models.PositiveIntegerField(default=0)  # how many the reference rows were dealt to; 0 without
    moments = models.BinaryField(null=True)  # of each part

    def __str__(self) -> str:
        return f"moments of {self.bins_id}"


class MomentProfile(models.Model):
    """Second moments of the numeric features on one day of the model's own clock, replaced as a whole. `moments` is telemetry.moments' packed form."""

    scale = models.ForeignKey(MomentScale, on_delete=models.CASCADE, related_name="profiles", db_index=False)
    version = models.CharField(max_length=200, blank=True)
    day = models.DateField()
    rows = models.PositiveBigIntegerField()
    moments = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["scale", "day", "version"], name="moment_profile_once")]

    def __str__(self) -> str:
        return f"{self.scale_id} {self.day}"


class WantedRelations(models.Model):
    """A model whose features are related to its labels, since somebody looked. `bins` are those that its days were last marked for."""

    model = models.OneToOneField(RegisteredModel, on_delete=models.CASCADE, primary_key=True)
    since = models.DateTimeField()
    bins = models.ForeignKey(ProfileBins, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False)

    def __str__(self) -> str:
        return f"relations of {self.model_id} since {self.since}"


class RelationProfile(models.Model):
    """Features related to labels on one day of the model's own clock, replaced as a whole. `sums` is telemetry.relations' packed form."""

    bins = models.ForeignKey(ProfileBins, on_delete=models.CASCADE, related_name="relations", db_index=False)
    version = models.CharField(max_length=200, blank=True)
    day = models.DateField()
    sums = models.BinaryField()
    errors = models.BinaryField(null=True)  # of a regression, by the places of its prediction

    class Meta:
        constraints = [models.UniqueConstraint(fields=["bins", "day", "version"], name="relation_profile_once")]

    def __str__(self) -> str:
        return f"{self.bins_id} {self.day}"


class DirtyDay(models.Model):
    """A day of a model whose profiles must be computed again, not before `due_at`: of its columns, outcomes, moments or relations.

    `batch` as of DirtyWindow.
    """

    class Of(models.TextChoices):
        COLUMNS = "columns", N_("columns")
        OUTCOMES = "outcomes", N_("outcomes")
        MOMENTS = "moments", N_("moments")
        RELATIONS = "relations", N_("relations")

    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, db_index=False)
    of = models.CharField(max_length=10, choices=Of.choices, default=Of.COLUMNS)
    day = models.DateField()
    batch = models.BigIntegerField()
    due_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["model", "of", "day"], name="dirty_day_once")]
        indexes = [models.Index(fields=["due_at"], name="dirty_day_due")]

    def __str__(self) -> str:
        return f"{self.model_id} {self.day}"


class NewLabels(models.Model):
    """Labels from batch `since` on of a model, whose predictions must still be looked for. `batch` as of DirtyWindow."""

    model = models.OneToOneField(RegisteredModel, on_delete=models.CASCADE, primary_key=True)
    since = models.BigIntegerField()
    batch = models.BigIntegerField()
    due_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"labels of {self.model_id} since {self.since}"


class WatchedPlace(models.Model):
    """A folder, table or database of the company whose rows are taken on a schedule. `columns` says which column is what (telemetry/mapping.py)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="watched_places", db_index=False)
    kind = models.CharField(max_length=40)
    address = models.CharField(max_length=500)
    password = models.TextField(blank=True)  # encrypted, see core/secrets.py
    columns = models.JSONField()
    every = models.DurationField()
    again = models.DurationField()  # how far back rows are looked at again
    created_at = models.DateTimeField()
    next_look_at = models.DateTimeField()
    looked_at = models.DateTimeField(null=True)
    newest_at = models.DateTimeField(null=True)  # of the rows' own times
    mark = models.CharField(max_length=100, blank=True)  # the place's own note of what was read
    rows = models.PositiveBigIntegerField(default=0)
    failing_since = models.DateTimeField(null=True)
    failure = models.TextField(blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["model", "kind", "address"], name="watched_place_once")]
        indexes = [models.Index(fields=["next_look_at"], name="watched_place_due")]  # the worker's queue

    def __str__(self) -> str:
        return self.address


class WatchedPart(models.Model):
    """A file, or an hour of a table, and how much of it was taken. `batches` and `digests` grow in the transaction that stores the rows."""

    place = models.ForeignKey(WatchedPlace, on_delete=models.CASCADE, related_name="parts", db_index=False)
    name = models.CharField(max_length=1000)
    identity = models.CharField(max_length=100)
    batches = models.PositiveIntegerField(default=0)  # of this identity
    is_done = models.BooleanField(default=False)
    rows = models.PositiveBigIntegerField(default=0)
    digests = models.BinaryField(default=bytes)  # of the rows taken, 8 bytes each, while they may be looked at again
    taken_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["place", "name"], name="watched_part_once")]

    def __str__(self) -> str:
        return self.name
