"""Model versions, the training runs that make them, and their promotions."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from reviews.models import Person, Platform, PolicyVersion

from .snapshots import Snapshot


class ModelVersion(models.Model):
    """One trained artefact: weights + JSON + sha256, for all policies of a platform."""

    class Kind(models.TextChoices):
        ZERO_SHOT = "zero-shot", _("Zero-shot")
        FEW_SHOT = "few-shot", _("Few-shot")
        TRAINED = "trained", _("Trained head")
        TUNED = "fine-tuned", _("Fine-tuned")  # with an encoder of its own

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

    @property
    def encoder_family(self) -> str:
        """The encoder without its precision, "name@sha/bf16" → "name@sha": what a head made on one
        precision may read of the other."""
        return self.encoder.rpartition("/")[0]


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
    # What the gates said when it was approved: gates.Outcome a policy and gate, as JSON.
    gates = models.JSONField(default=list, db_default=[])
    # A policy owner's reason to let it pass although a gate fails.
    waiver = models.CharField(max_length=300, blank=True, db_default="")
    waived_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
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
            models.CheckConstraint(
                condition=Q(waived_by=None) | Q(proposed_by=None) | ~Q(waived_by=F("proposed_by")),
                name="nobody_waives_for_herself",
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
