"""Clusters on their pages: the odd ones out, what may be chosen, what an answer reaches."""

import re
import uuid
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from reviews import claims, cluster_work, decisions, policies, policy_texts
from reviews.models import (
    Account,
    ClusterMember,
    ClusterOperation,
    Decision,
    Item,
    Job,
    Policy,
    Queue,
)
from reviews.views import items

from .factories import make_queue
from .people import make_person
from .test_cluster_work import Wave, edit
from .test_shingles import OFFER

pytestmark = pytest.mark.django_db


@pytest.fixture
def wave():
    return Wave()


def client_of(person):
    client = Client()
    client.force_login(person)
    return client


@pytest.fixture
def lena(wave):
    return client_of(wave.lena)


def detail_url(wave):
    return reverse("reviews:cluster-detail", args=[wave.cluster.pk])


def answer(page, *items, **kw):
    """The form of a page that was shown, with these members chosen."""
    form = {"seen": [page.context["seen_token"]], "item": [item.pk for item in items]}
    form["seen"] += page.context["seen_tokens"]
    return {**form, "verdict": "violating", "policy": "spam", "action": "remove", **kw}


def preview(lena, wave, form):
    return lena.post(reverse("reviews:cluster-preview", args=[wave.cluster.pk]), form)


def decide(lena, wave, form, **kw):
    form = {"token": str(uuid.uuid4()), **form}
    return lena.post(reverse("reviews:cluster-decide", args=[wave.cluster.pk]), form, **kw)


def test_the_list_shows_where_most_waits_first_and_what_was_decided(wave, lena):
    other = Wave(count=2)
    other.lena.platforms.add(wave.platform)
    page = lena.get(reverse("reviews:cluster-list"))
    sizes = [(row.size, row.waiting, row.accounts) for row, _ in page.context["rows"]]
    assert sizes == [(5, 5, 2), (2, 2, 2)]
    wave.decide()
    page = lena.get(reverse("reviews:cluster-list"))
    assert [row.pk for row, _ in page.context["rows"]] == [other.cluster.pk]
    page = lena.get(reverse("reviews:cluster-list"), {"state": "all", "order": "newest"})
    row = next(row for row, _ in page.context["rows"] if row.pk == wave.cluster.pk)
    assert (row.waiting, row.violating, row.clean) == (0, 5, 0)
    csv = lena.get(reverse("reviews:cluster-list"), {"format": "csv", "page": "x"})
    assert csv.content.decode().startswith("cluster,says")


def test_the_odd_ones_out_stand_first_and_say_why(wave, lena):
    odd = wave.items[2]
    other = OFFER.format(n=2).replace("our page", "https://evil.example/x")
    Item.objects.filter(pk=odd.pk).update(language="de")
    account = Account.objects.create(
        platform=wave.platform,
        external_id="old",
        split_group="g",
        joined_at=timezone.now() - timedelta(days=3000),
    )
    Account.objects.exclude(pk=account.pk).update(joined_at=timezone.now() - timedelta(days=3))
    Item.objects.filter(pk=odd.pk).update(account=account)
    send(wave, odd, other)
    ClusterMember.objects.filter(item=odd).update(similarity=0.81)
    members = lena.get(detail_url(wave)).context["members"]
    assert members[0].item == odd
    assert members[0].odd == ["in German", "a much older account", "other links"]
    assert ("ins", "https://evil.example/x") in [
        (tag, text.strip()) for tag, text in members[0].runs
    ]
    assert all(one.odd == [] for one in members[1:])


def send(wave, item, text):
    from reviews import clusters, intake

    row = {"kind": item.kind.slug, "external_id": item.external_id, "content": {"body": text}}
    intake.submit_items(wave.platform, [row], by=None)
    clusters.hash_due()


def test_one_that_was_decided_otherwise_is_marked(wave, lena):
    Queue.objects.update(undo_seconds=0)
    operation = wave.decide(0, 1, 2)
    decision = operation.answers.first().decision
    decisions.override(decision, by=wave.lena, verdict="clean", note="A parody.")
    odd = {one.item: one.odd for one in lena.get(detail_url(wave)).context["members"] if one.odd}
    assert odd == {decision.item: ["decided clean, unlike the others"]}


def test_what_an_answer_reaches_is_shown_and_nothing_is_decided_yet(wave, lena):
    page = lena.get(detail_url(wave))
    shown = preview(lena, wave, answer(page, *wave.items[:4], action="strike"))
    radius = shown.context["radius"]
    assert (len(radius.decided), radius.accounts, radius.strikes) == (4, 2, 4)
    assert "Decide 4 messages" in shown.content.decode()
    assert not Decision.objects.exists() and not ClusterOperation.objects.exists()


def test_the_chosen_are_decided_and_one_is_reversed_alone(wave, lena):
    page = lena.get(detail_url(wave))
    done = decide(lena, wave, answer(page, *wave.items[:4]), follow=True)
    assert done.context["decided"] == 4
    assert Decision.objects.settled().count() == 4
    decision = Decision.objects.get(item=wave.items[1])
    lena.post(reverse("reviews:decision-undo", args=[decision.pk]))
    operation = ClusterOperation.objects.get()
    page = lena.get(reverse("reviews:cluster-operation", args=[operation.pk]))
    assert "Superseded" in page.content.decode()
    back = lena.post(reverse("reviews:cluster-undo", args=[operation.pk]), follow=True)
    assert "3 taken back" in back.content.decode() and "1 could not be" in back.content.decode()
    assert not Decision.objects.settled().exists()


def test_a_member_that_was_not_shown_cannot_be_chosen(wave, lena, monkeypatch):
    monkeypatch.setattr("reviews.views.clusters.PAGE", 2)
    page = lena.get(detail_url(wave))
    shown = {one.item.pk for one in page.context["members"]}
    hidden = next(item for item in wave.items if item.pk not in shown)
    refused = decide(lena, wave, answer(page, hidden))
    assert refused.status_code == 422 and "not shown to you" in refused.content.decode()
    assert not Decision.objects.exists()


def test_what_was_chosen_is_kept_from_page_to_page(wave, lena, monkeypatch):
    monkeypatch.setattr("reviews.views.clusters.PAGE", 2)
    page, chosen = lena.get(detail_url(wave)), []
    while True:
        chosen += [one.item for one in page.context["members"]]
        if not page.context["next"]:
            break
        form = answer(page, *chosen, after=page.context["next"])
        page = lena.post(detail_url(wave), form)
        assert set(page.context["kept"]) == {item.pk for item in chosen}
    assert len(chosen) == 5
    decide(lena, wave, answer(page, *chosen))
    assert Decision.objects.settled().count() == 5


def test_a_page_of_another_person_or_cluster_or_made_up_is_refused(wave, lena):
    other = Wave(count=2)
    mine = lena.get(detail_url(wave))
    theirs = lena.get(detail_url(other))
    for token in (theirs.context["seen_token"], "made:up:token", ""):
        form = {**answer(mine, wave.items[0]), "seen": [token]}
        assert decide(lena, wave, form).status_code == 422
    remy = make_person("remy", platform=wave.platform)
    remy.groups.set(wave.lena.groups.all())
    assert decide(client_of(remy), wave, answer(mine, wave.items[0])).status_code == 422
    assert not Decision.objects.exists()


def test_an_edit_between_look_and_answer_leaves_the_member_undecided(wave, lena):
    page = lena.get(detail_url(wave))
    edit(wave.items[0])
    shown = preview(lena, wave, answer(page, *wave.items[:2]))
    assert [reason for _, reason in shown.context["radius"].skipped] == ["changed since you saw it"]
    done = decide(lena, wave, answer(page, *wave.items[:2]), follow=True)
    assert (done.context["decided"], done.context["skipped"]) == (1, 1)


def test_a_job_taken_between_look_and_answer_is_left_to_its_holder(wave, lena):
    page = lena.get(detail_url(wave))
    held = claims.claim_next(wave.queue, by=wave.rosa)
    done = decide(lena, wave, answer(page, *wave.items), follow=True)
    assert (done.context["decided"], done.context["skipped"]) == (4, 1)
    assert "rosa is working on it" in done.content.decode()
    assert Job.objects.get(pk=held.pk).claimed_by == wave.rosa


def test_what_is_missing_is_told_beside_its_field_and_the_choice_is_kept(wave, lena):
    page = lena.get(detail_url(wave))
    for form, field in (
        (answer(page, wave.items[0], policy=""), "policies"),
        (answer(page, wave.items[0], verdict=""), "verdict"),
        (answer(page), "members"),
    ):
        if not form["policy"]:
            del form["policy"]
        refused = preview(lena, wave, form)
        assert refused.status_code == 422 and field in refused.context["errors"]
        assert refused.context["chosen"] == set(form["item"])
    for token in ("", "not a token"):
        assert decide(lena, wave, answer(page, wave.items[0], token=token)).status_code == 422


def test_a_policy_of_two_versions_and_two_queues_is_asked_for_once(wave, lena):
    policy = wave.platform.policies.get(slug="spam")
    text = policy_texts.text_of(policy.versions.in_force().get())._replace(severity=4)
    policies.add_version(policy, by=None, text=text._asdict())
    make_queue(platform=wave.platform, slug="also", policies=[policy], members=[wave.lena])
    asked = [version.policy.slug for version in lena.get(detail_url(wave)).context["policies"]]
    assert asked.count("spam") == 1


def test_who_may_only_look_gets_no_form(wave):
    mila = make_person("mila", platform=wave.platform)
    text = client_of(mila).get(detail_url(wave)).content.decode()
    assert 'name="item"' not in text and 'name="verdict"' not in text
    assert client_of(wave.rosa).get(detail_url(wave)).status_code == 403


def test_the_desk_says_how_many_say_the_same_and_links_for_those_who_may(wave):
    url = reverse("reviews:review", args=[wave.queue.slug])
    link = detail_url(wave)
    rosa, lena = (client_of(one).get(url).content.decode() for one in (wave.rosa, wave.lena))
    assert "1 of 5 near-identical messages" in rosa and link not in rosa
    assert "1 of 5 near-identical messages" in lena and link in lena


def test_the_queue_browser_finds_a_cluster(wave, lena):
    url = reverse("reviews:job-list", args=[wave.queue.slug])
    page = lena.get(url, {"cluster": wave.cluster.pk})
    assert len(page.context["rows"]) == 5
    assert lena.get(url, {"cluster": wave.cluster.pk + 1}).context["rows"] == []


def test_a_worker_s_progress_is_a_fragment_that_asks_again_until_it_is_done(
    wave, lena, monkeypatch
):
    monkeypatch.setattr(cluster_work, "AT_ONCE", 0)
    operation = wave.decide()
    url = reverse("reviews:cluster-progress", args=[operation.pk])
    assert "every 2s" in lena.get(url).content.decode()
    cluster_work.answer_operation(operation.pk)
    assert "every 2s" not in lena.get(url).content.decode()


def test_a_page_of_a_cluster_costs_as_many_queries_with_20_members_as_with_5(
    wave, lena, django_assert_max_num_queries
):
    with django_assert_max_num_queries(60) as few:
        lena.get(detail_url(wave))
    wave = Wave(count=20)
    with django_assert_max_num_queries(60) as many:
        lena.get(detail_url(wave))
    assert len(few) == len(many)


def test_text_that_arrives_covered_is_covered_here_too(wave, lena):
    Policy.objects.update(covers_text=True)
    Item.objects.update(risks={"spam": 0.01})
    Item.objects.filter(pk=wave.items[1].pk).update(risks={"spam": 0.9})
    page = lena.get(detail_url(wave))
    says = wave.items[1].current_version.body()[:40]
    covers = re.findall(r'<details class="veil">.*?</details>', page.content.decode(), re.DOTALL)
    assert len(covers) == 5  # the anchor, and four that differ from it
    assert says not in re.sub(r'<details class="veil">.*?</details>', "", page.content.decode())
    # In lists each item stands for itself.
    lines = items.lines_of(item.pk for item in wave.items)
    assert [line.line for line in lines.values() if "covered" in line.line] == [
        f"Item {wave.items[1].pk}, covered"
    ]
