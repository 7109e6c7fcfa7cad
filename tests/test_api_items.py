"""The API of the human side, from the outside: items and reports in, how they stand, decisions."""

import json
import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.urls import get_resolver
from django.utils import timezone
from rest_framework.test import APIClient
from rest_framework.views import APIView

from reviews import intake, tokens
from reviews.api import bodies
from reviews.models import Decision, Item, Job, PastCall, Report
from tests.factories import make_item, make_job, make_kind, make_platform, make_policy, make_queue
from tests.people import make_person

pytestmark = pytest.mark.django_db


@pytest.fixture
def platform():
    platform = make_platform()
    make_kind(platform=platform, slug="message")
    make_queue(platform=platform, slug="main", is_default=True)
    return platform


@pytest.fixture
def api(platform):
    return client_of(platform)


def client_of(platform):
    scopes = [
        *("items:write", "items:read", "reports:write"),
        *("queues:read", "policies:read", "decisions:read"),
    ]
    _, text = tokens.create_token("all", platform=platform, scopes=scopes, by=None)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    return client


def row(external_id="m-1", body="hello there", **kw):
    return {"kind": "message", "external_id": external_id, "content": {"body": body}, **kw}


def report(item="m-1", **kw):
    return {"kind": "message", "item": item, "reason": "spam", **kw}


def decision_on(item, *, seconds_ago=60, **kw):
    return Decision.objects.create(
        **{
            "item": item,
            "item_version": item.current_version,
            "queue": item.platform.queues.first(),
            "job": make_job(item=item, queue=item.platform.queues.first(), state="done"),
            "verdict": "clean",
            "decided_by": make_person("rosa"),
            "decided_at": timezone.now() - timedelta(seconds=seconds_ago),
            **kw,
        }
    )


# In


def test_one_item(api):
    answer = api.post("/api/v1/items", row(), format="json")

    item = Item.objects.get()
    assert answer.status_code == 200
    assert answer.json() == {
        "results": [
            {"index": 0, "status": "created", "item_id": item.pk, "version": 1, "errors": {}}
        ],
        "counts": {"created": 1, "changed": 0, "unchanged": 0, "rejected": 0},
    }


def test_many_items_some_bad(api):
    answer = api.post("/api/v1/items", [row(), row("m-2", body=5), row()], format="json")

    body = answer.json()
    assert answer.status_code == 207
    assert [one["status"] for one in body["results"]] == ["created", "rejected", "unchanged"]
    assert body["results"][1]["errors"] == {"content.body": ["Give text."]}
    assert body["counts"] == {"created": 1, "changed": 0, "unchanged": 1, "rejected": 1}


def test_all_bad(api):
    answer = api.post("/api/v1/items", [{}, 7], format="json")

    assert (answer.status_code, answer.json()["counts"]["rejected"]) == (422, 2)


@pytest.mark.parametrize(
    "body", [b"{", b"\xff\xfe", b"[NaN]", b"[" * 100_000, b'{"a": 1e', b"9" * 5000]
)
def test_what_is_not_json_is_400(api, body):
    answer = api.generic("POST", "/api/v1/items", body, content_type="application/json")

    assert answer.status_code == 400
    assert "JSON" in answer.json()["error"]


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b'"text"', b"null"])
def test_json_that_is_no_row_is_422(api, body):
    answer = api.generic("POST", "/api/v1/items", body, content_type="application/json")

    assert answer.status_code == 422


def test_other_media_types_are_415(api):
    assert api.generic("POST", "/api/v1/items", b"a=1").status_code == 415


def test_too_many_rows_and_too_many_bytes_are_413(api, monkeypatch):
    answer = api.post("/api/v1/items", [{}] * 1001, format="json")
    assert (answer.status_code, answer.json()["error"]) == (
        413,
        "At most 1,000 rows a call; these are 1,001.",
    )
    monkeypatch.setattr(bodies, "MAX_BYTES", 1000)
    assert api.post("/api/v1/items", row(body="x" * 1000), format="json").status_code == 413
    assert not Item.objects.exists()


def test_a_text_of_a_megabyte_comes_through(api):
    answer = api.post("/api/v1/items", row(body="x" * 2**20), format="json")

    assert answer.json()["counts"]["created"] == 1


def test_escaped_nuls_and_half_pairs_come_through(api):
    body = rb'{"kind": "message", "external_id": "1", "content": {"body": "a\u0000b\ud800c"}}'
    answer = api.generic("POST", "/api/v1/items", body, content_type="application/json")

    assert answer.status_code == 200
    assert Item.objects.get().current_version.body() == "a\ufffdb\ufffdc"


def test_hostile_names_are_answered_in_clean_json(api):
    body = (
        rb'{"\ud800\u0000": 1, "kind": "\ud800", "external_id": "\ud800", "content": {"\udfff": 1}}'
    )
    answer = api.generic("POST", "/api/v1/items", body, content_type="application/json")

    assert answer.status_code == 422
    [result] = json.loads(answer.content.decode())["results"]
    assert {"\ufffd\ufffd", "kind", "external_id"} == set(result["errors"])


def test_reports(api):
    api.post("/api/v1/items", row(), format="json")
    answer = api.post("/api/v1/reports", [report(), report(), report("m-404")], format="json")

    assert answer.status_code == 207
    assert answer.json()["counts"] == {"created": 1, "changed": 0, "unchanged": 1, "rejected": 1}
    assert Report.objects.get().item.report_count == 1


def test_a_token_submits_to_its_own_platform_only(api, platform):
    other = make_platform()
    make_kind(platform=other, slug="post")
    answer = api.post(
        f"/api/v1/items?platform={other.slug}", row() | {"kind": "post"}, format="json"
    )

    assert answer.status_code == 422
    assert not Item.objects.exists()


# Out


def test_an_item_tells_how_it_stands(api, platform):
    [outcome] = intake.submit_items(platform, [row(views_per_hour=3, views_so_far=9)], by=None)
    intake.set_risks({outcome.item_id: {"spam": 0.25}}, source="v1 zero-shot")
    body = api.get(f"/api/v1/items/{outcome.item_id}").json()

    assert (body["external_id"], body["version"], body["content"]) == (
        "m-1",
        1,
        {"body": "hello there"},
    )
    assert (body["views_per_hour"], body["views_so_far"]) == (3, 9)
    assert (body["risks"], body["risk_source"]) == ({"spam": 0.25}, "v1 zero-shot")
    [job] = body["jobs"]
    assert (job["queue"], job["lane"], job["state"]) == ("main", "risk", "ready")
    assert body["decision"] is None

    decision = decision_on(Item.objects.get())
    assert api.get(f"/api/v1/items/{outcome.item_id}").json()["decision"]["id"] == decision.pk


def test_an_item_is_found_by_the_platforms_own_id(api, platform):
    make_kind(platform=platform, slug="post")
    intake.submit_items(platform, [row(), row() | {"kind": "post"}, row("m-2")], by=None)

    def kinds(query):
        return [one["kind"] for one in api.get(f"/api/v1/items?{query}").json()["results"]]

    assert sorted(kinds("external_id=m-1")) == ["message", "post"]
    assert kinds("external_id=m-1&kind=post") == ["post"]
    assert kinds("external_id=m-404") == []
    assert api.get("/api/v1/items").status_code == 422
    assert api.get("/api/v1/items?external_id=%00").status_code == 422


def test_another_platforms_items_are_not_there(api):
    item = make_item()

    assert api.get(f"/api/v1/items/{item.pk}").status_code == 404
    assert api.get(f"/api/v1/items?external_id={item.external_id}").json() == {"results": []}


def test_a_reviewer_is_not_told_what_the_model_or_others_thought(platform):
    item = make_item(platform=platform, risks={"spam": 0.9}, risk=0.9)
    decision_on(item, decided_by=make_person("remy"))
    client = APIClient()
    client.force_login(make_person("rosa", platform=platform))

    body = client.get(f"/api/v1/items/{item.pk}").json()
    assert not {"risks", "risk_source", "scored_at", "jobs", "decision"} & set(body)
    assert client.get("/api/v1/decisions").json()["results"] == []
    client.force_login(make_person("lena", platform=platform))
    assert client.get(f"/api/v1/items/{item.pk}").json()["risks"] == {"spam": 0.9}


def test_an_admin_with_a_session_needs_the_csrf_token(platform):
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(make_person("ada", platform=platform))
    assert client.post("/api/v1/items", row(), format="json").status_code == 403

    client = APIClient()
    client.force_login(make_person("ada"))
    assert client.post("/api/v1/items", row(), format="json").status_code == 200
    make_platform().members.add(make_person("ada"))
    answer = client.post("/api/v1/items", row(), format="json")
    assert answer.json()["details"] == {"platform": ["Required."]}
    path = f"/api/v1/items?platform={platform.slug}"
    assert client.post(path, row(), format="json").status_code == 200


def test_queues_and_policies(api, platform):
    intake.submit_items(platform, [row(), row("m-2")], by=None)
    make_policy()  # another platform's
    [queue] = api.get("/api/v1/queues").json()["results"]
    [policy] = api.get("/api/v1/policies").json()["results"]

    assert (queue["slug"], queue["ready"], queue["claimed"]) == ("main", 2, 0)
    assert queue["policies"] == [policy["slug"]]
    assert (policy["version"], policy["severity_weight"]) == (1, 4.0)


def test_decisions_are_pulled_page_by_page(api, platform):
    made = [decision_on(make_item(platform=platform)) for _ in range(5)]
    decision_on(make_item(platform=make_queue().platform))  # another platform's
    seen, after, more = [], 0, True
    while more:
        body = api.get(f"/api/v1/decisions?limit=2&after={after}").json()
        seen += [decision["id"] for decision in body["results"]]
        after, more = body["next_after"], body["has_more"]

    assert seen == [decision.pk for decision in made]
    assert api.get(f"/api/v1/decisions?after={after}").json() == {
        "results": [],
        "next_after": after,
        "has_more": False,
    }


def test_a_decision_appears_when_no_earlier_one_can_still_come(api, platform):
    decision_on(make_item(platform=platform), seconds_ago=0)

    assert api.get("/api/v1/decisions").json()["results"] == []


def test_a_superseded_decision_says_so(api, platform):
    item = make_item(platform=platform)
    first = decision_on(item)
    undo = decision_on(item, kind="undo", verdict=None, supersedes=first)
    one, two = api.get("/api/v1/decisions").json()["results"]

    assert (one["superseded_by"], two["supersedes"], two["verdict"]) == (undo.pk, first.pk, None)


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "after=-1", "after=x", "after=１"])
def test_a_page_that_makes_no_sense_is_422(api, query):
    assert api.get(f"/api/v1/decisions?{query}").status_code == 422


def test_queries_do_not_grow_with_the_page(api, platform, django_assert_max_num_queries):
    for _ in range(12):
        item = make_item(platform=platform, external_id="same", kind=make_kind(platform=platform))
        decision_on(item)
    with django_assert_max_num_queries(6):
        assert len(api.get("/api/v1/decisions").json()["results"]) == 12
    with django_assert_max_num_queries(10):
        assert len(api.get("/api/v1/items?external_id=same").json()["results"]) == 12


# The rules of the house


def test_every_api_view_names_a_verb_or_it_is_the_schema():
    from drf_spectacular.views import SpectacularAPIView

    views = [
        pattern.callback.cls
        for pattern in _patterns(get_resolver().url_patterns)
        if hasattr(pattern.callback, "cls") and issubclass(pattern.callback.cls, APIView)
    ]
    assert len(views) >= 6
    for view in views:
        assert getattr(view, "verb", None) or issubclass(view, SpectacularAPIView), view


def test_a_view_without_a_verb_answers_nobody(platform):
    from rest_framework.test import APIRequestFactory, force_authenticate

    class Forgotten(APIView):
        def get(self, request):
            raise AssertionError("reached")

    request = APIRequestFactory().get("/")
    force_authenticate(request, make_person("ada", platform=platform))
    assert Forgotten.as_view()(request).status_code == 403


def test_the_answers_are_as_the_schema_says(api, platform):
    [outcome] = intake.submit_items(platform, [row()], by=None)
    decision_on(Item.objects.get())
    schemas = json.loads(api.get("/api/v1/schema").content)["components"]["schemas"]
    for path, name in (
        (f"/api/v1/items/{outcome.item_id}", "ItemOut"),
        ("/api/v1/queues", "QueueOut"),
        ("/api/v1/policies", "PolicyOut"),
        ("/api/v1/decisions", "DecisionOut"),
    ):
        body = api.get(path).json()
        body = body["results"][0] if "results" in body else body
        assert set(body) == set(schemas[name]["properties"]), path
    assert set(row()) <= set(schemas["ItemIn"]["properties"])
    assert Job.objects.ready().count() == 1


def _patterns(patterns):
    for pattern in patterns:
        if hasattr(pattern, "url_patterns"):
            yield from _patterns(pattern.url_patterns)
        else:
            yield pattern


# Idempotency-Key


def test_a_call_sent_again_with_its_key_is_answered_as_before(api):
    first = api.post("/api/v1/items", row(), format="json", HTTP_IDEMPOTENCY_KEY="k-1")
    again = api.post("/api/v1/items", row(), format="json", HTTP_IDEMPOTENCY_KEY="k-1")

    assert first.json()["counts"]["created"] == 1
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert "Idempotent-Replayed" not in first and again["Idempotent-Replayed"] == "true"
    assert (Item.objects.count(), PastCall.objects.count()) == (1, 1)


def test_another_call_with_the_same_key_is_refused(api):
    api.post("/api/v1/items", row(), format="json", HTTP_IDEMPOTENCY_KEY="k-1")
    other_body = api.post("/api/v1/items", row("m-2"), format="json", HTTP_IDEMPOTENCY_KEY="k-1")
    other_path = api.post("/api/v1/reports", row(), format="json", HTTP_IDEMPOTENCY_KEY="k-1")

    assert (other_body.status_code, other_path.status_code) == (409, 409)
    assert Item.objects.count() == 1


def test_a_key_is_its_senders_own(api):
    other = make_platform()
    make_kind(platform=other, slug="message")
    make_queue(platform=other, is_default=True)
    api.post("/api/v1/items", row(), format="json", HTTP_IDEMPOTENCY_KEY="k-1")
    answer = client_of(other).post(
        "/api/v1/items", row("m-2"), format="json", HTTP_IDEMPOTENCY_KEY="k-1"
    )

    assert answer.json()["counts"]["created"] == 1


def test_a_call_that_was_refused_leaves_its_key_free(api, platform):
    queues = list(platform.queues.all())
    platform.queues.all().delete()
    refused = api.post("/api/v1/items", row(), format="json", HTTP_IDEMPOTENCY_KEY="k-1")
    for queue in queues:
        queue.save(force_insert=True)
    taken = api.post("/api/v1/items", row(), format="json", HTTP_IDEMPOTENCY_KEY="k-1")

    assert (refused.status_code, taken.status_code) == (409, 200)


def test_keys_are_forgotten_after_a_day(api):
    api.post("/api/v1/items", row(), format="json", HTTP_IDEMPOTENCY_KEY="k-1")
    PastCall.objects.update(created_at=timezone.now() - timedelta(hours=25))
    again = api.post("/api/v1/items", row(), format="json", HTTP_IDEMPOTENCY_KEY="k-1")

    assert again.json()["counts"]["unchanged"] == 1


@pytest.mark.parametrize("key", ["", "x" * 201, "a\tb"])
def test_a_key_that_is_none_is_refused(api, key):
    answer = api.post("/api/v1/items", row(), format="json", HTTP_IDEMPOTENCY_KEY=key)

    assert answer.status_code == 422
    assert not Item.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_fifty_calls_with_one_key_at_once_are_one_call():
    platform = make_platform()
    make_kind(platform=platform, slug="message")
    make_queue(platform=platform, is_default=True)
    token = client_of(platform)._credentials
    answers = []

    def call():
        client = APIClient()
        client.credentials(**token)
        answer = client.post("/api/v1/items", row(), format="json", HTTP_IDEMPOTENCY_KEY="k-1")
        answers.append((answer.status_code, answer.content, "Idempotent-Replayed" in answer))
        connection.close()

    threads = [threading.Thread(target=call) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(answers) == 50 and len({answer[:2] for answer in answers}) == 1
    assert sum(is_replay for *_, is_replay in answers) == 49
    assert (Item.objects.count(), Item.objects.get().version_number) == (1, 1)
