"""Looking back and ahead: replays of past weeks under another formula, and who works when."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from .content import Platform
from .people import Person
from .work import Queue


class ReplayRun(models.Model):
    """One replay of a queue's past; the row is the work, its task a nudge."""

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        RUNNING = "running", _("Running")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")
        CANCELLED = "cancelled", _("Cancelled")

    class Staff(models.TextChoices):
        """Whose hours the replay spends."""

        WORKED = "worked", _("As they worked")
        ROSTER = "roster", _("As on the roster")

    platform = models.ForeignKey(Platform, on_delete=models.PROTECT, related_name="replay_runs")
    queue = models.ForeignKey(Queue, on_delete=models.PROTECT, related_name="replay_runs")
    since = models.DateTimeField()
    until = models.DateTimeField()
    staff = models.CharField(max_length=8, choices=Staff.choices, default=Staff.WORKED)
    today = models.JSONField()  # the queue's parameters when it was asked for
    candidate = models.JSONField()  # replay.Parameters by name
    seed = models.BigIntegerField(default=0)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    step = models.CharField(max_length=120, blank=True)  # what it is doing, in words
    fraction = models.FloatField(default=0)  # done, 0 to 1
    result = models.JSONField(null=True)  # replay.compare(), and what history.py left out
    error = models.TextField(blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    heartbeat_at = models.DateTimeField(null=True)
    created_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "replay"
        constraints = [
            models.CheckConstraint(
                condition=Q(since__lt=F("until")), name="a_replay_begins_before_it_ends"
            ),
        ]

    def __str__(self) -> str:
        return f"replay {self.pk}"

    @property
    def is_over(self) -> bool:
        return self.state in (self.State.DONE, self.State.FAILED, self.State.CANCELLED)


class Roster(models.Model):
    """A queue's week: how many people are on duty when. Its history is in its revisions."""

    queue = models.OneToOneField(Queue, on_delete=models.CASCADE, related_name="roster")
    changed_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"roster of {self.queue_id}"


class Shift(models.Model):
    """So many people on one weekday (Monday is 0) from one full hour to another, local time."""

    roster = models.ForeignKey(Roster, on_delete=models.CASCADE, related_name="shifts")
    weekday = models.PositiveSmallIntegerField()
    starts = models.PositiveSmallIntegerField()
    ends = models.PositiveSmallIntegerField()
    headcount = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["weekday", "starts", "ends", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(weekday__lte=6, starts__lt=F("ends"), ends__lte=24),
                name="a_shift_lies_within_a_day",
            ),
            models.CheckConstraint(
                condition=Q(headcount__range=(1, 200)), name="a_shift_has_people"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.headcount} on day {self.weekday}, {self.starts} to {self.ends}"
