"""Texts that somebody asked a model version about."""

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from reviews.models import Person, Platform

from .versions import ModelVersion


class Prediction(models.Model):
    """Some texts and what a model version says of them; a worker answers. Kept for a day; one that
    was asked on a page, until it was read, ten minutes at most (`is_brief`)."""

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        RUNNING = "running", _("Running")
        READY = "ready", _("Ready")
        FAILED = "failed", _("Failed")

    platform = models.ForeignKey(Platform, on_delete=models.CASCADE, related_name="+")
    model_version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="+")
    texts = models.JSONField()
    answers = models.JSONField(default=list)  # a text: {policy slug: registry.Answer}
    with_spans = models.BooleanField(default=False, db_default=False)
    # A text: [policy slug, start, end, effect], strongest first a policy; as in StrongSpans.
    spans = models.JSONField(default=list, db_default=[])
    is_brief = models.BooleanField(default=False, db_default=False)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    error = models.TextField(blank=True, default="")
    attempts = models.PositiveSmallIntegerField(default=0)
    heartbeat_at = models.DateTimeField(null=True)
    created_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="predictions_by_age")]

    def __str__(self) -> str:
        return f"prediction {self.pk}"
