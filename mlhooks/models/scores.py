"""What is due for scoring, embeddings, and scores."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from pgvector.django import HalfVectorField

from reviews.models import ItemVersion, Platform, PolicyVersion

from .versions import ModelVersion


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
    week. `spans`: [policy slug, field, start, end, effect], strongest first a policy; none of them
    where `error` says why it could not be worked out."""

    item_version = models.ForeignKey(
        ItemVersion, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    model_version = models.ForeignKey(
        ModelVersion, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    spans = models.JSONField(default=list)
    error = models.TextField(blank=True, default="")
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


class AnsweredPolicies(models.Model):
    """The policy versions that a platform's champion answers from their words, being younger than
    it is: what waits has been marked for these."""

    platform = models.OneToOneField(
        Platform, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    policy_versions = models.JSONField(default=list)  # ids, rising

    class Meta:
        verbose_name_plural = "answered policies"

    def __str__(self) -> str:
        return f"answered on {self.platform_id}"


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
