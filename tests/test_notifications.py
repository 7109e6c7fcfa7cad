"""What people are told of: written with the deed, read in the list, and where each leads."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from reviews import (
    assignments,
    claims,
    decisions,
    enforcement,
    erasure,
    notes,
    notifications,
    tasks,
)
from reviews.errors import Invalid, NotFound
from reviews.models import Enforcement, Notification
from tests.factories import make_action, make_item, make_job, make_platform, make_queue
from tests.people import make_person

pytestmark = pytest.mark.django_db
Sort = Notification.Sort


class Desk:
    def __init__(self):
        self.platform = make_platform()
        for name in ("rosa", "remy", "lena", "otto"):
            setattr(self, name, make_person(name, platform=self.platform))
        suspend = make_action(platform=self.platform, name="Suspend", needs_approval=True)
        self.queue = make_queue(
            platform=self.platform,
            name="Mail",
            actions=[suspend],
            members=[self.rosa, self.remy, self.lena],
        )
        self.item = make_item(platform=self.platform)

    def decide(self, person, verdict="violating"):
        job = claims.claim_next(self.queue, by=person)
        slugs = [self.queue.policies.get().slug] if verdict == "violating" else []
        return decisions.record_review(
            job.pk, job.claim_token, by=person, verdict=verdict, policy_slugs=slugs, note="Hm."
        )

    def client(self, person):
        client = Client()
        client.force_login(person)
        return client

    def told(self, person):
        return [(one.sort, one.actor) for one in person.notifications.order_by("pk")]


@pytest.fixture
def desk():
    return Desk()


def tell(desk, n=1, person=None):
    for _ in range(n):
        notifications.tell(
            [person or desk.rosa],
            Sort.MENTION,
            by=desk.lena,
            platform=desk.platform,
            item=desk.item,
        )
    return desk.rosa.notifications.order_by("-pk").first()


def test_a_first_decision_tells_nobody_and_asks_the_database_nothing(
    desk, django_assert_num_queries
):
    make_job(queue=desk.queue, item=desk.item)
    decision = desk.decide(desk.rosa)
    with django_assert_num_queries(0):
        notifications.tell_of_decision(decision, lane="risk", platform=desk.platform.pk)
    assert Notification.objects.count() == 0


def test_whose_decision_is_overridden_is_told(desk):
    make_job(queue=desk.queue, item=desk.item)
    decision = desk.decide(desk.rosa)
    decisions.override(decision, by=desk.lena, verdict="clean", note="A parody.")
    assert desk.told(desk.rosa) == [("overturned", desk.lena)]


def test_whoever_takes_back_her_own_is_not_told_of_it(desk):
    make_job(queue=desk.queue, item=desk.item)
    decisions.undo(desk.decide(desk.rosa), by=desk.rosa)
    desk.decide(desk.rosa, verdict="clean")
    assert desk.told(desk.rosa) == []


def test_who_escalated_is_told_what_came_of_it(desk):
    make_job(queue=desk.queue, item=desk.item)
    desk.decide(desk.rosa, verdict="escalate")
    desk.decide(desk.lena, verdict="clean")
    assert desk.told(desk.rosa) == [("escalation", desk.lena)]


@pytest.mark.parametrize("deed", [enforcement.approve, enforcement.refuse])
def test_whoever_asked_for_a_held_action_is_told_of_the_answer(desk, deed):
    make_job(queue=desk.queue, item=desk.item)
    desk.decide(desk.rosa)
    Enforcement.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    enforcement.release_planned()
    deed(Enforcement.objects.held().get(), by=desk.lena)
    told = desk.rosa.notifications.get()
    assert (told.sort, told.data["is_approved"]) == ("hold", deed is enforcement.approve)


def test_whom_jobs_are_assigned_to_is_told_once(desk):
    jobs = [make_job(queue=desk.queue, item=make_item(platform=desk.platform)) for _ in range(3)]
    assignments.assign([job.pk for job in jobs], to=desk.rosa, by=desk.lena)
    told = desk.rosa.notifications.get()
    assert (told.sort, told.queue, told.data) == ("assigned", desk.queue, {"count": 3})
    page = desk.client(desk.rosa).get(reverse("reviews:notification-list")).content.decode()
    assert "assigned 3 jobs in Mail to you" in page


def test_who_held_an_erased_item_is_told(desk):
    make_job(queue=desk.queue, item=desk.item)
    claims.claim_next(desk.queue, by=desk.rosa)
    erasure.erase_item(desk.item, by=None, reason="Asked for")
    assert desk.told(desk.rosa) == [("taken", None)]


def test_a_name_with_an_at_tells_its_bearer_and_an_address_does_not(desk):
    make_person("paul")  # of no platform here
    text = "Ask @rosa, not @remy.example or post@lena; @rosa. knows, and @paul."
    notes.leave_note(desk.item, by=desk.remy, text=text)
    assert desk.told(desk.rosa) == [("mention", desk.remy)]
    assert Notification.objects.count() == 1


def test_what_is_undone_with_its_deed_was_never_told(desk):
    with pytest.raises(RuntimeError), transaction.atomic():
        tell(desk)
        raise RuntimeError
    assert Notification.objects.count() == 0


def test_who_did_it_who_left_and_who_is_elsewhere_are_passed_over(desk):
    desk.remy.is_active = False
    desk.remy.save()
    stranger = make_person("mila")
    people = [desk.lena, desk.remy, stranger, desk.rosa]
    told = notifications.tell(people, Sort.MENTION, by=desk.lena, platform=desk.platform)
    assert told == 1 and desk.told(desk.rosa) == [("mention", desk.lena)]


def test_a_sort_she_switched_off_is_not_told_to_her(desk):
    rosa = desk.client(desk.rosa)
    url = reverse("reviews:notification-choices")
    rosa.post(url, {"sort": [sort for sort in Sort.values if sort != "mention"]})
    tell(desk)
    assert desk.told(desk.rosa) == []
    page = rosa.get(url).content.decode()
    assert 'value="mention">' in page and 'value="hold" checked>' in page


def test_a_sort_that_there_is_not_is_refused(desk):
    with pytest.raises(Invalid):
        notifications.choose_sorts(desk.rosa, ["applause"])


def test_the_bell_says_how_many_she_has_not_read(desk):
    tell(desk, 2)
    tell(desk, person=desk.remy)
    rosa = desk.client(desk.rosa)
    assert rosa.get(reverse("reviews:notification-count")).json() == {"unread": 2}
    assert "Notifications, unread: 2" in rosa.get("/").content.decode()


def test_beyond_a_hundred_nobody_counts(desk):
    tell(desk, 101)
    assert notifications.unread(desk.rosa) == 100
    assert ">99+<" in desk.client(desk.rosa).get("/").content.decode()


def test_the_next_job_counts_no_notifications(desk):
    make_job(queue=desk.queue, item=desk.item)
    url = reverse("reviews:review", args=[desk.queue.slug])
    tell(desk)
    page = desk.client(desk.rosa).get(url, headers={"HX-Request": "true"}).content.decode()
    assert 'data-bell="' in page and "unread: 1" not in page


def test_followed_it_is_read_and_leads_to_the_item(desk):
    told = tell(desk)
    answer = desk.client(desk.rosa).get(reverse("reviews:notification", args=[told.pk]))
    assert answer["Location"] == reverse("reviews:item-detail", args=[desk.item.pk])
    told.refresh_from_db()
    assert told.read_at is not None


def test_an_assigned_job_leads_to_the_desk_while_it_waits_and_to_its_queue_afterwards(desk):
    job = make_job(queue=desk.queue, item=desk.item)
    assignments.assign([job.pk], to=desk.rosa, by=desk.lena)
    rosa, told = desk.client(desk.rosa), desk.rosa.notifications.get()
    url = reverse("reviews:notification", args=[told.pk])
    assert rosa.get(url)["Location"] == reverse("reviews:review", args=[desk.queue.slug])
    assignments.assign([job.pk], to=None, by=desk.lena)
    assert rosa.get(url)["Location"] == reverse("reviews:queue-detail", args=[desk.queue.slug])


def test_what_is_no_longer_hers_to_see_leads_back_to_the_list_with_a_word(desk):
    told = tell(desk)
    desk.rosa.groups.clear()
    answer = desk.client(desk.rosa).get(
        reverse("reviews:notification", args=[told.pk]), follow=True
    )
    assert "is gone, or no longer yours" in answer.content.decode()


def test_nobody_reads_what_was_told_to_another(desk):
    told = tell(desk)
    with pytest.raises(NotFound):
        notifications.get_own(desk.remy, told.pk)


def test_all_are_read_up_to_what_she_was_shown(desk):
    seen = tell(desk, 3)
    new = tell(desk)
    desk.client(desk.rosa).post(reverse("reviews:notification-read"), {"upto": seen.pk})
    assert list(desk.rosa.notifications.filter(read_at=None)) == [new]


def test_the_list_goes_on_by_key(desk):
    tell(desk, 51)
    rosa, url = desk.client(desk.rosa), reverse("reviews:notification-list")
    first = rosa.get(url)
    assert len(first.context["notifications"]) == 50
    rest = rosa.get(url, {"before": first.context["next"]})
    assert len(rest.context["notifications"]) == 1
    assert rosa.get(url, {"before": "-1", "unread": "1"}).status_code == 200


def test_the_list_costs_as_many_queries_with_25_as_with_5(desk, django_assert_num_queries):
    rosa, url = desk.client(desk.rosa), reverse("reviews:notification-list")
    tell(desk, 5)
    rosa.get(url)
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as few:
        rosa.get(url)
    tell(desk, 20)
    with django_assert_num_queries(len(few)):
        rosa.get(url)


def test_of_a_platform_she_left_nothing_is_listed(desk):
    tell(desk)
    desk.rosa.platforms.clear()
    page = desk.client(desk.rosa).get(reverse("reviews:notification-list"))
    assert page.context["notifications"] == []


def test_what_is_old_goes_and_what_is_new_stays(desk, settings):
    old, new = tell(desk), tell(desk)
    past = timezone.now() - timedelta(days=settings.NOTIFICATION_DAYS + 1)
    Notification.objects.filter(pk=old.pk).update(created_at=past)
    assert (tasks.prune_notifications(), tasks.prune_notifications()) == (1, 0)
    assert desk.rosa.notifications.get() == new


def test_a_notification_quotes_nothing_that_could_arrive_covered(desk):
    """Covered or not: kind and id say which item it is."""
    desk.item.current_version.content["title"] = "Bare facts"
    desk.item.current_version.save()
    notes.leave_note(desk.item, by=desk.rosa, text="@lena Look at the bare facts.")
    page = desk.client(desk.lena).get(reverse("reviews:notification-list")).content.decode()
    assert desk.item.external_id in page and "mentions you" in page
    assert "facts" not in page.lower()
