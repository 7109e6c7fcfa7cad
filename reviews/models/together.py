"""What people tell each other about the work: notes on items, what they are told of, opinions
they ask of each other, and questions about policies."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from .content import Item, ItemVersion, Platform
from .people import Person
from .policy import Policy, PolicyVersion
from .work import Job, Queue


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
        ALERT = "alert", _("A figure of a model is out of its bounds")
        STRANDED = "stranded", _("Jobs that nobody in a queue can take")

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


class Consultation(models.Model):
    """A reviewer asks a colleague about the item she holds, which is set aside for her meanwhile.

    asked → answered | withdrawn | lapsed. What the colleague says is an opinion, no review: it
    settles nothing, and the one who asked decides. `due_at` says until when her job is kept for
    her; null: it is kept no more.
    """

    class State(models.TextChoices):
        ASKED = "asked", _("Asked")
        ANSWERED = "answered", _("Answered")
        WITHDRAWN = "withdrawn", _("Withdrawn")
        LAPSED = "lapsed", _("Lapsed")  # nobody answered in time, or it was decided meanwhile

    class Opinion(models.TextChoices):
        VIOLATING = "violating", _("Violating")
        CLEAN = "clean", _("Clean")
        UNSURE = "unsure", _("Unsure")

    item = models.ForeignKey(
        Item, on_delete=models.PROTECT, related_name="consultations", db_index=False
    )
    item_version = models.ForeignKey(
        ItemVersion, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    job = models.ForeignKey(
        Job, on_delete=models.PROTECT, related_name="consultations", db_index=False
    )
    queue = models.ForeignKey(Queue, on_delete=models.PROTECT, related_name="+", db_index=False)
    asked_by = models.ForeignKey(
        Person, on_delete=models.PROTECT, related_name="consultations", db_index=False
    )
    # Null: anybody who works the queue and has not answered the item.
    asked_of = models.ForeignKey(
        Person, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    # Whoever was named could not take it when she was asked; why is hers alone to know.
    is_for_anybody = models.BooleanField(default=False, db_default=False)
    note = models.TextField(blank=True)
    leaning = models.CharField(max_length=10, choices=Opinion.choices, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.ASKED)
    asked_at = models.DateTimeField(db_default=Now(), editable=False)
    due_at = models.DateTimeField(null=True)
    answered_by = models.ForeignKey(
        Person, on_delete=models.PROTECT, null=True, related_name="opinions", db_index=False
    )
    opinion = models.CharField(max_length=10, choices=Opinion.choices, blank=True)
    policy_versions = models.ManyToManyField(PolicyVersion, related_name="+")  # violated, she finds
    text = models.TextField(blank=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["job"], condition=Q(state="asked"), name="one_open_consultation_a_job"
            ),
            models.CheckConstraint(
                condition=Q(state="answered", answered_by__isnull=False, ended_at__isnull=False)
                & ~Q(opinion="")
                | Q(state="asked", answered_by=None, opinion="", ended_at=None)
                & Q(due_at__isnull=False)
                | Q(
                    state__in=["withdrawn", "lapsed"],
                    answered_by=None,
                    opinion="",
                    ended_at__isnull=False,
                ),
                name="a_consultation_is_as_its_state_says",
            ),
            models.CheckConstraint(
                condition=(Q(asked_of=None) | ~Q(asked_of=F("asked_by")))
                & (Q(answered_by=None) | ~Q(answered_by=F("asked_by"))),
                name="nobody_consults_herself",
            ),
            models.CheckConstraint(
                condition=Q(asked_of=None)
                | Q(is_for_anybody=True)
                | Q(answered_by=None)
                | Q(answered_by=F("asked_of")),
                name="whoever_was_asked_answers",
            ),
        ]
        indexes = [
            models.Index(fields=["item", "-id"], name="consultation_by_item"),
            models.Index(fields=["asked_of"], condition=Q(state="asked"), name="consultation_open"),
            models.Index(fields=["asked_by", "-id"], name="consultation_by_asker"),
            models.Index(
                fields=["due_at"], condition=Q(due_at__isnull=False), name="consultation_due"
            ),
        ]

    def __str__(self) -> str:
        return f"consultation {self.pk}: {self.state}"


class Question(models.Model):
    """About a policy, to whoever owns it; answered beside the policy, under its version then."""

    class State(models.TextChoices):
        OPEN = "open", _("Open")
        ANSWERED = "answered", _("Answered")
        WITHDRAWN = "withdrawn", _("Withdrawn")

    policy = models.ForeignKey(
        Policy, on_delete=models.PROTECT, related_name="questions", db_index=False
    )
    item = models.ForeignKey(
        Item, on_delete=models.PROTECT, null=True, related_name="questions", db_index=False
    )
    asked_by = models.ForeignKey(
        Person, on_delete=models.PROTECT, related_name="questions", db_index=False
    )
    text = models.TextField(blank=True)
    asked_at = models.DateTimeField(db_default=Now(), editable=False)
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    answered_by = models.ForeignKey(
        Person, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    answered_at = models.DateTimeField(null=True)
    answer = models.TextField(blank=True)
    # In force when it was answered; null: none was.
    policy_version = models.ForeignKey(
        PolicyVersion, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    is_published = models.BooleanField(default=False)  # to all reviewers; else to the asker only

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state="answered", answered_by__isnull=False, answered_at__isnull=False)
                | Q(
                    state__in=["open", "withdrawn"],
                    answered_by=None,
                    answered_at=None,
                    is_published=False,
                ),
                name="an_answered_question_says_by_whom",
            ),
        ]
        indexes = [
            models.Index(fields=["policy", "-id"], name="question_by_policy"),
            models.Index(fields=["policy"], condition=Q(state="open"), name="question_open"),
            models.Index(fields=["asked_by", "-id"], name="question_by_asker"),
            models.Index(fields=["item"], condition=Q(item__isnull=False), name="question_by_item"),
        ]

    def __str__(self) -> str:
        return f"question {self.pk}: {self.state}"
