"""What was looked at: in full for the person herself, as sums of five and more for leads."""

import uuid
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from reviews import claims, comfort, exposures, wellness
from reviews.errors import Forbidden, NotFound
from reviews.models import Exposure, Limits, Person, Severity

from .factories import make_item, make_job, make_platform, make_policy, make_queue
from .people import CAST, make_person

pytestmark = pytest.mark.django_db


@pytest.fixture
def queue():
    platform = make_platform()
    gore = make_policy(platform=platform, slug="gore", name="Gore", harm="Violence")
    gore.versions.update(severity=Severity.HIGH)
    return make_queue(platform=platform, policies=[gore])


def looked(person, queue, minutes, *, days=0, harm="violence"):
    return Exposure.objects.create(
        person=person,
        queue=queue,
        token=uuid.uuid4(),
        harm=harm,
        seconds=minutes * 60,
        weight=1.0,
        at=timezone.now() - timedelta(days=days),
    )


def people(queue, count):
    made = [Person.objects.create(username=f"worker-{n}") for n in range(count)]
    queue.platform.members.add(*made)
    return made


def last_week(queue):
    """Days since the Wednesday of last week."""
    return timezone.now().weekday() + 5


def test_a_shift_goes_on_past_midnight_in_her_time_zone(queue):
    """A shift is the last so many hours, by the database's clock: no midnight opens a budget."""
    rosa = make_person("rosa", platform=queue.platform)
    limits = Limits.objects.create(platform=queue.platform, budgets={"violence": 10}, shift_hours=8)
    # Where it is between midnight and one o'clock now: she began before midnight.
    hour = timezone.now().hour
    zone = f"Etc/GMT+{hour}" if hour <= 12 else f"Etc/GMT-{24 - hour}"
    assert timezone.now().astimezone(ZoneInfo(zone)).hour == 0
    before = looked(rosa, queue, 8)
    Exposure.objects.filter(pk=before.pk).update(at=timezone.now() - timedelta(hours=2))
    assert not wellness.spent(rosa, limits, limits.budgets)
    looked(rosa, queue, 4)
    spent = wellness.spent(rosa, limits, limits.budgets)
    assert spent["violence"] == pytest.approx(
        timezone.now() + timedelta(hours=6), abs=timedelta(minutes=1)
    )
    (line,) = exposures.own_shift(rosa, by=rosa)
    assert line.minutes == 12
    *_past, yesterday, today = exposures.own_days(rosa, by=rosa, zone=zone)
    assert (yesterday.minutes, today.minutes) == (8, 4)


def test_she_sees_her_shift_her_budget_and_when_it_opens_again(queue):
    rosa = make_person("rosa", platform=queue.platform)
    Limits.objects.create(platform=queue.platform, budgets={"violence": 10})
    looked(rosa, queue, 4)
    looked(rosa, queue, 8)
    looked(rosa, queue, 99, days=2)
    looked(make_person("remy", platform=queue.platform), queue, 50)
    (line,) = exposures.own_shift(rosa, by=rosa)
    assert (line.label, line.minutes, line.looks, line.budget) == ("Violence", 12, 2, 10)
    assert line.opens_at is not None and line.share == 1.0


def test_her_days_are_days_of_her_time_zone(queue):
    rosa = make_person("rosa", platform=queue.platform)
    looked(rosa, queue, 3)
    looked(rosa, queue, 5, days=1)
    days = exposures.own_days(rosa, by=rosa, zone="UTC")
    assert len(days) == exposures.DAYS
    assert [day.minutes for day in days[-2:]] == [5, 3]


@pytest.mark.parametrize("name", ["lena", "ada", "abel"])
def test_nobody_reads_another_persons(queue, name):
    rosa, other = make_person("rosa"), make_person(name)
    for read in (
        exposures.own_shift,
        lambda person, by: exposures.own_days(person, by=by, zone="UTC"),
    ):
        with pytest.raises(NotFound):
            read(rosa, by=other)


def test_five_people_make_a_figure_and_four_do_not(queue):
    lena = make_person("lena", platform=queue.platform)
    crowd = people(queue, 5)
    for person in crowd[:4]:
        looked(person, queue, 22, days=last_week(queue))
    (week,) = exposures.weeks(queue.platform, by=lena)
    assert [(one.label, one.minutes) for one in week.sums] == [("Violence", None)]
    looked(crowd[4], queue, 22, days=last_week(queue))
    (week,) = exposures.weeks(queue.platform, by=lena)
    assert week.sums[0].minutes == 20


def test_a_sum_that_is_mostly_one_persons_is_not_told(queue):
    lena = make_person("lena", platform=queue.platform)
    for person, minutes in zip(people(queue, 6), [300, 10, 10, 10, 10, 10], strict=True):
        looked(person, queue, minutes, days=last_week(queue))
    (week,) = exposures.weeks(queue.platform, by=lena)
    assert week.sums[0].minutes is None


def test_a_week_that_is_not_over_or_partly_pruned_is_not_told(queue):
    lena = make_person("lena", platform=queue.platform)
    Limits.objects.create(platform=queue.platform, keep_days=15)
    for person in people(queue, 6):
        looked(person, queue, 20)
        looked(person, queue, 20, days=timezone.now().weekday() + 13)
    assert exposures.weeks(queue.platform, by=lena) == []


def test_asked_again_a_week_answers_the_same_whatever_is_looked_at_now(queue):
    lena = make_person("lena", platform=queue.platform)
    crowd = people(queue, 6)
    for person in crowd:
        looked(person, queue, 20, days=last_week(queue))
    before = exposures.weeks(queue.platform, by=lena)
    looked(crowd[0], queue, 500)
    assert exposures.weeks(queue.platform, by=lena) == before


def test_another_platforms_people_are_not_among_them(queue):
    lena = make_person("lena", platform=queue.platform)
    elsewhere = make_queue()
    for person in people(queue, 6):
        looked(person, elsewhere, 20, days=last_week(queue))
    assert exposures.weeks(queue.platform, by=lena) == []
    with pytest.raises(NotFound):
        exposures.weeks(elsewhere.platform, by=lena)


@pytest.mark.parametrize("name", sorted(set(CAST) - {"lena"}))
def test_only_leads_see_the_sums(queue, name):
    with pytest.raises(Forbidden):
        exposures.weeks(queue.platform, by=make_person(name, platform=queue.platform))


def test_what_has_been_kept_long_enough_goes(queue):
    rosa = make_person("rosa", platform=queue.platform)
    Limits.objects.create(platform=queue.platform, keep_days=7)
    old, new = looked(rosa, queue, 1, days=8), looked(rosa, queue, 1, days=6)
    assert exposures.prune() == 1
    assert exposures.prune() == 0
    assert [one.pk for one in Exposure.objects.all()] == [new.pk] != [old.pk]


def test_no_page_of_anybody_else_names_what_she_set(queue):
    rosa = make_person("rosa", platform=queue.platform)
    comfort.save_opt_outs(rosa, by=rosa, harms=["violence"])
    comfort.start_break(rosa, by=rosa, minutes=30)
    for name, pages in (
        ("lena", ["/setup/people/rosa/", "/wellness/", f"/queues/{queue.slug}/"]),
        ("ada", ["/setup/people/rosa/"]),
        ("abel", ["/audit/"]),
    ):
        client = Client()
        client.force_login(make_person(name, platform=queue.platform))
        for url in pages:
            text = client.get(url).content.decode()
            assert "wellbeing" not in text and "break" not in text.replace("line-break", ""), url


# Breaks and covered text


def test_on_a_break_nothing_is_served_and_what_she_holds_stays_hers(queue):
    rosa = make_person("rosa", platform=queue.platform)
    queue.members.add(rosa)
    for _ in range(2):
        make_job(queue=queue, item=make_item(platform=queue.platform))
    held = claims.claim_next(queue, by=rosa)
    comfort.start_break(rosa, by=rosa, minutes=5)
    assert claims.claim_next(queue, by=rosa).pk == held.pk
    claims.skip(held.pk, held.claim_token, by=rosa)
    assert claims.claim_next(queue, by=rosa) is None
    assert wellness.guard(rosa, queue).why == "break"
    comfort.end_break(rosa, by=rosa)
    assert claims.claim_next(queue, by=rosa) is not None


def test_a_break_begins_and_ends_on_its_page(queue):
    rosa = make_person("rosa", platform=queue.platform)
    queue.members.add(rosa)
    client = Client()
    client.force_login(rosa)
    url, desk = reverse("reviews:own-break"), reverse("reviews:review", args=[queue.slug])
    for wrong in ("", "0", "61", "soon"):
        assert client.post(url, {"minutes": wrong}).status_code == 422
    page = client.post(url, {"minutes": "5", "next": desk}, follow=True)
    assert "You are on a break" in page.content.decode()
    assert "You are on a break" in client.get(desk).content.decode()
    back = client.post(reverse("reviews:own-break-end"), {"next": desk})
    assert back["Location"] == desk
    evil = client.post(reverse("reviews:own-break-end"), {"next": "https://evil.example/"})
    assert evil["Location"] == "/"


def test_a_break_is_suggested_after_enough_severe_items(queue):
    rosa = make_person("rosa", platform=queue.platform)
    queue.members.add(rosa)
    Limits.objects.create(platform=queue.platform, break_severe=2)
    wellness.forget()
    for _ in range(2):
        make_job(queue=queue, item=make_item(platform=queue.platform, risks={"gore": 0.9}))
        job = claims.claim_next(queue, by=Person.objects.get(pk=rosa.pk))
        claims.skip(job.pk, job.claim_token, by=rosa)
    her = Person.objects.get(pk=rosa.pk)
    assert wellness.rest_of(her, queue).is_due
    comfort.start_break(her, by=her, minutes=5)
    assert not wellness.rest_of(Person.objects.get(pk=rosa.pk), queue).is_due


@pytest.mark.parametrize(("risk", "is_covered"), [(0.9, True), (0.05, False)])
def test_text_of_chosen_policies_arrives_behind_a_line(queue, risk, is_covered):
    queue.policies.update(covers_text=True)
    queue.policies.add(make_policy(platform=queue.platform, slug="spam"))
    rosa = make_person("rosa", platform=queue.platform)
    queue.members.add(rosa)
    wellness.forget()
    make_job(queue=queue, item=make_item(platform=queue.platform, risks={"gore": risk}))
    client = Client()
    client.force_login(rosa)
    text = client.get(reverse("reviews:review", args=[queue.slug])).content.decode()
    assert ('<details class="veil">' in text) is is_covered


def test_where_the_risk_is_not_told_neither_does_the_cover(queue):
    queue.policies.update(covers_text=True)
    queue.policies.add(make_policy(platform=queue.platform, slug="spam"))
    wellness.forget()
    for risks in ({"gore": 0.9}, {"gore": 0.01}, {}):
        assert wellness.covered_by(queue, risks, tells_risk=False) == ["Gore"]
