"""Questions about policies: who is asked, who reads the answer, and what becomes of it."""

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse

from reviews import questions
from reviews.errors import Conflict, Forbidden, Invalid, NotFound
from reviews.models import AuditEntry, Question
from tests.factories import make_item, make_platform, make_policy, make_queue
from tests.people import make_person

pytestmark = pytest.mark.django_db


class Desk:
    def __init__(self):
        self.platform = make_platform()
        for name in ("rosa", "remy", "lena", "paul", "ada", "abel"):
            setattr(self, name, make_person(name, platform=self.platform))
        self.policy = make_policy(platform=self.platform, slug="spam", name="Spam")
        make_queue(platform=self.platform, policies=[self.policy], members=[self.rosa])
        self.item = make_item(platform=self.platform, title="Win a boat", text="Today only")

    def ask(self, text="Does satire count?", **kw):
        return questions.ask_question(self.policy, by=self.rosa, text=text, **kw)

    def client(self, name):
        client = Client()
        client.force_login(getattr(self, name))
        return client

    def page(self, name):
        url = reverse("reviews:policy-detail", args=["spam"])
        return self.client(name).get(url).content.decode()


@pytest.fixture
def desk():
    return Desk()


def test_whoever_owns_policies_is_told_of_a_question_and_sees_how_many_wait(desk):
    desk.ask()
    assert desk.paul.notifications.get().sort == "question"
    assert not desk.ada.notifications.exists()  # there is somebody who owns policies
    assert (
        '>Questions <span class="tag accent">1</span>'
        in desk.client("paul").get("/").content.decode()
    )


def test_where_nobody_owns_policies_the_admins_are_asked(desk):
    desk.paul.groups.clear()
    desk.ask()
    assert desk.ada.notifications.get().sort == "question"


def test_the_answer_stands_beside_the_policy_under_its_version_and_the_asker_is_told(desk):
    question = desk.ask()
    questions.answer_question(question, by=desk.paul, text="Satire is fine.")
    assert (question.state, question.policy_version) == ("answered", desk.policy.version)
    assert desk.rosa.notifications.get().sort == "answered"
    assert "answered under version 1" in desk.page("rosa")
    verbs = AuditEntry.objects.filter(target_type="question").values_list("verb", flat=True)
    assert list(verbs.order_by("pk")) == ["question.ask", "question.answer"]


def test_others_read_it_only_when_it_is_published(desk):
    question = desk.ask()
    questions.answer_question(question, by=desk.paul, text="Satire is fine.")
    assert "Satire is fine." not in desk.page("remy")
    questions.publish_answer(question, by=desk.paul, is_published=True)
    assert "Satire is fine." in desk.page("remy")
    questions.publish_answer(question, by=desk.paul, is_published=False)
    with pytest.raises(NotFound):
        questions.get_question(desk.remy, question.pk)


def test_others_are_not_told_which_item_it_was_asked_about(desk):
    question = desk.ask(item=desk.item)
    questions.answer_question(question, by=desk.paul, text="Yes.", is_published=True)
    url = reverse("reviews:question", args=[question.pk])
    assert desk.item.external_id in desk.client("rosa").get(url).content.decode()
    assert desk.item.external_id not in desk.client("remy").get(url).content.decode()


def test_it_is_answered_once(desk):
    question = desk.ask()
    questions.answer_question(question, by=desk.paul, text="Yes.")
    with pytest.raises(Conflict):
        questions.answer_question(question, by=desk.ada, text="No.")


def test_sent_twice_it_is_asked_once(desk):
    assert desk.ask() == desk.ask()


@pytest.mark.parametrize("name", ["rosa", "lena", "abel"])
def test_who_owns_no_policies_does_not_answer(desk, name):
    question = desk.ask()
    with pytest.raises(Forbidden):
        questions.answer_question(question, by=getattr(desk, name), text="Yes.")


def test_only_who_asked_withdraws_and_only_what_is_open(desk):
    question = desk.ask()
    with pytest.raises(Forbidden):
        questions.withdraw_question(question, by=desk.lena)
    questions.withdraw_question(question, by=desk.rosa)
    with pytest.raises(Conflict):
        questions.answer_question(question, by=desk.paul, text="Too late.")


def test_an_item_of_another_platform_is_not_there(desk):
    with pytest.raises(NotFound):
        desk.ask(item=make_item())


def test_a_question_says_something(desk):
    with pytest.raises(Invalid):
        desk.ask(text="  ")


def test_the_form_keeps_what_was_typed_and_says_what_is_missing(desk):
    rosa, url = desk.client("rosa"), reverse("reviews:question-new")
    refused = rosa.post(url, {"text": "Does satire count?", "item": desk.item.pk})
    assert refused.status_code == 422
    assert "Say which policy" in refused.content.decode()
    assert "Does satire count?" in refused.content.decode()
    sent = {"text": "Does satire count?", "item": desk.item.pk, "policy": "spam"}
    done = rosa.post(url, sent, headers={"HX-Request": "true"})
    assert "You are told when it is answered" in done.content.decode()
    assert Question.objects.get().item == desk.item


@pytest.mark.parametrize("place", ["examples", "counter_examples"])
def test_an_answer_becomes_an_example_of_the_next_version(desk, place):
    question = desk.ask(item=desk.item)
    questions.answer_question(question, by=desk.paul, text="It does.")
    page = desk.client("paul").get(reverse("reviews:question", args=[question.pk]))
    url = reverse("reviews:setup-policy-version", args=["spam"])
    link = f"{url}?question={question.pk}&amp;as={place}"
    assert link in page.content.decode()
    editor = desk.client("paul").get(link.replace("&amp;", "&")).content.decode()
    assert "Win a boat" in editor
    assert "Win a boat" not in desk.client("paul").get(url).content.decode()


def test_the_database_knows_the_states(desk):
    question = desk.ask()
    for wrong in ({"state": "answered"}, {"is_published": True}, {"answered_by": desk.paul}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Question.objects.filter(pk=question.pk).update(**wrong)


def test_the_list_shows_what_waits_first(desk):
    answered = desk.ask()
    questions.answer_question(answered, by=desk.paul, text="Yes.")
    waiting = desk.ask(text="And irony?")
    paul, url = desk.client("paul"), reverse("reviews:question-list")
    assert paul.get(url).context["questions"] == [waiting]
    assert paul.get(url, {"state": "all"}).context["questions"] == [waiting, answered]
    assert desk.client("remy").get(url).context["questions"] == []
