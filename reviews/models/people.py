"""Who acts: people who sign in, and the tokens programs act with. Permissions live in access.py."""

import json

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from reviews.statements import Statement

_ROLES = Statement(
    "person_roles",
    """
SELECT auth_group.name FROM auth_group
JOIN reviews_person_groups AS link ON link.group_id = auth_group.id
WHERE link.person_id = %(person)s
""",
)


class Role(models.TextChoices):
    """The names of the groups that carry roles; created after every migrate."""

    REVIEWER = "reviewer", _("Reviewer")
    LEAD = "lead", _("Lead")
    POLICY_OWNER = "policy-owner", _("Policy owner")
    ML_ENGINEER = "ml-engineer", _("ML engineer")
    AUDITOR = "auditor", _("Auditor")
    ADMIN = "admin", _("Admin")


class Person(AbstractUser):
    """Someone who signs in, or the service account behind an API token."""

    class Theme(models.TextChoices):
        AUTO = "auto", _("Like my system")
        LIGHT = "light", _("Light")
        DARK = "dark", _("Dark")
        CONTRAST = "contrast", _("High contrast")

    class Density(models.TextChoices):
        COSY = "cosy", _("Cosy")
        COMPACT = "compact", _("Compact")

    theme = models.CharField(max_length=8, choices=Theme.choices, default=Theme.AUTO)
    density = models.CharField(
        max_length=8, choices=Density.choices, default=Density.COSY, db_default=Density.COSY
    )
    # Empty: what her browser asks for, and the time zone of the installation.
    language = models.CharField(max_length=8, blank=True, default="", db_default="")
    time_zone = models.CharField(max_length=40, blank=True, default="", db_default="")
    # Her own keys on the desk (keymap.py); none: the usual ones.
    keys = models.JSONField(null=True, blank=True)

    def __str__(self) -> str:
        return self.username

    @property
    def keys_as_json(self) -> str:
        """For the page's scripts."""
        return json.dumps(self.keys)

    @property
    def roles(self) -> frozenset[str]:
        """Names of this person's roles; read once per instance (that is, once per request)."""
        if not hasattr(self, "_roles"):
            self._roles = frozenset(name for (name,) in _ROLES.rows(person=self.pk))
        return self._roles


class ApiToken(models.Model):
    """A program's key to one platform. Only its SHA-256 is kept; the text is shown once."""

    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="tokens")
    platform = models.ForeignKey(
        "reviews.Platform", on_delete=models.PROTECT, related_name="tokens"
    )
    name = models.CharField(max_length=80)
    digest = models.CharField(max_length=64, unique=True)
    scopes = ArrayField(models.CharField(max_length=40))
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["platform", "name"], name="one_token_per_name"),
        ]

    def __str__(self) -> str:
        return self.name

    def is_live(self, now) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


class PastCall(models.Model):
    """An API call made with an Idempotency-Key, and its answer: sent again, it is not done again.

    Written by idempotency.py and forgotten after a day.
    """

    person = models.ForeignKey(
        Person, on_delete=models.CASCADE, related_name="past_calls", db_index=False
    )
    key = models.CharField(max_length=200)
    digest = models.CharField(max_length=64)  # of method, path and body
    status = models.PositiveSmallIntegerField(null=True)
    body = models.TextField(blank=True)  # as it was sent, to the byte
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["person", "key"], name="one_call_per_key"),
        ]
        indexes = [models.Index(fields=["created_at"], name="past_call_by_age")]

    def __str__(self) -> str:
        return f"{self.key} of {self.person_id}"
