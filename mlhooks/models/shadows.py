"""Candidates that score live items beside the champion, and what each said. No rank reads these."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from reviews.models import ItemVersion, Job, Person, Platform, Policy

from .versions import ModelVersion


class Shadow(models.Model):
    """One period in which a candidate stands in the champion's shadow."""

    platform = models.ForeignKey(Platform, on_delete=models.PROTECT, related_name="+")
    model_version = models.ForeignKey(
        ModelVersion, on_delete=models.PROTECT, related_name="shadows"
    )
    started_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    started_at = models.DateTimeField(db_default=Now())
    stopped_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    stopped_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True, db_default="")  # the last batch it could not score

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["model_version"],
                condition=Q(stopped_at=None),
                name="one_open_shadow_a_model_version",
            ),
        ]

    def __str__(self) -> str:
        return f"shadow of {self.model_version_id}"


class ShadowScore(models.Model):
    """What a shadow said of one item version for one policy, and what the champion (`beside`) said
    in the same batch. Kept for SHADOW_DAYS."""

    item_version = models.ForeignKey(
        ItemVersion, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    model_version = models.ForeignKey(
        ModelVersion, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="+", db_index=False)
    probability = models.FloatField()
    beside = models.ForeignKey(
        ModelVersion, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    beside_probability = models.FloatField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["item_version", "model_version", "policy"],
                name="one_shadow_score_per_policy_and_model",
            ),
            models.CheckConstraint(
                condition=Q(probability__range=(0, 1), beside_probability__range=(0, 1)),
                name="shadow_scores_are_probabilities",
            ),
        ]
        indexes = [
            models.Index(
                fields=["model_version", "policy", "-created_at"], name="shadow_scores_by_newest"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.probability:.2f} beside {self.beside_probability:.2f}"


class Disagreement(models.Model):
    """A job drawn because a shadow and the champion stand on two sides of their thresholds: what
    each said then, and the chance with which it was drawn. The reviewer is told neither."""

    job = models.ForeignKey(Job, on_delete=models.PROTECT, related_name="+", db_index=False)
    item_version = models.ForeignKey(
        ItemVersion, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    model_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+")
    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="+", db_index=False)
    flags = models.BooleanField()  # the shadow is above its threshold, the champion below his
    probability = models.FloatField()
    beside = models.ForeignKey(
        ModelVersion, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    beside_probability = models.FloatField()
    inclusion_probability = models.FloatField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["job", "model_version", "policy"], name="one_disagreement_a_job_and_policy"
            ),
            models.CheckConstraint(
                condition=Q(inclusion_probability__gt=0, inclusion_probability__lte=1),
                name="disagreement_probability_is_positive",
            ),
        ]

    def __str__(self) -> str:
        return f"disagreement on {self.item_version_id}"
