"""Questions about policies, to those who own them; answered beside the policy."""

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from . import access, audit, notes, notifications
from .errors import Conflict, Forbidden, NotFound
from .models import Item, Notification, Person, Policy, PolicyVersion, Question, Role

State, Sort = Question.State, Notification.Sort
_EXAMPLE_LENGTH = 300


def ask_question(policy: Policy, *, by: Person, text: str, item: Item | None = None) -> Question:
    """Of whoever owns the platform's policies. Sent twice in a row, it is asked once."""
    access.check(by, "question.ask", policy.platform_id)
    if item is not None and item.platform_id != policy.platform_id:
        raise NotFound(_("There is no such item here."))
    text = notes.clean(text)
    with transaction.atomic():
        # Of two clicks at once the second sees the first.
        Person.objects.select_for_update(no_key=True).get(pk=by.pk)
        item_id = item.pk if item else None
        last = policy.questions.filter(asked_by=by).order_by("-pk").first()
        if last and (last.state, last.text, last.item_id) == (State.OPEN, text, item_id):
            return last
        question = Question.objects.create(policy=policy, item=item, asked_by=by, text=text)
        _record("question.ask", question, by=by)
        _tell(_owners(policy), Sort.QUESTION, question, by=by)
    return question


def answer_question(
    question: Question, *, by: Person, text: str, is_published: bool = False
) -> Question:
    """Under the version in force; to the asker, and to all reviewers if it is published."""
    access.check(by, "question.answer", question.policy.platform_id)
    text = notes.clean(text)
    version = PolicyVersion.objects.in_force().filter(policy=question.policy_id).first()
    with transaction.atomic():
        rows = Question.objects.filter(pk=question.pk, state=State.OPEN)
        if not rows.update(
            state=State.ANSWERED,
            answered_by=by,
            answered_at=Now(),
            answer=text,
            policy_version=version,
            is_published=is_published,
        ):
            raise Conflict(_("This question was answered or withdrawn meanwhile."))
        question.refresh_from_db()
        _record("question.answer", question, by=by, is_published=is_published)
        notifications.tell_mentioned(
            text, by=by, platform=question.policy.platform_id, question=question.pk
        )
        _tell([question.asked_by_id], Sort.ANSWERED, question, by=by)
    return question


def publish_answer(question: Question, *, by: Person, is_published: bool) -> Question:
    """Show an answer to all reviewers, or to its asker only."""
    access.check(by, "question.answer", question.policy.platform_id)
    with transaction.atomic():
        rows = Question.objects.filter(pk=question.pk, state=State.ANSWERED)
        if not rows.update(is_published=is_published):
            raise Conflict(_("There is no answer to show yet."))
        question.refresh_from_db()
        _record("question.publish", question, by=by, is_published=is_published)
    return question


def withdraw_question(question: Question, *, by: Person) -> Question:
    access.check(by, "question.ask", question.policy.platform_id)
    if question.asked_by_id != by.pk:
        raise Forbidden(_("Only who asked can withdraw a question."))
    with transaction.atomic():
        rows = Question.objects.filter(pk=question.pk, state=State.OPEN)
        if not rows.update(state=State.WITHDRAWN):
            raise Conflict(_("This question was answered or withdrawn meanwhile."))
        question.refresh_from_db()
        _record("question.withdraw", question, by=by)
    return question


def erase_questions(item: Item) -> None:
    """With its item, in the caller's transaction: what was written may quote what it said."""
    item.questions.update(text="", answer="")


def visible(person: Person) -> QuerySet[Question]:
    """All of them for who owns policies; for others their own and what is published."""
    rows = Question.objects.select_related(
        "policy", "item__kind", "asked_by", "answered_by", "policy_version"
    ).order_by("-pk")
    rows = access.visible(person, "policy.view", rows, "policy__platform")
    if access.may(person, "question.answer"):
        return rows
    return rows.filter(Q(asked_by=person) | Q(is_published=True))


def get_question(person: Person, pk: int) -> Question:
    found = visible(person).filter(pk=pk).first()
    if found is None:
        raise NotFound(_("There is no such question here."))
    return found


def open_for(person: Person) -> QuerySet[Question]:
    """What waits for an answer of hers, oldest first."""
    if not access.may(person, "question.answer"):
        return Question.objects.none()
    return visible(person).filter(state=State.OPEN).order_by("pk")


def as_example(question: Question) -> str:
    """What the question was about, as one line of a policy's examples."""
    text = question.text
    if question.item is not None and question.item.erased_at is None:
        version = question.item.current_version
        text = version.title() or version.body()[:_EXAMPLE_LENGTH]
    return " ".join(text.split())[:_EXAMPLE_LENGTH]


def _owners(policy: Policy) -> list[int]:
    """Where nobody owns the platform's policies, its admins are asked."""
    people = Person.objects.filter(platforms=policy.platform_id, is_active=True)
    for role in (Role.POLICY_OWNER, Role.ADMIN):
        found = list(people.filter(groups__name=role).values_list("pk", flat=True))
        if found:
            return found
    return []


def _record(verb: str, question: Question, *, by: Person, **data: object) -> None:
    policy = question.policy
    data = {"policy": policy.slug, **data}
    if question.item_id is not None:
        data["item"] = question.item_id
    audit.record(verb, question, by=by, platform=policy.platform_id, **data)


def _tell(people: list[int], sort: str, question: Question, *, by: Person) -> None:
    policy = question.policy
    notifications.tell(
        people, sort, by=by, platform=policy.platform_id, policy=policy, question=question.pk
    )
