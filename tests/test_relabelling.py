"""Decisions under an older text: found, counted, and asked about again, once."""

import hashlib
import threading
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from reviews import claims, decisions, policies, policy_texts, relabelling
from reviews.errors import Conflict, Forbidden, Invalid, NotFound
from reviews.models import (
    AuditEntry,
    Decision,
    Draw,
    Finding,
    Job,
    Lane,
    PolicyVersion,
    Queue,
    Relabelling,
)
from tests.factories import claimed_job, make_item, make_job, make_platform, make_policy, make_queue
from tests.people import make_person

pytestmark = pytest.mark.django_db


class World:
    def __init__(self):
        self.platform = make_platform()
        names = ("rosa", "remy", "lena", "paul")
        self.people = {name: make_person(name, platform=self.platform) for name in names}
        self.policy = make_policy(platform=self.platform, slug="spam")
        self.other = make_policy(platform=self.platform, slug="adult")
        self.queue = self.make_queue()

    def make_queue(self, **kw):
        members = [self.people[name] for name in ("rosa", "remy", "lena")]
        both = [self.policy, self.other]
        return make_queue(**{"platform": self.platform, "policies": both, "members": members, **kw})

    def decide(self, name="rosa", slugs=("spam",), queue=None, item=None, **kw):
        person, queue = self.people[name], queue or self.queue
        item = item or make_item(platform=self.platform)
        job = claimed_job(person, queue=queue, item=item, rank=1e9, **kw)
        assert job.item_id == item.pk
        return decisions.record_review(
            job.pk,
            job.claim_token,
            by=person,
            verdict="violating" if slugs else "clean",
            policy_slugs=slugs,
        )

    def change(self, summary="Stricter.", **kw):
        text = policy_texts.text_of(self.policy.versions.order_by("number").first())
        return policies.add_version(
            self.policy, by=None, text={**text._asdict(), "summary": summary}, **kw
        )

    def ask(self, by="paul", **kw):
        return relabelling.ask_again(self.policy, by=self.people[by], **kw)


@pytest.fixture
def world():
    return World()


def items_of(world, **kw):
    rows, _ = relabelling.page(world.policy, **kw)
    return [row.decision.item_id for row in rows]


def figures(world):
    counts = relabelling.counts(world.policy)
    return counts.violating, counts.clean, counts.open, counts.askable


def test_while_the_first_text_holds_nothing_is_old(world):
    world.decide()
    assert figures(world) == (0, 0, 0, 0)
    assert relabelling.page(world.policy) == ([], None)
    with pytest.raises(Conflict, match="Nothing is left"):
        world.ask()


def test_a_text_to_come_makes_nothing_old_before_its_time(world):
    world.decide()
    world.change(effective_at=timezone.now() + timedelta(hours=1))
    assert figures(world) == (0, 0, 0, 0)


def test_a_new_text_makes_old_what_was_judged_by_the_one_before(world):
    first = world.decide()
    second = world.decide(slugs=("adult",))
    third = world.decide(slugs=())
    world.change()
    fourth = world.decide()
    assert figures(world) == (1, 2, 0, 3)
    rows, more = relabelling.page(world.policy)
    assert [(row.decision, row.violates, row.version_number) for row in rows] == [
        (third, False, 1),
        (second, False, 1),
        (first, True, 1),
    ]
    assert more is None and fourth not in [row.decision for row in rows]
    assert relabelling.counts(world.other).total == 0


def test_it_is_told_by_queue_and_filtered_by_queue_and_verdict(world):
    elsewhere = world.make_queue(position=1)
    one = world.decide()
    two = world.decide(queue=elsewhere)
    three = world.decide(queue=elsewhere, slugs=())
    world.change()
    counts = relabelling.counts(world.policy)
    told = [(row.queue, row.violating, row.clean) for row in counts.queues]
    assert told == [(world.queue, 1, 0), (elsewhere, 1, 1)]
    assert items_of(world, queue=elsewhere) == [three.item_id, two.item_id]
    assert items_of(world, verdict="violating") == [two.item_id, one.item_id]
    assert items_of(world, queue=elsewhere, verdict="clean") == [three.item_id]


def test_what_was_undone_edited_or_decided_anew_is_not_old(world):
    undone, again = world.decide(), world.decide()
    decisions.undo(undone, by=world.people["rosa"])
    world.change()
    assert items_of(world) == [again.item_id]
    world.decide("remy", item=again.item)
    assert items_of(world) == []


def test_an_override_before_the_change_is_old_by_its_own_verdict_one_after_it_is_not(world):
    before, after = world.decide(), world.decide()
    lena = world.people["lena"]
    decisions.override(before, by=lena, verdict="clean", note="parody")
    world.change()
    decisions.override(after, by=lena, verdict="clean", note="parody")
    (row,), _ = relabelling.page(world.policy)
    assert (row.decision.kind, row.decision.item_id) == ("override", before.item_id)
    assert row.violates is False
    assert figures(world) == (0, 1, 0, 1)


def test_an_override_to_violating_counts_as_violating(world):
    clean = world.decide(slugs=())
    lena = world.people["lena"]
    decisions.override(clean, by=lena, verdict="violating", policy_slugs=["spam"], note="it is")
    world.change()
    assert figures(world) == (1, 0, 0, 1)


def test_several_old_texts_are_old_together_newest_answers_first(world):
    first = world.decide()
    world.change("Second.")
    second = world.decide()
    world.change("Third.")
    rows, _ = relabelling.page(world.policy)
    assert [(row.decision, row.version_number) for row in rows] == [(second, 2), (first, 1)]


def test_pages_follow_each_other_by_key_and_hold_everything_once(world):
    made = [world.decide().item_id for _ in range(7)]
    world.change()
    found, before = [], None
    while True:
        rows, before = relabelling.page(world.policy, before=before, size=3)
        found += [row.decision.item_id for row in rows]
        if before is None:
            break
    assert found == made[::-1]


def test_a_walk_is_bounded_and_goes_on_where_it_stopped(world, monkeypatch):
    made = [world.decide().item_id for _ in range(6)]
    world.change()
    monkeypatch.setattr(relabelling, "MOST_WALKED", 2)
    counts = relabelling.counts(world.policy)
    assert (counts.total, counts.is_capped) == (2, True)
    rows, before = relabelling.page(world.policy)
    assert [row.decision.item_id for row in rows] == made[:-3:-1] and before is not None
    rows, before = relabelling.page(world.policy, before=before)
    assert [row.decision.item_id for row in rows] == made[-3:-5:-1]


def test_a_page_costs_as_many_queries_with_25_rows_as_with_5(world):
    def queries():
        with CaptureQueriesContext(connection) as found:
            relabelling.counts(world.policy)
            relabelling.page(world.policy)
        return len(found)

    for _ in range(5):
        world.decide()
    world.change()
    few = queries()
    for _ in range(20):
        world.decide()
    world.change("Third.")
    assert queries() == few


def test_the_index_is_what_finds_them(world):
    review = world.decide().review
    world.change()
    # Many answers to other texts: only then is the index the cheapest way.
    others = PolicyVersion.objects.bulk_create(
        PolicyVersion(policy=world.other, number=number, effective_at=timezone.now())
        for number in range(2, 3002)
    )
    Finding.objects.bulk_create(
        Finding(review=review, policy_version=other, violates=False) for other in others
    )
    values = {**relabelling._values(world.policy), "page": 51}
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE reviews_finding")
        cursor.execute("ANALYZE reviews_finding")
        cursor.execute("EXPLAIN " + relabelling._PAGE, values)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "finding_by_version" in plan


# Asking again


def test_asking_opens_second_opinions_and_the_answer_supersedes_under_the_new_text(world):
    old = world.decide()
    version = world.change()
    made = world.ask()
    job = made.jobs.get()
    assert (job.lane, job.state, job.item_id) == (Lane.SECOND, "ready", old.item_id)
    assert job.queue == world.queue and job.due_at > timezone.now()
    assert figures(world) == (1, 0, 1, 0)
    assert claims.claim_next(world.queue, by=world.people["rosa"]) is None
    job = claims.claim_next(world.queue, by=world.people["remy"])
    new = decisions.record_review(job.pk, job.claim_token, by=world.people["remy"], verdict="clean")
    assert new.supersedes == old
    assert new.review.findings.get(policy_version__policy=world.policy).policy_version == version
    assert figures(world) == (0, 0, 0, 0)
    (result,) = relabelling.results(world.policy)
    assert (result.jobs, result.answered, result.changed) == (1, 1, 1)


def test_it_is_one_audited_operation_with_its_count(world):
    for _ in range(3):
        world.decide()
    world.change()
    made = world.ask(number=2, verdict="violating", queue=world.queue)
    entry = AuditEntry.objects.get(verb="policy.ask_again")
    assert entry.actor == world.people["paul"]
    assert entry.data == {
        "version": 2,
        "asked": 2,
        "pool": 3,
        "probability": 2 / 3,
        "seed": made.seed,
        "queue": world.queue.slug,
        "verdict": "violating",
    }
    assert (made.asked, made.pool, made.probability) == (2, 3, 2 / 3)


def test_a_sample_can_be_drawn_again_by_anybody_from_its_seed(world):
    items = [world.decide().item_id for _ in range(8)]
    world.change()
    made = world.ask(number=3, seed=42)
    chosen = sorted(items, key=lambda pk: hashlib.sha256(f"42:{pk}".encode()).digest())[:3]
    assert set(made.jobs.values_list("item_id", flat=True)) == set(chosen)


def test_each_has_the_same_chance(world):
    """Over many seeds each of 5 is drawn about 2 times in 5."""
    items = range(1, 6)
    drawn = dict.fromkeys(items, 0)
    for seed in range(4000):
        for pk in sorted(items, key=lambda pk: relabelling._draw(seed, pk))[:2]:
            drawn[pk] += 1
    # sd of a binomial share: sqrt(0.4 × 0.6 / 4000) = 0.0077; five of them is 0.039.
    assert all(abs(count / 4000 - 0.4) < 0.039 for count in drawn.values()), drawn


def test_the_same_form_sent_twice_asks_once(world):
    for _ in range(4):
        world.decide()
    world.change()
    first, second = world.ask(number=2, seed=7), world.ask(number=2, seed=7)
    assert first == second
    assert Job.objects.filter(lane=Lane.SECOND).count() == 2
    assert AuditEntry.objects.filter(verb="policy.ask_again").count() == 1


def test_what_is_looked_at_already_is_left_alone(world):
    for _ in range(3):
        world.decide()
    world.change()
    world.ask(number=1)
    assert world.ask().asked == 2
    with pytest.raises(Conflict, match="Nothing is left"):
        world.ask()
    assert Job.objects.filter(lane=Lane.SECOND).count() == 3


@pytest.mark.parametrize("number", [0, -1, 2_001])
def test_a_number_out_of_range_is_refused_beside_its_field(world, number):
    world.decide()
    world.change()
    with pytest.raises(Invalid) as caught:
        world.ask(number=number)
    assert set(caught.value.details) == {"number"}
    assert not Relabelling.objects.exists()


def test_all_of_more_than_is_done_at_once_is_refused(world, monkeypatch):
    for _ in range(3):
        world.decide()
    world.change()
    monkeypatch.setattr(relabelling, "MOST_ASKED", 2)
    with pytest.raises(Invalid, match="These are 3"):
        world.ask()
    assert world.ask(number=2).asked == 2


def test_more_than_there_are_asks_about_all(world):
    world.decide()
    world.change()
    made = world.ask(number=50)
    assert (made.asked, made.probability) == (1, 1)


def test_a_queue_that_is_archived_or_judges_it_no_more_cannot_be_asked(world):
    archived, changed = world.make_queue(), world.make_queue()
    world.decide(queue=archived)
    world.decide(queue=changed)
    world.change()
    Queue.objects.filter(pk=archived.pk).update(is_archived=True)
    changed.policies.set([world.other])
    assert figures(world) == (2, 0, 0, 0)
    with pytest.raises(Conflict):
        world.ask()


def test_a_job_keeps_how_its_item_was_drawn_so_that_prevalence_stays_unbiased(world):
    draw = Draw.objects.create(
        queue=world.queue, lane=Lane.RANDOM, strategy="poisson", probability=0.1, seed=1
    )
    job = {"lane": Lane.RANDOM, "draw": draw, "inclusion_probability": 0.1}
    world.decide(**job)
    world.change()
    asked = world.ask().jobs.get()
    assert (asked.draw.strategy, asked.draw.follows) == ("follows", draw)
    assert asked.inclusion_probability == 0.1


def test_an_item_that_came_by_rank_is_asked_about_with_the_chance_of_the_sample(world):
    for _ in range(4):
        world.decide()
    world.change()
    asked = world.ask(number=1, seed=5).jobs.get()
    draw = asked.draw
    assert (draw.strategy, draw.seed, draw.pool_size, draw.drawn) == ("sample", 5, 4, 1)
    assert (draw.probability, asked.inclusion_probability) == (0.25, 0.25)
    assert asked.lift_at is not None


def test_leads_and_policy_owners_may_ask_reviewers_and_strangers_may_not(world):
    world.decide()
    world.change()
    with pytest.raises(Forbidden):
        world.ask(by="rosa")
    for name in ("paul", "lena"):
        stranger = world.people[name]
        stranger.platforms.set([make_platform()])
        with pytest.raises(NotFound):
            relabelling.ask_again(world.policy, by=type(stranger).objects.get(pk=stranger.pk))
    assert not Relabelling.objects.exists()


def test_a_sample_says_what_the_whole_would_change_with_its_interval(world):
    for _ in range(10):
        world.decide()
    world.change()
    world.ask(number=4)
    remy = world.people["remy"]
    for verdict in ("clean", "violating", "violating", "violating"):
        job = claims.claim_next(world.queue, by=remy)
        slugs = ["spam"] if verdict == "violating" else []
        decisions.record_review(
            job.pk, job.claim_token, by=remy, verdict=verdict, policy_slugs=slugs
        )
    (result,) = relabelling.results(world.policy)
    assert (result.jobs, result.answered, result.changed) == (4, 4, 1)
    # Wilson, 1 of 4: 0.0456 to 0.6994; of a pool of 10.
    assert result.expected == (2, 0, 7)


def test_before_anything_is_answered_nothing_is_estimated(world):
    for _ in range(2):
        world.decide()
    world.change()
    world.ask(number=1)
    (result,) = relabelling.results(world.policy)
    assert (result.answered, result.share, result.expected) == (0, None, None)


@pytest.mark.django_db(transaction=True)
def test_two_who_ask_at_once_never_open_two_jobs_on_one_item(db):
    world = World()
    for _ in range(6):
        world.decide()
    world.change()
    barrier, made = threading.Barrier(4), []

    def ask():
        try:
            barrier.wait()
            made.append(world.ask(number=4).asked)
        except Conflict:
            made.append(0)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    items = list(Job.objects.filter(lane=Lane.SECOND).values_list("item_id", flat=True))
    assert len(items) == len(set(items)) == sum(made) <= 6
    assert Decision.objects.count() == 6


def test_a_job_opened_since_the_page_was_shown_is_seen_under_the_lock(world, monkeypatch):
    old = world.decide()
    world.change()
    pool = relabelling._fetch(relabelling._POOL, relabelling._values(world.policy))
    make_job(queue=world.queue, item=old.item)
    monkeypatch.setattr(relabelling, "_POOL", "SELECT %(policy)s * 0 + {}, {}".format(*pool[0]))
    with pytest.raises(Conflict, match="meanwhile"):
        world.ask()
