"""The model side's rows: what is due for scoring, embeddings, scores, snapshots, model versions."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from pgvector.django import HalfVectorField

from reviews.models import ItemVersion, Person, Platform, PolicyVersion


class Snapshot(models.Model):
    """A frozen, hashed, versioned set of labels with a leak-safe split."""

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        BUILDING = "building", _("Building")
        READY = "ready", _("Ready")
        FAILED = "failed", _("Failed")

    platform = models.ForeignKey(Platform, on_delete=models.PROTECT, related_name="snapshots")
    number = models.PositiveIntegerField()
    note = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    cutoff_id = models.BigIntegerField()  # decisions up to this id, as they stood at cutoff_at
    cutoff_at = models.DateTimeField()
    rows_expected = models.PositiveIntegerField(default=0)
    rows_done = models.PositiveIntegerField(default=0)
    manifest = models.JSONField(default=dict)  # files, sha256, counts per split and label
    error = models.TextField(blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    heartbeat_at = models.DateTimeField(null=True)  # of the process that builds it
    created_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["platform", "number"], name="one_snapshot_per_number"),
        ]

    def __str__(self) -> str:
        return f"snapshot {self.number}"


class ModelVersion(models.Model):
    """One trained artefact: weights + JSON + sha256, for all policies of a platform."""

    class Kind(models.TextChoices):
        ZERO_SHOT = "zero-shot", _("Zero-shot")
        FEW_SHOT = "few-shot", _("Few-shot")
        TRAINED = "trained", _("Trained head")

    class State(models.TextChoices):
        CANDIDATE = "candidate", _("Candidate")
        SHADOW = "shadow", _("Shadow")
        CHAMPION = "champion", _("Champion")
        RETIRED = "retired", _("Retired")

    platform = models.ForeignKey(Platform, on_delete=models.PROTECT, related_name="model_versions")
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=10, choices=Kind.choices)
    state = models.CharField(max_length=10, choices=State.choices, default=State.CANDIDATE)
    encoder = models.CharField(max_length=120)  # encoder.Encoder.version
    snapshot = models.ForeignKey(
        Snapshot, on_delete=models.PROTECT, null=True, related_name="model_versions"
    )
    policy_versions = models.ManyToManyField(PolicyVersion, related_name="model_versions")
    sha256 = models.CharField(max_length=64)  # of the weights file
    evaluation = models.JSONField(default=dict)  # evaluation.Report per policy, as JSON
    created_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["platform", "number"], name="one_model_version_per_number"
            ),
            models.UniqueConstraint(
                fields=["platform"], condition=Q(state="champion"), name="one_champion_a_platform"
            ),
        ]

    def __str__(self) -> str:
        return self.label

    @property
    def label(self) -> str:
        """How it is named wherever a score's origin is shown: "v3 trained"."""
        return f"v{self.number} {self.kind}"


class Promotion(models.Model):
    """A proposal to make a model version the champion; another person approves it.

    `previous` is what rollback returns to. A rollback is one person's, and immediate.
    """

    model_version = models.ForeignKey(
        ModelVersion, on_delete=models.PROTECT, related_name="promotions"
    )
    previous = models.ForeignKey(
        ModelVersion, on_delete=models.PROTECT, null=True, related_name="+"
    )
    proposed_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    proposed_at = models.DateTimeField(db_default=Now())
    reason = models.CharField(max_length=300, blank=True)
    approved_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    approved_at = models.DateTimeField(null=True)
    withdrawn_at = models.DateTimeField(null=True)
    rolled_back_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["model_version"],
                condition=Q(approved_at=None, withdrawn_at=None),
                name="one_open_promotion_a_model_version",
            ),
            models.CheckConstraint(
                condition=Q(approved_by=None)
                | Q(proposed_by=None)
                | ~Q(approved_by=F("proposed_by")),
                name="two_people_promote",
            ),
        ]

    def __str__(self) -> str:
        return f"promotion of {self.model_version_id}"


class TrainingRun(models.Model):
    """One training of a head on a snapshot; the row is the work, its task a nudge."""

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        RUNNING = "running", _("Running")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")
        CANCELLED = "cancelled", _("Cancelled")

    platform = models.ForeignKey(Platform, on_delete=models.PROTECT, related_name="training_runs")
    snapshot = models.ForeignKey(Snapshot, on_delete=models.PROTECT, related_name="training_runs")
    kind = models.CharField(
        max_length=10, choices=ModelVersion.Kind.choices, default=ModelVersion.Kind.TRAINED
    )
    seed = models.BigIntegerField(default=0)
    config = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    step = models.CharField(max_length=120, blank=True)  # what it is doing, in words
    fraction = models.FloatField(default=0)  # done, 0 to 1
    history = models.JSONField(default=list)  # [{"policy", "epoch", "train_loss", "valid_loss"}]
    error = models.TextField(blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    heartbeat_at = models.DateTimeField(null=True)
    model_version = models.OneToOneField(
        ModelVersion, on_delete=models.PROTECT, null=True, related_name="training_run"
    )
    created_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    finished_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"training run {self.pk}"


class DueScore(models.Model):
    """An item version that waits to be scored. The row goes when the score is stored."""

    item_version = models.OneToOneField(
        ItemVersion, on_delete=models.CASCADE, primary_key=True, related_name="due_score"
    )
    due_at = models.DateTimeField(db_default=Now())
    attempts = models.PositiveSmallIntegerField(default=0)
    parked_at = models.DateTimeField(null=True)  # given up after three attempts
    error = models.TextField(blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["due_at"], condition=Q(parked_at=None), name="score_due"),
        ]

    def __str__(self) -> str:
        return f"due: {self.item_version_id}"


class Embedding(models.Model):
    """One encoder's vector for one item version: unit length, encoder's own dimension."""

    item_version = models.ForeignKey(
        ItemVersion, on_delete=models.CASCADE, related_name="embeddings", db_index=False
    )
    encoder = models.CharField(max_length=120)
    vector = HalfVectorField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["item_version", "encoder"], name="one_embedding_per_encoder"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.encoder} of {self.item_version_id}"


class DueNeighbour(models.Model):
    """An item version whose new vector waits to be compared. The row goes when it was."""

    item_version = models.OneToOneField(
        ItemVersion,
        on_delete=models.DO_NOTHING,
        primary_key=True,
        related_name="+",
        db_constraint=False,
    )
    due_at = models.DateTimeField(db_default=Now())
    attempts = models.PositiveSmallIntegerField(db_default=0)
    parked_at = models.DateTimeField(null=True)  # given up after three attempts
    error = models.TextField(blank=True, db_default="")

    def __str__(self) -> str:
        return f"due: {self.item_version_id}"


class NearVector(models.Model):
    """The vector of a text that stands for itself: what later ones are compared with."""

    item_version = models.OneToOneField(
        ItemVersion, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    platform = models.ForeignKey(
        Platform, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    encoder = models.CharField(max_length=120)
    vector = HalfVectorField()

    class Meta:
        indexes = [
            models.Index(fields=["platform", "encoder", "-item_version"], name="near_by_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.encoder} of {self.item_version_id}"


class StrongSpans(models.Model):
    """What in a text moved one model version's scores, worked out when somebody asked; kept for a
    week. `spans`: [policy slug, field, start, end, effect], strongest first a policy."""

    item_version = models.ForeignKey(
        ItemVersion, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    model_version = models.ForeignKey(
        ModelVersion, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    spans = models.JSONField(default=list)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["item_version", "model_version"], name="one_strong_spans_per_model"
            ),
        ]
        indexes = [models.Index(fields=["created_at"], name="strong_spans_by_age")]

    def __str__(self) -> str:
        return f"strong spans of {self.item_version_id}"


class Score(models.Model):
    """One model version's calibrated probability for one policy on one item version."""

    item_version = models.ForeignKey(
        ItemVersion, on_delete=models.CASCADE, related_name="scores", db_index=False
    )
    policy_version = models.ForeignKey(PolicyVersion, on_delete=models.PROTECT, related_name="+")
    model_version = models.ForeignKey(
        ModelVersion, on_delete=models.PROTECT, related_name="scores", db_index=False
    )
    probability = models.FloatField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["item_version", "model_version", "policy_version"],
                name="one_score_per_policy_and_model",
            ),
            models.CheckConstraint(
                condition=Q(probability__range=(0, 1)), name="score_is_a_probability"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.probability:.2f}"
