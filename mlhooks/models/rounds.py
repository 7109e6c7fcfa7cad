"""Learning rounds: how a platform draws them, each one drawn, and what the lane has been worth."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from reviews.models import Draw, Person, Platform

from .snapshots import Snapshot
from .versions import ModelVersion

HOURS = (1, 24 * 30)
MOST_ITEMS = 5_000
MOST_IN_POOL = 20_000


class RoundSettings(models.Model):
    """How a platform's learning lane is filled. Without a row, or off: as scores arrive, by each
    queue's own share (reviews/draws.py)."""

    platform = models.OneToOneField(
        Platform, on_delete=models.PROTECT, primary_key=True, related_name="round_settings"
    )
    is_on = models.BooleanField(default=False)
    every_hours = models.PositiveSmallIntegerField(default=24)
    size = models.PositiveIntegerField(default=100)  # items expected in a round
    strategy = models.CharField(max_length=20, default="default")  # of selection.STRATEGIES
    # Expected at most of one account, of one cluster; null: no cap.
    per_account = models.PositiveSmallIntegerField(null=True, default=3)
    per_cluster = models.PositiveSmallIntegerField(null=True, default=1)
    next_at = models.DateTimeField(db_default=Now())
    changed_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    changed_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "round settings"
        constraints = [
            models.CheckConstraint(
                condition=Q(every_hours__range=HOURS, size__range=(1, MOST_ITEMS)),
                name="rounds_are_of_a_size_and_pace",
            ),
        ]

    def __str__(self) -> str:
        return f"rounds of {self.platform_id}"


class LearningRound(models.Model):
    """One drawing over all that waits on a platform. The row is the work, its task a nudge.

    Whatever the probabilities were made from stands here or in the draws: draw it again with the
    pool's table, the seed and each draw's stream.
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        RUNNING = "running", _("Running")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")

    platform = models.ForeignKey(Platform, on_delete=models.PROTECT, related_name="rounds")
    is_scheduled = models.BooleanField(default=False)
    strategy = models.CharField(max_length=20)
    size = models.PositiveIntegerField()
    per_account = models.PositiveSmallIntegerField(null=True)
    per_cluster = models.PositiveSmallIntegerField(null=True)
    seed = models.BigIntegerField()
    model_version = models.ForeignKey(
        ModelVersion, on_delete=models.PROTECT, null=True, related_name="+"
    )
    pool_size = models.PositiveIntegerField(null=True)
    known = models.PositiveIntegerField(null=True)  # labelled items the strategy looked at
    expected = models.FloatField(null=True)  # Σ of the probabilities
    drawn = models.PositiveIntegerField(null=True)
    left_out = models.JSONField(default=dict)  # {why: how many} of what waits and is in no pool
    draws = models.ManyToManyField(Draw, related_name="learning_rounds")
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    step = models.CharField(max_length=120, blank=True)
    error = models.TextField(blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    heartbeat_at = models.DateTimeField(null=True)
    created_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["platform"],
                condition=Q(state__in=["waiting", "running"]),
                name="one_round_at_once",
            ),
        ]
        indexes = [models.Index(fields=["platform", "-id"], name="rounds_by_newest")]

    def __str__(self) -> str:
        return f"round {self.pk}"


class RoundPool(models.Model):
    """A round's pool with the chance of each, as Parquet: beside the row, so that no list reads it.

    Columns job_id, item_id, queue_id, probability. No content, no account.
    """

    learning_round = models.OneToOneField(
        LearningRound, on_delete=models.CASCADE, primary_key=True, related_name="pool"
    )
    table = models.BinaryField()

    def __str__(self) -> str:
        return f"pool of round {self.learning_round_id}"


class LearningCurve(models.Model):
    """What a snapshot's labels of the learning lane are worth beside its random ones'.

    The row is the work, its task a nudge; pages only read `figures` (curves.py).
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        RUNNING = "running", _("Running")
        READY = "ready", _("Ready")
        FAILED = "failed", _("Failed")

    platform = models.ForeignKey(Platform, on_delete=models.PROTECT, related_name="+")
    snapshot = models.OneToOneField(
        Snapshot, on_delete=models.PROTECT, related_name="learning_curve"
    )
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    step = models.CharField(max_length=120, blank=True)
    figures = models.JSONField(default=dict)
    error = models.TextField(blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    heartbeat_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["platform", "-id"], name="curves_by_newest")]

    def __str__(self) -> str:
        return f"learning curve of snapshot {self.snapshot_id}"
