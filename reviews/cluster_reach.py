"""What one answer for members of a cluster would reach, and what stands in its way. Writes
nothing; cluster_work.py gives the answers."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from django.db.models import F
from django.utils.translation import gettext as _

from . import access
from .errors import Invalid
from .models import (
    Action,
    Claim,
    Cluster,
    ClusterMember,
    Decision,
    Item,
    ItemVersion,
    Job,
    Lane,
    Person,
    Queue,
    Review,
    Verdict,
)
from .wording import figure, kept

MOST_MEMBERS = 1_000


# Ordinary work. The other lanes ask for an answer of their own, and why.
_TOGETHER = (Lane.RISK, Lane.LEARNING)


_ALONE = {
    Lane.RANDOM: kept("drawn at random, to measure: judged on its own"),
    Lane.GOLD: kept("a test of reviewers: judged on its own"),
    Lane.QA: kept("a quality check: judged on its own"),
    Lane.SECOND: kept("somebody wants a second opinion on it"),
    Lane.ADJUDICATION: kept("escalated: settle it on its own"),
    Lane.APPEAL: kept("under appeal: judged on its own"),
}


_DECIDED = {
    Verdict.VIOLATING: kept("already decided: violating"),
    Verdict.CLEAN: kept("already decided: clean"),
    Verdict.UNSURE: kept("already decided: unsure"),
    Verdict.ESCALATE: kept("already decided: escalated"),
}


class Answer(NamedTuple):
    """What she says of all of them."""

    verdict: str
    policy_slugs: Sequence[str] = ()
    action_slugs: Sequence[str] = ()
    note: str = ""


class Seen(NamedTuple):
    """A member as it was shown to her."""

    item_id: int
    version_id: int


class Radius(NamedTuple):
    """What an answer would reach, before it is given."""

    decided: list[Item]
    skipped: list[tuple[Item, str]]
    accounts: int
    views_per_hour: float
    strikes: int
    struck: int  # accounts
    held: list[tuple[str, int]]  # action that waits for a second person, how often

    def as_json(self) -> dict[str, Any]:
        return {
            "items": len(self.decided),
            "skipped": len(self.skipped),
            "accounts": self.accounts,
            "views_per_hour": round(self.views_per_hour, 1),
            "strikes": self.strikes,
        }


def obstacles(
    item_ids: Collection[int], *, by: Person, answer: Answer | None = None
) -> dict[int, tuple[Job | None, str]]:
    """Item → its job, or None and why it cannot be decided together with others by her (in English:
    it goes into rows, and retelling.retold says it to who reads)."""
    jobs: dict[int, list[Job]] = {}
    for job in (
        Job.objects.open()
        .filter(item_id__in=item_ids)
        .select_related("queue", "claimed_by", "assigned_to", "item")
    ):
        jobs.setdefault(job.item_id, []).append(job)
    standing = dict(
        Decision.objects.current()
        .exclude(kind=Decision.Kind.UNDO)
        .filter(item_id__in=item_ids)
        .values_list("item_id", "verdict")
    )
    answered = set(
        Review.objects.filter(item_id__in=item_ids, reviewer=by).values_list("item_id", flat=True)
    )
    # What she took back herself is hers to answer again.
    answered -= set(
        Decision.objects.current()
        .filter(item_id__in=item_ids, kind=Decision.Kind.UNDO, decided_by=by)
        .values_list("item_id", flat=True)
    )
    skipped = set(
        Claim.objects.filter(
            job__item_id__in=item_ids, reviewer=by, end=Claim.End.SKIPPED
        ).values_list("job_id", flat=True)
    )
    mine = set(access.queues_to_work(by).values_list("pk", flat=True))
    offers = _Offers(answer) if answer else None
    found: dict[int, tuple[Job | None, str]] = {}
    for item_id in item_ids:
        open_jobs = jobs.get(item_id, [])
        reason = _why_not(open_jobs, by, mine=mine, skipped=skipped)
        if not open_jobs and item_id in standing:
            reason = _DECIDED[Verdict(standing[item_id])]
        elif not reason and item_id in answered:
            reason = kept("you have answered it before")
        elif not reason and offers:
            reason = offers.missing(open_jobs[0].queue)
        found[item_id] = (None, reason) if reason else (open_jobs[0], "")
    return found


def _why_not(
    jobs: Sequence[Job], by: Person, *, mine: Collection[int], skipped: Collection[int]
) -> str:
    if not jobs:
        return kept("nothing waits for it")
    for job in jobs:
        if job.state == Job.State.CLAIMED:
            if job.claimed_by_id == by.pk:
                return kept("you hold it: answer it at your desk")
            return kept("%(person)s is working on it", person=job.claimed_by)
        if job.lane not in _TOGETHER:
            return _ALONE[Lane(job.lane)]
        if job.queue.reviews_wanted > 1:
            return kept("%(queue)s wants several independent reviews", queue=job.queue)
        if job.queue_id not in mine:
            return kept("you do not work in %(queue)s", queue=job.queue)
        if job.assigned_to_id not in (None, by.pk):
            return kept("kept for %(person)s", person=job.assigned_to)
        if job.pk in skipped:
            return kept("you skipped it before")
    return ""


class _Offers:
    """What each queue judges and does, against what the answer asks for."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.known: dict[int, str] = {}

    def missing(self, queue: Queue) -> str:
        if queue.pk not in self.known:
            self.known[queue.pk] = self._missing(queue)
        return self.known[queue.pk]

    def _missing(self, queue: Queue) -> str:
        judged = set(queue.policies.values_list("slug", flat=True))
        if unknown := [slug for slug in self.answer.policy_slugs if slug not in judged]:
            return kept(
                "%(queue)s does not judge %(policies)s", queue=queue, policies=", ".join(unknown)
            )
        offered = set(queue.actions.values_list("slug", flat=True))
        if unknown := [slug for slug in self.answer.action_slugs if slug not in offered]:
            return kept(
                "%(queue)s does not offer %(actions)s", queue=queue, actions=", ".join(unknown)
            )
        if queue.note_required and not self.answer.note:
            return kept("%(queue)s wants a note", queue=queue)
        return ""


def measure_radius(cluster: Cluster, seen: Sequence[Seen], answer: Answer, *, by: Person) -> Radius:
    """What this answer would reach. Writes nothing."""
    access.check(by, "cluster.decide", cluster.platform_id)
    answer = checked(answer)
    _check_count(seen)
    items = _items(cluster, seen)
    found = obstacles([one.item_id for one in seen], by=by, answer=answer)
    decided, skipped = [], []
    for one in seen:
        item = items.get(one.item_id)
        if item is None:
            continue  # of another platform, or no such item: not hers to hear of
        reason = found[one.item_id][1]
        if item.seen_id != one.version_id:
            reason = kept("changed since you saw it")
        elif item.cluster_id != cluster.pk:
            reason = kept("not in this cluster any more")
        if reason:
            skipped.append((item, reason))
        else:
            decided.append(item)
    accounts = [item.account_id for item in decided if item.account_id]
    actions = list(
        Action.objects.filter(platform=cluster.platform_id, slug__in=answer.action_slugs)
    )
    strikes = sum(action.is_strike for action in actions)
    return Radius(
        decided,
        skipped,
        accounts=len(set(accounts)),
        views_per_hour=sum(item.views_per_hour for item in decided),
        strikes=strikes * len(accounts),
        struck=len(set(accounts)) if strikes else 0,
        held=[
            (
                action.name,
                len(accounts) if action.target == Action.Target.ACCOUNT else len(decided),
            )
            for action in actions
            if action.needs_approval
        ],
    )


def checked(answer: Answer) -> Answer:
    note = answer.note.replace("\x00", "\ufffd").strip()
    if answer.verdict not in (Verdict.VIOLATING, Verdict.CLEAN):
        raise Invalid(_("Decide violating or clean."), details={"verdict": _("choose one")})
    if len(note) > 10_000:
        raise Invalid(_("The note is too long."), details={"note": _("at most 10,000 characters")})
    if answer.verdict == Verdict.CLEAN:
        return Answer(Verdict.CLEAN, note=note)
    policies = list(dict.fromkeys(answer.policy_slugs))
    if not policies:
        raise Invalid(
            _("Say which policy they violate."), details={"policies": _("choose at least one")}
        )
    return Answer(Verdict.VIOLATING, policies, list(dict.fromkeys(answer.action_slugs)), note)


def _check_count(seen: Sequence[Seen]) -> None:
    if not seen:
        raise Invalid(
            _("Choose at least one member."), details={"members": _("choose at least one")}
        )
    if len(seen) > MOST_MEMBERS:
        raise Invalid(
            _("At most %(most_members)s members at once; these are %(seen)s.")
            % {"most_members": figure(MOST_MEMBERS), "seen": figure(len(seen))},
            details={
                "members": _("at most %(most_members)s") % {"most_members": figure(MOST_MEMBERS)}
            },
        )


def _items(cluster: Cluster, seen: Sequence[Seen]) -> Mapping[int, Item]:
    """The items of this platform, with `.seen_id` (their version now) and `.cluster_id`."""
    rows = Item.objects.filter(
        platform=cluster.platform_id, pk__in=[one.item_id for one in seen]
    ).select_related("kind", "account")
    items = {item.pk: item for item in rows}
    members = dict(
        ClusterMember.objects.filter(item__in=items).values_list("item_id", "cluster_id")
    )
    versions = dict(
        ItemVersion.objects.filter(item__in=items, number=F("item__version_number")).values_list(
            "item_id", "pk"
        )
    )
    for item in items.values():
        item.seen_id = versions[item.pk]
        item.cluster_id = members.get(item.pk)
    return items
