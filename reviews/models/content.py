"""What is looked at: platforms, kinds of item, items and their versions, accounts, reports."""

import hashlib
import json

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from .people import Person


class Platform(models.Model):
    """A product that sends items and receives enforcement: the tenant boundary."""

    slug = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=80)
    members = models.ManyToManyField(Person, related_name="platforms", blank=True)
    # Over all records of users who report (reporters.py): the share of their reports upheld.
    reports_settled = models.IntegerField(default=0, db_default=0)
    reports_upheld = models.IntegerField(default=0, db_default=0)
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
    # As the platform last counted them; null where it does not say.
    views_so_far = models.BigIntegerField(null=True, blank=True)
    report_count = models.PositiveIntegerField(default=0)
    # What its reports are worth together, and the most trusted of its reporters alone: ranking.py.
    report_trust = models.FloatField(default=0, db_default=0)
    reporter_trust = models.FloatField(default=0, db_default=0)
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
            models.CheckConstraint(
                condition=models.Q(views_so_far=None) | models.Q(views_so_far__gte=0),
                name="views_so_far_are_not_negative",
            ),
            models.CheckConstraint(
                condition=models.Q(report_trust__range=(0, 1))
                & models.Q(reporter_trust__range=(0, 1)),
                name="report_trust_is_a_probability",
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


class ThreadPlace(models.Model):
    """Where an item stands in a conversation: hashes of what its kind's `thread` and `parent`
    fields say. conversations.py writes and reads it."""

    item = models.OneToOneField(
        Item, on_delete=models.CASCADE, primary_key=True, related_name="thread_place"
    )
    thread_key = models.BigIntegerField(null=True)
    parent_key = models.BigIntegerField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["thread_key", "item"], name="place_by_thread"),
            models.Index(fields=["parent_key", "item"], name="place_by_parent"),
        ]

    def __str__(self) -> str:
        return f"place of {self.item_id}"


def content_hash(content: dict) -> str:
    """SHA-256 over canonical JSON: equal content, equal hash."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


class Report(models.Model):
    """One complaint or signal about one item."""

    class Source(models.TextChoices):
        USER = "user", _("User")
        TRUSTED_FLAGGER = "trusted_flagger", _("Trusted flagger")
        LAW_ENFORCEMENT = "law_enforcement", _("Law enforcement")
        RULE = "rule", _("Rule")
        CLASSIFIER = "classifier", _("Classifier")
        HASH = "hash", _("Hash match")

    # An index of its own would double the one below that begins with it.
    item = models.ForeignKey(Item, on_delete=models.PROTECT, related_name="reports", db_index=False)
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
        indexes = [
            # The newest of one person; who gave no name is nobody in particular.
            models.Index(
                fields=["reporter", "source", "-id"],
                condition=~models.Q(reporter=""),
                name="report_by_reporter_newest",
            ),
            # The first of each source (when is it due?), the newest of each (who says so?).
            models.Index(fields=["item", "source", "id"], name="report_by_item_and_source"),
        ]

    def __str__(self) -> str:
        return f"{self.get_source_display()}: {self.reason}"


class Reporter(models.Model):
    """Who reports, and how often she was right: counted from rows, never typed in.

    One name reporting as two sources has two records. `settled` counts the items among her newest
    reports whose standing decision says something, `upheld` the violating ones of them.
    """

    platform = models.ForeignKey(
        Platform, on_delete=models.PROTECT, related_name="reporters", db_index=False
    )
    source = models.CharField(max_length=20, choices=Report.Source.choices)
    external_id = models.CharField(max_length=200)  # Report.reporter
    filed = models.PositiveIntegerField(default=0)
    settled = models.PositiveIntegerField(default=0)
    upheld = models.PositiveIntegerField(default=0)
    # The chance that her next report is right (ranking.trust); what waiting jobs are ranked with.
    trust = models.FloatField()
    last_filed_at = models.DateTimeField(db_default=Now())
    refreshed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["platform", "source", "external_id"], name="one_record_per_reporter"
            ),
            models.CheckConstraint(
                condition=models.Q(upheld__lte=models.F("settled")),
                name="no_more_upheld_than_settled",
            ),
            models.CheckConstraint(
                condition=models.Q(trust__gt=0, trust__lt=1), name="reporter_trust_is_never_certain"
            ),
        ]

    def __str__(self) -> str:
        return self.external_id


class DueReporter(models.Model):
    """A decision spoke about an item she reported: her record is to be counted again.

    As many rows as there were decisions: nobody waits for a row of somebody else's. reporters.py
    works them off.
    """

    reporter = models.ForeignKey(
        Reporter, on_delete=models.CASCADE, related_name="due", db_index=False
    )
    due_at = models.DateTimeField(db_default=Now())
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    parked_at = models.DateTimeField(null=True)  # after three failures: waits for a person
    error = models.TextField(blank=True, db_default="")

    def __str__(self) -> str:
        return f"reporter {self.reporter_id}"
