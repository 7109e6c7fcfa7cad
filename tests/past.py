"""Work that was done some time ago, straight into the tables: services always stamp the present."""

import random
import uuid
from datetime import datetime, timedelta

from reviews.models import Claim, Decision, Finding, ItemVersion, Job, Queue, Report, Review

from .factories import make_item

HOUR = timedelta(hours=1)


def arrive(queue: Queue, at: datetime, *, risks=None, scored_after=timedelta(0), **kw) -> Job:
    """An item that came in at `at`, with its ready job in the queue."""
    item = make_item(
        platform=queue.platform,
        submitted_at=at,
        risks=risks or {},
        risk=max(risks.values()) if risks else None,
        scored_at=at + scored_after if risks else None,
        **kw,
    )
    ItemVersion.objects.filter(item=item).update(created_at=at)
    return Job.objects.create(
        queue=queue,
        item=item,
        created_at=at,
        due_at=at + timedelta(minutes=queue.sla_minutes),
    )


def answer(
    job: Job, person, *, claimed_at, ended_at, violated=(), active_seconds=0.0, end="finished"
):
    """One ended claim on it; a finished one is a review and a decision."""
    claim = Claim.objects.create(
        job=job,
        reviewer=person,
        token=uuid.uuid4(),
        claimed_at=claimed_at,
        ended_at=ended_at,
        end=end,
    )
    if end != "finished":
        return None
    version = job.item.current_version
    verdict = "violating" if violated else "clean"
    review = Review.objects.create(
        job=job,
        claim=claim,
        item=job.item,
        item_version=version,
        reviewer=person,
        verdict=verdict,
        active_seconds=active_seconds,
        created_at=ended_at,
    )
    decision = Decision.objects.create(
        item=job.item,
        item_version=version,
        queue=job.queue,
        job=job,
        review=review,
        verdict=verdict,
        decided_by=person,
        decided_at=ended_at,
        risks=job.item.risks,
    )
    for policy in violated:
        decision.policy_versions.add(policy.version)
        Finding.objects.create(review=review, policy_version=policy.version, violates=True)
    Job.objects.filter(pk=job.pk).update(state=Job.State.DONE)
    return decision


def report(job: Job, at: datetime, *, source="user", reporter="") -> Report:
    return Report.objects.create(
        item=job.item, external_id=uuid.uuid4(), source=source, reporter=reporter, created_at=at
    )


def work_days(queue: Queue, people, policy, *, until: datetime, days=4, per_day=40, seed=1) -> int:
    """Days of arrivals round the clock, worked in the order of arrival from 9 to 17, two minutes
    each. Returns how many were answered."""
    rng = random.Random(seed)
    start = (until - timedelta(days=days)).replace(hour=0, minute=0, second=0, microsecond=0)
    waiting = []
    for _ in range(days * per_day):
        at = start + timedelta(hours=rng.random() * 24 * days)
        is_violating = rng.random() < 0.3
        risk = min(max(rng.gauss(0.7 if is_violating else 0.3, 0.2), 0.01), 0.99)
        waiting.append((at, is_violating, risk, rng.lognormvariate(3, 1.2)))
    waiting.sort()
    free = dict.fromkeys(people, start)
    answered = 0
    for at, is_violating, risk, views in waiting:
        job = arrive(queue, at, risks={policy.slug: risk}, views_per_hour=views)
        person = min(people, key=lambda one: free[one])
        begins = max(at, free[person])
        if begins.hour < 9:
            begins = begins.replace(hour=9, minute=0)
        elif begins.hour >= 17:
            begins = (begins + timedelta(days=1)).replace(hour=9, minute=0)
        ends = begins + timedelta(minutes=rng.uniform(1, 3))
        if ends > until:
            continue
        free[person] = ends
        answer(
            job,
            person,
            claimed_at=begins,
            ended_at=ends,
            violated=[policy] if is_violating else (),
            active_seconds=(ends - begins).total_seconds(),
        )
        answered += 1
    return answered
