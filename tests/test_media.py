"""Media: taken in, made anew by a worker, shown to whom they may be, and erased with their item."""

import io
import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from reviews import erasure, intake, media, media_work, tasks, tokens
from reviews.models import AuditEntry, Item, Medium, MediumUse

from .factories import make_kind, make_platform
from .factories import make_queue as queue_of
from .media import film, gif, png, upload, wav
from .people import make_person

pytestmark = pytest.mark.django_db

PIN = [
    {"name": "title", "label": "Title", "type": "string", "role": "title", "required": False},
    {"name": "picture", "label": "Picture", "type": "image", "role": "image", "required": False},
    {"name": "more", "label": "More", "type": "images", "role": "images", "required": False},
    {"name": "face", "label": "Face", "type": "image", "role": "avatar", "required": False},
]


@pytest.fixture
def platform():
    return make_platform()


@pytest.fixture
def kind(platform):
    return make_kind(platform=platform, slug="pin", fields=PIN)


@pytest.fixture
def queue(platform):
    return queue_of(platform=platform, is_default=True)


@pytest.fixture
def rosa(platform, queue):
    rosa = make_person("rosa", platform=platform)
    queue.members.add(rosa)
    return rosa


def submit(platform, **content):
    row = {"kind": "pin", "external_id": "p1", "content": content}
    (outcome,) = intake.submit_items(platform, [row], by=None)
    return outcome


def client_of(person):
    client = Client()
    client.force_login(person)
    return client


def stored_files():
    folder = Path(media.storage().location)
    return sorted(str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file())


# Taking in


def test_the_same_bytes_are_the_same_medium_and_are_audited_once(platform):
    first = upload(platform, png(colour="red"))
    again = upload(platform, png(colour="red"))
    assert first == again
    assert AuditEntry.objects.filter(verb="medium.upload").count() == 1
    assert Medium.objects.count() == 1


def test_the_same_bytes_on_another_platform_are_another_medium(platform):
    one, other = upload(platform, png()), upload(make_platform(), png())
    assert one != other


def test_a_program_uploads_and_names_the_medium_in_an_item(platform, kind, queue):
    _, text = tokens.create_token("shop", platform=platform, scopes=["items:write"], by=None)
    client = Client(headers={"Authorization": f"Bearer {text}"})
    sent = client.post("/api/v1/media", {"file": SimpleUploadedFile("a.png", png())})
    assert sent.status_code == 201, sent.content
    reference = sent.json()["reference"]
    again = client.post("/api/v1/media", {"file": SimpleUploadedFile("b.png", png())})
    assert (again.status_code, again.json()["reference"]) == (200, reference)
    assert client.get(f"/api/v1/media/{sent.json()['id']}").json()["state"] == "due"
    row = {"kind": "pin", "external_id": "p", "content": {"picture": reference}}
    assert client.post("/api/v1/items", row, content_type="application/json").status_code == 200
    assert MediumUse.objects.get().field == "picture"


@pytest.mark.parametrize("scopes", [["items:read"], ["reports:write"]])
def test_a_token_without_the_scope_uploads_nothing(platform, scopes):
    _, text = tokens.create_token("shop", platform=platform, scopes=scopes, by=None)
    client = Client(headers={"Authorization": f"Bearer {text}"})
    sent = client.post("/api/v1/media", {"file": SimpleUploadedFile("a.png", png())})
    assert sent.status_code == 403
    assert Medium.objects.count() == 0


def test_what_is_too_large_or_empty_or_missing_is_refused(platform, settings):
    settings.MEDIA_MAX_BYTES = 50
    _, text = tokens.create_token("shop", platform=platform, scopes=["items:write"], by=None)
    client = Client(headers={"Authorization": f"Bearer {text}"})

    def status(**form):
        return client.post("/api/v1/media", form).status_code

    assert status(file=SimpleUploadedFile("a.png", b"x" * 51)) == 422
    assert status(file=SimpleUploadedFile("a.png", b"x" * 70_000)) == 413
    assert status(file=SimpleUploadedFile("a.png", b"")) == 422
    assert status(other="x") == 422
    assert Medium.objects.count() == 0


def test_an_item_that_names_a_medium_of_nobody_is_refused_and_stores_nothing(platform, kind, queue):
    stranger = upload(make_platform(), png())
    outcome = submit(platform, title="x", picture=f"media:{stranger.pk}")
    assert outcome.status == "rejected"
    assert "Upload it first" in outcome.errors["content.picture"][0]
    assert Item.objects.count() == 0


def test_every_picture_of_a_list_is_tied_to_the_version(platform, kind, queue):
    one, other = upload(platform, png(colour="red")), upload(platform, png(colour="blue"))
    more = [f"media:{one.pk}", {"image": f"media:{other.pk}", "alt": "Blue"}]
    assert submit(platform, title="x", more=more).status == "created"
    assert {use.medium_id for use in MediumUse.objects.all()} == {one.pk, other.pk}
    assert submit(platform, title="y", picture=f"media:{one.pk}").status == "changed"
    assert MediumUse.objects.filter(medium=one).count() == 2


# Making anew


def test_a_picture_is_made_anew_smaller_and_without_what_it_told(platform):
    from PIL import Image

    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "taken at home"  # lying on its side
    Image.new("RGB", (2400, 1200), "navy").save(out, "JPEG", exif=exif)
    medium = upload(platform, out.getvalue(), prepared=True)
    assert (medium.state, medium.form) == ("ready", "image")
    assert (medium.width, medium.height) == (1200, 2400)
    assert medium.original == ""
    with media.storage().open(medium.renditions["image"]["name"]) as file:
        content = file.read()
    assert b"taken at home" not in content
    with Image.open(io.BytesIO(content)) as picture:
        assert (picture.format, picture.size) == ("WEBP", (800, 1600))
        assert not picture.getexif()


def test_what_came_in_is_gone_once_it_is_made_anew(platform):
    medium = upload(platform, png())
    original = medium.original
    assert media.storage().exists(original)
    media_work.prepare_due()
    assert not media.storage().exists(original)


def test_a_moving_picture_becomes_a_silent_film_with_a_still(platform):
    medium = upload(platform, gif(), prepared=True)
    assert medium.form == "video"
    assert medium.renditions.keys() == {"image", "thumb", "video"}
    assert medium.seconds == pytest.approx(0.6)


def test_a_film_gets_a_still_and_frames_of_all_of_it(platform):
    medium = upload(platform, film(), prepared=True)
    assert medium.form == "video"
    assert medium.renditions.keys() == {"image", "thumb", "video", "strip"}
    assert (medium.width, medium.height) == (96, 64)
    assert medium.seconds == pytest.approx(2, abs=0.2)


def test_a_sound_is_made_anew(platform):
    medium = upload(platform, wav(), prepared=True)
    assert (medium.form, medium.renditions["audio"]["type"]) == ("audio", "audio/webm")
    assert medium.seconds == pytest.approx(1, abs=0.1)


def _bomb():
    from PIL import Image

    out = io.BytesIO()
    Image.new("1", (12_000, 12_000)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"#EXTM3U\nfile:///etc/passwd\n", "unreadable"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", "unreadable"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "unreadable"),
        (film()[:2000], "unreadable"),
        (_bomb(), "too_many_pixels"),
    ],
    ids=["playlist", "svg", "broken sound", "cut film", "bomb"],
)
def test_what_is_no_medium_is_failed_at_once_and_its_bytes_go(platform, content, why):
    medium = upload(platform, content, prepared=True)
    assert (medium.state, medium.error, medium.attempts) == ("failed", why, 1)
    assert (medium.original, medium.renditions) == ("", {})


def test_a_worker_prepares_a_medium_once(platform):
    medium = upload(platform, png())
    assert tasks.prepare_media.apply(throw=True).get() == 1
    medium.refresh_from_db()
    assert medium.state == "ready"
    assert tasks.prepare_media.apply(throw=True).get() == 0
    again = Medium.objects.get(pk=medium.pk)
    assert (again.renditions, again.attempts) == (medium.renditions, 1)


def test_the_sweep_prepares_nothing_itself(platform):
    medium = upload(platform, png())
    Medium.objects.filter(pk=medium.pk).update(state="erased")
    waiting = upload(platform, png(colour="red"))
    assert tasks.sweep_media.apply(throw=True).get() == 1
    assert tasks.sweep_media.apply(throw=True).get() == 0
    assert list(Medium.objects.values_list("pk", "state")) == [(waiting.pk, "due")]


def test_a_file_that_takes_too_much_fails_and_the_worker_lives(platform, monkeypatch):
    tight = media_work.LIMITS._replace(memory_bytes=80 * 2**20)
    monkeypatch.setattr(media_work, "LIMITS", tight)
    medium = upload(platform, png(3000, 3000), prepared=True)
    assert medium.state == "failed"


def test_what_goes_wrong_on_our_side_is_tried_three_times_then_parked_and_can_be_tried_again(
    platform, monkeypatch
):
    medium = upload(platform, png())

    def broken(medium, to):
        raise OSError("no disk")

    with monkeypatch.context() as patch:
        patch.setattr(media_work, "_bring", broken)
        for state in ("due", "due", "parked"):
            Medium.objects.update(due_at=timezone.now() - timedelta(seconds=1))
            assert media_work.prepare_due(limit=1) == 1
            medium.refresh_from_db()
            assert medium.state == state
    assert media.storage().exists(medium.original)
    assert media_work.prepare_due() == 0
    assert media_work.retry_parked() == 1
    media_work.prepare_due()
    medium.refresh_from_db()
    assert medium.state == "ready"


def test_a_worker_that_died_three_times_over_a_medium_does_not_meet_it_again(platform):
    medium = upload(platform, png())
    Medium.objects.update(attempts=3)
    media_work.prepare_due()
    medium.refresh_from_db()
    assert medium.state == "parked"


def test_what_was_erased_meanwhile_leaves_no_file(platform, monkeypatch):
    before = stored_files()
    medium = upload(platform, png(colour="pink"))
    work = media_work._work

    def slow(one):
        done = work(one)
        Medium.objects.filter(pk=medium.pk).update(state="erased")
        return done

    monkeypatch.setattr(media_work, "_work", slow)
    media_work.prepare_due()
    media.remove_erased()
    assert stored_files() == before
    assert not Medium.objects.exists()


# Showing


@pytest.fixture
def shown(platform, kind, queue):
    """A picture that an item shows."""
    medium = upload(platform, png(80, 60), prepared=True)
    submit(platform, title="A pin", picture=f"media:{medium.pk}")
    return medium


def test_a_reviewer_gets_the_rendition_and_nothing_that_could_run(shown, rosa):
    answer = client_of(rosa).get(f"/media/{shown.pk}/image/")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "image/webp"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Cross-Origin-Resource-Policy"] == "same-origin"
    assert answer["Content-Disposition"] == f'inline; filename="medium-{shown.pk}-image.webp"'
    assert "private" in answer["Cache-Control"]
    policy = answer["Content-Security-Policy"]
    assert "sandbox" in policy and "default-src 'none'" in policy
    assert b"".join(answer).startswith(b"RIFF")


def test_what_the_browser_has_is_not_sent_again(shown, rosa):
    client = client_of(rosa)
    etag = client.get(f"/media/{shown.pk}/image/")["ETag"]
    again = client.get(f"/media/{shown.pk}/image/", headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        ("bytes=0-3", 206, slice(0, 4)),
        ("bytes=4-", 206, slice(4, None)),
        ("bytes=-5", 206, slice(-5, None)),
        ("bytes=2-999999999", 206, slice(2, None)),
        ("bytes=999999999-", 416, None),
        ("bytes=-0", 416, None),
        ("bytes=0-1,3-4", 200, slice(None)),
        ("bytes=5-2", 200, slice(None)),
        ("lines=1-2", 200, slice(None)),
    ],
)
def test_a_film_can_be_entered_anywhere(shown, rosa, asked, status, part):
    client = client_of(rosa)
    whole = b"".join(client.get(f"/media/{shown.pk}/image/"))
    answer = client.get(f"/media/{shown.pk}/image/", headers={"Range": asked})
    assert answer.status_code == status
    if part is not None:
        content = b"".join(answer)
        assert content == whole[part]
        assert int(answer["Content-Length"]) == len(content)
    if status == 206:
        assert re.fullmatch(rf"bytes \d+-\d+/{len(whole)}", answer["Content-Range"])


def test_a_range_of_another_file_than_she_has_is_the_whole_file(shown, rosa):
    headers = {"Range": "bytes=0-3", "If-Range": '"other"'}
    assert client_of(rosa).get(f"/media/{shown.pk}/image/", headers=headers).status_code == 200


@pytest.mark.parametrize("name", ["original", "video", "x"])
def test_only_renditions_are_served(shown, rosa, name):
    assert client_of(rosa).get(f"/media/{shown.pk}/{name}/").status_code == 404


def test_strangers_and_media_that_no_item_shows_are_not_found(platform, shown, rosa):
    loose = upload(platform, png(colour="gold"), prepared=True)
    other = make_platform()
    remy = make_person("remy", platform=other)
    assert client_of(remy).get(f"/media/{shown.pk}/image/").status_code == 404
    assert client_of(rosa).get(f"/media/{loose.pk}/image/").status_code == 404
    assert Client().get(f"/media/{shown.pk}/image/").status_code == 302


def test_who_judges_without_the_author_does_not_get_her_face(platform, kind, queue, rosa):
    face = upload(platform, png(colour="green"), prepared=True)
    submit(platform, title="x", face=f"media:{face.pk}")
    assert client_of(rosa).get(f"/media/{face.pk}/image/").status_code == 200
    queue.blind = ["author"]
    queue.save()
    assert client_of(rosa).get(f"/media/{face.pk}/image/").status_code == 404
    page = client_of(rosa).get(f"/review/{queue.slug}/").content.decode()
    assert f"/media/{face.pk}/" not in page and f"media:{face.pk}" not in page


def test_the_desk_shows_the_picture_in_a_frame_of_its_size(platform, shown, queue, rosa):
    queue.filters = ["blur"]
    queue.save()
    page = client_of(rosa).get(f"/review/{queue.slug}/").content.decode()
    assert 'class="medium" data-medium="image" data-filters="blur"' in page
    assert f'src="/media/{shown.pk}/image/" width="80" height="60" loading="lazy"' in page


def test_what_is_not_ready_says_so_and_comes_by_itself(platform, kind, queue, rosa):
    medium = upload(platform, png(colour="olive"))
    submit(platform, title="x", picture=f"media:{medium.pk}")
    client = client_of(rosa)
    page = client.get(f"/review/{queue.slug}/").content.decode()
    assert "Being prepared" in page and f'hx-get="/media/{medium.pk}/?' in page
    media_work.prepare_due()
    figure = client.get(f"/media/{medium.pk}/?filters=blur+onclick").content.decode()
    assert 'data-filters="blur"' in figure and f"/media/{medium.pk}/image/" in figure


def test_an_address_is_told_and_never_loaded(platform, kind, queue, rosa):
    submit(platform, title="x", picture="https://media.example/a.jpg")
    page = client_of(rosa).get(f"/review/{queue.slug}/").content.decode()
    assert "holds no copy of it" in page
    assert "hxxps://media[.]example/a.jpg" in page
    assert Medium.objects.count() == 0


def test_many_media_cost_the_desk_no_query_more(
    platform, kind, queue, rosa, django_assert_num_queries
):
    from reviews import desk

    media_of_it = [upload(platform, png(colour=(n, n, n))) for n in range(12)]
    submit(platform, title="x", more=[f"media:{one.pk}" for one in media_of_it])
    item = Item.objects.get()
    with django_assert_num_queries(1):
        sight = desk.sight(item.pk)
    assert len(sight.media) == 12


def test_a_text_is_copied_exactly_as_it_came_and_not_what_is_hidden(platform, rosa, queue):
    kind = make_kind(
        platform=platform,
        slug="note",
        fields=[
            {"name": "body", "label": "Text", "type": "text", "role": "text"},
            {"name": "by", "label": "By", "type": "string", "role": "author"},
        ],
    )
    said = "Write to s\u200bales at https://shop.example/ \u202ewon\r\n<b>"
    row = {"kind": kind.slug, "external_id": "n1", "content": {"body": said, "by": "dora"}}
    intake.submit_items(platform, [row], by=None)
    url = f"/items/{Item.objects.get().pk}/original/"
    answer = client_of(rosa).get(url, {"field": "body"})
    assert answer.content.decode() == said
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    queue.blind = ["author"]
    queue.save()
    assert client_of(rosa).get(url, {"field": "by"}).status_code == 404


# Erasing


def test_erasing_an_item_erases_what_only_it_showed(platform, shown, kind, queue):
    shared = upload(platform, png(colour="silver"), prepared=True)
    item = Item.objects.get()
    submit(platform, title="A pin", more=[f"media:{shown.pk}", f"media:{shared.pk}"])
    row = {"kind": "pin", "external_id": "p2", "content": {"picture": f"media:{shared.pk}"}}
    intake.submit_items(platform, [row], by=None)
    files = media.files_of(shown)
    erasure.erase_item(item, by=None, reason="The author asked.")
    assert AuditEntry.objects.get(verb="item.erase").data["media"] == 1
    assert (
        client_of(make_person("ada", platform=platform))
        .get(f"/media/{shown.pk}/image/")
        .status_code
        == 404
    )
    media.remove_erased()
    assert not any(media.storage().exists(name) for name in files)
    assert list(Medium.objects.all()) == [shared]


def test_the_same_bytes_may_come_again_after_an_erasure(platform, shown, queue):
    erasure.erase_item(Item.objects.get(), by=None, reason="The author asked.")
    again = upload(platform, png(80, 60))
    assert again.pk != shown.pk


def test_an_upload_that_no_item_came_for_is_given_up_after_a_week(platform, shown):
    loose = upload(platform, png(colour="gold"))
    assert media.erase_unused() == 0
    Medium.objects.update(created_at=timezone.now() - timedelta(days=media.UNUSED_DAYS, hours=1))
    assert media.erase_unused() == 1
    loose.refresh_from_db()
    shown.refresh_from_db()
    assert (loose.state, shown.state) == ("erased", "ready")
