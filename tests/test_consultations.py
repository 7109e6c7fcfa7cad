"""Asking a colleague: the item is set aside, she answers blind, and the one who asked decides."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from reviews import assignments, claims, comfort, consultations, decisions, tasks, wellness
from reviews.consultations import Ask
from reviews.errors import ClaimLost, Conflict, Forbidden, Invalid, NotFound
from reviews.models import (
    AuditEntry,
    Consultation,
    Decision,
    Exposure,
    Item,
    Job,
    Limits,
    Notification,
    Review,
)
from tests.factories import (
    make_item,
    make_job,
    make_kind,
    make_platform,
    make_policy,
    make_queue,
)
from tests.media import png, upload
from tests.people import make_person
from tests.test_known import PIN, submit

pytestmark = pytest.mark.django_db
State = Consultation.State


class Desk:
    """rosa holds the only job of a queue that she works with remy and lena; mila looks on."""

    def __init__(self):
        self.platform = make_platform()
        for name in ("rosa", "remy", "lena", "mila", "otto"):
            setattr(self, name, make_person(name, platform=self.platform))
        self.policy = make_policy(platform=self.platform, slug="spam", name="Spam")
        self.queue = make_queue(
            platform=self.platform,
            name="Mail",
            policies=[self.policy],
            members=[self.rosa, self.remy, self.lena],
        )
        self.item = make_item(platform=self.platform, text="Nur heute!", account=None)
        self.job = make_job(queue=self.queue, item=self.item)
        self.job = claims.claim_next(self.queue, by=self.rosa)

    def ask(self, of="remy", note="Is this idiom harmless?", **kw):
        ask = Ask(getattr(self, of) if of else None, note, **kw)
        return consultations.ask_colleague(self.job.pk, self.job.claim_token, ask, by=self.rosa)

    def answer(self, consultation, by="remy", opinion="violating", **kw):
        return consultations.give_opinion(consultation, by=getattr(self, by), opinion=opinion, **kw)

    def client(self, name):
        client = Client()
        client.force_login(getattr(self, name))
        return client

    def next_for(self, name):
        return claims.claim_next(self.queue, by=getattr(self, name))


@pytest.fixture
def desk():
    return Desk()


def test_an_item_she_asks_about_is_set_aside_and_served_to_nobody(desk):
    desk.ask()
    assert [desk.next_for(name) for name in ("rosa", "remy", "lena")] == [None, None, None]
    assert Job.objects.get().assigned_to == desk.rosa


def test_with_the_answer_it_comes_back_to_her_first_and_the_opinion_stands_beside_it(desk):
    consultation = desk.ask()
    better = make_item(platform=desk.platform)
    make_job(queue=desk.queue, item=better, rank=1_000)
    desk.answer(consultation, policy_slugs=["spam"], text="It is a sales slogan.")
    page = desk.client("rosa").get(reverse("reviews:review", args=[desk.queue.slug]))
    assert page.context["job"].pk == desk.job.pk
    text = page.content.decode()
    assert "It is a sales slogan." in text and "violating" in text and "remy" in text


@pytest.fixture
def hard(desk):
    """What the item is likely to carry does harm."""
    desk.policy.harm = "Violence"
    desk.policy.save()
    Item.objects.filter(pk=desk.item.pk).update(risks={"spam": 0.9})
    wellness.forget()
    return desk


def test_whoever_opted_out_of_what_it_carries_is_not_asked_and_nobody_learns_it(hard):
    comfort.save_opt_outs(hard.remy, by=hard.remy, harms=["violence"])
    assert hard.remy in consultations.colleagues(hard.job, by=hard.rosa)  # she can be named
    asked = hard.ask()
    told = Notification.objects.filter(sort="asked").values_list("person__username", flat=True)
    assert list(told) == ["lena"]
    assert consultations.waiting_for(hard.remy) == []
    assert consultations.waiting_for(hard.lena) == [asked]
    page = hard.client("remy").get(reverse("reviews:consultation", args=[asked.pk]))
    assert "Nur heute!" not in page.content.decode()
    with pytest.raises(Forbidden):
        hard.answer(asked)
    assert (
        "lena"
        not in hard.client("rosa")
        .get(reverse("reviews:consultation", args=[asked.pk]))
        .content.decode()
        .split("<main")[1]
    )
    assert "of" in AuditEntry.objects.get(verb="consultation.ask").data
    hard.answer(asked, by="lena")
    assert hard.next_for("rosa").pk == hard.job.pk


def test_looking_at_what_a_colleague_asks_counts_and_a_spent_budget_ends_it(hard):
    Limits.objects.create(platform=hard.platform, budgets={"violence": 1})
    wellness.forget()
    asked = hard.ask(of=None)
    Consultation.objects.filter(pk=asked.pk).update(asked_at=timezone.now() - timedelta(hours=1))
    client, address = hard.client("remy"), reverse("reviews:consultation-looked", args=[asked.pk])
    for seconds in ("20", "50", "nonsense"):
        assert client.post(address, {"revealed_seconds": seconds}).status_code == 204
    assert list(Exposure.objects.values_list("person__username", "harm", "seconds")) == [
        ("remy", "violence", 50)
    ]
    client.post(
        reverse("reviews:consultation-answer", args=[asked.pk]),
        {"opinion": "clean", "revealed_seconds": "130"},
    )
    assert Exposure.objects.get().seconds == 130
    asked.refresh_from_db()
    assert asked.state == State.ANSWERED
    job = claims.claim_next(hard.queue, by=hard.rosa)
    again = consultations.ask_colleague(
        job.pk, job.claim_token, Ask(None, "And now?"), by=hard.rosa
    )
    assert consultations.waiting_for(hard.remy) == []
    assert consultations.waiting_for(hard.lena) == [again]


def test_an_opinion_settles_nothing_and_she_decides(desk):
    desk.answer(desk.ask(), opinion="clean")
    assert not Review.objects.exists() and not Decision.objects.exists()
    job = desk.next_for("rosa")
    decision = decisions.record_review(
        job.pk, job.claim_token, by=desk.rosa, verdict="violating", policy_slugs=["spam"]
    )
    assert (decision.decided_by, decision.verdict) == (desk.rosa, "violating")


def test_each_step_is_on_record_and_told_to_the_other(desk):
    consultation = desk.ask()
    desk.answer(consultation)
    verbs = AuditEntry.objects.filter(target_type="consultation").values_list("verb", flat=True)
    assert list(verbs.order_by("pk")) == ["consultation.ask", "consultation.answer"]
    assert desk.remy.notifications.get().sort == "asked"
    assert desk.rosa.notifications.get().sort == "opinion"


def test_anybody_who_works_there_may_be_asked_and_the_first_answer_counts(desk):
    consultation = desk.ask(of=None)
    assert desk.lena.notifications.get().sort == desk.remy.notifications.get().sort == "asked"
    desk.answer(consultation, by="lena")
    with pytest.raises(Conflict):
        desk.answer(consultation, by="remy")
    consultation.refresh_from_db()
    assert (consultation.state, consultation.answered_by) == (State.ANSWERED, desk.lena)


@pytest.mark.parametrize("name", ["rosa", "otto", "mila"])
def test_herself_an_outsider_or_who_does_not_work_there_cannot_be_asked(desk, name):
    with pytest.raises(Invalid) as refusal:
        desk.ask(of=name)
    assert "of" in refusal.value.details
    assert Job.objects.get(pk=desk.job.pk).claimed_by == desk.rosa  # nothing half done


def test_who_has_answered_the_item_cannot_be_asked(desk):
    claims.release(desk.job.pk, desk.job.claim_token, by=desk.rosa)
    job = desk.next_for("remy")
    decisions.record_review(job.pk, job.claim_token, by=desk.remy, verdict="unsure")
    desk.job = desk.next_for("rosa")
    with pytest.raises(Invalid):
        desk.ask(of="remy")
    assert list(consultations.colleagues(desk.job, by=desk.rosa)) == [desk.lena]


def test_where_everybody_has_answered_there_is_nobody_to_ask(desk):
    desk.queue.members.set([desk.rosa])
    with pytest.raises(Conflict):
        desk.ask(of=None)


def test_a_claim_that_ran_out_asks_nobody(desk):
    Job.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(ClaimLost):
        desk.ask()
    assert not Consultation.objects.exists()


def test_who_was_not_asked_gives_no_opinion_and_finds_no_page(desk):
    consultation = desk.ask(of="lena")
    with pytest.raises(Forbidden):
        desk.answer(consultation, by="remy")
    with pytest.raises(NotFound):
        consultations.get_consultation(desk.remy, consultation.pk)
    assert consultations.get_consultation(desk.mila, consultation.pk)  # she looks on


def test_an_opinion_is_given_once(desk):
    consultation = desk.ask()
    desk.answer(consultation)
    with pytest.raises(Conflict):
        desk.answer(consultation, opinion="clean")


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"opinion": "escalate"}, "opinion"),
        ({"opinion": "unsure"}, "text"),
        ({"opinion": "violating", "policy": "nudity"}, "policy"),
    ],
)
def test_what_is_missing_in_an_opinion_is_said_beside_it(desk, sent, field):
    consultation = desk.ask()
    url = reverse("reviews:consultation-answer", args=[consultation.pk])
    answer = desk.client("remy").post(url, sent)
    assert answer.status_code == 422 and field in answer.context["errors"]
    consultation.refresh_from_db()
    assert consultation.state == State.ASKED


def test_she_withdraws_and_has_the_item_at_once(desk):
    consultation = desk.ask()
    consultations.withdraw_consultation(consultation, by=desk.rosa)
    assert desk.next_for("rosa").pk == desk.job.pk
    with pytest.raises(Conflict):
        consultations.withdraw_consultation(consultation, by=desk.rosa)


def test_nobody_else_withdraws_it(desk):
    with pytest.raises(Forbidden):
        consultations.withdraw_consultation(desk.ask(), by=desk.lena)


def _time_is_over():
    past = timezone.now() - timedelta(seconds=1)
    Consultation.objects.update(due_at=past)
    Job.objects.filter(run_after__isnull=False).update(run_after=past)


def test_what_nobody_answers_in_time_goes_back_to_everybody_once(desk):
    consultation = desk.ask()
    assert tasks.let_consultations_go() == 0
    _time_is_over()
    assert (tasks.let_consultations_go(), tasks.let_consultations_go()) == (1, 0)
    consultation.refresh_from_db()
    assert consultation.state == State.LAPSED
    assert desk.rosa.notifications.get().data["is_lapsed"]
    assert desk.next_for("lena").pk == desk.job.pk


def test_an_answer_she_does_not_fetch_in_time_leaves_the_item_to_everybody(desk):
    desk.answer(desk.ask())
    _time_is_over()
    tasks.let_consultations_go()
    assert Consultation.objects.get().state == State.ANSWERED
    assert desk.next_for("remy").pk == desk.job.pk


def test_what_she_holds_at_that_moment_stays_with_her(desk):
    desk.answer(desk.ask())
    desk.next_for("rosa")
    _time_is_over()
    assert tasks.let_consultations_go() == 0
    assert Job.objects.get().claimed_by == desk.rosa


def test_a_lead_who_gives_the_job_to_somebody_else_ends_the_asking(desk):
    consultation = desk.ask()
    assignments.assign([desk.job.pk], to=desk.lena, by=desk.lena)
    with pytest.raises(Conflict):
        desk.answer(consultation)
    tasks.let_consultations_go()
    assert Consultation.objects.get().state == State.LAPSED
    assert desk.next_for("lena").pk == desk.job.pk


def test_the_database_knows_the_states(desk):
    consultation = desk.ask()
    for wrong in (
        {"state": "answered"},
        {"answered_by": desk.remy},
        {"asked_of": desk.rosa},
        {"due_at": None},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            Consultation.objects.filter(pk=consultation.pk).update(**wrong)


def test_the_colleague_is_not_led(desk, settings):
    """Neither by earlier answers and notes, nor by what the one who asks leans towards."""
    from reviews import notes

    notes.leave_note(desk.item, by=desk.lena, text="Surely a scam.")
    desk.queue.blind = ["author"]
    desk.queue.save()
    consultation = desk.ask(leaning="violating")
    url = reverse("reviews:consultation", args=[consultation.pk])
    page = desk.client("remy").get(url).content.decode()
    assert "Nur heute!" in page and "Is this idiom harmless?" in page
    assert "leans towards" not in page and "Surely a scam." not in page
    settings.CONSULTATION_SHOWS_LEANING = True
    assert "leans towards violating" in desk.client("remy").get(url).content.decode()


@pytest.fixture
def picture(desk):
    """A picture in a queue that blurs; rosa holds its job."""
    make_kind(platform=desk.platform, slug="pin", fields=PIN)
    people = [desk.rosa, desk.remy, desk.lena]
    pins = make_queue(
        platform=desk.platform,
        slug="pins",
        policies=[desk.policy],
        members=people,
        filters=["blur"],
        is_default=True,
    )
    medium = upload(desk.platform, png(), prepared=True)
    submit(desk.platform, medium)
    return medium, claims.claim_next(pins, by=desk.rosa)


def test_the_colleague_sees_its_pictures_covered_as_they_arrive(desk, picture):
    medium, job = picture
    asked = consultations.ask_colleague(job.pk, job.claim_token, Ask(None, "Hm?"), by=desk.rosa)
    page = desk.client("remy").get(reverse("reviews:consultation", args=[asked.pk]))
    assert f"/media/{medium.pk}/" in page.content.decode()
    assert 'data-filters="blur"' in page.content.decode()


def test_who_overrides_sees_its_pictures_covered_as_they_arrive(desk, picture):
    medium, job = picture
    decision = decisions.record_review(
        job.pk, job.claim_token, by=desk.rosa, verdict="violating", policy_slugs=["spam"]
    )
    page = desk.client("lena").get(reverse("reviews:decision-override", args=[decision.pk]))
    assert f"/media/{medium.pk}/" in page.content.decode()
    assert 'data-filters="blur"' in page.content.decode()


def test_from_the_desk_she_asks_beside_the_item_and_goes_on(desk):
    make_job(queue=desk.queue, item=make_item(platform=desk.platform, text="The next one."))
    rosa, htmx = desk.client("rosa"), {"HX-Request": "true"}
    url = reverse("reviews:job-ask", args=[desk.job.pk])
    token = str(desk.job.claim_token)
    form = rosa.get(url, {"token": token}, headers=htmx).content.decode()
    assert token in form and "<option>remy</option>" in form and "<html" not in form
    refused = rosa.post(url, {"token": token, "text": " "}, headers=htmx)
    assert (refused.status_code, refused["HX-Retarget"]) == (422, "#_aside")
    refused = rosa.post(url, {"token": token, "text": "Hm?", "of": "mila"}, headers=htmx)
    assert "of" in refused.context["errors"] and "Hm?" in refused.content.decode()
    done = rosa.post(url, {"token": token, "text": "Hm?", "of": "remy"}, headers=htmx)
    assert "The next one." in done.content.decode()
    assert Consultation.objects.get().asked_of == desk.remy


def test_an_erased_item_takes_what_was_written_about_it_along(desk):
    from reviews import erasure

    desk.answer(desk.ask(), text="It says buy now.")
    erasure.erase_item(desk.item, by=None, reason="Asked for")
    consultation = Consultation.objects.get()
    assert (consultation.note, consultation.text) == ("", "")
