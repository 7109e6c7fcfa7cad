"""The set-up pages over HTTP: errors beside their fields, two at once, a preview, the way back."""

import re
from html.parser import HTMLParser

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from reviews import actions, people, queues, revisions
from reviews.models import Action, AuditEntry, Job, Person, Queue, QueueAction, Revision
from tests.factories import (
    claimed_job,
    make_action,
    make_job,
    make_kind,
    make_platform,
    make_queue,
    make_rules,
)
from tests.people import make_person
from tests.test_pages_all import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def world():
    return World()


class _Fields(HTMLParser):
    """What a browser would send from the forms of a page that have no address of their own."""

    def __init__(self):
        super().__init__()
        self.values, self._select, self._area, self._is_ours = {}, None, None, False

    def handle_starttag(self, tag, attributes):
        attrs = dict(attributes)
        if tag == "form":
            self._is_ours = attrs.get("method") == "post" and "action" not in attrs
        if not self._is_ours or "disabled" in attrs:
            return
        name, kind = attrs.get("name"), attrs.get("type", "text")
        if tag == "select":
            self._select = name
        elif tag == "option" and self._select and "selected" in attrs:
            self.values[self._select] = [attrs.get("value", "")]
        elif tag == "textarea":
            self._area = name
            self.values[name] = [""]
        elif tag == "input" and name:
            if kind in ("checkbox", "radio"):
                if "checked" in attrs:
                    self.values.setdefault(name, []).append(attrs.get("value", "on"))
            else:
                self.values[name] = [attrs.get("value") or ""]

    def handle_endtag(self, tag):
        if tag == "select":
            self._select = None
        if tag == "textarea":
            self._area = None
        if tag == "form":
            self._is_ours = False

    def handle_data(self, data):
        if self._area:
            self.values[self._area] = [data.removeprefix("\n").removesuffix("\n")]


def fields_of(page):
    parser = _Fields()
    parser.feed(page.content.decode())
    return parser.values


def url(world):
    return reverse("reviews:setup-queue-edit", args=[world.queue.slug])


def field_of(page, name):
    """The markup of one field, from its label to what is wrong with it."""
    text = page.content.decode()
    start = text.index(f'name="{name}"')
    return text[start : start + 1200]


# Queues


def test_a_form_sent_back_as_it_came_changes_nothing(world):
    lena = world.client("lena")
    before = queues.read(world.queue)
    answer = lena.post(url(world), fields_of(lena.get(url(world))), follow=True)
    assert "Nothing was different" in answer.content.decode()
    assert queues.read(Queue.objects.get(pk=world.queue.pk)) == before
    assert not Revision.objects.filter(target_type="queue", number=2).exists()


def test_a_lead_changes_settings_and_sees_what_she_changed(world):
    lena = world.client("lena")
    form = fields_of(lena.get(url(world)))
    form |= {"sla_minutes": ["90"], "share_random": ["12.5"], "note": ["Complaints"]}
    form |= {f"offer-{world.suspend.slug}-offer": ["hidden"], "blind": ["score", "author"]}
    answer = lena.post(url(world), form, follow=True)
    text = re.sub(r"<[^>]+>|\s+", " ", answer.content.decode())
    assert "Waiting jobs are ranked again" in text
    data = queues.read(Queue.objects.get(pk=world.queue.pk))
    assert (data["sla_minutes"], data["lane_shares"]) == (90, {"random": 12.5})
    assert (data["hidden_actions"], data["blind"]) == ([world.suspend.slug], ["score", "author"])
    assert "Answer within" in text and "Complaints" in text
    assert "Put back" in text


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("name", "", "Give a name."),
        ("lease_minutes", "0.1", "from 0.5 to 240 min"),
        ("lease_minutes", "soon", "from 0.5 to 240 min"),
        ("sla_minutes", "", "from 1 to 43,200 min"),
        ("sla_user", "0", "from 1 to 43,200 min"),
        ("share_gold", "120", "between 0 and 100 %"),
        ("random_percent", "NaN", "from 0 to 100 %"),
        ("reviews_wanted", "5", "take at least 5 people"),
    ],
)
def test_what_is_wrong_stands_beside_its_field_and_is_tied_to_it(world, name, value, words):
    lena = world.client("lena")
    form = fields_of(lena.get(url(world))) | {name: [value], "description": ["kept"]}
    page = lena.post(url(world), form)
    assert page.status_code == 422
    markup = field_of(page, name)
    assert words in markup
    assert 'aria-invalid="true"' in markup and f"id_{name}_error" in markup
    assert "kept" in page.content.decode()
    assert not Revision.objects.exists()


def test_a_key_that_clashes_is_said_at_the_action(world):
    lena = world.client("lena")
    name = f"offer-{world.suspend.slug}-key"
    page = lena.post(url(world), fields_of(lena.get(url(world))) | {name: ["r"]})
    assert page.status_code == 422
    assert "R is the key of Remove already." in field_of(page, name)


def test_shares_beyond_the_whole_are_said_above_them(world):
    lena = world.client("lena")
    form = fields_of(lena.get(url(world))) | {"share_gold": ["60"], "share_qa": ["50"]}
    assert "These shares come to" in lena.post(url(world), form).content.decode()


def test_who_saves_second_loses_nothing_and_sees_what_came_between(world):
    lena, paul = world.client("lena"), world.client("paul")
    opened = fields_of(lena.get(url(world)))
    paul.post(url(world), fields_of(paul.get(url(world))) | {"sla_minutes": ["60"], "name": ["P"]})
    mine = opened | {"name": ["L"], "undo_seconds": ["30"]}
    answer = lena.post(url(world), mine)
    text = answer.content.decode()
    assert answer.status_code == 409
    assert "saved this while you had it open" in text and "You both changed these" in text
    merged = fields_of(answer)
    assert (merged["name"], merged["undo_seconds"], merged["sla_minutes"]) == (
        ["L"],
        ["30"],
        ["60"],
    )
    assert Queue.objects.get(pk=world.queue.pk).name == "P"
    assert lena.post(url(world), merged).status_code == 302
    queue = Queue.objects.get(pk=world.queue.pk)
    assert (queue.name, queue.undo_seconds, queue.sla_minutes) == ("L", 30, 60)


def test_a_preview_says_what_would_change_and_follow_and_saves_nothing(world):
    lena = world.client("lena")
    form = fields_of(lena.get(url(world)))
    form |= {"share_random": ["20"], "doubling_hours": ["5"], "preview": ["1"]}
    fragment = lena.post(url(world), form, headers={"HX-Request": "true"})
    text = fragment.content.decode()
    assert text.lstrip().startswith('<section class="section" id="_queue_draft"')
    assert "about 1 in 5 of the claims look for random first" in text
    assert "3 waiting jobs will be ranked again" in text and "Doubling time" in text
    assert "What you change" in lena.post(url(world), form).content.decode()
    assert not Revision.objects.exists()


def test_what_a_replay_proposes_is_filled_in_and_saved_by_nobody_but_her(world):
    link = f"{url(world)}?doubling_hours=48&report_weight=0.25&sla_user=90&weight_spam=9&sla_rule=x"
    page = world.client("lena").get(link).content.decode()
    for name, value in (("doubling_hours", "48"), ("report_percent", "25"), ("sla_user", "90")):
        assert re.search(rf'name="{name}" value="{value}"', page), name
    assert "Nothing changes until you save" in page and "change them in a new version" in page
    world.queue.refresh_from_db()
    assert (world.queue.doubling_hours, world.queue.sla_by_source) == (2, {})


def test_a_lead_opens_a_queue(world):
    make_kind(platform=world.platform, slug="mail", name="Mail")
    lena = world.client("lena")
    new = reverse("reviews:setup-queue-new")
    form = fields_of(lena.get(new))
    assert lena.post(new, form).status_code == 422
    form |= {"name": ["Scams"], "slug": ["scams"], "policies": [world.policy.slug]}
    form |= {"kinds": ["mail"], "members": ["rosa"], f"offer-{world.remove.slug}-offer": ["shown"]}
    answer = lena.post(new, form, follow=True)
    queue = Queue.objects.get(slug="scams")
    assert "Scams is open" in answer.content.decode()
    assert queues.read(queue)["actions"] == [world.remove.slug]
    assert "Another queue has this address" in lena.post(new, form).content.decode()


def test_an_auditor_reads_the_settings_and_can_change_none(world):
    abel = world.client("abel")
    page = abel.get(url(world))
    assert page.status_code == 200
    assert "save-bar" not in page.content.decode()
    assert abel.post(url(world), {}).status_code == 403


def test_a_policy_owner_sees_who_works_a_queue_and_keeps_them(world):
    paul = world.client("paul")
    form = fields_of(paul.get(url(world)))
    assert "members" not in form
    paul.post(url(world), form | {"members": ["rosa"], "name": ["Renamed"]})
    data = queues.read(Queue.objects.get(pk=world.queue.pk))
    assert (data["name"], data["members"]) == ("Renamed", ["lena", "remy", "rosa"])


def test_a_queue_is_put_back_archived_and_brought_back_by_buttons(world):
    lena = world.client("lena")
    before = queues.read(world.queue)
    lena.post(url(world), fields_of(lena.get(url(world))) | {"name": ["Other"]})
    slug = world.queue.slug
    lena.post(reverse("reviews:setup-queue-restore", args=[slug, 1]), {"seen": "2"})
    assert queues.read(Queue.objects.get(pk=world.queue.pk)) == before
    stale = lena.post(reverse("reviews:setup-queue-restore", args=[slug, 2]), {"seen": "2"})
    assert stale.status_code == 409
    archive = reverse("reviews:setup-queue-archive", args=[slug])
    stale = lena.post(archive, {"seen": "2"}).content.decode()
    assert "This was changed by lena since you opened it." in stale
    assert "Routing sends items" in lena.post(archive, {"seen": "3"}).content.decode()
    make_rules(world.platform)
    lena.post(archive, {"seen": "3"}, follow=True)
    assert world.queue.name not in lena.get(reverse("reviews:queue-list")).content.decode()
    assert world.queue.name not in world.client("rosa").get("/").content.decode()
    assert "Archived" in lena.get(reverse("reviews:setup-queue-list")).content.decode()
    assert world.client("rosa").get(reverse("reviews:review", args=[slug])).status_code == 404
    lena.post(reverse("reviews:setup-queue-unarchive", args=[slug]), {"seen": "4"})
    assert world.client("rosa").get(reverse("reviews:review", args=[slug])).status_code == 200


def test_who_decides_in_a_queue_that_was_archived_meanwhile_is_heard_and_told(world):
    rosa = world.client("rosa")
    desk = rosa.get(reverse("reviews:review", args=[world.queue.slug]))
    job = desk.context["job"]
    make_rules(world.platform)
    queues.archive_queue(world.queue, by=world.people["lena"])
    answer = rosa.post(
        reverse("reviews:job-decide", args=[job.pk]),
        {"token": job.claim_token, "clean": "1", "queue": world.queue.pk},
    )
    assert answer.status_code == 302
    told = rosa.get(answer["Location"])
    assert told.status_code == 404 and "archived" in told.content.decode()
    assert Job.objects.get(pk=job.pk).state == "done"


def test_lists_cost_as_many_queries_with_many_rows_as_with_few(world):
    def counted():
        found = {}
        for page in ("queue", "action", "person"):
            where = reverse(f"reviews:setup-{page}-list")
            with CaptureQueriesContext(connection) as queries:
                assert ada.get(where).status_code == 200
            found[page] = len(queries)
        return found

    ada = world.client("ada")
    counted()
    few = counted()
    for number in range(6):
        queue = make_queue(platform=world.platform, members=[world.people["rosa"]])
        queues.save_queue(queue, {**queues.read(queue), "position": number + 1}, by=None)
        QueueAction.objects.create(queue=queue, action=make_action(platform=world.platform))
        person = Person.objects.create(username=f"r{number}")
        person.groups.set(world.people["rosa"].groups.all())
        world.platform.members.add(person)
        queue.members.add(person)
    assert counted() == few


# Actions


def action_url(world):
    return reverse("reviews:setup-action-edit", args=[world.suspend.slug])


def test_an_action_gets_parameters_of_their_types(world):
    lena = world.client("lena")
    form = fields_of(lena.get(action_url(world)))
    for place, row in enumerate([("days", "number", "7"), ("silent", "flag", "yes")]):
        form |= {
            f"parameter-{place}-{name}": [value]
            for name, value in zip(("name", "kind", "value"), row, strict=True)
        }
    assert lena.post(action_url(world), form).status_code == 302
    action = Action.objects.get(pk=world.suspend.pk)
    assert action.parameters == {"days": 7, "silent": True}
    again = fields_of(lena.get(action_url(world)))
    assert again["parameter-0-value"] == ["7"]
    lena.post(action_url(world), again | {"parameter-0-name": [""], "parameter-0-value": [""]})
    action.refresh_from_db()
    assert action.parameters == {"silent": True}


@pytest.mark.parametrize(
    ("row", "where", "words"),
    [
        (("days", "number", "seven"), "value", "not a number"),
        (("days", "number", "inf"), "value", "not a number"),
        (("silent", "flag", "perhaps"), "value", "Write yes or no"),
        (("map", "json", "{"), "value", "not JSON"),
        (("", "text", "lost"), "name", "Give it a name"),
    ],
)
def test_a_parameter_that_cannot_be_read_is_said_in_its_row(world, row, where, words):
    lena = world.client("lena")
    form = fields_of(lena.get(action_url(world)))
    form |= {
        f"parameter-0-{name}": [value]
        for name, value in zip(("name", "kind", "value"), row, strict=True)
    }
    page = lena.post(action_url(world), form)
    assert page.status_code == 422
    assert words in field_of(page, f"parameter-0-{where}")


def test_room_for_more_parameters_keeps_what_was_typed(world):
    lena = world.client("lena")
    form = fields_of(lena.get(action_url(world))) | {"parameter-0-name": ["days"], "more": ["1"]}
    page = fields_of(lena.post(action_url(world), form))
    assert page["parameter-0-name"] == ["days"]
    assert "parameter-4-name" in page
    assert not Revision.objects.exists()


def test_a_key_of_an_action_may_not_clash_where_it_is_offered(world):
    lena = world.client("lena")
    for key, words in (("r", "means something else"), ("s", "of the desk itself")):
        page = lena.post(action_url(world), fields_of(lena.get(action_url(world))) | {"key": [key]})
        assert page.status_code == 422
        assert words in field_of(page, "key")


def test_an_action_is_archived_once_no_queue_offers_it(world):
    lena = world.client("lena")
    archive = reverse("reviews:setup-action-archive", args=[world.suspend.slug])
    refused = lena.post(archive)
    assert refused.status_code == 409 and world.queue.name in refused.content.decode()
    form = fields_of(lena.get(url(world))) | {f"offer-{world.suspend.slug}-offer": [""]}
    lena.post(url(world), form)
    assert lena.post(archive).status_code == 302
    assert f"offer-{world.suspend.slug}-offer" not in fields_of(lena.get(url(world)))
    lena.post(reverse("reviews:setup-action-unarchive", args=[world.suspend.slug]))
    assert not Action.objects.get(pk=world.suspend.pk).is_archived


def test_an_action_keeps_revisions_and_is_put_back(world):
    lena = world.client("lena")
    before = actions.read(world.remove)
    where = reverse("reviews:setup-action-edit", args=[world.remove.slug])
    lena.post(where, fields_of(lena.get(where)) | {"name": ["Take down"], "is_strike": ["on"]})
    entry = AuditEntry.objects.filter(verb="action.save").latest("pk")
    assert sorted(entry.data["changed"]) == ["is_strike", "name"]
    lena.post(reverse("reviews:setup-action-restore", args=[world.remove.slug, 1]), {"seen": "2"})
    assert actions.read(Action.objects.get(pk=world.remove.pk)) == before


def test_two_who_change_an_action_at_once_lose_nothing(world):
    lena, paul = world.client("lena"), world.client("paul")
    opened = fields_of(lena.get(action_url(world)))
    paul.post(action_url(world), opened | {"description": ["His"]})
    answer = lena.post(action_url(world), opened | {"position": ["7"]})
    assert answer.status_code == 409
    merged = fields_of(answer)
    assert (merged["description"], merged["position"]) == (["His"], ["7"])


# People


def person_url(name):
    return reverse("reviews:setup-person-edit", args=[name])


def test_an_admin_adds_somebody_who_sets_her_password_by_the_link_shown_once(world):
    ada = world.client("ada")
    page = ada.post(
        reverse("reviews:setup-person-new"),
        {"username": "nora", "email": "nora@example.org", "roles": ["reviewer"]},
    )
    link = re.search(r'id="link" readonly value="([^"]+)"', page.content.decode())[1]
    assert page.headers["Cache-Control"].startswith("max-age=0")
    assert link not in str(AuditEntry.objects.values_list("data", flat=True))
    nora = Client()
    form = nora.get(link, follow=True)
    password = "unrelated words are good"
    answer = nora.post(
        form.request["PATH_INFO"], {"password1": password, "password2": password}, follow=True
    )
    assert "Your password is set" in answer.content.decode()
    nora.post("/accounts/login/", {"login": "nora", "password": password})
    assert nora.session["_auth_user_id"]
    assert "does not work any more" in Client().get(link, follow=True).content.decode()
    person = Person.objects.get(username="nora")
    assert person.roles == {"reviewer"} and world.platform in person.platforms.all()


@pytest.mark.parametrize(
    ("form", "field", "words"),
    [
        ({"username": ""}, "username", "Give a user name"),
        ({"username": "no ra"}, "username", "Use letters"),
        ({"username": "ROSA"}, "username", "Somebody has this name"),
        ({"username": "token-x"}, "username", "API tokens"),
        ({"username": "nora", "email": "nowhere"}, "email", "not an e-mail"),
    ],
)
def test_a_person_who_cannot_be_added_is_not(world, form, field, words):
    page = world.client("ada").post(reverse("reviews:setup-person-new"), form)
    assert page.status_code == 422
    assert words in field_of(page, field)
    assert not Person.objects.filter(username__in=["nora", "no ra", "token-x"]).exists()


def test_roles_change_at_once_and_can_be_put_back(world):
    ada = world.client("ada")
    form = fields_of(ada.get(person_url("mila")))
    ada.post(person_url("mila"), form | {"roles": ["auditor", "ml-engineer"]})
    assert Person.objects.get(username="mila").roles == {"auditor", "ml-engineer"}
    [newest, first] = revisions.history(world.people["mila"])
    assert newest.by == world.people["ada"] and first.data["roles"] == ["ml-engineer"]
    ada.post(reverse("reviews:setup-person-restore", args=["mila", 1]), {"seen": "2"})
    assert Person.objects.get(username="mila").roles == {"ml-engineer"}


def test_nobody_takes_her_own_admin_role_and_one_admin_stays(world):
    ada = world.client("ada")
    page = ada.post(person_url("ada"), fields_of(ada.get(person_url("ada"))) | {"roles": []})
    assert page.status_code == 422 and "from yourself" in page.content.decode()
    for deed in ("deactivate", "remove"):
        assert ada.post(reverse(f"reviews:setup-person-{deed}", args=["ada"])).status_code == 409
    with pytest.raises(Exception, match="only admin"):
        people.deactivate_person(world.people["ada"], world.platform, by=None)


def test_a_role_that_her_queues_need_is_not_taken(world):
    ada = world.client("ada")
    page = ada.post(person_url("remy"), {"roles": ["auditor"]})
    assert page.status_code == 422
    assert f"cannot work {world.queue.name}" in page.content.decode()


def test_a_deactivated_person_is_signed_out_and_holds_nothing(world):
    remy = world.client("remy")
    job = claimed_job(world.people["remy"], queue=world.queue)
    kept = make_job(queue=world.queue, assigned_to=world.people["remy"])
    ada = world.client("ada")
    ada.post(reverse("reviews:setup-person-deactivate", args=["remy"]))
    assert remy.get("/").status_code == 302
    for row in (job, kept):
        row.refresh_from_db()
        assert (row.state, row.claimed_by, row.assigned_to) == ("ready", None, None)
    assert "remy" not in queues.read(world.queue)["members"]
    ada.post(reverse("reviews:setup-person-reactivate", args=["remy"]))
    assert Person.objects.get(username="remy").is_active
    assert remy.get("/").status_code == 302, "an old cookie signed her in again"


def test_a_removed_person_finds_nothing_of_the_platform_and_can_be_added_again(world):
    ada = world.client("ada")
    ada.post(reverse("reviews:setup-person-remove", args=["remy"]))
    remy = world.client("remy")
    where = reverse("reviews:queue-detail", args=[world.queue.slug])
    assert remy.get(where).status_code == 404
    listed = ada.get(reverse("reviews:setup-person-list")).content.decode()
    assert ">remy<" not in listed
    removed = ada.get(reverse("reviews:setup-person-list"), {"state": "removed"})
    assert ">remy<" in removed.content.decode()
    assert "Add her again" in ada.get(person_url("remy")).content.decode()
    ada.post(reverse("reviews:setup-person-add", args=["remy"]))
    assert remy.get(where).status_code == 200


def test_a_lead_chooses_queues_but_no_roles(world):
    lena = world.client("lena")
    where = reverse("reviews:setup-person-queues", args=["remy"])
    assert lena.post(where, {}).status_code == 302
    assert "remy" not in queues.read(world.queue)["members"]
    assert lena.post(where, {"queues": ["gone"]}).status_code == 422
    assert lena.post(person_url("remy"), {"roles": ["lead"]}).status_code == 403
    assert world.client("paul").post(where, {}).status_code == 403


def test_the_list_of_people_is_filtered_by_the_url_and_comes_as_csv(world):
    ada = world.client("ada")
    page = ada.get(reverse("reviews:setup-person-list"), {"role": "reviewer"})
    assert [row["person"].username for row in page.context["rows"]] == ["remy", "rosa"]
    page = ada.get(reverse("reviews:setup-person-list"), {"q": "LEN", "queue": world.queue.slug})
    assert [row["person"].username for row in page.context["rows"]] == ["lena"]
    text = ada.get(
        reverse("reviews:setup-person-list"), {"role": "lead", "format": "csv"}
    ).content.decode()
    assert text.splitlines()[1].startswith(f"lena,,,Lead,{world.queue.name},")


def test_people_of_another_platform_and_accounts_of_programs_do_not_exist(world):
    from reviews import tokens

    make_person("otto", platform=make_platform())
    tokens.create_token("loader", platform=world.platform, scopes=["items:write"], by=None)
    ada = world.client("ada")
    text = ada.get(reverse("reviews:setup-person-list"), {"state": "all"}).content.decode()
    assert ">otto<" not in text and "token-" not in text
    assert ada.get(person_url("otto")).status_code == 404


def test_who_works_elsewhere_too_is_changed_by_an_admin_of_both(world):
    elsewhere = make_platform()
    elsewhere.members.add(world.people["remy"])
    ada = world.client("ada")
    assert ada.post(person_url("remy"), {"roles": ["reviewer"]}).status_code == 403
    assert ada.post(reverse("reviews:setup-person-link", args=["remy"])).status_code == 403
    assert ada.post(reverse("reviews:setup-person-deactivate", args=["remy"])).status_code == 403
    assert ada.post(reverse("reviews:setup-person-remove", args=["remy"])).status_code == 302
    assert list(world.people["remy"].platforms.all()) == [elsewhere]


def test_what_another_platform_kept_of_a_person_is_not_shown(world):
    elsewhere = make_platform()
    remy = world.people["remy"]
    elsewhere.members.add(remy)
    revisions.record(remy, {"roles": ["secret"]}, by=None, platform=elsewhere)
    remy.platforms.remove(elsewhere)
    ada = world.client("ada")
    ada.post(person_url("remy"), {"roles": ["reviewer"], "first_name": "Remy", "seen": "0"})
    assert "secret" not in ada.get(person_url("remy")).content.decode()
    restored = ada.post(reverse("reviews:setup-person-restore", args=["remy", 1]))
    assert restored.status_code == 404


def test_an_action_of_another_platform_cannot_be_edited(world):
    other = make_action(platform=make_platform(), slug="theirs")
    lena = world.client("lena")
    assert lena.get(reverse("reviews:setup-action-edit", args=[other.slug])).status_code == 404
