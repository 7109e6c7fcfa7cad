"""One cycle in a reviewer's own process: by the product's services, and the control beside it: the
same claim and the rows no decision can do without, as hand-written SQL that checks nothing."""

import itertools
from collections.abc import Callable

RAW_CLAIM = """
WITH picked AS MATERIALIZED (
  SELECT id FROM reviews_job
  WHERE queue_id = %s AND lane = 'risk' AND state = 'ready' AND assigned_to_id IS NULL
  ORDER BY rank DESC, id LIMIT 1 FOR UPDATE SKIP LOCKED
)
UPDATE reviews_job SET state = 'claimed', claim_token = gen_random_uuid(), claimed_by_id = %s,
  claim_slot = 1, claimed_at = clock_timestamp(), expires_at = clock_timestamp() + interval '600 s'
FROM picked WHERE reviews_job.id = picked.id
RETURNING reviews_job.id, item_id, claim_token, claimed_at
"""
RAW_FINISH = """
UPDATE reviews_job SET state = 'done', claim_token = NULL, claimed_by_id = NULL, claim_slot = NULL,
  expires_at = NULL
WHERE id = %s AND claim_token = %s
"""
RAW_END = """
INSERT INTO reviews_claim (job_id, reviewer_id, token, claimed_at, "end", reason)
VALUES (%s, %s, %s, %s, 'finished', '') RETURNING id
"""
RAW_REVIEW = """
INSERT INTO reviews_review (job_id, claim_id, item_id, item_version_id, reviewer_id, verdict, note,
  active_seconds, score_shown)
VALUES (%s, %s, %s, (SELECT id FROM reviews_itemversion WHERE item_id = %s AND number = 1),
  %s, 'clean', '', 0, true)
RETURNING id, item_version_id
"""
RAW_FINDINGS = """
INSERT INTO reviews_finding (review_id, policy_version_id, violates)
SELECT %s, unnest(%s), false
"""
RAW_DECISION = """
INSERT INTO reviews_decision (kind, item_id, item_version_id, queue_id, job_id, review_id, verdict,
  decided_by_id, note, risks, risk_source)
VALUES ('settled', %s, %s, %s, %s, %s, 'clean', %s, '', '{}', '')
"""
RAW_AUDIT = """
INSERT INTO reviews_auditentry (actor_id, platform_id, verb, target_type, target_id, data, hash)
VALUES (%s, %s, 'review.record', 'review', %s, '{"verdict": "clean"}', '')
"""


def services(number: int, *, after_claim: Callable | None = None) -> Callable[[], None]:
    from reviews import claims, decisions
    from reviews.models import Person, Queue

    queue = Queue.objects.get(slug="main")
    person = Person.objects.get(username=f"reviewer-{number}")
    answers = itertools.cycle(
        [
            {"verdict": "clean"},
            {"verdict": "violating", "policy_slugs": ["spam"]},
            {"verdict": "clean"},
        ]
    )

    def cycle() -> None:
        job = claims.claim_next(queue, by=person)
        assert job is not None, "the queue ran dry"  # noqa: S101
        if after_claim:
            after_claim(job)
        decisions.record_review(job.pk, job.claim_token, by=person, **next(answers))

    return cycle


BETTER = """
SELECT count(*) FROM (
  SELECT FROM reviews_job
  WHERE queue_id = %s AND lane = %s AND state = 'ready' AND assigned_to_id IS NULL AND rank > %s
  LIMIT %s
) AS better
"""


def in_order(left, number: int) -> Callable[[], None]:
    """As services; `left` (a shared array) counts the claims that left so many better jobs of their
    lane behind. Those that others are just claiming look ready, so some always are."""
    from django.db import connection

    def look(job) -> None:
        with connection.cursor() as cursor:
            cursor.execute(BETTER, [job.queue_id, job.lane, job.rank, len(left) - 1])
            behind = cursor.fetchone()[0]
        with left.get_lock():
            left[behind] += 1

    return services(number, after_claim=look)


def raw(number: int) -> Callable[[], None]:
    """The rows of a clean answer, claim history to audit entry, by hand: nothing is checked."""
    from django.db import connection

    from reviews.models import Person, PolicyVersion, Queue

    main = Queue.objects.get(slug="main")
    queue, platform = main.pk, main.platform_id
    policies = list(PolicyVersion.objects.values_list("pk", flat=True))
    person = Person.objects.get(username=f"reviewer-{number}").pk
    driver = connection.connection

    def cycle() -> None:
        with driver.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SET LOCAL synchronous_commit = off")
            cursor.execute(RAW_CLAIM, [queue, person])
            job, item, token, claimed_at = cursor.fetchone()
            cursor.execute("COMMIT")
            cursor.execute("BEGIN")
            cursor.execute(RAW_FINISH, [job, token])
            cursor.execute(RAW_END, [job, person, token, claimed_at])
            claim = cursor.fetchone()[0]
            cursor.execute(RAW_REVIEW, [job, claim, item, item, person])
            review, version = cursor.fetchone()
            cursor.execute(RAW_FINDINGS, [review, policies])
            cursor.execute(RAW_DECISION, [item, version, queue, job, review, person])
            cursor.execute(RAW_AUDIT, [person, platform, str(review)])
            cursor.execute("COMMIT")

    return cycle
