"""What is seen and heard: media that platforms send, and which item version shows which."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as lazy

from .content import ItemVersion, Platform


class Medium(models.Model):
    """One picture, film or sound. Nobody is ever served what came in: a worker makes renditions.

    `renditions` maps a name ("image", "thumb", "video", "audio") to {"file", "type", "bytes",
    "sha256", "width"?, "height"?}; `original` is the file that came in, "" once it is gone.
    """

    class Source(models.TextChoices):
        UPLOAD = "upload", lazy("Uploaded")
        ADDRESS = "address", lazy("From an address")

    class State(models.TextChoices):
        DUE = "due", lazy("Being prepared")
        READY = "ready", lazy("Ready")
        FAILED = "failed", lazy("Cannot be shown")  # it is no medium that we can read
        PARKED = "parked", lazy("Waits for a person")  # three attempts went wrong on our side
        ERASED = "erased", lazy("Erased")  # its files are about to go, and this row with them

    class Form(models.TextChoices):
        IMAGE = "image", lazy("Picture")
        VIDEO = "video", lazy("Film")
        AUDIO = "audio", lazy("Sound")

    platform = models.ForeignKey(
        Platform, on_delete=models.PROTECT, related_name="media", db_index=False
    )
    source = models.CharField(max_length=10, choices=Source.choices)
    address = models.CharField(max_length=4000, blank=True)
    # What it is found by: the SHA-256 of the bytes that were uploaded, or of the address.
    key = models.CharField(max_length=64)
    sha256 = models.CharField(max_length=64, blank=True)  # of what came in
    bytes_in = models.PositiveBigIntegerField(default=0)
    original = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.DUE)
    form = models.CharField(max_length=10, choices=Form.choices, blank=True)
    width = models.PositiveIntegerField(default=0)  # as it came in, upright
    height = models.PositiveIntegerField(default=0)
    seconds = models.FloatField(default=0)
    renditions = models.JSONField(default=dict)
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(db_default=Now())  # later than now: a worker has it in hand
    error = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name_plural = "media"
        constraints = [
            models.UniqueConstraint(
                fields=["platform", "key"],
                condition=Q(source="upload"),
                name="one_upload_per_content",
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(state="due"), name="medium_due"),
            models.Index(fields=["id"], condition=Q(state="erased"), name="medium_erased"),
            models.Index(
                fields=["platform", "key", "-id"],
                condition=Q(source="address"),
                name="medium_by_address",
            ),
        ]

    def __str__(self) -> str:
        return self.reference

    @property
    def reference(self) -> str:
        """What a field of an item says to show it."""
        return self.address or f"media:{self.pk}"


class MediumUse(models.Model):
    """This version shows that medium, in this field."""

    # The constraint below begins with the version.
    item_version = models.ForeignKey(
        ItemVersion, on_delete=models.CASCADE, related_name="media", db_index=False
    )
    medium = models.ForeignKey(Medium, on_delete=models.PROTECT, related_name="uses")
    field = models.CharField(max_length=40)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["item_version", "field", "medium"], name="one_use_a_field"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.item_version_id}.{self.field}: {self.medium_id}"
