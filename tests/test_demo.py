"""The demo: what its file holds, what is made up around it, and that loading twice adds nothing."""

import gzip
import hashlib
import random
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from mlhooks.models import DueScore, ModelVersion, Snapshot
from reviews import (
    access,
    actions,
    consultations,
    kinds,
    questions,
    queues,
    routing_versions,
    wellness,
)
from reviews.demo import (
    PLATFORM_SLUG,
    board_loading,
    boards,
    cast,
    corpus,
    loading,
    people,
    pictures,
    platform_life,
    rules,
)
from reviews.models import (
    Decision,
    Exposure,
    Item,
    Job,
    Limits,
    Medium,
    MediumUse,
    Note,
    Notification,
    Person,
    Platform,
    Policy,
    PolicyVersion,
    Report,
    Review,
    RoutingVersion,
)
from tests.factories import make_platform

DOCS = Path(__file__).resolve().parent.parent / "docs" / "demo-data.md"
SLUGS = {"spam", "phishing", "adult"}
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def mails():
    return corpus.read_mails()


# The file


def test_the_file_is_the_one_the_docs_describe():
    with gzip.open(corpus.FILE) as lines:
        digest = hashlib.sha256(lines.read()).hexdigest()
    assert digest in DOCS.read_text()
    assert corpus.FILE.stat().st_size < 1_500_000


def test_two_thousand_mails_with_a_known_answer_for_each_policy(mails):
    assert len(mails) == len({mail.id for mail in mails}) == 2000
    assert all(mail.known_answer.keys() == SLUGS for mail in mails)
    counts = Counter(slug for mail in mails for slug, yes in mail.known_answer.items() if yes)
    assert counts == {"spam": 700, "phishing": 65, "adult": 31}


def test_phishing_and_adult_mails_are_spam_too(mails):
    for mail in mails:
        if mail.known_answer["phishing"] or mail.known_answer["adult"]:
            assert mail.known_answer["spam"], mail.source


def test_ids_and_their_order_do_not_give_the_answer_away(mails):
    assert all(re.fullmatch(r"m[0-9a-f]{10}", mail.id) for mail in mails)
    first, second = mails[:1000], mails[1000:]
    difference = sum(m.known_answer["spam"] for m in first) - sum(
        m.known_answer["spam"] for m in second
    )
    assert abs(difference) < 100


def test_no_address_of_a_person_is_left(mails):
    address = re.compile(r"[\w.+-]+@[\w-]+\.\w[\w.]*\w")
    left = {
        found
        for mail in mails
        for found in address.findall(mail.text)
        if not found.endswith("@mail.example")
    }
    assert left == set()


def test_no_north_american_phone_number_is_left(mails):
    number = re.compile(r"(?<![\w/.=&$-])\(?\d{3}\)?[-. ]\d{3}[-. ]\d{4}(?![\w-]|\.\d)")
    assert [mail.source for mail in mails if number.search(mail.text)] == []


def test_bodies_are_short_text_and_dates_are_of_the_corpus(mails):
    for mail in mails:
        assert 0 < len(mail.body) <= 2000
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", mail.text)
        assert 2001 <= mail.sent_at.year <= 2003


def test_some_senders_have_a_history_and_none_fills_the_queue(mails):
    per_sender = Counter(mail.sender for mail in mails)
    assert per_sender.most_common(1)[0][1] <= 25
    assert sum(count >= 5 for count in per_sender.values()) > 20


# The rules


def test_each_policy_has_examples_on_both_sides_and_none_twice():
    for policy in rules.POLICIES:
        texts = policy["examples"] + policy["counter_examples"]
        assert min(len(policy["examples"]), len(policy["counter_examples"])) >= 8
        assert len(texts) == len(set(texts))
        assert len(policy["summary"]) <= 200
        assert len(policy["legal_category"]) <= 80


def test_examples_are_ours_and_not_from_the_corpus(mails):
    everything = " ".join(" ".join(mail.text.split()).lower() for mail in mails)
    for policy in rules.POLICIES:
        for text in policy["examples"] + policy["counter_examples"]:
            assert text.lower() not in everything


def test_no_two_keys_are_the_same_and_none_is_the_pages_own():
    keys = [one["key"] for one in rules.POLICIES + rules.ACTIONS]
    assert len(keys) == len(set(keys))
    assert not set(keys) & set("0aenpsu?")


@pytest.mark.django_db
def test_the_routing_rules_can_be_run_and_are_published():
    platform = loading.set_up_platform()
    published = routing_versions.find_published(platform)
    assert routing_versions.check_rules(platform, published.rules) == (published.rules, {})
    assert [rule["name"] for rule in published.rules] == [
        rule["name"] for rule in rules.ROUTING_RULES
    ]


# What is made up


def test_the_same_seed_makes_the_same_platform_life(mails):
    reporters = platform_life.make_reporters(7)
    one, other = (
        platform_life.arrive(mails[3], at=NOW, reporters=reporters, seed=7) for _ in range(2)
    )
    assert one == other
    assert platform_life.arrive(mails[3], at=NOW, reporters=reporters, seed=8) != one


def test_the_mails_of_a_thread_arrive_in_the_order_they_were_written(mails):
    seen: dict[str, datetime] = {}
    ordered = platform_life.in_order_of_arrival(mails, 1)
    assert sorted(mail.id for mail in ordered) == [mail.id for mail in mails]
    for mail in ordered:
        assert mail.sent_at >= seen.get(mail.thread, mail.sent_at)
        seen[mail.thread] = mail.sent_at


def test_arrivals_ascend_and_grow_denser():
    times = platform_life.arrival_times(400, first=NOW - timedelta(hours=10), last=NOW, seed=1)
    assert times == sorted(times)
    assert NOW - timedelta(hours=10) <= times[0] and times[-1] <= NOW
    assert sum(at > NOW - timedelta(hours=2.5) for at in times) == pytest.approx(200, abs=30)


def test_what_was_left_over_has_been_reported():
    waiting = loading.plan_arrivals(NOW).waiting
    left_over = [one for one in waiting if NOW - one.submitted_at > timedelta(hours=8)]
    assert len(left_over) == 15
    assert all(len(arrival.reports) >= 2 for arrival in left_over)
    assert all(NOW - one.submitted_at <= timedelta(hours=3) for one in waiting[15:])


def test_good_reporters_are_right_more_often_than_trolls(mails):
    rng = random.Random(1)

    def precision(accuracy: float) -> float:
        reporters = [platform_life.Reporter(str(n), accuracy) for n in range(50)]
        bad = right = 0
        for mail in mails[:600]:
            reports = platform_life.make_reports(mail, 30.0, reporters, rng)
            users = sum(report["source"] == "user" for report in reports)
            bad += users
            right += users * mail.is_violating
        return right / bad

    assert precision(0.9) > 0.85
    assert precision(0.3) < 0.5


def test_the_link_scanner_says_only_what_stands_in_the_mail(mails):
    rng = random.Random(1)
    for mail in mails[:400]:
        reports = platform_life.make_reports(mail, 1.0, [], rng)
        scanned = [report for report in reports if report["source"] == "classifier"]
        assert len(scanned) <= 1
        if scanned and "bare IP" in scanned[0]["text"]:
            assert re.search(r"https?://\d+\.\d+\.\d+\.\d+", mail.body)


# Loading


@pytest.mark.django_db
def test_setting_up_again_changes_nothing():
    loading.set_up_platform()
    before = _counts()
    rosa = Person.objects.get(username="rosa")
    rosa.set_password("her own by now")
    rosa.save()

    loading.set_up_platform()

    assert _counts() == before
    assert Person.objects.get(username="rosa").check_password("her own by now")


@pytest.mark.django_db
def test_every_role_has_somebody_and_reviewers_have_queues():
    loading.set_up_platform()
    for member in people.MEMBERS:
        person = Person.objects.get(username=member.username)
        assert person.roles == {member.role}
        works = {queue.slug for queue in access.queues_to_work(person)}
        assert works == set(member.queues)


@pytest.mark.django_db
def test_what_waits_came_in_over_hours_and_a_little_of_it_is_overdue():
    platform = loading.set_up_platform()
    arrivals = loading.plan_arrivals(timezone.now(), count=120)

    loading.submit(platform, arrivals.waiting)

    assert Item.objects.count() == Job.objects.ready().count() == 90
    sent = {arrival.mail.id: arrival for arrival in arrivals.waiting}
    for item in Item.objects.all():
        arrival = sent[item.external_id]
        assert item.submitted_at == arrival.submitted_at
        assert item.known_answer == arrival.mail.known_answer
        assert item.report_count == len(arrival.reports)
    for job in Job.objects.select_related("item", "queue"):
        at, promised = job.item.submitted_at, job.queue.sla_by_source
        reported = {one["source"] for one in sent[job.item.external_id].reports}
        due = [at + timedelta(minutes=job.queue.sla_minutes)]
        # Reported a minute after it came.
        due += [at + timedelta(minutes=1 + promised[one]) for one in reported & promised.keys()]
        assert job.due_at == min(due)
    assert 0 < Job.objects.filter(due_at__lt=timezone.now()).count() < 5
    ranks = dict(Job.objects.values_list("item__external_id", "rank"))
    assert len(set(ranks.values())) > 80


@pytest.mark.django_db
def test_submitting_again_finds_everything_there():
    platform = loading.set_up_platform()
    arrivals = loading.plan_arrivals(timezone.now(), count=40)
    loading.submit(platform, arrivals.waiting)

    later = loading.plan_arrivals(timezone.now(), count=40)

    assert loading.not_there_yet(platform, later.waiting) == []
    assert len(loading.not_there_yet(platform, later.earlier)) == len(later.earlier)


@pytest.mark.django_db
def test_the_demo_refuses_a_database_with_another_platform(capsys):
    make_platform(slug="the-real-one")
    with pytest.raises(CommandError, match="the-real-one"):
        call_command("load_demo")
    assert not Platform.objects.filter(slug=PLATFORM_SLUG).exists()


@pytest.mark.django_db(transaction=True)
def test_load_demo_scores_and_works_the_earlier_mails_and_leaves_the_rest(
    settings, tmp_path, capsys
):
    settings.MODEL_DIR, settings.SNAPSHOT_DIR = tmp_path / "models", tmp_path / "snapshots"
    call_command("load_demo", mails=60)

    platform = Platform.objects.get(slug=PLATFORM_SLUG)
    assert ModelVersion.objects.get(platform=platform).state == ModelVersion.State.CHAMPION
    assert Item.objects.count() == 60
    assert Job.objects.ready().count() == 45  # all of the 15 earlier ones are answered
    snapshot = platform.snapshots.get()
    assert (snapshot.state, snapshot.rows_done) == (Snapshot.State.READY, 15)
    assert all(decision.risks for decision in Decision.objects.all())
    assert DueScore.objects.count() == 45
    assert not Job.objects.filter(state=Job.State.CLAIMED).exists()
    before = _counts()

    call_command("load_demo", mails=60)

    assert _counts() == before
    assert "trust-console-demo" in capsys.readouterr().out


# The boards


@pytest.mark.django_db
def test_the_boards_show_every_block_and_come_once():
    platform = loading.set_up_platform()
    count = board_loading.load_boards(platform)
    items = Item.objects.filter(platform=platform)
    assert items.count() == count == len(boards.read_entries())
    assert {kind.slug for kind in platform.kinds.all()} >= {one["slug"] for one in boards.KINDS}
    found = dict(Job.objects.values_list("item__kind__slug", "queue__slug"))
    assert found["clip"] == found["voice-note"] == "clips"
    assert found["profile"] == found["listing"] == "boards"
    assert found["pin"] == "pins"
    pins = platform.queues.get(slug="pins")
    assert Job.objects.ready().filter(queue=pins).count() > pins.page_size == 24
    assert len({item.language for item in items}) >= 8
    media = Medium.objects.count()
    assert MediumUse.objects.count() == media
    assert set(Medium.objects.values_list("state", flat=True)) == {"due"}
    assert board_loading.load_boards(platform) == 0
    assert (items.count(), Medium.objects.count()) == (count, media)


@pytest.mark.django_db
def test_the_cast_left_each_other_something_and_only_once():
    platform = loading.set_up_platform()
    loading.submit(platform, loading.plan_arrivals(timezone.now(), count=20).waiting)
    board_loading.load_boards(platform)
    cast.leave(platform)
    cast.limit(platform)
    by_name = {person.username: person for person in Person.objects.all()}

    asked = {name: len(consultations.waiting_for(by_name[name])) for name in ("rosa", "remy")}
    assert asked == {"rosa": 2, "remy": 2}
    (answered,) = [
        one for one in consultations.asked_by(by_name["rosa"]) if one.state == "answered"
    ]
    kept = Job.objects.ready().filter(assigned_to=by_name["rosa"], run_after=None)
    assert kept.count() == 3 and kept.filter(pk=answered.job_id).exists()
    assert len(questions.open_for(by_name["paul"])) == 2
    told = Counter(Notification.objects.values_list("person__username", flat=True))
    assert all(told[name] for name in ("rosa", "remy", "lena", "paul", "mila"))
    assert wellness.spent(
        by_name["remy"], Limits.objects.get(), {"sexual-content": 18}
    ) and not wellness.spent(by_name["remy"], Limits.objects.get(), {"sexual-content": 20})

    before = Notification.objects.count(), Note.objects.count(), Exposure.objects.count()
    cast.leave(platform)
    cast.limit(platform)
    assert before == (Notification.objects.count(), Note.objects.count(), Exposure.objects.count())


@pytest.mark.django_db
def test_what_the_demo_sets_up_is_what_setup_would_take():
    platform = loading.set_up_platform()
    lena = Person.objects.get(username="lena")
    for queue in platform.queues.all():
        queues.save_queue(queue, queues.read(queue), by=lena)
    for action in platform.actions.all():
        actions.save_action(action, actions.read(action), by=lena)


def test_each_kind_of_the_boards_is_one_that_setup_would_take():
    for kind in boards.KINDS:
        _, errors = kinds.check(kind["name"], kind["fields"], kind["layout"])
        assert errors == {}, kind["slug"]


def test_the_same_picture_is_drawn_each_time():
    drawn = [pictures.picture("b1", "hills") for _ in range(2)]
    assert drawn[0] == drawn[1] != pictures.picture("b2", "hills")


def _counts() -> dict[str, int]:
    models = (Decision, Item, Job, Person, Platform, Policy, PolicyVersion, Report, Review)
    return {model.__name__: model.objects.count() for model in (*models, RoutingVersion, Snapshot)}
