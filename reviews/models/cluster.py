"""Items that say nearly the same, and one answer given to many of them.

A cluster is held together by its anchor: one text that never changes. Who belongs is near enough to
the anchor itself, not to another member, so that a cluster cannot drift from one text to another.
"""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from .content import Item, ItemVersion, Platform
from .outcome import Decision, Verdict
from .people import Person


class DueHash(models.Model):
    """An item version whose text waits to be hashed and compared. The row goes when it was."""

    # Written with every new item: no constraint to check, no index but the key.
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


class Anchor(models.Model):
    """The first text of its kind: what later ones are compared with."""

    item_version = models.OneToOneField(
        ItemVersion, on_delete=models.CASCADE, primary_key=True, related_name="anchor"
    )
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="anchors")
    platform = models.ForeignKey(
        Platform, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    fingerprint = models.CharField(max_length=32)
    minhash = models.BinaryField()  # of its shingles; empty where the text is too short

    class Meta:
        indexes = [models.Index(fields=["fingerprint"], name="anchor_by_fingerprint")]

    def __str__(self) -> str:
        return f"anchor {self.item_version_id}"


class Band(models.Model):
    """A slice of an anchor's MinHash: texts that share one are worth comparing (LSH)."""

    pk = models.CompositePrimaryKey("key", "anchor_id")
    key = models.BigIntegerField()  # hash of platform, place of the slice, slice
    # 21 rows an anchor: no constraint and no second index. They are found by their keys, and one
    # whose anchor is gone leads nowhere.
    anchor = models.ForeignKey(
        Anchor,
        on_delete=models.DO_NOTHING,
        related_name="bands",
        db_index=False,
        db_constraint=False,
    )

    def __str__(self) -> str:
        return f"{self.key} of {self.anchor_id}"


class Cluster(models.Model):
    """Two or more items that say nearly what its anchor says."""

    platform = models.ForeignKey(
        Platform, on_delete=models.PROTECT, related_name="clusters", db_index=False
    )
    anchor = models.OneToOneField(Anchor, on_delete=models.PROTECT, related_name="cluster")
    size = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    joined_at = models.DateTimeField(db_default=Now())  # when the newest member came

    class Meta:
        indexes = [models.Index(fields=["platform", "-joined_at"], name="cluster_by_newest")]

    def __str__(self) -> str:
        return f"cluster {self.pk}"


class ClusterMember(models.Model):
    """An item in the one cluster it belongs to, and how near it is to the anchor."""

    class How(models.TextChoices):
        EXACT = "exact", _("Same text")
        MINHASH = "minhash", _("Same words")
        EMBEDDING = "embedding", _("Same meaning")

    cluster = models.ForeignKey(
        Cluster, on_delete=models.CASCADE, related_name="members", db_index=False
    )
    item = models.OneToOneField(Item, on_delete=models.CASCADE, related_name="cluster_member")
    item_version = models.ForeignKey(  # the text that was compared
        ItemVersion, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    how = models.CharField(max_length=10, choices=How.choices)
    similarity = models.FloatField()
    joined_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(similarity__range=(0, 1)), name="similarity_is_a_fraction"
            ),
        ]
        indexes = [
            # The odd ones out first.
            models.Index(fields=["cluster", "similarity", "id"], name="member_by_similarity"),
        ]

    def __str__(self) -> str:
        return f"{self.item_id} in cluster {self.cluster_id}"


class ClusterOperation(models.Model):
    """One answer for chosen members of a cluster. Each member gets a decision of its own."""

    cluster = models.ForeignKey(
        Cluster, on_delete=models.SET_NULL, null=True, related_name="operations"
    )
    platform = models.ForeignKey(Platform, on_delete=models.PROTECT, related_name="+")
    verdict = models.CharField(max_length=10, choices=Verdict.choices)
    policies = models.JSONField(default=list)  # slugs
    actions = models.JSONField(default=list)  # slugs
    note = models.TextField(blank=True)
    radius = models.JSONField(default=dict)  # what she was shown before: items, accounts, views …
    token = models.UUIDField(unique=True)
    by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="cluster_operations")
    at = models.DateTimeField(db_default=Now(), editable=False)
    finished_at = models.DateTimeField(null=True)
    undone_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["id"], condition=Q(finished_at=None), name="cluster_operation_open"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.verdict} for members of cluster {self.cluster_id}"


class ClusterAnswer(models.Model):
    """One chosen member: the version that was seen, and what came of it."""

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        DECIDED = "decided", _("Decided")
        SKIPPED = "skipped", _("Skipped")
        UNDONE = "undone", _("Taken back")

    operation = models.ForeignKey(
        ClusterOperation, on_delete=models.CASCADE, related_name="answers"
    )
    item = models.ForeignKey(Item, on_delete=models.PROTECT, related_name="cluster_answers")
    item_version = models.ForeignKey(
        ItemVersion, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    reason = models.CharField(max_length=300, blank=True)  # why skipped, or not taken back
    decision = models.OneToOneField(
        Decision, on_delete=models.PROTECT, null=True, related_name="cluster_answer"
    )
    attempts = models.PositiveSmallIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["operation", "item"], name="one_answer_a_member"),
        ]

    def __str__(self) -> str:
        return f"{self.item_id}: {self.state}"
