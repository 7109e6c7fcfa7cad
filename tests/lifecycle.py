"""The books of jobs and decisions as a careful clerk would keep them, beside the real ones.

A machine of Hypothesis: it does what people, sweeps and platforms do, in any order, through the
services, each in a transaction of its own that is really committed: what is arranged for a commit
runs, foreign keys are checked, and time is the database's.
"""

import uuid
from collections import Counter
from datetime import timedelta

import pytest
from django.db.models import F
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from reviews import (
    assignments,
    bulk_work,
    claims,
    decisions,
    enforcement,
    erasure,
    handovers,
    intake,
    shortages,
)
from reviews.errors import ClaimLost, Conflict, Invalid
from reviews.models import Decision, Enforcement, Item, Job, Queue

from .books import Books, forget_all_work, is_open
from .factories import (
    make_action,
    make_kind,
    make_platform,
    make_policy,
    make_queue,
    make_rules,
)
from .people import make_person

WORKERS = ("rosa", "remy", "lena")
people = st.sampled_from(WORKERS)
picks = st.integers(0, 10**6)  # which of what there is, modulo how many
verdicts = st.sampled_from(["violating", "clean", "unsure", "escalate"])
settling = st.sampled_from(["violating", "clean"])
numbers = st.integers(0, 5)
ERASABLE = {"item-3", "item-4", "item-5"}
undo_windows = st.sampled_from([3600, 0])  # seconds


class World:
    """What was set up before the first item came: made once, the same for every run."""

    def __init__(self) -> None:
        self.platform = platform = make_platform()
        self.kind = make_kind(platform=platform)
        self.people = {name: make_person(name, platform=platform) for name in WORKERS}
        self.names = {person.pk: name for name, person in self.people.items()}
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


class Lifecycle(RuleBasedStateMachine):
    world: World  # set before it runs
    done: Counter = Counter()  # what was tried and what came of it, over all runs

    def __init__(self):
        super().__init__()
        forget_all_work()
        self.platform, self.kind = self.world.platform, self.world.kind
        self.people, self.queues = self.world.people, self.world.queues
        self.claims: dict = {}  # token → (job id, name), every claim there ever was
        self.live: set = set()  # tokens that should still hold
        self.ran_out: set = set()  # tokens that ran out and have not been swept
        self.ahead: set = set()  # tokens of jobs taken in advance and not shown
        self.decisions: list[int] = []
        self.operations: list = []  # of a lead, on one job each
        self.set_aside: dict = {}  # item id → its version when a lead cancelled its job
        self.books = Books.read()  # as the last step left them
        self.done["runs"] += 1

    # Coming in

    @initialize(
        seed=st.integers(0, 2**31),
        seconds=undo_windows,
        texts=st.lists(st.sampled_from("ab"), min_size=3, max_size=6),
    )
    def begin(self, seed, seconds, texts):
        Queue.objects.update(draw_seed=seed, undo_seconds=seconds)
        intake.submit_items(
            self.platform, [self.row(n, text, n % 3 > 0) for n, text in enumerate(texts)], by=None
        )

    @rule(number=numbers, text=st.sampled_from("ab"), has_author=st.booleans())
    def submit(self, number, text, has_author):
        row = self.row(number, text, has_author)
        (outcome,) = intake.submit_items(self.platform, [row], by=None)
        assert outcome.status in ("created", "changed", "unchanged")
        self.done[f"submit {outcome.status}"] += 1

    @rule(number=numbers, risk=st.floats(0, 1))
    def score(self, number, risk):
        for item in self.items(number):
            intake.set_risks({item.id: {"spam": risk}}, source="v1")

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
        before = self.books
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
        token = str(job.claim_token)
        if token in self.claims:
            assert token in mine
            assert (token in self.ahead) or not prefetch
            assert job.is_prefetched == prefetch
            if not prefetch:
                self.ahead.discard(token)
            return
        assert by.pk not in before.reviewers(job.item_id)
        assert by.pk not in before.skipped(job.pk)
        assert job.lane != "adjudication" or name == "lena"
        assert job.lane == (lane or job.lane)
        assert job.assigned_to_id in (None, by.pk)
        if job.assigned_to_id is None:
            assert not self.kept_for(by, queue, lane)
        self.took(job, name)
        if prefetch:
            self.ahead.add(token)

    @precondition(lambda self: self.books.jobs)
    @rule(pick=picks, to=st.sampled_from([*WORKERS, None]))
    def assign(self, pick, to):
        job = self.some_job(pick)
        by, person = self.people["lena"], self.people[to] if to else None
        cannot = person and (
            person.pk in self.books.reviewers(job.item_id)
            or person.pk in self.books.skipped(job.id)
            or (job.lane == "adjudication" and to != "lena")
        )
        try:
            changed = assignments.assign([job.id], to=person, by=by)
        except Conflict:
            assert job.state != "ready"
        except Invalid:
            assert cannot
        else:
            assert job.state == "ready"
            assert not cannot
            now = person.pk if person else None
            assert changed == (job.assigned_to_id != now)
            assert Job.objects.get(pk=job.id).assigned_to_id == now
            self.done["assign"] += 1
            return
        assert Job.objects.get(pk=job.id).assigned_to_id == job.assigned_to_id

    @precondition(lambda self: self.claims)
    @rule(pick=picks)
    def renew(self, pick):
        token, job_id, by = self.some_claim(pick)
        self.if_live(token, "renew", lambda: claims.renew(job_id, token, by=by))
        if token in self.live:
            self.ahead.discard(token)  # with a full lease it is on screen

    @precondition(lambda self: self.claims)
    @rule(pick=picks, verb=st.sampled_from(["release", "skip"]))
    def give_back(self, pick, verb):
        token, job_id, by = self.some_claim(pick)
        was_live = token in self.live
        kept_for = self.books.job(job_id).assigned_to_id
        self.if_live(token, verb, lambda: getattr(claims, verb)(job_id, token, by=by), ends=True)
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
        self.done["run out"] += 1

    @precondition(lambda self: self.live or self.ran_out)
    @rule()
    def sweep_claims(self):
        assert claims.expire_claims() == len(self.ran_out)
        self.see_what_ended({"expired"})
        assert not self.ran_out

    # A lead, over the reviewers' heads

    @precondition(lambda self: self.books.jobs)
    @rule(pick=picks, verb=st.sampled_from(["cancel", "cancel", "move", "raise"]))
    def operate(self, pick, verb):
        job = self.some_job(pick)
        by_id = {queue.pk: queue for queue in self.queues}
        queue = by_id.pop(job.queue_id)
        (other,) = by_id.values()
        more = {"cancel": {}, "move": {"to": other}, "raise": {"doublings": 2}}[verb]
        try:
            operation = getattr(bulk_work, f"{verb}_jobs")(
                queue,
                bulk_work.Selection(job_ids=[job.id]),
                by=self.people["lena"],
                token=uuid.uuid4(),
                note="why",
                **more,
            )
        except Conflict:
            assert verb != "cancel" or job.state != "ready"
            return
        assert job.state == "ready"
        assert operation.count == 1
        now = Job.objects.get(pk=job.id)
        assert (now.state == "cancelled") == (verb == "cancel")
        assert (now.queue_id == other.pk) == (verb == "move")
        assert (now.raised > job.raised) == (verb == "raise")
        if verb == "cancel":
            self.set_aside[job.item_id] = self.item(job.item_id).version
        self.operations.append((operation, job))
        self.done[verb] += 1

    @precondition(lambda self: self.operations)
    @rule(pick=picks)
    def take_back(self, pick):
        # The newest, every second time.
        operation, before = self.operations[-1 if pick % 2 else pick // 2 % len(self.operations)]
        operation.refresh_from_db()
        is_erased = self.item(before.item_id).is_erased
        was_undone = operation.undone_at is not None
        try:
            bulk_work.undo_operation(operation, by=self.people["lena"])
        except Conflict:
            self.done["operation kept"] += 1
            self.done["operation of an erased item"] += is_erased and operation.verb == "cancel"
            return
        assert not was_undone
        assert not is_erased
        now = Job.objects.get(pk=before.id)
        assert now.state == "ready"
        assert operation.verb != "raise" or now.raised == before.raised
        self.done["operation undone"] += 1

    # Answering

    @precondition(lambda self: self.claims)
    @rule(
        pick=picks,
        verdict=verdicts,
        has_read_anew=st.booleans(),
    )
    def answer(self, pick, verdict, has_read_anew):
        self.answer_claim(*self.some_claim(pick), verdict, has_read_anew)

    @rule(name=people, number=st.integers(0, 1), verdict=verdicts)
    def work(self, name, number, verdict):
        """As on most days: the next job, and at once its answer."""
        self.claim(name, False, number, None)
        self.the_books_are_in_order()
        on_screen = [t for t in self.live - self.ahead if self.claims[t][1] == name]
        for token in sorted(on_screen, key=list(self.claims).index)[-1:]:
            self.answer_claim(token, self.claims[token][0], self.people[name], verdict, True)

    def answer_claim(self, token, job_id, by, verdict, has_read_anew):
        job = self.books.job(job_id)
        seen = Item.objects.get(pk=job.item_id).current_version.pk if has_read_anew else None

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
            decision = self.if_live(token, f"answer {verdict}", record, ends=True)
        except Invalid:
            assert job.lane == "adjudication"
            assert verdict in ("unsure", "escalate")
        except Conflict:
            assert not has_read_anew
        else:
            if decision is not None:
                self.decisions.append(decision.pk)
            return
        assert Books.read() == self.books
        assert token in self.live

    @rule(seconds=undo_windows)
    def change_the_undo_window(self, seconds):
        Queue.objects.update(undo_seconds=seconds)

    @precondition(lambda self: self.decisions)
    @rule(pick=picks)
    def undo(self, pick):
        decision, stands = self.some_decision(pick)
        by = decision.decided_by
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
        if job.claimed_by_id == by.pk and str(job.claim_token) not in self.live:
            self.took(job, by.username)
        self.done["undo"] += 1

    @precondition(lambda self: self.decisions)
    @rule(pick=picks, verdict=settling)
    def override(self, pick, verdict):
        decision, stands = self.some_decision(pick)
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
        self.done["override"] += 1

    @rule(pick=picks)
    def erase(self, pick):
        """Of those that somebody holds or a lead has set aside, every second time; else one of
        three, or soon nothing would be left to work on."""
        items = [item for item in self.books.items if not item.is_erased]
        under_way = {job.item_id for job in self.books.held()} | self.set_aside.keys()
        chosen = [item for item in items if item.id in under_way] if pick % 2 else []
        chosen = chosen or [item for item in items if item.external_id in ERASABLE]
        if not chosen:
            return
        item = chosen[pick // 2 % len(chosen)]
        held = {token for token in self.live | self.ran_out if self.item_of(token) == item.id}
        erasure.erase_item(Item.objects.get(pk=item.id), by=None, reason="asked")
        assert self.see_what_ended({"cancelled"}) == held
        self.done["erase"] += 1

    # Time and what follows

    @rule()
    def sweep_the_rest(self):
        claims.lift_overdue()
        enforcement.release_planned()
        handovers.sweep()
        books = Books.read()
        for job in books.jobs:
            if job.state != "ready" or job.lane == "adjudication":
                continue
            seen = books.reviewers(job.item_id) | books.skipped(job.id)
            assert seen != set(self.world.names)
            assert job.assigned_to_id not in seen

    @precondition(lambda self: self.held_for("lena"))
    @rule(pick=picks, verb=st.sampled_from(["approve", "refuse"]))
    def second_person(self, pick, verb):
        held = self.held_for("lena")
        rows = Enforcement.objects.select_related("action", "decision__item")
        row = rows.get(pk=held[pick % len(held)].id)
        getattr(enforcement, verb)(row, by=self.people["lena"])
        self.done[verb] += 1

    # What must hold whatever happened

    @invariant()
    def the_books_are_in_order(self):
        self.books = Books.read()
        self.books.check()
        self.every_claim_is_where_it_should_be()
        self.no_item_is_lost()
        self.done["steps"] += 1

    def every_claim_is_where_it_should_be(self):
        held = self.books.held()
        assert {job.claim_token for job in held} == self.live | self.ran_out
        ended = {claim.token for claim in self.books.claims}
        assert ended == set(self.claims) - self.live - self.ran_out
        assert {job.claim_token for job in held if job.is_prefetched} == self.ahead

    def no_item_is_lost(self):
        """Each waits in one job, or what it says now is settled, set aside by a lead, or erased."""
        settled = {
            (decision.item_id, decision.version)
            for decision in self.books.standing()
            if decision.verdict in ("violating", "clean")
        }
        for item in self.books.items:
            n_open = len(self.books.open_jobs(item.id))
            if item.is_erased:
                assert n_open == 0
                assert not item.has_content
                continue
            is_aside = self.set_aside.get(item.id) == item.version
            assert n_open == 1 or (n_open == 0 and (is_aside or (item.id, item.version) in settled))

    # The clerk's own

    def row(self, number, text, has_author):
        author = {"account": {"external_id": f"author-{number % 2}"}} if has_author else {}
        return {
            "kind": self.kind.slug,
            "external_id": f"item-{number}",
            "content": {"body": f"{number}: {text}"},
            **author,
        }

    def items(self, number):
        return [item for item in self.books.items if item.external_id == f"item-{number}"]

    def item(self, item_id):
        return next(item for item in self.books.items if item.id == item_id)

    def took(self, job, name):
        token = str(job.claim_token)
        self.claims[token] = (job.pk, name)
        self.live.add(token)
        self.done["claim"] += 1

    def see_what_ended(self, ways):
        """What the database ended by itself; only in these ways, and only what could end so."""
        tokens = set()
        for claim in Books.read().claims:
            if claim.token not in self.live | self.ran_out:
                continue
            assert claim.end in ways
            assert claim.end != "expired" or claim.token in self.ran_out
            assert claim.end != "released" or claim.token in self.ahead
            tokens.add(claim.token)
            self.done[claim.end] += 1
        self.live -= tokens
        self.ran_out -= tokens
        self.ahead -= tokens
        return tokens

    def nothing_was_hers(self, queue, by, lane):
        """None is said only where nothing waits that she could take, and the reason is told."""
        told = shortages.why_nothing(queue, by=by, lane=lane)
        assert told.fresh == 0
        waits = [
            job
            for job in Books.read().jobs
            if is_open(job)
            and job.queue_id == queue.pk
            and job.claimed_by_id != by.pk
            and lane in (None, job.lane)
        ]
        assert told.is_empty or waits
        assert not self.kept_for(by, queue, lane)

    def kept_for(self, by, queue, lane):
        """What a lead keeps for her that she can take."""
        books = Books.read()
        held = {job.item_id for job in books.held() if job.claimed_by_id == by.pk}
        return [
            job
            for job in books.jobs
            if job.state == "ready"
            and job.queue_id == queue.pk
            and job.assigned_to_id == by.pk
            and lane in (None, job.lane)
            and job.item_id not in held
            and by.pk not in books.reviewers(job.item_id)
        ]

    def held_for(self, name):
        """Actions that wait for a second person, who she would be."""
        return [
            one
            for one in self.books.enforcements
            if one.state == "held" and one.requested_by_id != self.people[name].pk
        ]

    def item_of(self, token):
        return self.books.job(self.claims[token][0]).item_id

    def some_job(self, pick):
        return self.books.jobs[pick % len(self.books.jobs)]

    def some_claim(self, pick):
        """Mostly one that holds; else any there ever was."""
        pool = [token for token in self.claims if token in self.live] if pick % 3 else []
        pool = pool or list(self.claims)
        token = pool[pick // 3 % len(pool)]
        job_id, name = self.claims[token]
        return token, job_id, self.people[name]

    def some_decision(self, pick):
        pk = self.decisions[pick % len(self.decisions)]
        stands = pk in {decision.id for decision in self.books.standing()}
        rows = Decision.objects.select_related("item", "queue", "job__queue", "decided_by")
        return rows.get(pk=pk), stands

    def if_live(self, token, verb, call, *, ends=False):
        """A claim that holds works; one that does not is refused and changes nothing."""
        if token in self.live:
            result = call()
            if ends:
                self.live.remove(token)
                self.ahead.discard(token)
            self.done[verb] += 1
            return result
        with pytest.raises(ClaimLost):
            call()
        assert Books.read() == self.books
        self.done["late, refused"] += 1
        return None
