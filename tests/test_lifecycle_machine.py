"""Any order of submitting, moving, claiming, prefetching, assigning, answering, expiring, undoing,
overriding and erasing keeps the books.

30 runs of 25 steps here; 1,000 of 50 with

    HYPOTHESIS_PROFILE=full make test ARGS=tests/test_lifecycle_machine.py
"""

import os
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models import Count, F, Q
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from reviews import (
    assignments,
    claims,
    decisions,
    enforcement,
    erasure,
    handovers,
    intake,
    shortages,
)
from reviews.errors import ClaimLost, Conflict, Invalid
from reviews.models import (
    Claim,
    Decision,
    Enforcement,
    Item,
    Job,
    Review,
    Strike,
)

from .factories import (
    make_action,
    make_kind,
    make_platform,
    make_policy,
    make_queue,
    make_rules,
)
from .people import make_person

RUNS, STEPS = (1000, 50) if os.environ.get("HYPOTHESIS_PROFILE") == "full" else (30, 25)
WORKERS = ("rosa", "remy", "lena")
people = st.sampled_from(WORKERS)
picks = st.integers(0, 10**6)  # which of what there is, modulo how many
settling = st.sampled_from(["violating", "clean"])


class Lifecycle(RuleBasedStateMachine):
    """The books as a careful clerk would keep them, beside the real ones in the database."""

    def __init__(self):
        super().__init__()
        self.transaction = transaction.atomic()
        self.transaction.__enter__()
        # A run that is played again must see the same draws; its queues bring their own turns.
        with connection.cursor() as cursor:
            cursor.execute("ALTER SEQUENCE reviews_item_id_seq RESTART WITH 1000000000")
        platform = make_platform()
        self.platform = platform
        self.kind = make_kind(platform=platform)
        self.people = {name: make_person(name, platform=platform) for name in WORKERS}
        policies = [make_policy(platform=platform, slug="spam")]
        actions = [
            make_action(platform=platform, slug="remove", is_strike=True),
            make_action(platform=platform, slug="warn", is_strike=True, needs_approval=True),
        ]
        self.queues = [
            make_queue(
                platform=platform,
                is_default=is_default,
                policies=policies,
                actions=actions,
                members=self.people.values(),
                random_rate=0.3,
                lane_shares={"random": 0.3},
            )
            for is_default in (True, False)
        ]
        # A new score moves a job that waits from one queue to the other.
        make_rules(platform, {"condition": "risk.spam > 0.5", "queue": self.queues[1].slug})
        self.claims: dict = {}  # token → (job id, name), every claim there ever was
        self.live: set = set()  # tokens that should still hold
        self.ran_out: set = set()  # tokens that ran out and have not been swept
        self.ahead: set = set()  # tokens of jobs taken in advance and not shown
        self.decisions: list[int] = []

    def teardown(self):
        transaction.set_rollback(True)
        self.transaction.__exit__(None, None, None)

    # Coming in

    @rule(number=st.integers(0, 5), text=st.sampled_from(["a", "b"]), has_author=st.booleans())
    def submit(self, number, text, has_author):
        row = {
            "kind": self.kind.slug,
            "external_id": f"item-{number}",
            "content": {"body": f"{number}: {text}"},
        }
        if has_author:
            row["account"] = {"external_id": f"author-{number % 2}"}
        (outcome,) = intake.submit_items(self.platform, [row], by=None)
        assert outcome.status in ("created", "changed", "unchanged")

    @rule(number=st.integers(0, 5), risk=st.floats(0, 1))
    def score(self, number, risk):
        for item in Item.objects.filter(external_id=f"item-{number}"):
            intake.set_risks({item.pk: {"spam": risk}}, source="v1")

    # Holding

    @rule(
        name=people,
        prefetch=st.booleans(),
        number=st.integers(0, 1),
        lane=st.sampled_from([None, None, "adjudication"]),
    )
    def claim(self, name, prefetch, number, lane):
        by, queue = self.people[name], self.queues[number]
        lane = lane if name == "lena" else None
        mine = {token for token in self.live if self.claims[token][1] == name}
        on_screen = mine - self.ahead
        try:
            job = claims.claim_next(queue, by=by, prefetch=prefetch, lane=lane)
        except Conflict:
            assert len(on_screen) == 2
            return
        finally:
            self.see_what_ended({"expired", "released"})
        if job is None:
            self.nothing_was_hers(queue, by, lane)
            return
        assert job.queue_id == queue.pk
        if job.claim_token in self.claims:
            assert job.claim_token in mine
            assert (job.claim_token in self.ahead) or not prefetch
            assert job.is_prefetched == prefetch
            if not prefetch:
                self.ahead.discard(job.claim_token)
            return
        assert not Review.objects.filter(item=job.item_id, reviewer=by).exists()
        assert not Job.objects.held_by(by).filter(item=job.item_id).exclude(pk=job.pk).exists()
        assert not Claim.objects.filter(job=job, reviewer=by, end="skipped").exists()
        assert job.lane != "adjudication" or name == "lena"
        assert job.lane == (lane or job.lane)
        assert job.assigned_to_id in (None, by.pk)
        if job.assigned_to_id is None:
            assert not self.kept_for(by, queue, lane).exists()
        self.took(job, name)
        if prefetch:
            self.ahead.add(job.claim_token)

    @rule(pick=picks, to=st.sampled_from([*WORKERS, None]))
    def assign(self, pick, to):
        jobs = list(Job.objects.order_by("id"))
        if not jobs:
            return
        job = jobs[pick % len(jobs)]
        by, person = self.people["lena"], self.people[to] if to else None
        cannot = person and (
            Review.objects.filter(item=job.item_id, reviewer=person).exists()
            or Claim.objects.filter(job=job, reviewer=person, end="skipped").exists()
            or (job.lane == "adjudication" and to != "lena")
        )
        before = job.assigned_to_id
        try:
            changed = assignments.assign([job.pk], to=person, by=by)
        except Conflict:
            assert job.state != "ready"
        except Invalid:
            assert cannot
        else:
            assert job.state == "ready"
            assert not cannot
            assert changed == (before != (person.pk if person else None))
            job.refresh_from_db()
            assert job.assigned_to == person
            return
        job.refresh_from_db()
        assert job.assigned_to_id == before

    @precondition(lambda self: self.claims)
    @rule(pick=picks)
    def renew(self, pick):
        token, job_id, by = self.some_claim(pick)
        self.if_live(token, lambda: claims.renew(job_id, token, by=by))
        if token in self.live:
            self.ahead.discard(token)  # with a full lease it is on screen

    @precondition(lambda self: self.claims)
    @rule(pick=picks, verb=st.sampled_from(["release", "skip"]))
    def give_back(self, pick, verb):
        token, job_id, by = self.some_claim(pick)
        was_live = token in self.live
        kept_for = Job.objects.get(pk=job_id).assigned_to_id
        self.if_live(token, lambda: getattr(claims, verb)(job_id, token, by=by), ends=True)
        if was_live:
            job = Job.objects.get(pk=job_id)
            assert job.assigned_to_id == (kept_for if verb == "release" else None)

    @precondition(lambda self: self.live)
    @rule(pick=picks)
    def run_out(self, pick):
        token = [token for token in self.claims if token in self.live][pick % len(self.live)]
        Job.objects.filter(pk=self.claims[token][0]).update(
            claimed_at=F("claimed_at") - timedelta(hours=1),
            expires_at=F("claimed_at") - timedelta(minutes=1),
        )
        self.live.remove(token)
        self.ran_out.add(token)

    @rule()
    def sweep_claims(self):
        assert claims.expire_claims() == len(self.ran_out)
        self.see_what_ended({"expired"})
        assert not self.ran_out

    # Answering

    @precondition(lambda self: self.claims)
    @rule(
        pick=picks,
        verdict=st.sampled_from(["violating", "clean", "unsure", "escalate"]),
        has_read_anew=st.booleans(),
    )
    def answer(self, pick, verdict, has_read_anew):
        token, job_id, by = self.some_claim(pick)
        job = Job.objects.get(pk=job_id)
        seen = job.item.current_version.pk if has_read_anew else None
        before = self.counts()

        def record():
            return decisions.record_review(
                job_id,
                token,
                by=by,
                verdict=verdict,
                note="why",
                policy_slugs=["spam"] if verdict == "violating" else [],
                action_slugs=["remove", "warn"] if verdict == "violating" else None,
                item_version_id=seen,
            )

        try:
            decision = self.if_live(token, record, ends=True)
        except Invalid:
            assert job.lane == "adjudication"
            assert verdict in ("unsure", "escalate")
        except Conflict:
            assert not has_read_anew
        else:
            if decision is not None:
                self.decisions.append(decision.pk)
            return
        assert self.counts() == before
        assert token in self.live

    @rule(seconds=st.sampled_from([0, 3600]))
    def change_the_undo_window(self, seconds):
        for queue in self.queues:
            queue.undo_seconds = seconds
            queue.save()

    @precondition(lambda self: self.decisions)
    @rule(pick=picks)
    def undo(self, pick):
        decision = self.some_decision(pick)
        by = decision.decided_by
        stands = not Decision.objects.filter(supersedes=decision).exists()
        is_open = decision.undo_until is not None and decision.undo_until > claims.clock()
        is_erased = decision.item.erased_at is not None
        try:
            job = decisions.undo(decision, by=by)
        except Conflict:
            assert not (stands and is_open) or is_erased
            return
        finally:
            self.see_what_ended({"expired", "released"})
        assert not is_erased
        assert stands
        assert is_open
        self.decisions.append(decision.superseded_by.pk)
        if job.claimed_by_id == by.pk and job.claim_token not in self.live:
            self.took(job, by.username)

    @precondition(lambda self: self.decisions)
    @rule(pick=picks, verdict=settling)
    def override(self, pick, verdict):
        decision = self.some_decision(pick)
        stands = not Decision.objects.filter(supersedes=decision).exists()
        try:
            new = decisions.override(
                decision,
                by=self.people["lena"],
                verdict=verdict,
                policy_slugs=["spam"] if verdict == "violating" else [],
                note="looked again",
            )
        except Conflict:
            assert not stands or decision.kind == "undo"
            return
        assert stands
        self.decisions.append(new.pk)

    @rule(number=st.integers(0, 5))
    def erase(self, number):
        for item in Item.objects.filter(external_id=f"item-{number}"):
            held = {t for t in self.live | self.ran_out if self.item_of(t) == item.pk}
            erasure.erase_item(item, by=None, reason="asked")
            assert self.see_what_ended({"cancelled"}) == held
            assert not item.jobs.open().exists()
            assert not item.versions.exclude(content={}).exists()

    # Time and what follows

    @rule()
    def sweep_the_rest(self):
        claims.lift_overdue()
        enforcement.release_planned()
        handovers.sweep()
        for job in Job.objects.ready().exclude(lane="adjudication"):
            seen = set(job.item.reviews.values_list("reviewer__username", flat=True))
            seen |= set(
                job.claims.filter(end="skipped").values_list("reviewer__username", flat=True)
            )
            assert seen != set(WORKERS)
            assert job.assigned_to is None or job.assigned_to.username not in seen

    @rule(pick=picks, verb=st.sampled_from(["approve", "refuse"]))
    def second_person(self, pick, verb):
        held = list(Enforcement.objects.held().select_related("action", "decision__item"))
        if not held:
            return
        one = held[pick % len(held)]
        by = self.people["lena"]
        if one.requested_by_id != by.pk:
            getattr(enforcement, verb)(one, by=by)

    # What must hold whatever happened

    @invariant()
    def every_claim_is_where_it_should_be(self):
        held = Job.objects.filter(state="claimed").values_list("claim_token", flat=True)
        assert set(held) == self.live | self.ran_out
        ended = set(Claim.objects.values_list("token", flat=True))
        assert ended == set(self.claims) - self.live - self.ran_out

    @invariant()
    def a_claim_is_counted_once(self):
        for job in Job.objects.annotate(ended=Count("claims")):
            assert job.attempts == job.ended + (job.state == "claimed")

    @invariant()
    def nobody_holds_more_than_two_nor_more_than_one_in_advance(self):
        held = Job.objects.filter(state="claimed").values("claimed_by").annotate(n=Count("pk"))
        assert all(row["n"] <= 2 for row in held)
        assert all(row["n"] <= 1 for row in held.filter(is_prefetched=True))
        ahead = Job.objects.filter(is_prefetched=True).values_list("claim_token", flat=True)
        assert set(ahead) == self.ahead

    @invariant()
    def nobody_has_one_item_twice(self):
        twice = Review.objects.values("job", "reviewer").annotate(n=Count("pk")).filter(n__gt=1)
        assert not twice.exists()
        held = Job.objects.filter(state="claimed").values("claimed_by", "item")
        assert not held.annotate(n=Count("pk")).filter(n__gt=1).exists()

    @invariant()
    def what_is_kept_for_somebody_is_with_nobody_else(self):
        claimed = Job.objects.filter(state="claimed").exclude(assigned_to=None)
        assert not claimed.exclude(assigned_to=F("claimed_by")).exists()

    @invariant()
    def a_done_job_has_one_review_and_no_other_has_any(self):
        for job in Job.objects.annotate(n=Count("reviews")):
            assert job.n == (job.state == "done")
        finished = Claim.objects.filter(end="finished").count()
        assert finished == Review.objects.count()

    @invariant()
    def one_decision_stands_an_item(self):
        current = Decision.objects.current().values("item").annotate(n=Count("pk"))
        assert all(row["n"] == 1 for row in current)

    @invariant()
    def no_item_is_lost(self):
        """Each waits in one job, or what it says now is settled or erased."""
        for item in Item.objects.annotate(
            n_open=Count("jobs", filter=Q(jobs__state__in=["ready", "claimed"]))
        ):
            settled = Decision.objects.settled().filter(
                item=item, item_version__number=item.version_number
            )
            if item.erased_at is not None:
                assert item.n_open == 0
                continue
            assert item.n_open == 1 or (item.n_open == 0 and settled.exists())

    @invariant()
    def only_a_standing_violation_is_enforced(self):
        live = Enforcement.objects.live().select_related("decision__item")
        for one in live:
            standing = Decision.objects.current().get(item=one.decision.item)
            assert standing.verdict == "violating"
        counted = Strike.objects.filter(reversed_at=None)
        assert not counted.exclude(enforcement__state="due").exists()

    def took(self, job, name):
        self.claims[job.claim_token] = (job.pk, name)
        self.live.add(job.claim_token)

    def see_what_ended(self, ways):
        """What the database ended by itself; only in these ways, and only what could end so."""
        ended = Claim.objects.filter(token__in=self.live | self.ran_out)
        tokens = set()
        for token, end in ended.values_list("token", "end"):
            assert end in ways
            assert end != "expired" or token in self.ran_out
            assert end != "released" or token in self.ahead
            tokens.add(token)
        self.live -= tokens
        self.ran_out -= tokens
        self.ahead -= tokens
        return tokens

    def nothing_was_hers(self, queue, by, lane):
        """None is said only where nothing waits that she could take, and the reason is told."""
        told = shortages.why_nothing(queue, by=by, lane=lane)
        assert told.fresh == 0
        waits = Job.objects.open().filter(queue=queue).exclude(claimed_by=by)
        waits = waits.filter(lane=lane) if lane else waits
        assert told.is_empty or waits.exists()
        assert not self.kept_for(by, queue, lane).exists()

    def kept_for(self, by, queue, lane):
        """What a lead keeps for her that she can take."""
        jobs = Job.objects.ready().filter(queue=queue, assigned_to=by)
        jobs = jobs.filter(lane=lane) if lane else jobs
        held = Job.objects.held_by(by).values("item")
        return jobs.exclude(item__reviews__reviewer=by).exclude(item__in=held)

    def item_of(self, token):
        return Job.objects.get(pk=self.claims[token][0]).item_id

    def some_claim(self, pick):
        token = list(self.claims)[pick % len(self.claims)]
        job_id, name = self.claims[token]
        return token, job_id, self.people[name]

    def some_decision(self, pick):
        pk = self.decisions[pick % len(self.decisions)]
        return Decision.objects.select_related("item", "queue", "job__queue").get(pk=pk)

    def if_live(self, token, call, *, ends=False):
        """A claim that holds works; one that does not is refused and changes nothing."""
        if token in self.live:
            result = call()
            if ends:
                self.live.remove(token)
                self.ahead.discard(token)
            return result
        before = self.counts()
        with pytest.raises(ClaimLost):
            call()
        assert self.counts() == before
        return None

    def counts(self):
        return [model.objects.count() for model in (Review, Decision, Claim, Job, Enforcement)]


@pytest.mark.django_db
def test_no_order_of_events_breaks_the_books():
    run_state_machine_as_test(
        Lifecycle,
        settings=settings(
            max_examples=RUNS,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=RUNS < 1000,
            suppress_health_check=list(HealthCheck),
        ),
    )
