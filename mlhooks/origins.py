"""Why a row is in a snapshot: its decision and answers, how it was drawn, its split, where it is.

Told of one row from the same tables, and by the same rules, by which label_pages.py writes all.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db.models import Q, QuerySet

from reviews.models import AuditEntry, Decision, Draw, Finding, Item, Lane, Review

from . import labels
from .models import Snapshot
from .snapshots import trail_head

# Follow-ups count by the draw that first brought their item in: labels.LANE as SQL.
_FOLLOWING = (Lane.SECOND, Lane.ADJUDICATION)


class Answer(NamedTuple):
    rater: str  # pseudonym
    verdict: str
    lane: str
    seconds: float
    score_shown: bool
    findings: list[tuple[str, int, bool]]  # policy slug, version, violates


class Split(NamedTuple):
    """bucket = the first 8 hex digits of SHA-256(group), modulo 100: 0–69 train, 70–79 valid."""

    name: str
    group: str
    digest: str  # the 8 digits
    bucket: int
    items: int  # in the group
    is_authors: bool  # the group is its author's; else that of the first equal text


class Held(NamedTuple):
    snapshot: Snapshot
    state: str  # "held", "withdrawn" (it was held there), or "comes" (not built yet)


class Origin(NamedTuple):
    decision: Decision
    lane: str
    draw: Draw | None
    probability: float | None
    weight: float | None
    split: Split
    answers: list[Answer]
    label: dict[str, bool]  # {policy slug: violates}, of those judged
    replaced_by: Decision | None  # speaks of the same text: the label ends there
    is_erased: bool
    snapshots: list[Held]

    @property
    def is_label(self) -> bool:
        """Does it say anything a model can learn?"""
        return self.decision.verdict in ("violating", "clean")


def decisions() -> "QuerySet[Decision]":
    """With all that `explain` asks for."""
    return Decision.objects.select_related(
        "item__platform", "item__account", "item_version", "job__draw__follows", "queue"
    )


def explain(decision: Decision) -> Origin:
    """Of one of `decisions()`."""
    item, job = decision.item, decision.job
    replaced_by = Decision.objects.filter(
        supersedes=decision, item_version=decision.item_version_id
    ).first()
    draw, lane, probability = job.draw, job.lane, job.inclusion_probability
    if lane in _FOLLOWING:
        draw = draw.follows if draw is not None and draw.lane in _FOLLOWING else draw
        lane = draw.lane if draw is not None else str(Lane.RISK)
        probability = probability if draw is not None else None
    is_erased = decision.item_version.content_hash == labels.ERASED
    reviews = _reviews(decision)
    return Origin(
        decision=decision,
        lane=str(lane),
        draw=draw,
        probability=probability,
        weight=1 / probability if probability and lane == Lane.RANDOM else None,
        split=_split(item),
        answers=_answers(reviews, item.platform_id),
        label=_label(decision, reviews),
        replaced_by=replaced_by,
        is_erased=is_erased,
        snapshots=_held(decision, replaced_by, erased_at=_erasure(decision) if is_erased else None),
    )


def as_json(found: Origin) -> dict[str, Any]:
    decision, draw = found.decision, found.draw
    return {
        "decision": decision.pk,
        "item": decision.item_id,
        "item_version": decision.item_version.number,
        "verdict": decision.verdict,
        "kind": decision.kind,
        "decided_at": decision.decided_at,
        "queue": decision.queue.slug,
        "labels": {slug: int(violates) for slug, violates in found.label.items()},
        "lane": found.lane,
        "decided_lane": decision.job.lane,
        "inclusion_probability": found.probability,
        "weight": found.weight,
        "draw": draw
        and {
            "id": draw.pk,
            "strategy": draw.strategy,
            "seed": draw.seed,
            "pool_size": draw.pool_size,
            "drawn": draw.drawn,
            "model_version": draw.model_version,
        },
        "split": found.split._asdict(),
        "answers": [
            {
                **one._asdict(),
                "findings": [
                    {"policy": slug, "version": number, "violates": violates}
                    for slug, number, violates in one.findings
                ],
            }
            for one in found.answers
        ],
        "replaced_by": found.replaced_by.pk if found.replaced_by else None,
        "is_erased": found.is_erased,
        "snapshots": [
            {"number": one.snapshot.number, "state": one.state} for one in found.snapshots
        ],
    }


def _split(item: Item) -> Split:
    group = item.split_group
    return Split(
        name=labels.split_of(group),
        group=group,
        digest=hashlib.sha256(group.encode()).hexdigest()[:8],
        bucket=labels.bucket_of(group),
        items=Item.objects.filter(platform=item.platform_id, split_group=group).count(),
        is_authors=item.account is not None and item.account.split_group == group,
    )


def _reviews(decision: Decision) -> list[Review]:
    """Of this text, up to the one it settles on; without those that their authors took back."""
    last = (
        decision.review_id
        or (
            Review.objects.filter(job=decision.job_id)
            .order_by("-pk")
            .values_list("pk", flat=True)[:1]
        )
    )
    taken_back = Decision.objects.filter(superseded_by__kind=Decision.Kind.UNDO)
    return list(
        Review.objects.filter(item=decision.item_id, item_version=decision.item_version_id)
        .filter(pk__lte=last)
        .filter(Q(decision=decision) | ~Q(decision__in=taken_back))
        .select_related("job")
        .order_by("pk")
    )


def _answers(reviews: Sequence[Review], platform_id: int) -> list[Answer]:
    found: dict[int, list[tuple[str, int, bool]]] = {one.pk: [] for one in reviews}
    for finding in (
        Finding.objects.filter(review__in=found)
        .select_related("policy_version__policy")
        .order_by("policy_version__policy__position", "policy_version__policy__pk")
    ):
        version = finding.policy_version
        found[finding.review_id].append((version.policy.slug, version.number, finding.violates))
    return [
        Answer(
            rater=labels.pseudonym(one.reviewer_id, platform_id=platform_id),
            verdict=one.verdict,
            lane=one.job.lane,
            seconds=one.active_seconds,
            score_shown=one.score_shown,
            findings=found[one.pk],
        )
        for one in reviews
    ]


def _label(decision: Decision, reviews: Sequence[Review]) -> dict[str, bool]:
    found: dict[str, bool] = {}
    if reviews:
        judged = Finding.objects.filter(review=reviews[-1].pk).order_by(
            "policy_version__policy__position", "policy_version__policy__pk"
        )
        found = dict.fromkeys(judged.values_list("policy_version__policy__slug", flat=True), False)
    violated = decision.policy_versions.values_list("policy__slug", flat=True)
    return found | dict.fromkeys(violated, True)


def _held(decision: Decision, replaced_by: Decision | None, *, erased_at: int | None) -> list[Held]:
    """Every snapshot whose cutoff lies where this decision stood, the newest first; of an erased
    text, those that were looked through before it went."""
    if decision.verdict not in ("violating", "clean"):
        return []
    rows = Snapshot.objects.filter(
        platform=decision.item.platform_id, cutoff_id__gte=decision.pk
    ).exclude(state=Snapshot.State.FAILED)
    if replaced_by is not None:
        rows = rows.filter(cutoff_id__lt=replaced_by.pk)
    states = {
        Snapshot.State.READY: "held",
        Snapshot.State.WITHDRAWN: "withdrawn",
        Snapshot.State.WAITING: "comes",
        Snapshot.State.BUILDING: "comes",
    }
    found = [Held(one, states[Snapshot.State(one.state)]) for one in rows.order_by("-number")]
    if erased_at is None:
        return found
    return [one for one in found if one.state != "comes" and one.snapshot.erasures_upto < erased_at]


def _erasure(decision: Decision) -> int:
    """Position in the trail; the next one to be where it is not sealed yet."""
    entry = (
        AuditEntry.objects.filter(
            target_type="item",
            target_id=str(decision.item_id),
            verb="item.erase",
            at__gte=decision.item_version.created_at,
        )
        .order_by("pk")
        .first()
    )
    return entry.position if entry and entry.position else trail_head() + 1
