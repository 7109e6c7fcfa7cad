"""What goes in and comes out, for the OpenAPI document only; submission.py reads the rows."""

from rest_framework import serializers

from reviews import kind_parts
from reviews.models import (
    Decision,
    Enforcement,
    Job,
    Lane,
    Medium,
    Notification,
    Question,
    Report,
    Severity,
    Verdict,
)


class Refusal(serializers.Serializer):
    error = serializers.CharField(help_text="A sentence for a person.")
    details = serializers.DictField(help_text="What is wrong, by field.")


class AccountIn(serializers.Serializer):
    external_id = serializers.CharField(max_length=200)
    name = serializers.CharField(max_length=200, required=False)
    joined_at = serializers.DateTimeField(required=False)


class ItemIn(serializers.Serializer):
    kind = serializers.CharField(help_text="Slug of one of the platform's item kinds.")
    external_id = serializers.CharField(max_length=200, help_text="Your id: unique in its kind.")
    content = serializers.DictField(help_text="The kind's fields by name.")
    account = AccountIn(required=False, help_text="The author.")
    language = serializers.CharField(max_length=16, required=False, help_text="BCP 47.")
    posted_at = serializers.DateTimeField(required=False)
    views_per_hour = serializers.FloatField(required=False, min_value=0)
    views_so_far = serializers.IntegerField(
        required=False, min_value=0, help_text="As you last counted them."
    )


class ReportIn(serializers.Serializer):
    kind = serializers.CharField(help_text="The item's kind.")
    item = serializers.CharField(max_length=200, help_text="The item's external id.")
    reason = serializers.CharField(max_length=200)
    source = serializers.ChoiceField(choices=Report.Source.choices, required=False)
    reporter = serializers.CharField(max_length=200, required=False)
    text = serializers.CharField(max_length=10_000, required=False)
    external_id = serializers.CharField(
        max_length=200,
        required=False,
        help_text="Your id of the report. Without it, the same words are the same report.",
    )


class MediumIn(serializers.Serializer):
    file = serializers.FileField(help_text="JPEG, PNG, GIF, WebP, MP4, WebM, MP3, WAV, Ogg …")


class MediumOut(serializers.Serializer):
    id = serializers.IntegerField()
    reference = serializers.CharField(help_text="What a field of an item says to show it.")
    state = serializers.ChoiceField(
        choices=[one for one in Medium.State.choices if one[0] != Medium.State.ERASED]
    )
    form = serializers.ChoiceField(choices=Medium.Form.choices, allow_blank=True)
    width = serializers.IntegerField(help_text="As it came in; 0 until it is ready.")
    height = serializers.IntegerField()
    seconds = serializers.FloatField()
    error = serializers.CharField(allow_blank=True, help_text="Why it cannot be shown.")


class RowOutcome(serializers.Serializer):
    index = serializers.IntegerField(help_text="Place in the body, from 0.")
    status = serializers.ChoiceField(choices=["created", "changed", "unchanged", "rejected"])
    item_id = serializers.IntegerField(allow_null=True)
    version = serializers.IntegerField(allow_null=True)
    errors = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()), help_text="Why it is rejected."
    )


class Counts(serializers.Serializer):
    created = serializers.IntegerField()
    changed = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    rejected = serializers.IntegerField()


class Outcomes(serializers.Serializer):
    results = RowOutcome(many=True)
    counts = Counts()


class JobOut(serializers.Serializer):
    id = serializers.IntegerField()
    queue = serializers.CharField()
    lane = serializers.ChoiceField(choices=Lane.choices)
    state = serializers.ChoiceField(choices=Job.State.choices)
    created_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField()


class PolicyReference(serializers.Serializer):
    slug = serializers.CharField()
    version = serializers.IntegerField()


class PolicyViolated(PolicyReference):
    severity = serializers.IntegerField(
        allow_null=True, help_text="Of the policy's `severity_levels`, from 1. Null: not graded."
    )


class ActionTaken(serializers.Serializer):
    slug = serializers.CharField()
    state = serializers.ChoiceField(choices=Enforcement.State.choices)
    parameters = serializers.DictField(help_text="As they were sent, or will be.")


class Span(serializers.Serializer):
    field = serializers.CharField(help_text="Of the item's content.")
    start = serializers.IntegerField(help_text="First character, counted in code points from 0.")
    end = serializers.IntegerField(help_text="Behind the last one.")
    policy = serializers.CharField()


class ItemReference(serializers.Serializer):
    id = serializers.IntegerField()
    kind = serializers.CharField()
    external_id = serializers.CharField()
    version = serializers.IntegerField(help_text="The version that was decided.")


class DecisionOut(serializers.Serializer):
    id = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=Decision.Kind.choices)
    item = ItemReference()
    queue = serializers.CharField()
    verdict = serializers.ChoiceField(
        choices=Verdict.choices, allow_null=True, help_text="Null: an undo, nothing stands."
    )
    policies = PolicyViolated(many=True, help_text="Found violated.")
    actions = ActionTaken(many=True)
    spans = Span(many=True, help_text="What the reviewer marked as evidence.")
    decided_at = serializers.DateTimeField()
    supersedes = serializers.IntegerField(allow_null=True)
    superseded_by = serializers.IntegerField(allow_null=True)


class DecisionPage(serializers.Serializer):
    results = DecisionOut(many=True)
    next_after = serializers.IntegerField(help_text="`after` of the next page.")
    has_more = serializers.BooleanField()


class ItemOut(serializers.Serializer):
    id = serializers.IntegerField()
    kind = serializers.CharField()
    external_id = serializers.CharField()
    version = serializers.IntegerField()
    content = serializers.DictField()
    language = serializers.CharField(allow_blank=True)
    posted_at = serializers.DateTimeField(allow_null=True)
    submitted_at = serializers.DateTimeField()
    views_per_hour = serializers.FloatField()
    views_so_far = serializers.IntegerField(
        allow_null=True, help_text="Null where the platform did not say."
    )
    report_count = serializers.IntegerField(
        required=False, help_text="Left out for people who judge it without."
    )
    risks = serializers.DictField(
        child=serializers.FloatField(),
        required=False,
        help_text="Calibrated probability by policy. Left out for people who review.",
    )
    risk_source = serializers.CharField(allow_blank=True, required=False)
    scored_at = serializers.DateTimeField(allow_null=True, required=False)
    jobs = JobOut(many=True, required=False)
    decision = DecisionOut(allow_null=True, required=False, help_text="The one that stands.")


class VerdictCounts(serializers.Serializer):
    violating = serializers.IntegerField()
    clean = serializers.IntegerField()


class PolicyCount(serializers.Serializer):
    slug = serializers.CharField()
    decisions = serializers.IntegerField(help_text="Violating ones that stand.")
    last_decided_at = serializers.DateTimeField()


class StrikeOut(serializers.Serializer):
    item = serializers.IntegerField()
    decision = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    reversed_at = serializers.DateTimeField(allow_null=True)
    counts = serializers.BooleanField(help_text="Neither expired nor reversed.")


class AccountOut(serializers.Serializer):
    id = serializers.IntegerField()
    external_id = serializers.CharField()
    name = serializers.CharField(allow_blank=True)
    joined_at = serializers.DateTimeField(allow_null=True)
    items = serializers.IntegerField()
    first_submitted_at = serializers.DateTimeField(allow_null=True)
    last_submitted_at = serializers.DateTimeField(allow_null=True)
    reports = serializers.IntegerField(help_text="About its items.")
    decisions = VerdictCounts(help_text="Those that stand.")
    policies = PolicyCount(many=True, help_text="Broken ones, the most often broken first.")
    languages = serializers.DictField(child=serializers.IntegerField(), help_text="Items by tag.")
    strikes = StrikeOut(many=True, help_text="Newest first.")


class ItemList(serializers.Serializer):
    results = ItemOut(many=True)


class SnippetPart(serializers.Serializer):
    text = serializers.CharField()
    hit = serializers.BooleanField(help_text="Is this what was asked for?")


class ItemFound(ItemOut):
    snippet = SnippetPart(many=True, help_text="A piece of its text around the first hit.")


class ItemsFound(serializers.Serializer):
    results = ItemFound(many=True)
    next_after = serializers.CharField(
        allow_blank=True, help_text="`after` of the next call; empty on the last page."
    )


class QueueOut(serializers.Serializer):
    slug = serializers.CharField()
    name = serializers.CharField()
    is_default = serializers.BooleanField(help_text="Takes what no routing rule sends elsewhere.")
    policies = serializers.ListField(child=serializers.CharField())
    actions = serializers.ListField(
        child=serializers.CharField(), help_text="In the desk's order, those kept off it too."
    )
    sla_minutes = serializers.IntegerField(help_text="From the item's arrival.")
    reviews_wanted = serializers.IntegerField(help_text="Independent, for one decision.")
    ready = serializers.IntegerField(help_text="Counted up to 100,000.")
    claimed = serializers.IntegerField()
    overdue = serializers.IntegerField()
    oldest_at = serializers.DateTimeField(allow_null=True)


class QueueList(serializers.Serializer):
    results = QueueOut(many=True)


class KindField(serializers.Serializer):
    name = serializers.CharField(help_text="The key in an item's content.")
    label = serializers.CharField()
    type = serializers.ChoiceField(choices=list(kind_parts.TYPES.items()))
    role = serializers.ChoiceField(
        choices=[(name, role.label) for name, role in kind_parts.ROLES.items()],
        allow_blank=True,
        help_text="What the field is to us; empty: nothing in particular.",
    )
    required = serializers.BooleanField()


class KindOut(serializers.Serializer):
    slug = serializers.CharField(help_text="`kind` of an item.")
    name = serializers.CharField()
    fields = KindField(many=True)
    is_archived = serializers.BooleanField(help_text="It takes no items any more.")


class KindList(serializers.Serializer):
    results = KindOut(many=True)


class PolicyVersionOut(serializers.Serializer):
    version = serializers.IntegerField()
    summary = serializers.CharField()
    effective_at = serializers.DateTimeField()
    state = serializers.ChoiceField(
        choices=[
            ("past", "Was in force"),
            ("in_force", "In force"),
            ("scheduled", "Takes effect later"),
        ]
    )


class PolicyOut(serializers.Serializer):
    slug = serializers.CharField()
    name = serializers.CharField()
    version = serializers.IntegerField()
    summary = serializers.CharField()
    definition = serializers.CharField()
    examples = serializers.ListField(child=serializers.CharField())
    counter_examples = serializers.ListField(child=serializers.CharField())
    severity = serializers.ChoiceField(choices=Severity.choices)
    severity_weight = serializers.FloatField()
    severity_levels = serializers.ListField(
        child=serializers.CharField(), help_text="From the mildest; empty: not graded."
    )
    effective_at = serializers.DateTimeField()
    versions = PolicyVersionOut(many=True, help_text="All of them, newest first.")


class PolicyList(serializers.Serializer):
    results = PolicyOut(many=True)


class RoutingRuleOut(serializers.Serializer):
    name = serializers.CharField()
    queue = serializers.CharField(help_text="Slug of the queue it sends items to.")
    is_active = serializers.BooleanField()
    condition = serializers.DictField(
        help_text="A tree of `all`, `any`, `not`, `fact` and `expression`: see docs/routing.md."
    )
    expression = serializers.CharField(
        allow_null=True, help_text="The same as text. Null: it cannot run, and is skipped."
    )
    words = serializers.CharField(help_text="The same for people.")


class RoutingOut(serializers.Serializer):
    platform = serializers.CharField()
    version = serializers.IntegerField()
    published_at = serializers.DateTimeField()
    note = serializers.CharField(allow_blank=True)
    default_queue = serializers.CharField(allow_null=True)
    rules = RoutingRuleOut(many=True)


class RoutingList(serializers.Serializer):
    results = RoutingOut(many=True)


class NoteIn(serializers.Serializer):
    text = serializers.CharField(max_length=2_000)


class NoteOut(serializers.Serializer):
    id = serializers.IntegerField()
    author = serializers.CharField()
    text = serializers.CharField(help_text="Empty once its item was erased.")
    created_at = serializers.DateTimeField()
    withdrawn_at = serializers.DateTimeField(allow_null=True)


class NoteList(serializers.Serializer):
    results = NoteOut(many=True)


class QuestionOut(serializers.Serializer):
    id = serializers.IntegerField()
    policy = serializers.CharField(help_text="Slug.")
    state = serializers.ChoiceField(choices=Question.State.choices)
    text = serializers.CharField()
    asked_at = serializers.DateTimeField()
    answer = serializers.CharField(help_text="Empty until it is answered.")
    answered_at = serializers.DateTimeField(allow_null=True)
    policy_version = serializers.IntegerField(
        allow_null=True, help_text="In force when it was answered."
    )
    is_published = serializers.BooleanField(help_text="To all reviewers; else to the asker only.")


class QuestionPage(serializers.Serializer):
    results = QuestionOut(many=True)
    next_before = serializers.IntegerField(allow_null=True)


class NotificationOut(serializers.Serializer):
    id = serializers.IntegerField()
    sort = serializers.ChoiceField(choices=Notification.Sort.choices)
    actor = serializers.CharField(allow_null=True)
    item = serializers.IntegerField(allow_null=True)
    policy = serializers.CharField(allow_null=True)
    queue = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    read_at = serializers.DateTimeField(allow_null=True)


class NotificationPage(serializers.Serializer):
    results = NotificationOut(many=True)
    next_before = serializers.IntegerField(allow_null=True)


class ReadIn(serializers.Serializer):
    upto = serializers.IntegerField(help_text="This id and those below it.")


class ReadOut(serializers.Serializer):
    read = serializers.IntegerField(help_text="How many were unread.")


class KnownListOut(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()
    policy = serializers.CharField(help_text="Slug.")
    distance = serializers.IntegerField(help_text="Of 256 bits, how many may differ.")
    is_archived = serializers.BooleanField()


class KnownLists(serializers.Serializer):
    results = KnownListOut(many=True)


class KnownHashIn(serializers.Serializer):
    hash = serializers.RegexField("^[0-9a-fA-F]{64}$", help_text="64 hexadecimal digits.")
    type = serializers.ChoiceField(
        choices=["phash", "sha256"],
        required=False,
        default="phash",
        help_text="What it looks like, or its exact bytes.",
    )
    note = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")


class KnownHashesIn(serializers.Serializer):
    hashes = KnownHashIn(many=True, max_length=10_000, allow_empty=False)


class KnownHashesOut(serializers.Serializer):
    added = serializers.IntegerField(help_text="How many were not there yet.")
