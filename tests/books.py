"""Everything that work on a job leaves behind, read in one statement: what the machine of the
lifecycle looks at after each step. Small worlds only: it is every row of these tables."""

import json
from collections import Counter
from types import SimpleNamespace

from django.apps import apps
from django.db import connection

_ROWS = {
    "jobs": """
        SELECT id, item_id, queue_id, lane, state, attempts, claim_token, claimed_by_id,
          is_prefetched, assigned_to_id, raised
        FROM reviews_job""",
    "claims": 'SELECT id, job_id, reviewer_id, token, "end" FROM reviews_claim',
    "reviews": "SELECT id, job_id, item_id, reviewer_id FROM reviews_review",
    "decisions": """
        SELECT decision.id, decision.item_id, verdict, kind, supersedes_id,
          version.number AS version
        FROM reviews_decision AS decision
        JOIN reviews_itemversion AS version ON version.id = decision.item_version_id""",
    "items": """
        SELECT item.id, external_id, version_number AS version, erased_at IS NOT NULL AS is_erased,
          EXISTS (
            SELECT FROM reviews_itemversion WHERE item_id = item.id AND content <> '{}'
          ) AS has_content
        FROM reviews_item AS item""",
    "enforcements": """
        SELECT enforcement.id, enforcement.state, enforcement.requested_by_id, decision.item_id
        FROM reviews_enforcement AS enforcement
        JOIN reviews_decision AS decision ON decision.id = enforcement.decision_id""",
    "strikes": """
        SELECT id, enforcement_id, reversed_at IS NULL AS counts FROM reviews_strike""",
}
_READ = "SELECT json_build_object({})::text".format(  # noqa: UP032
    ", ".join(
        f"'{name}', (SELECT coalesce(json_agg(row ORDER BY id), '[]') FROM ({rows}) AS row)"
        for name, rows in _ROWS.items()
    )
)
# What people have set up; the rest is work, and gone when a world begins again.
SET_UP = (
    "Platform",
    "Platform_members",
    "ItemKind",
    "Person",
    "Person_groups",
    "Policy",
    "PolicyVersion",
    "Action",
    "Queue",
    "Queue_policies",
    "Queue_members",
    "QueueAction",
    "RoutingVersion",
)


class Books(SimpleNamespace):
    """jobs, claims, reviews, decisions, items, enforcements, strikes: each a list of rows by id."""

    @classmethod
    def read(cls) -> "Books":
        with connection.cursor() as cursor:
            cursor.execute(_READ)
            ((text,),) = cursor.fetchall()
        rows = json.loads(text, object_hook=lambda values: SimpleNamespace(**values))
        return cls(**vars(rows))

    def job(self, pk):
        return next(job for job in self.jobs if job.id == pk)

    def held(self):
        return [job for job in self.jobs if job.state == "claimed"]

    def open_jobs(self, item_id):
        return [job for job in self.jobs if job.item_id == item_id and is_open(job)]

    def standing(self):
        """Decisions that nothing supersedes."""
        superseded = {decision.supersedes_id for decision in self.decisions}
        return [decision for decision in self.decisions if decision.id not in superseded]

    def reviewers(self, item_id):
        return {review.reviewer_id for review in self.reviews if review.item_id == item_id}

    def skipped(self, job_id):
        return {
            claim.reviewer_id
            for claim in self.claims
            if claim.job_id == job_id and claim.end == "skipped"
        }

    def check(self) -> None:
        """What must hold whatever has happened."""
        self._each_claim_is_counted_once()
        self._nobody_holds_too_much()
        self._nobody_has_one_item_twice()
        self._what_is_kept_for_somebody_is_with_nobody_else()
        self._a_done_job_has_one_review_and_no_other_has_any()
        self._one_decision_stands_an_item()
        self._only_a_standing_violation_is_enforced()

    def _each_claim_is_counted_once(self) -> None:
        ended = Counter(claim.job_id for claim in self.claims)
        for job in self.jobs:
            assert job.attempts == ended[job.id] + (job.state == "claimed")

    def _nobody_holds_too_much(self) -> None:
        held = self.held()
        assert max(Counter(job.claimed_by_id for job in held).values(), default=0) <= 2
        ahead = Counter(job.claimed_by_id for job in held if job.is_prefetched)
        assert max(ahead.values(), default=0) <= 1
        assert all(job.claim_token is None for job in self.jobs if job.state != "claimed")

    def _nobody_has_one_item_twice(self) -> None:
        assert no_two_alike((review.job_id, review.reviewer_id) for review in self.reviews)
        assert no_two_alike((job.item_id, job.claimed_by_id) for job in self.held())

    def _what_is_kept_for_somebody_is_with_nobody_else(self) -> None:
        for job in self.held():
            assert job.assigned_to_id in (None, job.claimed_by_id)

    def _a_done_job_has_one_review_and_no_other_has_any(self) -> None:
        reviews = Counter(review.job_id for review in self.reviews)
        for job in self.jobs:
            assert reviews[job.id] == (job.state == "done")
        assert len(self.reviews) == sum(claim.end == "finished" for claim in self.claims)

    def _one_decision_stands_an_item(self) -> None:
        assert no_two_alike(decision.item_id for decision in self.standing())

    def _only_a_standing_violation_is_enforced(self) -> None:
        verdicts = {decision.item_id: decision.verdict for decision in self.standing()}
        for one in self.enforcements:
            assert one.state == "reversed" or verdicts[one.item_id] == "violating"
        due = {one.id for one in self.enforcements if one.state == "due"}
        assert all(strike.enforcement_id in due for strike in self.strikes if strike.counts)


def is_open(job) -> bool:
    return job.state in ("ready", "claimed")


def no_two_alike(values) -> bool:
    values = list(values)
    return len(values) == len(set(values))


def forget_all_work() -> None:
    """Each table but what is set up is empty again, as if nothing had come in yet.

    By DELETE, in one transaction with triggers at rest: TRUNCATE makes new files for each of some
    eighty tables and costs a hundred times as much.
    """
    kept = {name.lower() for name in SET_UP}
    tables = [
        model._meta.db_table
        for label in ("reviews", "mlhooks")
        for model in apps.get_app_config(label).get_models(include_auto_created=True)
        if model._meta.model_name not in kept
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            "BEGIN; SET LOCAL session_replication_role = replica; "
            + "; ".join(f"DELETE FROM {table}" for table in tables)
            # An item's draws follow from its id, and a run that is played again must see the same.
            + "; ALTER SEQUENCE reviews_item_id_seq RESTART WITH 1; "
            "SELECT setval(format('reviews_queue_turn_%s', id)::regclass, 1, false) "
            "FROM reviews_queue; COMMIT"
        )
