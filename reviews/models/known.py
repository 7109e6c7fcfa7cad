"""Lists of known items: hashes of pictures and films that somebody has judged before."""

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as lazy
from pgvector.django import BitField

from .content import Platform
from .media import Medium
from .people import Person
from .policy import Policy


class KnownList(models.Model):
    """Hashes that stand for violations of one policy. `distance` is how many of a perceptual hash's
    256 bits may differ for a picture to count as the known one."""

    platform = models.ForeignKey(Platform, on_delete=models.PROTECT, related_name="known_lists")
    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="known_lists")
    name = models.CharField(max_length=80)
    distance = models.PositiveSmallIntegerField(default=20)
    is_archived = models.BooleanField(default=False)
    created_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["platform", "name"], name="one_known_list_a_name"),
            models.CheckConstraint(
                condition=models.Q(distance__lte=64), name="known_distance_is_near"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class KnownHash(models.Model):
    """One known picture: what it looks like, or exactly which bytes it is. Never the picture."""

    class Sort(models.TextChoices):
        LOOKS = "phash", lazy("What it looks like")
        BYTES = "sha256", lazy("Its exact bytes")

    known_list = models.ForeignKey(
        KnownList, on_delete=models.CASCADE, related_name="hashes", db_index=False
    )
    sort = models.CharField(max_length=6, choices=Sort.choices)
    value = BitField(length=256)
    note = models.CharField(max_length=200, blank=True)
    added_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    added_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name_plural = "known hashes"
        constraints = [
            models.UniqueConstraint(
                fields=["known_list", "sort", "value"], name="one_known_hash_a_list"
            ),
        ]

    def __str__(self) -> str:
        return self.hex[:16]

    @property
    def hex(self) -> str:
        return f"{int(str(self.value), 2):064x}"


class LookAlike(models.Model):
    """What a picture looks like, or a film every so often (perceptual hashes); when it is to be
    held against the lists."""

    medium = models.OneToOneField(
        Medium, on_delete=models.CASCADE, primary_key=True, related_name="look"
    )
    value = BitField(length=256, null=True)  # null: no rendition of it could be hashed
    moments = models.JSONField(default=list, db_default=[])  # of a film: [seconds, 64 hex digits]
    due_at = models.DateTimeField(null=True, db_default=Now())
    attempts = models.PositiveSmallIntegerField(db_default=0)
    error = models.CharField(max_length=300, blank=True, db_default="")

    class Meta:
        indexes = [
            models.Index(
                fields=["due_at"], condition=models.Q(due_at__isnull=False), name="look_due"
            ),
        ]

    def __str__(self) -> str:
        return f"look of {self.medium_id}"


class KnownMatch(models.Model):
    """A picture, or a moment of a film, that is, or nearly is, a known one. Reports are filed from
    it."""

    medium = models.ForeignKey(
        Medium, on_delete=models.CASCADE, related_name="known_matches", db_index=False
    )
    known_hash = models.ForeignKey(KnownHash, on_delete=models.CASCADE, related_name="matches")
    distance = models.PositiveSmallIntegerField()
    found_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name_plural = "known matches"
        constraints = [
            models.UniqueConstraint(fields=["medium", "known_hash"], name="one_match_a_known_hash"),
        ]

    def __str__(self) -> str:
        return f"{self.medium_id} is {self.distance} bits from {self.known_hash_id}"
