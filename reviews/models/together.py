"""What people tell each other about the work: notes left on items, and what they are told of."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from .content import Item, Platform
from .people import Person
from .policy import Policy
from .work import Queue


class Note(models.Model):
    """Left on an item by one person for whoever looks at it next. Withdrawn, never deleted."""

    item = models.ForeignKey(Item, on_delete=models.PROTECT, related_name="notes", db_index=False)
    author = models.ForeignKey(
        Person, on_delete=models.PROTECT, related_name="notes", db_index=False
    )
    text = models.TextField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["item", "-id"], name="note_by_item")]

    def __str__(self) -> str:
        return f"note {self.pk} on {self.item_id}"


class Notification(models.Model):
    """Something that happened which one person should know; where it leads, the view says."""

    class Sort(models.TextChoices):
        ASSIGNED = "assigned", _("Jobs are assigned to you")
        ASKED = "asked", _("A colleague asks for your opinion")
        OPINION = "opinion", _("A colleague answers you")
        QUESTION = "question", _("A question about a policy of yours")
        ANSWERED = "answered", _("Your question about a policy is answered")
        MENTION = "mention", _("You are mentioned in a note")
        OVERTURNED = "overturned", _("A decision of yours is decided otherwise")
        ESCALATION = "escalation", _("What you escalated is decided")
        HOLD = "hold", _("An action you asked for is approved or refused")
        TAKEN = "taken", _("A job is taken away from you")

    person = models.ForeignKey(
        Person, on_delete=models.CASCADE, related_name="notifications", db_index=False
    )
    sort = models.CharField(max_length=12, choices=Sort.choices)
    actor = models.ForeignKey(
        Person, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    platform = models.ForeignKey(
        Platform, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    item = models.ForeignKey(
        Item, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    policy = models.ForeignKey(
        Policy, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    queue = models.ForeignKey(
        Queue, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    data = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    read_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["person", "-id"], name="notification_by_person"),
            models.Index(fields=["person"], condition=Q(read_at=None), name="notification_unread"),
            models.Index(fields=["created_at"], name="notification_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.sort} for {self.person_id}"


class MutedSort(models.Model):
    """A sort of notification that a person does not want."""

    person = models.ForeignKey(
        Person, on_delete=models.CASCADE, related_name="muted_sorts", db_index=False
    )
    sort = models.CharField(max_length=12, choices=Notification.Sort.choices)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["person", "sort"], name="one_choice_per_sort"),
        ]

    def __str__(self) -> str:
        return f"{self.person_id}: no {self.sort}"
