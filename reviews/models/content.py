"""What is looked at: platforms, kinds of item, items and their versions, accounts, reports."""

import hashlib
import json

from django.db import models
from django.db.models.functions import Now

from .people import Person


class Platform(models.Model):
    """A product that sends items and receives enforcement: the tenant boundary."""

    slug = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=80)
    members = models.ManyToManyField(Person, related_name="platforms", blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return self.name


class ItemKind(models.Model):
    """The shape of one sort of content.

    `fields` is a list of `{"name", "label", "type", "role", "required"}`; types and roles are
    those of layouts.py. `layout` is the ordered list of blocks it is shown in, each
    `{"block", "fields", "label", "is_collapsed"}`; empty for the usual one.
    """

    platform = models.ForeignKey(Platform, on_delete=models.PROTECT, related_name="kinds")
    slug = models.SlugField(max_length=40)
    name = models.CharField(max_length=80)
    fields = models.JSONField(default=list)
    layout = models.JSONField(default=list, blank=True)
    is_archived = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["platform", "slug"], name="one_kind_per_slug"),
        ]

    def __str__(self) -> str:
        return self.name

    def names_with_role(self, *roles: str) -> list[str]:
        """Field names that play one of `roles`, in the kind's own order."""
        return [
            field["name"]
            for field in self.fields
            if isinstance(field, dict) and field.get("name") and field.get("role") in roles
        ]


class Account(models.Model):
    """The author of items on a platform."""

    platform = models.ForeignKey(Platform, on_delete=models.PROTECT, related_name="accounts")
    external_id = models.CharField(max_length=200)
    name = models.CharField(max_length=200, blank=True)
    joined_at = models.DateTimeField(null=True, blank=True)
    split_group = models.CharField(max_length=32)  # see Item.split_group
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["platform", "external_id"], name="one_account_per_external_id"
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.external_id


class ItemQuerySet(models.QuerySet):
    def on_platforms_of(self, person: Person) -> "ItemQuerySet":
        return self.filter(platform__members=person)


class Item(models.Model):
    """One piece of content under review. What it says lives in its versions."""

    # No index of their own for these three: the ones below begin with them.
    platform = models.ForeignKey(
        Platform, on_delete=models.PROTECT, related_name="items", db_index=False
    )
    kind = models.ForeignKey(
        ItemKind, on_delete=models.PROTECT, related_name="items", db_index=False
    )
    external_id = models.CharField(max_length=200)
    account = models.ForeignKey(
        Account,
        on_delete=models.PROTECT,
        related_name="items",
        null=True,
        blank=True,
        db_index=False,
    )
    version_number = models.PositiveIntegerField(default=1)
    language = models.CharField(max_length=16, blank=True)  # BCP 47
    posted_at = models.DateTimeField(null=True, blank=True)  # on the platform
    submitted_at = models.DateTimeField(db_default=Now())  # to us, first time
    views_per_hour = models.FloatField(default=0)
    report_count = models.PositiveIntegerField(default=0)
    # Exact duplicates (after folding case and white space) share a fingerprint.
    fingerprint = models.CharField(max_length=32)
    # Items of one group never stand on both sides of a train/test split. Fixed at first sight.
    split_group = models.CharField(max_length=32)
    # What the model side handed back: {policy slug: calibrated probability}.
    risks = models.JSONField(default=dict)
    risk = models.FloatField(null=True, blank=True)
    risk_source = models.CharField(max_length=80, blank=True)  # the model version's label
    scored_at = models.DateTimeField(null=True, blank=True)
    # When what it said was erased; a version that comes in later makes it whole again.
    erased_at = models.DateTimeField(null=True, blank=True)
    # What is known beforehand, for demos and benchmarks: {policy slug: bool}. Never shown.
    known_answer = models.JSONField(null=True, blank=True)

    objects = ItemQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["platform", "kind", "external_id"], name="one_item_per_external_id"
            ),
            models.CheckConstraint(
                condition=models.Q(risk__isnull=True) | models.Q(risk__range=(0, 1)),
                name="risk_is_a_probability",
            ),
            models.CheckConstraint(
                condition=models.Q(views_per_hour__gte=0), name="views_are_not_negative"
            ),
        ]
        indexes = [
            models.Index(fields=["account", "-submitted_at"], name="item_by_account"),
            models.Index(fields=["fingerprint"], name="item_by_fingerprint"),
        ]

    def __str__(self) -> str:
        return f"{self.kind_id}:{self.external_id}"

    @property
    def current_version(self) -> "ItemVersion":
        if not hasattr(self, "_current_version"):
            self._current_version = self.versions.get(number=self.version_number)
            self._current_version.item = self
        return self._current_version


class ItemVersion(models.Model):
    """An item's content as it stood at one time. Reviews point at a version. Never edited."""

    item = models.ForeignKey(
        Item, on_delete=models.PROTECT, related_name="versions", db_index=False
    )
    number = models.PositiveIntegerField()
    content = models.JSONField()  # {field name: value}
    content_hash = models.CharField(max_length=64)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["item", "number"], name="one_version_per_number"),
        ]

    def __str__(self) -> str:
        return f"{self.item_id} v{self.number}"

    def title(self) -> str:
        return self._joined("title")

    def body(self) -> str:
        return self._joined("text")

    def text(self) -> str:
        """Title and text fields, one blank line apart: what a model reads."""
        return self._joined("title", "text")

    def _joined(self, *roles: str) -> str:
        values = (self.content.get(name) for name in self.item.kind.names_with_role(*roles))
        return "\n\n".join(str(value) for value in values if value)


def content_hash(content: dict) -> str:
    """SHA-256 over canonical JSON: equal content, equal hash."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


class Report(models.Model):
    """One complaint or signal about one item."""

    class Source(models.TextChoices):
        USER = "user", "User"
        TRUSTED_FLAGGER = "trusted_flagger", "Trusted flagger"
        LAW_ENFORCEMENT = "law_enforcement", "Law enforcement"
        RULE = "rule", "Rule"
        CLASSIFIER = "classifier", "Classifier"
        HASH = "hash", "Hash match"

    item = models.ForeignKey(Item, on_delete=models.PROTECT, related_name="reports")
    external_id = models.CharField(max_length=200)  # the sender's, or derived from the body
    source = models.CharField(max_length=20, choices=Source.choices, default=Source.USER)
    reporter = models.CharField(max_length=200, blank=True)  # external id on the platform
    reason = models.CharField(max_length=200)
    text = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["item", "external_id"], name="one_report_per_external_id"
            ),
        ]
        indexes = [models.Index(fields=["reporter"], name="report_by_reporter")]

    def __str__(self) -> str:
        return f"{self.get_source_display()}: {self.reason}"
