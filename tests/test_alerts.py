"""Alerts of models: opened, acknowledged, closed with hysteresis, told of, and delivered signed."""

import base64
import hashlib
import hmac
import http.server
import json
import threading
from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.urls import reverse

from mlhooks import alerts, drift, tasks
from mlhooks.models import Alert, AlertBounds, AlertDelivery, Monitoring
from reviews import webhooks
from reviews.errors import Conflict, Forbidden, Invalid, NotFound
from reviews.models import AuditEntry, Notification
from trustconsole import checks

from .factories import make_platform, make_policy
from .people import make_person
from .test_access import client_of

pytestmark = pytest.mark.django_db

SECRET = "whsec_" + base64.b64encode(b"a key of thirty-two bytes, well.").decode()


@pytest.fixture
def platform():
    platform = make_platform(slug="mail", name="Mail")
    platform.spam = make_policy(platform=platform, slug="spam", name="Spam")
    for name in ("rosa", "mila", "paul"):
        setattr(platform, name, make_person(name, platform=platform))
    return platform


def seen(platform, **values):
    """A look that found these figures: spam_score=0.3 of the policy, length=0.2 of the platform."""
    found = Monitoring.objects.create(platform=platform, state=Monitoring.State.READY)
    return alerts.judge(
        found,
        {
            (("spam", name.removeprefix("spam_")) if name.startswith("spam_") else ("", name)): one
            for name, one in values.items()
        },
    )


def test_an_alert_opens_once_and_closes_at_the_closer_bound(platform):
    assert seen(platform, spam_score=0.2, length=0.24) == []
    (alert,) = seen(platform, spam_score=0.3)
    assert (alert.policy, alert.figure, alert.bound) == (platform.spam, "score", 0.25)
    assert seen(platform, spam_score=0.5) == []
    assert seen(platform, spam_score=0.2) == []  # below .25, not yet below .1
    alert.refresh_from_db()
    assert (alert.first_value, alert.value, alert.closed_at) == (0.3, 0.2, None)
    assert seen(platform, length=0.1) == []  # nothing was said of the score: it stays
    assert Alert.objects.get().closed_at is None
    assert seen(platform, spam_score=0.09) == [alert]
    assert Alert.objects.get().closed_at is not None
    (again,) = seen(platform, spam_score=0.3)
    assert again.pk != alert.pk
    verbs = AuditEntry.objects.filter(target_type="alert").order_by("id")
    assert list(verbs.values_list("verb", flat=True)) == ["alert.open", "alert.close", "alert.open"]


def test_agreement_opens_below_its_bound(platform):
    assert seen(platform, spam_agreement=0.85) == []
    assert len(seen(platform, spam_agreement=0.7)) == 1


def test_ml_engineers_of_the_platform_are_told_and_led_to_the_page(platform):
    make_person("abel", platform=platform)
    seen(platform, spam_score=0.3)
    told = Notification.objects.get()
    assert (told.person, told.sort, told.policy) == (platform.mila, "alert", platform.spam)
    client = client_of(platform.mila)
    page = client.get(reverse("reviews:notification-list")).content.decode()
    assert "A figure of the model for Spam is out of its bounds" in page
    led = client.get(reverse("reviews:notification", args=[told.pk]))
    assert led["Location"] == reverse("mlhooks:monitoring")


def test_a_person_acknowledges_with_a_note_and_it_stays_open(platform):
    (alert,) = seen(platform, spam_score=0.3)
    with pytest.raises(Forbidden):
        alerts.acknowledge(alert, by=platform.rosa, note="x")
    with pytest.raises(Invalid):
        alerts.acknowledge(alert, by=platform.mila, note="  ")
    alerts.acknowledge(alert, by=platform.mila, note="A spam wave; retraining tonight.")
    alert.refresh_from_db()
    assert (alert.acknowledged_by, alert.closed_at) == (platform.mila, None)
    seen(platform, spam_score=0.01)
    with pytest.raises(Conflict):
        alerts.acknowledge(alert, by=platform.mila, note="again")
    alert.refresh_from_db()
    assert alert.note == "A spam wave; retraining tonight."
    assert AuditEntry.objects.filter(verb="alert.acknowledge").count() == 1


def test_home_and_the_page_show_what_is_open(platform):
    seen(platform, spam_score=0.3, length=0.4)
    client = client_of(platform.mila)
    assert reverse("mlhooks:alerts-open") in client.get("/").content.decode()
    shown = client.get(reverse("mlhooks:alerts-open")).content.decode()
    assert "Drift of scores" in shown and "Drift of text length" in shown
    page = client.get(reverse("mlhooks:monitoring")).content.decode()
    assert page.count(">Acknowledge<") == 2
    alert = Alert.objects.first()
    refused = client.post(reverse("mlhooks:alert-acknowledge", args=[alert.pk]), {"note": ""})
    assert refused.status_code == 422
    assert "Say what you make of it" in refused.content.decode()
    client.post(reverse("mlhooks:alert-acknowledge", args=[alert.pk]), {"note": "Seen."})
    assert "Seen." in client.get(reverse("mlhooks:monitoring")).content.decode()


def test_bounds_are_a_policys_own_and_audited(platform):
    with pytest.raises(Forbidden):
        alerts.set_bounds(platform, platform.spam, {"score": (0.5, 0.4)}, by=platform.rosa)
    for wrong in ({"score": (0.2, 0.3)}, {"agreement": (0.9, 0.8)}, {"length": (0.2, 0.1)}):
        with pytest.raises(Invalid):
            alerts.set_bounds(platform, platform.spam, wrong, by=platform.mila)
    stranger = make_platform()
    with pytest.raises(NotFound):
        alerts.set_bounds(stranger, None, {"length": (0.5, 0.4)}, by=platform.mila)
    usual = drift.BOUNDS["calibration"][:2]
    given = {"score": (0.5, 0.4), "calibration": usual}
    alerts.set_bounds(platform, platform.spam, given, by=platform.mila)
    assert AlertBounds.objects.get().bounds == {"score": [0.5, 0.4]}
    assert seen(platform, spam_score=0.45) == []
    assert len(seen(platform, spam_score=0.55)) == 1
    assert AuditEntry.objects.get(verb="alert.edit").data["after"] == {"score": [0.5, 0.4]}


def test_the_page_of_bounds_keeps_what_was_typed_and_says_what_is_wrong(platform):
    client, url = client_of(platform.paul), reverse("mlhooks:alert-bounds", args=[platform.pk])
    given = {f"{n}-{end}": getattr(drift.BOUNDS[n], end) for n in drift.PER_POLICY
             for end in ("opens", "closes")}  # fmt: skip
    page = client.post(url, {**given, "policy": "spam", "score-opens": "much"})
    assert page.status_code == 422
    assert 'value="much"' in page.content.decode()
    assert client.post(url, {**given, "policy": "spam", "score-opens": "0,4"}).status_code == 302
    assert AlertBounds.objects.get().bounds == {"score": [0.4, 0.1]}


# The webhook


class Receiver(http.server.BaseHTTPRequestHandler):
    got: list
    status = 204

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append((dict(self.headers), body))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def receiver(settings):
    handler = type("Own", (Receiver,), {"got": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/hook?from=console"
    settings.ALERT_WEBHOOKS = {"mail": {"url": address, "secret": SECRET, "inside": True}}
    yield handler
    server.shutdown()
    server.server_close()


def test_an_alert_is_delivered_once_and_signed(platform, receiver):
    (alert,) = seen(platform, spam_score=0.3)
    assert tasks.deliver_alerts() == 1
    assert tasks.deliver_alerts() == 0
    ((headers, body),) = receiver.got
    said = json.loads(body)
    assert (said["type"], said["data"]["figure"]) == ("model_alert.opened", "score")
    assert (said["data"]["platform"], said["data"]["policy"]) == ("mail", "spam")
    # As Standard Webhooks say, worked out anew.
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{wanted}"
    assert headers["webhook-id"] == f"alert-{alert.pk}-opened"
    seen(platform, spam_score=0.01)
    assert tasks.deliver_alerts() == 1
    assert json.loads(receiver.got[1][1])["type"] == "model_alert.closed"


def test_what_is_not_taken_is_sent_again_later_and_given_up_in_the_end(platform, receiver):
    receiver.status = 500
    seen(platform, spam_score=0.3)
    assert tasks.deliver_alerts() == 0
    row = AlertDelivery.objects.get()
    assert (row.attempts, row.error, row.delivered_at) == (1, "500", None)
    assert tasks.deliver_alerts() == 0 and len(receiver.got) == 1  # not due yet
    for _ in range(alerts.MOST_ATTEMPTS):
        AlertDelivery.objects.update(due_at=Now() - timedelta(seconds=1))
        tasks.deliver_alerts()
    row.refresh_from_db()
    assert row.attempts == len(receiver.got) == alerts.MOST_ATTEMPTS
    assert row.parked_at is not None
    ids = {headers["webhook-id"] for headers, _ in receiver.got}
    assert len(ids) == 1  # by which the receiver knows it again


def test_without_an_address_nothing_is_sent(platform):
    seen(platform, spam_score=0.3)
    assert not AlertDelivery.objects.exists()


@pytest.mark.parametrize(
    ("address", "inside", "code"),
    [
        ("http://203.0.113.7/", False, "not_allowed"),
        ("https://127.0.0.1/", False, "not_allowed"),
        ("https://10.0.0.1/", False, "not_allowed"),
        ("https://user@example.org/", False, "not_allowed"),
        ("ftp://127.0.0.1/", True, "not_allowed"),
        ("http://127.0.0.1:9/", True, "no_answer"),
    ],
)
def test_where_it_is_not_sent(address, inside, code):
    with pytest.raises(webhooks.NotSent, match=code):
        webhooks.post(address, b"{}", secret=SECRET, message_id="1", timestamp=1, is_inside=inside)


def test_a_redirect_is_no_delivery(platform, receiver):
    receiver.status = 302
    seen(platform, spam_score=0.3)
    assert tasks.deliver_alerts() == 0
    assert AlertDelivery.objects.get().error == "302"
    assert len(receiver.got) == 1


def test_the_signature_is_that_of_the_published_example():
    # From the specification's reference libraries.
    found = webhooks.sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
    )
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_bad_secret_is_found_when_the_program_starts(settings):
    settings.ALERT_WEBHOOKS = {"mail": {"url": "https://a.example", "secret": SECRET}}
    assert list(checks.check_webhooks(None)) == []
    settings.ALERT_WEBHOOKS["mail"]["secret"] = "whsec_c2hvcnQ="
    (found,) = checks.check_webhooks(None)
    assert found.id == "trustconsole.E002" and "whsec_c2hvcnQ" not in found.msg


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_not base64!"])
def test_a_secret_that_is_none_is_refused(secret):
    with pytest.raises(ValueError, match="whsec_"):
        webhooks.key_of(secret)
