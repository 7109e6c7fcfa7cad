"""What is good for the person who looks: a platform's limits, what somebody has looked at, and what
she sets for her own sake. The last two are hers: no page, API or audit entry shows them to others.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from .content import Platform
from .people import Person
from .work import Queue


class Strength(models.IntegerChoices):
    """How strongly what is blurred is blurred; wellness.css says what each means."""

    STRONG = 1, _("Strong")
    STRONGER = 2, _("Stronger")
    STRONGEST = 3, _("Strongest: only light and colour are left")


class Wellbeing(models.Model):
    """One person's own settings. Without a row, all is as her queues and platform have it."""

    class Reveal(models.TextChoices):
        CLICK = "click", _("One press shows it, another covers it")
        HOLD = "hold", _("Only while I hold the key or the button")

    person = models.OneToOneField(
        Person, on_delete=models.CASCADE, primary_key=True, related_name="wellbeing"
    )
    # {filter: "on" or "off"}; what is not named is as the queue says.
    filters = models.JSONField(default=dict, db_default={})
    reveal = models.CharField(
        max_length=5, choices=Reveal.choices, default=Reveal.CLICK, db_default=Reveal.CLICK
    )
    strength = models.PositiveSmallIntegerField(choices=Strength.choices, null=True, blank=True)
    opt_outs = ArrayField(models.CharField(max_length=80), default=list, db_default=[])  # harms
    # Nothing is served to her before then.
    break_until = models.DateTimeField(null=True)
    # Severe jobs that she was shown in a row, and since her last break; the job counted last.
    severe_run = models.PositiveIntegerField(default=0, db_default=0)
    severe_since_break = models.PositiveIntegerField(default=0, db_default=0)
    last_job_id = models.BigIntegerField(null=True)

    def __str__(self) -> str:
        return f"wellbeing of {self.person_id}"


class Limits(models.Model):
    """What a platform asks of its people at most. An organisation's policy, not a medical limit.

    Without a row there are none, and severe policies are counted under their own names.
    """

    platform = models.OneToOneField(
        Platform, on_delete=models.CASCADE, primary_key=True, related_name="limits"
    )
    budgets = models.JSONField(default=dict)  # {harm: weighted minutes in one shift}
    shift_hours = models.PositiveSmallIntegerField(default=10)
    rotation = models.PositiveSmallIntegerField(default=0)  # severe jobs in a row; 0: any number
    break_minutes = models.PositiveSmallIntegerField(default=60)  # of work; 0: no prompt
    break_severe = models.PositiveSmallIntegerField(default=0)  # severe jobs; 0: no prompt
    break_length = models.PositiveSmallIntegerField(default=5)  # minutes
    strength = models.PositiveSmallIntegerField(choices=Strength.choices, default=Strength.STRONGER)
    keep_days = models.PositiveSmallIntegerField(default=30)  # what somebody looked at

    class Meta:
        verbose_name_plural = "limits"
        constraints = [
            models.CheckConstraint(
                condition=Q(shift_hours__gt=0) & Q(keep_days__gt=0) & Q(break_length__gt=0),
                name="limits_are_positive",
            ),
        ]

    def __str__(self) -> str:
        return f"limits of {self.platform_id}"


class Exposure(models.Model):
    """How long one claim's item stood open to one person, by harm. Pruned after keep_days."""

    person = models.ForeignKey(
        Person, on_delete=models.CASCADE, db_index=False, related_name="exposures"
    )
    queue = models.ForeignKey(Queue, on_delete=models.CASCADE, db_index=False, related_name="+")
    token = models.UUIDField()  # of the claim
    harm = models.CharField(max_length=80)
    seconds = models.FloatField()
    weight = models.FloatField()  # by the severity of the policy
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["token", "harm"], name="one_exposure_a_claim_and_harm"),
            models.CheckConstraint(condition=Q(seconds__gt=0), name="exposure_is_positive"),
        ]
        indexes = [models.Index(fields=["person", "at"], name="exposure_by_person")]

    def __str__(self) -> str:
        return f"{self.seconds:g} s of {self.harm}"
