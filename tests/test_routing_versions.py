"""Rules as a whole: draft, publish, put back, and the jobs that wait when they change."""

import importlib
import threading

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.migrations.loader import MigrationLoader

from reviews import intake, routing, routing_versions
from reviews.errors import Conflict, Forbidden, Invalid
from reviews.models import AuditEntry, Job, Lane, RoutingVersion
from tests.factories import (
    make_item,
    make_job,
    make_kind,
    make_platform,
    make_policy,
    make_queue,
    make_rules,
)
from tests.people import make_person

SPAM = {"all": [{"fact": "risk.spam", "op": ">=", "value": 0.5}]}
REPORTED = {"all": [{"fact": "report_count", "op": ">=", "value": 1}]}


def build_platform():
    platform = make_platform()
    make_kind(platform=platform, slug="message")
    spam = make_policy(platform=platform, slug="spam")
    make_queue(platform=platform, slug="general", is_default=True, policies=[spam])
    make_queue(platform=platform, slug="spam", policies=[spam])
    make_queue(platform=platform, slug="old", policies=[spam], is_archived=True)
    return platform


@pytest.fixture
def platform(db):
    return build_platform()


@pytest.fixture
def lena(platform):
    return make_person("lena", platform=platform)


def rule(name="Likely spam", condition=SPAM, queue="spam", **kw):
    return {"name": name, "queue": queue, "is_active": True, "condition": condition, **kw}


def save(platform, *rules, edition=0, by=None):
    return routing_versions.save_draft(platform, list(rules), edition=edition, by=by)


def verbs():
    return list(AuditEntry.objects.order_by("id").values_list("verb", flat=True))


def test_a_draft_is_begun_saved_again_and_published(platform, lena):
    draft = save(platform, rule(), by=lena)
    draft = save(platform, rule(), rule("Reported", REPORTED), edition=1, by=lena)
    published = routing_versions.publish(draft, edition=2, by=lena, note="  Reports  too. ")

    assert (published.state, published.number, published.note) == ("published", 1, "Reports too.")
    assert (published.published_by, published.created_by) == (lena, lena)
    assert routing_versions.find_draft(platform) is None
    assert verbs() == ["routing.save", "routing.save", "routing.publish"]
    entry = AuditEntry.objects.get(verb="routing.publish")
    assert entry.data["changed"] == ["added Likely spam", "added Reported"]


def test_saving_what_is_there_already_writes_nothing(platform, lena):
    save(platform, rule(), by=lena)
    draft = save(platform, rule(), edition=1, by=lena)
    assert (draft.edition, verbs()) == (1, ["routing.save"])


def test_the_second_of_two_who_edit_the_same_draft_is_told(platform, lena):
    paul = make_person("paul", platform=platform)
    save(platform, rule(), by=lena)
    save(platform, rule(), rule("Reported", REPORTED), edition=1, by=paul)

    with pytest.raises(Conflict, match="paul saved this draft at"):
        save(platform, rule("Mine"), edition=1, by=lena)
    with pytest.raises(Conflict, match="paul saved this draft"):
        save(platform, rule("Mine"), edition=0, by=lena)
    draft = routing_versions.find_draft(platform)
    assert [one["name"] for one in draft.rules] == ["Likely spam", "Reported"]


def test_a_draft_that_is_gone_cannot_be_saved(platform, lena):
    draft = save(platform, rule(), by=lena)
    routing_versions.discard_draft(draft, edition=1, by=lena)

    with pytest.raises(Conflict, match="published or discarded"):
        save(platform, rule(), edition=1, by=lena)
    assert verbs() == ["routing.save", "routing.discard"]


@pytest.mark.parametrize(
    ("wrong", "where", "words"),
    [
        ({"name": " "}, "name", "Give the rule a name"),
        ({"name": "x" * 81}, "name", "80 characters"),
        ({"name": "Reported"}, "name", "Another rule has this name"),
        ({"queue": ""}, "queue", "Choose a queue"),
        ({"queue": "nowhere"}, "queue", "no queue nowhere"),
        ({"queue": "old"}, "queue", "archived"),
        ({"is_active": "yes"}, "is_active", "true or false"),
        ({"condition": {"all": []}}, "", "Add a condition"),
        ({"condition": {"all": [{"expression": "colour == 1"}]}}, "0", "no colour"),
        ({"condition": {"fact": "risk.toxic", "op": ">", "value": 1}}, "0", "no risk.toxic"),
    ],
)
def test_a_rule_that_cannot_run_is_not_saved(platform, lena, wrong, where, words):
    with pytest.raises(Invalid) as refused:
        save(platform, rule("Reported", REPORTED), {**rule(), **wrong}, by=lena)
    assert words in refused.value.details["rules"][1][where]
    assert not RoutingVersion.objects.exists()


@pytest.mark.parametrize("rules", [None, {}, ["a"], [rule(str(n)) for n in range(101)]])
def test_what_is_no_list_of_rules_is_refused(platform, rules):
    with pytest.raises(Invalid):
        routing_versions.save_draft(platform, rules, edition=0, by=None)


def test_a_rule_that_went_bad_stops_publishing_but_not_the_work_on_others(platform, lena):
    draft = save(platform, rule(), rule("Reported", REPORTED), by=lena)
    platform.queues.filter(slug="spam").update(is_archived=True)
    draft = save(platform, rule(), rule("Reported", REPORTED, "general"), edition=1, by=lena)
    with pytest.raises(Invalid, match="Likely spam.*archived") as refused:
        routing_versions.publish(draft, edition=2, by=lena)
    assert list(refused.value.details["rules"]) == [0]
    assert routing_versions.find_published(platform) is None


def test_only_what_she_saw_is_published(platform, lena):
    draft = save(platform, rule(), by=lena)
    save(platform, rule(), rule("Reported", REPORTED), edition=1, by=None)
    with pytest.raises(Conflict, match="The system saved this draft"):
        routing_versions.publish(draft, edition=1, by=lena)


def test_publishing_twice_publishes_once(platform, lena):
    draft = save(platform, rule(), by=lena)
    routing_versions.publish(draft, edition=1, by=lena)
    with pytest.raises(Conflict, match="published or discarded"):
        routing_versions.publish(draft, edition=1, by=lena)
    assert verbs().count("routing.publish") == 1


def test_rules_that_are_in_force_already_are_not_published_again(platform, lena):
    routing_versions.publish(save(platform, rule(), by=lena), edition=1, by=lena)
    again = save(platform, rule(), by=lena)
    with pytest.raises(Invalid, match="Change something"):
        routing_versions.publish(again, edition=1, by=lena)


def test_a_long_note_is_refused_beside_its_field(platform, lena):
    draft = save(platform, rule(), by=lena)
    with pytest.raises(Invalid) as refused:
        routing_versions.publish(draft, edition=1, by=lena, note="x" * 301)
    assert "note" in refused.value.details


@pytest.mark.parametrize("name", ["rosa", "remy", "mila", "abel", "otto"])
def test_who_may_not_edit_rules_changes_nothing(platform, lena, name):
    draft = save(platform, rule(), by=lena)
    person = make_person(name, platform=platform)
    for call in (
        lambda: save(platform, rule(), edition=1, by=person),
        lambda: routing_versions.publish(draft, edition=1, by=person),
        lambda: routing_versions.discard_draft(draft, edition=1, by=person),
        lambda: routing_versions.put_back(draft, by=person),
    ):
        with pytest.raises(Forbidden):
            call()
    assert verbs() == ["routing.save"]


# History


def test_an_old_version_is_put_back_as_a_draft_and_published_like_any_other(platform, lena):
    first = routing_versions.publish(save(platform, rule(), by=lena), edition=1, by=lena)
    draft = save(platform, rule("Reported", REPORTED), by=lena)
    routing_versions.publish(draft, edition=1, by=lena)
    first.refresh_from_db()

    draft = routing_versions.put_back(first, by=lena)
    assert (draft.number, draft.rules, draft.restores) == (3, first.rules, first)
    published = routing_versions.publish(draft, edition=1, by=lena)
    assert published.rules == first.rules
    states = dict(platform.routing_versions.values_list("number", "state"))
    assert states == {1: "retired", 2: "retired", 3: "published"}
    assert AuditEntry.objects.filter(verb="routing.restore").count() == 1


def test_what_can_no_longer_run_is_not_put_back(platform, lena):
    make_rules(platform, rule())
    make_rules(platform, rule("Reported", REPORTED, "general"))
    old = platform.routing_versions.get(number=1)
    platform.queues.filter(slug="spam").update(is_archived=True)
    with pytest.raises(Invalid, match="archived"):
        routing_versions.put_back(old, by=lena)


def test_a_version_is_put_back_only_where_no_draft_stands_in_its_way(platform, lena):
    make_rules(platform, rule())
    make_rules(platform, rule("Reported", REPORTED))
    save(platform, rule("Third"), by=lena)
    with pytest.raises(Conflict, match="a draft already"):
        routing_versions.put_back(platform.routing_versions.get(number=1), by=lena)
    with pytest.raises(Conflict, match="no longer in force"):
        routing_versions.put_back(platform.routing_versions.get(number=2), by=lena)


@pytest.mark.parametrize(
    "change",
    [
        {"rules": []},
        {"number": 7},
        {"note": "other"},
        {"state": "draft"},
    ],
)
def test_the_database_itself_keeps_what_was_published(platform, change):
    version = make_rules(platform, rule())
    with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
        RoutingVersion.objects.filter(pk=version.pk).update(**change)
    with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
        version.delete()


def test_old_rules_become_version_1_and_old_rules_again(platform):
    """On the table that is gone, made anew in this transaction."""
    migration = importlib.import_module("reviews.migrations.0016_rules_to_versions")
    before = [("reviews", "0015_routing_versions")]
    old = MigrationLoader(connection, replace_migrations=False).project_state(before).apps
    OldRule = old.get_model("reviews", "RoutingRule")
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    with connection.schema_editor() as editor:
        editor.create_model(OldRule)
    queues = dict(platform.queues.values_list("slug", "pk"))
    for position, (name, queue, condition, is_active) in enumerate(
        [
            ("A", "spam", "risk.spam >= 0.5", True),
            ("A", "general", "report_count * 2 > 1", False),
            ("B", "general", "broken (", True),
        ]
    ):
        OldRule.objects.create(
            platform_id=platform.pk,
            queue_id=queues[queue],
            name=name,
            condition=condition,
            is_active=is_active,
            position=position,
        )

    migration.forwards(old, None)
    version = routing_versions.find_published(platform)
    assert (version.number, version.rerouted_at is None) == (1, False)
    twice, broken = (
        {"all": [{"expression": text}]} for text in ("report_count * 2 > 1", "broken (")
    )
    assert version.rules == [
        rule("A", SPAM),
        rule("A (2)", twice, "general", is_active=False),
        rule("B", broken, "general"),
    ]
    OldRule.objects.all().delete()
    migration.backwards(old, None)
    assert list(OldRule.objects.order_by("position").values_list("name", "condition")) == [
        ("A", "(risk.spam >= 0.5)"),
        ("A (2)", "report_count * 2 > 1"),
        ("B", "broken ("),
    ]


# What waits


def reroute():
    return routing_versions.reroute_waiting(seconds=30)


def test_publishing_moves_what_waits_and_nothing_else(platform, lena):
    general, spam = platform.queues.get(slug="general"), platform.queues.get(slug="spam")
    risky = {"platform": platform, "risks": {"spam": 0.9}, "risk": 0.9}
    moves = make_job(queue=general, item=make_item(**risky))
    drawn = make_job(queue=general, item=make_item(**risky), lane=Lane.RANDOM)
    back = make_job(queue=spam, item=make_item(platform=platform))
    second = make_job(queue=general, item=make_item(**risky), lane=Lane.SECOND)
    done = make_job(queue=general, item=make_item(**risky), state="done")
    other = make_job(queue=make_queue(slug="general", is_default=True))
    routing_versions.publish(save(platform, rule(), by=lena), edition=1, by=lena)

    assert reroute() == 3
    queues = dict(Job.objects.values_list("pk", "queue"))
    assert queues[moves.pk] == queues[drawn.pk] == spam.pk
    assert queues[back.pk] == queues[second.pk] == queues[done.pk] == general.pk
    assert queues[other.pk] == other.queue_id
    before = list(Job.objects.order_by("pk").values())
    assert reroute() == 0
    assert list(Job.objects.order_by("pk").values()) == before


def test_re_routing_goes_on_where_it_stopped(platform, lena, monkeypatch):
    monkeypatch.setattr(routing_versions, "_STRIDE", 2)
    general = platform.queues.get(slug="general")
    for _ in range(7):
        make_job(queue=general, item=make_item(platform=platform, risks={"spam": 0.9}, risk=0.9))
    version = routing_versions.publish(save(platform, rule(), by=lena), edition=1, by=lena)
    first = Job.objects.order_by("pk").first().pk
    RoutingVersion.objects.filter(pk=version.pk).update(rerouted_through=first - 1)

    assert routing_versions.is_reroute_due()
    routing_versions.reroute_waiting(seconds=0)
    assert Job.objects.filter(queue__slug="spam").count() == 0
    with transaction.atomic():
        routing_versions._reroute_some(version.pk, platform.pk)
    assert Job.objects.filter(queue__slug="spam").count() == 2
    reroute()
    assert Job.objects.filter(queue__slug="spam").count() == 7
    assert not routing_versions.is_reroute_due()


def test_new_items_follow_the_new_rules_at_once(platform, lena):
    row = {"kind": "message", "external_id": "m-1", "content": {"body": "hi"}}
    always = {"all": [{"fact": "kind", "op": "is", "value": "message"}]}
    intake.submit_items(platform, [row], by=None)
    draft = save(platform, rule("All", always), by=lena)
    routing_versions.publish(draft, edition=1, by=lena)
    intake.submit_items(platform, [{**row, "external_id": "m-2"}], by=None)

    assert Job.objects.get(item__external_id="m-2").queue.slug == "spam"


# Races, on real connections


def in_threads(*calls):
    """Run them at once; what each returned or raised."""
    found = [None] * len(calls)
    start = threading.Barrier(len(calls))

    def run(place, call):
        try:
            start.wait()
            found[place] = call()
        except Exception as error:
            found[place] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.mark.django_db(transaction=True)
def test_of_eight_who_save_at_once_one_wins():
    platform = build_platform()
    found = in_threads(*[lambda n=n: save(platform, rule(f"Rule {n}")) for n in range(8)])
    kinds = sorted(type(one).__name__ for one in found)
    assert kinds == ["Conflict"] * 7 + ["RoutingVersion"]
    assert RoutingVersion.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_eight_who_publish_at_once_one_does():
    platform = build_platform()
    draft = save(platform, rule())
    found = in_threads(
        *[lambda: routing_versions.publish(draft, edition=1, by=None) for _ in range(8)]
    )
    kinds = sorted(type(one).__name__ for one in found)
    assert kinds == ["Conflict"] * 7 + ["RoutingVersion"]
    assert AuditEntry.objects.filter(verb="routing.publish").count() == 1


@pytest.mark.django_db(transaction=True)
def test_no_item_that_comes_in_while_rules_are_published_is_left_behind():
    """Those placed by the old rules are seen by the re-routing, whoever commits when."""
    platform = build_platform()
    always = {"all": [{"fact": "kind", "op": "is", "value": "message"}]}

    def submit(n):
        for part in range(5):
            rows = [
                {"kind": "message", "external_id": f"m-{n}-{part}-{m}", "content": {"body": "hi"}}
                for m in range(40)
            ]
            intake.submit_items(platform, rows, by=None)

    def publish():
        draft = save(platform, rule("All", always))
        routing_versions.publish(draft, edition=1, by=None)
        reroute()

    found = in_threads(*[lambda n=n: submit(n) for n in range(4)], publish)
    assert found == [None] * 5
    assert Job.objects.count() == 800
    assert not Job.objects.exclude(queue__slug="spam").exists()


@pytest.mark.django_db(transaction=True)
def test_two_who_re_route_at_once_do_not_wait_for_each_other():
    platform = build_platform()
    general = platform.queues.get(slug="general")
    for _ in range(20):
        make_job(queue=general, item=make_item(platform=platform, risks={"spam": 0.9}, risk=0.9))
    routing_versions.publish(save(platform, rule()), edition=1, by=None)
    found = in_threads(reroute, reroute)
    assert sum(found) == 20
    assert Job.objects.filter(queue__slug="spam").count() == 20


def test_publishing_waits_for_those_who_route_by_the_old_rules(transactional_db):
    platform = build_platform()
    draft = save(platform, rule())
    done = threading.Event()

    def publish():
        routing_versions.publish(draft, edition=1, by=None)
        done.set()
        connection.close()

    with transaction.atomic():
        routing.Router(platform)
        thread = threading.Thread(target=publish)
        thread.start()
        assert not done.wait(0.5)
    thread.join(10)
    assert done.is_set()
