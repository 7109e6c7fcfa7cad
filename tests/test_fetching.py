"""Fetching by address: only where it is allowed, only public addresses, never a redirect."""

import socket
from datetime import timedelta

import pytest
from django.utils import timezone

from reviews import fetching, intake, media, media_work
from reviews.models import Medium, MediumUse

from .factories import make_kind, make_platform, make_queue
from .media import png

pytestmark = pytest.mark.django_db

FIELDS = [{"name": "picture", "label": "Picture", "type": "image", "role": "image"}]


@pytest.fixture
def platform():
    platform = make_platform()
    make_kind(platform=platform, slug="pin", fields=FIELDS)
    make_queue(platform=platform, is_default=True)
    return platform


def submit(platform, address, external_id="p1"):
    row = {"kind": "pin", "external_id": external_id, "content": {"picture": address}}
    (outcome,) = intake.submit_items(platform, [row], by=None)
    assert outcome.status == "created", outcome.errors


@pytest.mark.parametrize(
    ("allowed", "address", "may"),
    [
        ([], "https://cdn.example/a.png", False),
        (["cdn.example"], "https://cdn.example/a.png", True),
        (["cdn.example"], "https://CDN.example/a.png", True),
        (["cdn.example"], "http://cdn.example/a.png", False),
        (["cdn.example"], "https://evil.example/cdn.example", False),
        (["cdn.example"], "https://cdn.example@evil.example/", False),
        (["cdn.example"], "https://img.cdn.example/a.png", False),
        ([".cdn.example"], "https://img.cdn.example/a.png", True),
        ([".cdn.example"], "https://notcdn.example/a.png", False),
        (["cdn.example"], "https://[broken", False),
    ],
)
def test_only_hosts_that_an_administrator_named_are_fetched_from(settings, allowed, address, may):
    settings.MEDIA_FETCH = allowed
    assert media.may_fetch(address) is may


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ],
)
def test_addresses_of_this_network_are_never_called(address):
    assert not fetching.is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"])
def test_public_addresses_may_be(address):
    assert fetching.is_public(address)


def resolving_to(monkeypatch, *addresses):
    def found(host, port, **options):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", found)


def test_a_name_with_one_private_address_is_refused_before_anything_is_sent(monkeypatch, tmp_path):
    resolving_to(monkeypatch, "93.184.216.34", "10.0.0.1")
    monkeypatch.setattr(socket, "create_connection", pytest.fail)
    with pytest.raises(fetching.NotFetched, match="not_allowed"):
        fetching.fetch("https://cdn.example/", tmp_path / "a", most_bytes=10, seconds=1)


class _Answer:
    """What a server sends, read from a socket that is no socket."""

    def __init__(self, status=200, body=b"", headers=()):
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers, "", ""]
        self.sent = "\r\n".join(lines).encode() + body
        self.asked = b""

    def sendall(self, data):
        self.asked += data

    def makefile(self, mode):
        import io

        return io.BytesIO(self.sent)

    def close(self):
        pass


@pytest.fixture
def server(monkeypatch):
    """server(answer): what the other side says, whoever is called."""

    def say(answer):
        resolving_to(monkeypatch, "93.184.216.34")

        def connect(self):
            assert self._address == "93.184.216.34"
            self.sock = answer

        monkeypatch.setattr(fetching._Connection, "connect", connect)
        return answer

    return say


def test_what_lies_there_is_written_to_the_file(server, tmp_path):
    answer = server(_Answer(body=b"bytes"))
    fetching.fetch("https://cdn.example/a b?c=ü", tmp_path / "a", most_bytes=10, seconds=5)
    assert (tmp_path / "a").read_bytes() == b"bytes"
    assert answer.asked.startswith(b"GET /a%20b?c=%C3%BC HTTP/1.1\r\nHost: cdn.example\r\n")
    assert b"Cookie" not in answer.asked


@pytest.mark.parametrize(
    ("answer", "code", "is_final"),
    [
        (_Answer(302, headers=["Location: https://cdn.example/b"]), "not_there", True),
        (_Answer(404), "not_there", True),
        (_Answer(503), "not_there", False),
        (_Answer(body=b"x" * 11), "too_large", True),
    ],
    ids=["redirect", "gone", "trouble", "large"],
)
def test_what_is_not_there_or_too_large_is_not_taken(server, tmp_path, answer, code, is_final):
    server(answer)
    with pytest.raises(fetching.NotFetched) as refused:
        fetching.fetch("https://cdn.example/", tmp_path / "a", most_bytes=10, seconds=5)
    assert (refused.value.code, refused.value.is_final) == (code, is_final)


def test_a_worker_fetches_and_makes_anew_what_an_item_names(platform, settings, server):
    settings.MEDIA_FETCH = ["cdn.example"]
    server(_Answer(body=png()))
    submit(platform, "https://cdn.example/a.png")
    medium = Medium.objects.get()
    assert (medium.source, medium.state) == ("address", "due")
    assert MediumUse.objects.get().medium == medium
    media_work.prepare_due()
    medium.refresh_from_db()
    assert (medium.state, medium.form, medium.width) == ("ready", "image", 40)
    submit(platform, "https://cdn.example/a.png", "p2")
    assert Medium.objects.count() == 1


def test_an_address_is_fetched_anew_for_an_item_of_another_day(platform, settings):
    settings.MEDIA_FETCH = ["cdn.example"]
    submit(platform, "https://cdn.example/a.png")
    Medium.objects.update(created_at=timezone.now() - timedelta(hours=media.FETCHED_HOURS + 1))
    submit(platform, "https://cdn.example/a.png", "p2")
    assert Medium.objects.count() == 2


def test_a_server_that_does_not_answer_is_asked_three_times(platform, settings, monkeypatch):
    settings.MEDIA_FETCH = ["cdn.example"]
    resolving_to(monkeypatch, "93.184.216.34")

    def nobody(*arguments):
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", nobody)
    submit(platform, "https://cdn.example/a.png")
    for state in ("due", "due", "failed"):
        Medium.objects.update(due_at=timezone.now() - timedelta(seconds=1))
        media_work.prepare_due(limit=1)
        assert Medium.objects.get().state == state
    assert Medium.objects.get().error == "no_answer"


def test_a_host_that_is_no_longer_allowed_is_not_called(platform, settings, monkeypatch):
    settings.MEDIA_FETCH = ["cdn.example"]
    submit(platform, "https://cdn.example/a.png")
    settings.MEDIA_FETCH = []
    monkeypatch.setattr(socket, "getaddrinfo", pytest.fail)
    media_work.prepare_due()
    assert (Medium.objects.get().state, Medium.objects.get().error) == ("failed", "not_allowed")
