"""What the model side's API takes and gives, for the OpenAPI document."""

from rest_framework import serializers

from mlhooks import differences, predictions, shadows
from mlhooks.models import Alert, Evidence, ModelVersion, Prediction, Snapshot, TrainingRun


class SnapshotIn(serializers.Serializer):
    note = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")


class SnapshotFile(serializers.Serializer):
    name = serializers.CharField()
    bytes = serializers.IntegerField()
    sha256 = serializers.CharField()
    content_type = serializers.CharField()
    rows = serializers.IntegerField(required=False)
    url = serializers.URLField()


class SnapshotOut(serializers.Serializer):
    number = serializers.IntegerField()
    platform = serializers.CharField(help_text="Its slug.")
    state = serializers.ChoiceField(choices=Snapshot.State.choices)
    note = serializers.CharField()
    rows_done = serializers.IntegerField()
    rows_expected = serializers.IntegerField()
    cutoff_id = serializers.IntegerField(help_text="The newest decision it looks at.")
    cutoff_at = serializers.DateTimeField()
    error = serializers.CharField()
    replaces = serializers.IntegerField(
        allow_null=True, help_text="The withdrawn one of which this is all that is left."
    )
    replaced_by = serializers.IntegerField(
        allow_null=True, help_text="What takes its place now, where it was withdrawn."
    )
    withdrawn_at = serializers.DateTimeField(allow_null=True)
    withdrawn_because = serializers.CharField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class SnapshotList(serializers.Serializer):
    results = SnapshotOut(many=True)


class TrainedOn(serializers.Serializer):
    number = serializers.IntegerField()
    label = serializers.CharField()
    state = serializers.ChoiceField(choices=ModelVersion.State.choices)


class WithdrawnDetails(serializers.Serializer):
    reason = serializers.CharField()
    replaced_by = serializers.IntegerField()


class Withdrawn(serializers.Serializer):
    error = serializers.CharField()
    details = WithdrawnDetails()


class SnapshotDetail(SnapshotOut):
    counts = serializers.DictField(help_text="Rows by split, lane, language …; labels by policy.")
    files = SnapshotFile(many=True, help_text="None while it is not ready, or once withdrawn.")
    models = TrainedOn(many=True, help_text="Trained on it, the newest first.")


class Drawn(serializers.Serializer):
    rows = serializers.IntegerField()
    effective = serializers.FloatField(help_text="(Σ weight)² / Σ weight², Kish.")


class Leakage(serializers.Serializer):
    groups = serializers.IntegerField(help_text="Split groups in two splits: 0, or it is a fault.")
    accounts = serializers.IntegerField(help_text="Authors in two splits.")
    copies = serializers.IntegerField(help_text="Equal texts, but for case and space.")
    clusters = serializers.IntegerField(help_text="Clusters of near duplicates.")


class Rare(serializers.Serializer):
    policy = serializers.CharField(help_text="Slug.")
    split = serializers.CharField()
    violating = serializers.IntegerField()


class DryRun(serializers.Serializer):
    rows = serializers.IntegerField()
    splits = serializers.DictField(child=serializers.IntegerField())
    lanes = serializers.DictField(help_text="Rows by lane and split.")
    languages = serializers.DictField(help_text="Rows by language and split.")
    labels = serializers.DictField(help_text="By policy and split: violating, clean.")
    random_lane = serializers.DictField(child=Drawn(), help_text="By split, and all.")
    leakage = Leakage()
    rare = Rare(many=True, help_text="Fewer than 10 violations in a split.")


class Change(serializers.Serializer):
    what = serializers.ChoiceField(choices=list(differences.WHAT))
    policy = serializers.CharField(help_text="Slug.")
    label = serializers.IntegerField(allow_null=True, help_text="Now: 1, 0, or not judged.")
    reason = serializers.ChoiceField(choices=list(differences.REASONS))
    group = serializers.CharField(help_text="Role of who decided.")
    people = serializers.IntegerField()
    rows = serializers.IntegerField()


class Flip(serializers.Serializer):
    decision_id = serializers.IntegerField()
    item_id = serializers.IntegerField()
    policy = serializers.CharField()
    label = serializers.IntegerField(help_text="Now; it was the other one.")
    reason = serializers.CharField()
    version_before = serializers.IntegerField(allow_null=True, help_text="Of the policy's text.")
    version = serializers.IntegerField(allow_null=True)


class Difference(serializers.Serializer):
    older = serializers.IntegerField()
    newer = serializers.IntegerField()
    added = serializers.IntegerField(help_text="Rows.")
    flipped = serializers.IntegerField(help_text="Rows with a label that flipped.")
    erased = serializers.IntegerField()
    gone = serializers.DictField(child=serializers.IntegerField(), help_text="Rows by reason.")
    changes = Change(many=True)
    flips = Flip(many=True)
    policies_added = serializers.ListField(child=serializers.CharField())
    policies_removed = serializers.ListField(child=serializers.CharField())


class OriginDraw(serializers.Serializer):
    id = serializers.IntegerField()
    strategy = serializers.CharField()
    seed = serializers.IntegerField()
    pool_size = serializers.IntegerField(allow_null=True)
    drawn = serializers.IntegerField(allow_null=True)
    model_version = serializers.CharField()


class OriginSplit(serializers.Serializer):
    name = serializers.CharField()
    group = serializers.CharField()
    digest = serializers.CharField(help_text="First 8 hex digits of SHA-256(group).")
    bucket = serializers.IntegerField(help_text="digest modulo 100: < 70 train, < 80 valid.")
    items = serializers.IntegerField(help_text="In the group.")
    is_authors = serializers.BooleanField()


class OriginFinding(serializers.Serializer):
    policy = serializers.CharField()
    version = serializers.IntegerField()
    violates = serializers.BooleanField()


class OriginAnswer(serializers.Serializer):
    rater = serializers.CharField(help_text="Pseudonym, as in the files.")
    verdict = serializers.CharField()
    lane = serializers.CharField()
    seconds = serializers.FloatField()
    score_shown = serializers.BooleanField()
    findings = OriginFinding(many=True)


class OriginSnapshot(serializers.Serializer):
    number = serializers.IntegerField()
    state = serializers.ChoiceField(choices=["held", "withdrawn", "comes"])


class Origin(serializers.Serializer):
    decision = serializers.IntegerField()
    item = serializers.IntegerField()
    item_version = serializers.IntegerField(help_text="Its number.")
    verdict = serializers.CharField(allow_null=True)
    kind = serializers.CharField()
    decided_at = serializers.DateTimeField()
    queue = serializers.CharField()
    labels = serializers.DictField(child=serializers.IntegerField(), help_text="By policy.")
    lane = serializers.CharField()
    decided_lane = serializers.CharField()
    inclusion_probability = serializers.FloatField(allow_null=True)
    weight = serializers.FloatField(allow_null=True)
    draw = OriginDraw(allow_null=True)
    split = OriginSplit()
    answers = OriginAnswer(many=True)
    replaced_by = serializers.IntegerField(
        allow_null=True, help_text="The decision about the same text that took its place."
    )
    is_erased = serializers.BooleanField()
    snapshots = OriginSnapshot(many=True)


class TrainingIn(serializers.Serializer):
    snapshot = serializers.IntegerField(help_text="Number of a ready snapshot.", min_value=1)
    kind = serializers.ChoiceField(
        choices=[ModelVersion.Kind.TRAINED.value, ModelVersion.Kind.FEW_SHOT.value],
        required=False,
        default=ModelVersion.Kind.TRAINED.value,
    )
    seed = serializers.IntegerField(min_value=0, max_value=2**31 - 1, required=False, default=0)


class TrainingOut(serializers.Serializer):
    id = serializers.IntegerField()
    snapshot = serializers.IntegerField()
    kind = serializers.CharField()
    seed = serializers.IntegerField()
    state = serializers.ChoiceField(choices=TrainingRun.State.choices)
    step = serializers.CharField()
    fraction = serializers.FloatField(help_text="Done, 0 to 1.")
    error = serializers.CharField()
    model = serializers.IntegerField(allow_null=True, help_text="Number of what came of it.")
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class TrainingList(serializers.Serializer):
    results = TrainingOut(many=True)


class ModelOut(serializers.Serializer):
    number = serializers.IntegerField()
    label = serializers.CharField()
    kind = serializers.ChoiceField(choices=ModelVersion.Kind.choices)
    state = serializers.ChoiceField(choices=ModelVersion.State.choices)
    encoder = serializers.CharField()
    snapshot = serializers.IntegerField(allow_null=True)
    sha256 = serializers.CharField(help_text="Of the weights file.")
    created_at = serializers.DateTimeField()


class ModelList(serializers.Serializer):
    results = ModelOut(many=True)


class ModelDetail(ModelOut):
    policies = serializers.DictField(
        child=serializers.IntegerField(), help_text="Version of each policy's text, by slug."
    )
    evaluation = serializers.DictField(help_text="Its reports and the champion's, by policy.")
    card = serializers.CharField(help_text="The model card, Markdown.")


class PredictionIn(serializers.Serializer):
    texts = serializers.ListField(
        child=serializers.CharField(
            max_length=predictions.MOST_CHARACTERS, allow_blank=True, trim_whitespace=False
        ),
        min_length=1,
        max_length=predictions.MOST_TEXTS,
    )
    spans = serializers.BooleanField(
        required=False,
        default=False,
        help_text=f"Say what in the texts moved the scores; of {predictions.MOST_WITH_SPANS} at "
        "most.",
    )


class Answer(serializers.Serializer):
    probability = serializers.FloatField(help_text="That a reviewer finds a violation.")
    low = serializers.FloatField(
        allow_null=True,
        help_text="`low` to `high` is a 95 % interval of the probability; null for a model made "
        "before models knew how sure they are.",
    )
    high = serializers.FloatField(allow_null=True)
    by = serializers.ChoiceField(choices=[one.value for one in ModelVersion.Kind])


class AnswerSpan(serializers.Serializer):
    policy = serializers.CharField(help_text="Slug.")
    start = serializers.IntegerField(help_text="Characters of the text, from 0.")
    end = serializers.IntegerField()
    effect = serializers.FloatField(help_text="Without it the probability is so much lower.")


class PredictionOut(serializers.Serializer):
    id = serializers.IntegerField()
    model = serializers.IntegerField()
    state = serializers.ChoiceField(choices=Prediction.State.choices)
    error = serializers.CharField()
    answers = serializers.ListField(
        child=serializers.DictField(child=Answer()),
        help_text="One a text, in their order, by policy slug.",
    )
    spans = serializers.ListField(
        child=AnswerSpan(many=True),
        help_text="Where they were asked for: one list a text, the strongest of each policy first.",
    )
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class GateOutcome(serializers.Serializer):
    policy = serializers.CharField(help_text="Slug.")
    gate = serializers.CharField()
    verdict = serializers.ChoiceField(choices=["pass", "fail", "too few"])
    figure = serializers.FloatField(allow_null=True)
    bound = serializers.FloatField()
    n = serializers.IntegerField()
    positives = serializers.IntegerField()
    interval = serializers.ListField(child=serializers.FloatField(), allow_null=True)
    about = serializers.CharField(help_text="The part of the rows, where one is meant.")


class EvidenceOut(serializers.Serializer):
    model = serializers.IntegerField()
    state = serializers.ChoiceField(choices=Evidence.State.choices)
    champion = serializers.IntegerField(allow_null=True, help_text="What it was held against.")
    error = serializers.CharField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    gates = GateOutcome(many=True)
    figures = serializers.DictField(help_text="All that was worked out; see docs/evidence.md.")


class RateOut(serializers.Serializer):
    value = serializers.FloatField()
    low = serializers.FloatField(help_text="Of its 95 % interval.")
    high = serializers.FloatField()
    n = serializers.IntegerField()
    hits = serializers.IntegerField()
    effective = serializers.FloatField(help_text="How many equally weighted rows it is worth.")


class CorrelationOut(serializers.Serializer):
    value = serializers.FloatField()
    low = serializers.FloatField(help_text="Of its 95 % interval.")
    high = serializers.FloatField()
    n = serializers.IntegerField()


class ShadowDay(serializers.Serializer):
    on = serializers.DateField(help_text="UTC.")
    n = serializers.IntegerField(help_text="Items both scored.")
    champion = serializers.IntegerField(help_text="Of these, above the champion's threshold.")
    shadow = serializers.IntegerField(help_text="Of these, above the shadow's.")


class ShadowPolicy(serializers.Serializer):
    policy = serializers.CharField(help_text="Slug.")
    n = serializers.IntegerField()
    spearman = CorrelationOut(allow_null=True)
    kendall = CorrelationOut(allow_null=True)
    to_violating = RateOut(allow_null=True)
    to_clean = RateOut(allow_null=True)
    days = ShadowDay(many=True)


class ShadowRight(serializers.Serializer):
    policy = serializers.CharField(help_text="Slug.")
    drawn = serializers.IntegerField()
    shadow = RateOut(allow_null=True, help_text="How often the shadow was right.")


class ShadowCost(serializers.Serializer):
    encoder = serializers.CharField()
    milliseconds = serializers.FloatField(
        allow_null=True, help_text="A text, of one core; null before there is evidence."
    )


class DisagreementsIn(serializers.Serializer):
    queue = serializers.CharField(help_text="Slug.")
    expected = serializers.FloatField(
        min_value=0, max_value=shadows.MOST_DRAWN, help_text="About so many are drawn."
    )


class DisagreementsDrawn(serializers.Serializer):
    draw = serializers.IntegerField()
    queue = serializers.CharField(help_text="Slug.")
    pool = serializers.IntegerField(help_text="Waiting jobs on which the two disagree.")
    probability = serializers.FloatField(help_text="Of each of them.")
    drawn = serializers.IntegerField()
    seed = serializers.IntegerField()


class ShadowOut(serializers.Serializer):
    model = serializers.IntegerField()
    state = serializers.ChoiceField(choices=ModelVersion.State.choices)
    champion = serializers.IntegerField(allow_null=True)
    started_at = serializers.DateTimeField(allow_null=True)
    stopped_at = serializers.DateTimeField(allow_null=True)
    error = serializers.CharField(help_text="Why it could not score the last batch; mostly empty.")
    cost = ShadowCost(
        allow_null=True,
        help_text="Where its encoder is another than the champion's: each text is encoded again.",
    )
    policies = ShadowPolicy(many=True)
    right = ShadowRight(many=True)


class AlertOut(serializers.Serializer):
    id = serializers.IntegerField()
    policy = serializers.CharField(allow_null=True, help_text="Slug; null: of the platform.")
    figure = serializers.ChoiceField(choices=Alert.Figure.choices)
    value = serializers.FloatField(help_text="At the newest look.")
    bound = serializers.FloatField()
    opened_at = serializers.DateTimeField()
    acknowledged_by = serializers.CharField(allow_null=True)
    note = serializers.CharField()


class MonitoringOut(serializers.Serializer):
    champion = serializers.IntegerField(allow_null=True)
    finished_at = serializers.DateTimeField()
    figures = serializers.DictField(help_text="All that was worked out; see docs/monitoring.md.")
    alerts = AlertOut(many=True)


class MonitoringStarted(serializers.Serializer):
    state = serializers.CharField()
    created_at = serializers.DateTimeField()
