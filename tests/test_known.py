"""Lists of known items: kept, held against what comes in, and reported as any signal is."""

import io
import random

import pytest
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from reviews import erasure, intake, known, looks, media, media_work, tasks
from reviews.errors import Conflict, Forbidden, Invalid, NotFound
from reviews.models import (
    AuditEntry,
    Item,
    Job,
    KnownHash,
    KnownMatch,
    LookAlike,
    Report,
    Reporter,
)

from .factories import make_kind, make_platform, make_policy, make_queue
from .media import png, upload
from .people import make_person

pytestmark = pytest.mark.django_db

PIN = [
    {"name": "title", "label": "Title", "type": "string", "role": "title", "required": False},
    {"name": "picture", "label": "Picture", "type": "image", "role": "image", "required": False},
]


def scene(seed=1, *, size=(640, 480), box=None, quality=None, tint=0, form="PNG"):
    """A picture with something in it, always the same for a seed; cropped, coloured, compressed."""
    from PIL import Image, ImageDraw

    rng = random.Random(seed)
    picture = Image.new("RGB", (640, 480), (rng.randrange(256), 120, 90))
    draw = ImageDraw.Draw(picture)
    for _ in range(30):
        x, y = rng.randrange(640), rng.randrange(480)
        w, h = rng.randrange(40, 240), rng.randrange(40, 200)
        colour = tuple(rng.randrange(256) for _ in range(3))
        (draw.ellipse if rng.random() < 0.5 else draw.rectangle)((x, y, x + w, y + h), fill=colour)
    if box:
        picture = picture.crop(box)
    picture = picture.resize(size)
    if tint:
        picture = picture.point(lambda value: min(255, value + tint))
    out = io.BytesIO()
    picture.save(out, form, **({"quality": quality} if quality else {}))
    return out.getvalue()


def look(content):
    return looks.look_of(io.BytesIO(content))


def film(*seeds, size=(320, 240), begin=0.0, bit_rate=2_000_000):
    """A second of each scene, the picture moving slowly; the first `begin` seconds cut off."""
    import av
    from PIL import Image

    scenes = [Image.open(io.BytesIO(scene(seed))) for seed in seeds]
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.bit_rate = bit_rate
        for number in range(round(begin * 10), 10 * len(seeds)):
            left = 4 * (number % 10)
            shown = scenes[number // 10].crop((left, 10, left + 560, 430)).resize(size)
            for packet in stream.encode(av.VideoFrame.from_image(shown)):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return out.getvalue()


def moments(content, seconds):
    return looks.moments_of(io.BytesIO(content), seconds=seconds)


@pytest.fixture
def platform():
    platform = make_platform(slug="pins")
    platform.policy = make_policy(platform=platform, slug="abuse", name="Abuse")
    platform.queue = make_queue(platform=platform, policies=[platform.policy], is_default=True)
    platform.paul = make_person("paul", platform=platform)
    make_kind(platform=platform, slug="pin", fields=PIN)
    return platform


@pytest.fixture
def listed(platform):
    return known.create_list(platform.policy, by=platform.paul, name="Shared list", distance="20")


def submit(platform, medium, external_id="p1"):
    row = {
        "kind": "pin",
        "external_id": external_id,
        "content": {"title": "look", "picture": f"media:{medium.pk}"},
    }
    (outcome,) = intake.submit_items(platform, [row], by=None)
    assert outcome.status == "created", outcome.errors
    return Item.objects.get(pk=outcome.item_id)


def _black():
    import av
    from PIL import Image

    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(10):
            for packet in stream.encode(av.VideoFrame.from_image(Image.new("RGB", (64, 48)))):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return out.getvalue()


# What a picture looks like


@pytest.mark.parametrize(
    "changed",
    [
        {"size": (320, 240)},
        {"size": (1280, 960)},
        {"form": "JPEG", "quality": 30},
        {"tint": 25},
        {"box": (6, 4, 634, 476)},
    ],
)
def test_a_picture_made_smaller_compressed_or_coloured_stays_near(changed):
    for seed in range(5):
        assert looks.distance(look(scene(seed)), look(scene(seed, **changed))) <= 20


def test_other_pictures_are_far():
    found = [look(scene(seed)) for seed in range(12)]
    pairs = [(a, b) for n, a in enumerate(found) for b in found[:n]]
    assert min(looks.distance(a, b) for a, b in pairs) > 60


def test_a_picture_of_one_colour_looks_like_nothing():
    assert look(png(colour="teal")) is None


def test_what_shines_through_is_on_white():
    from PIL import Image

    with Image.open(io.BytesIO(scene())) as opened:
        clear = opened.convert("RGBA")
    clear.putalpha(255)
    out = io.BytesIO()
    clear.save(out, "PNG")
    assert look(out.getvalue()) == look(scene())


def test_hexadecimal_digits_and_bits_say_the_same():
    assert looks.as_bits("0" * 63 + "5") == "0" * 253 + "101"
    assert looks.distance("0" * 64, "f" + "0" * 63) == 4
    assert looks.is_hash("AB" * 32)
    assert not looks.is_hash("ab" * 31)


def test_a_film_is_looked_at_four_times_a_second_a_longer_one_less_often():
    found = moments(film(1, 2), 2.0)  # ten pictures a second: the first after each quarter
    assert [at for at, _value in found] == [0.0, 0.3, 0.5, 0.8, 1.0, 1.3, 1.5, 1.8]
    assert [at for at, _value in moments(film(1, 2), 33.0)] == [0.0, 0.5, 1.0, 1.5]
    assert [at for at, _value in moments(film(1, 2), 65.0)] == [0.0, 1.0]


@pytest.mark.parametrize("changed", [{"size": (160, 120)}, {"bit_rate": 60_000}, {"begin": 0.3}])
def test_a_film_made_smaller_compressed_or_cut_has_moments_of_the_whole(changed):
    whole = [value for _at, value in moments(film(1, 2, 3), 3.0)]
    part = [value for _at, value in moments(film(1, 2, 3, **changed), 3.0)]
    other = [value for _at, value in moments(film(7, 8, 9), 3.0)]

    def nearest(one, those):
        return min(looks.distance(one, value) for value in those)

    assert sum(nearest(one, whole) <= 20 for one in part) > 0.8 * len(part)
    assert min(nearest(one, whole) for one in other) > 60


def test_a_film_of_one_colour_looks_like_nothing():
    assert moments(_black(), 1.0) == []


# Held against what comes in


def test_a_near_picture_files_a_report_and_raises_its_rank(platform, listed):
    known.add_hashes(listed, [known.Given(look(scene()), note="case 7")], by=platform.paul)
    plain = submit(platform, upload(platform, scene(2), prepared=True), "other")
    item = submit(platform, upload(platform, scene(form="JPEG", quality=30), prepared=True), "near")
    before = Job.objects.get(item=item).rank

    known.match_due()

    report = Report.objects.get()
    assert (report.item, report.source, report.reason) == (item, "hash", "Abuse")
    assert report.reporter == "Shared list"
    match = KnownMatch.objects.get()
    assert 0 < match.distance <= 20
    assert f"{match.distance} of 256 bits differ. case 7" in report.text
    assert Job.objects.get(item=item).rank > before
    assert Job.objects.get(item=item).rank > Job.objects.get(item=plain).rank
    assert Reporter.objects.get(source="hash").external_id == "Shared list"  # its record is kept


def test_the_very_bytes_are_found_by_their_sha256(platform, listed):
    import hashlib

    content = png(colour="teal")  # looks like nothing
    digest = hashlib.sha256(content).hexdigest()
    known.add_hashes(listed, [known.Given(digest, "sha256")], by=None)
    submit(platform, upload(platform, content, prepared=True))
    known.match_due()
    assert "is on the list" in Report.objects.get().text
    assert KnownMatch.objects.get().distance == 0


def test_a_picture_is_held_against_the_lists_once(platform, listed):
    known.add_hashes(listed, [known.Given(look(scene()))], by=None)
    submit(platform, upload(platform, scene(), prepared=True))
    assert tasks.match_known() == 1
    assert tasks.match_known() == 0
    media.hold_against_lists(LookAlike.objects.values_list("pk", flat=True))
    assert tasks.match_known() == 1  # asked for anew, it files nothing twice
    assert (Report.objects.count(), KnownMatch.objects.count()) == (1, 1)


def test_the_sweep_compares_nothing_itself(platform, listed):
    known.add_hashes(listed, [known.Given(look(scene()))], by=None)
    submit(platform, upload(platform, scene(), prepared=True))
    assert [tasks.sweep_known(), tasks.sweep_known()] == [0, 0]
    assert not Report.objects.exists()
    assert known.is_any_due()


def test_a_second_item_with_a_known_picture_is_reported_too(platform, listed):
    known.add_hashes(listed, [known.Given(look(scene()))], by=None)
    medium = upload(platform, scene(), prepared=True)
    submit(platform, medium, "first")
    known.match_due()
    submit(platform, medium, "second")
    known.match_due()
    assert sorted(Report.objects.values_list("item__external_id", flat=True)) == ["first", "second"]


def test_what_waits_is_held_against_a_hash_that_comes_later(platform, listed):
    item = submit(platform, upload(platform, scene(), prepared=True))
    known.match_due()
    assert not Report.objects.exists()
    known.add_hashes(listed, [known.Given(look(scene()))], by=None)
    known.match_due()
    assert Report.objects.get().item == item


def test_beyond_the_distance_and_on_archived_lists_nothing_matches(platform, listed):
    near = scene(form="JPEG", quality=30)
    bits = looks.distance(look(scene()), look(near))
    known.add_hashes(listed, [known.Given(look(scene()))], by=None)
    known.set_distance(listed, bits - 1, by=None)
    submit(platform, upload(platform, near, prepared=True))
    known.match_due()
    assert not Report.objects.exists()
    known.archive_list(listed, by=None)
    known.set_distance(listed, bits, by=None)
    known.match_due()
    assert not Report.objects.exists()
    known.archive_list(listed, by=None, is_archived=False)
    known.match_due()
    assert Report.objects.count() == 1


def test_another_platforms_list_is_none_of_ours(platform, listed):
    other = make_platform(slug="other")
    theirs = known.create_list(make_policy(platform=other), by=None, name="Theirs")
    known.add_hashes(theirs, [known.Given(look(scene()))], by=None)
    submit(platform, upload(platform, scene(), prepared=True))
    known.match_due()
    assert not Report.objects.exists()


def test_a_picture_that_cannot_be_read_stops_no_other_and_is_given_up(platform, listed):
    known.add_hashes(listed, [known.Given(look(scene()))], by=None)
    lost, fine = (upload(platform, content, prepared=True) for content in (scene(3), scene()))
    submit(platform, lost, "lost"), submit(platform, fine, "fine")
    media.remove_files([lost.renditions["image"]["name"]])
    for _ in range(known.MAX_ATTEMPTS):
        LookAlike.objects.filter(due_at__isnull=False).update(due_at="2020-01-01T00:00Z")
        known.match_due()
    assert Report.objects.get().item.external_id == "fine"
    row = LookAlike.objects.get(medium=lost)
    assert row.due_at is None
    assert "FileNotFoundError" in row.error


def test_an_erased_item_takes_its_look_with_it(platform, listed):
    known.add_hashes(listed, [known.Given(look(scene()))], by=None)
    item = submit(platform, upload(platform, scene(), prepared=True))
    known.match_due()
    erasure.erase_item(item, by=None, reason="asked for")
    media.remove_erased()
    assert not LookAlike.objects.exists()
    assert not KnownMatch.objects.exists()
    assert KnownHash.objects.count() == 1  # a hash is nobody's picture


def test_a_film_is_found_by_a_moment_of_it(platform, listed):
    """A still is known; later somebody sends a film in which it is to be seen for a second."""
    frame = {"box": (8, 10, 568, 430), "size": (320, 240)}
    known.add_hashes(listed, [known.Given(look(scene(2, **frame)), note="case 7")], by=None)
    item = submit(platform, upload(platform, film(1, 2, 3), prepared=True), "film")
    other = submit(platform, upload(platform, film(4, 5), prepared=True), "other")
    assert known.match_due() == 2
    report = Report.objects.get()
    assert (report.item, report.source) == (item, "hash")
    assert "A film in it, at 0:01, is" in report.text and "case 7" in report.text
    assert not other.reports.exists()
    assert len(LookAlike.objects.get(medium__uses__item_version__item=item).moments) == 12


def test_a_film_that_was_judged_makes_its_copies_known(platform, listed):
    judged = submit(platform, upload(platform, film(1, 1, 2), prepared=True), "judged")
    known.match_due()
    added = known.add_item(listed, judged, by=platform.paul)
    assert 4 <= added < 12  # one of each sight
    notes = set(listed.hashes.values_list("note", flat=True))
    assert f"item {judged.pk}, 0:00" in notes
    copy = submit(platform, upload(platform, film(1, 1, 2, size=(160, 120)), prepared=True), "copy")
    submit(platform, upload(platform, film(5, 6), prepared=True), "other")
    known.match_due()
    found = Report.objects.exclude(item=judged).get()  # one, however many moments match
    assert found.item == copy


def test_the_very_bytes_of_a_film_are_found_too(platform, listed):
    import hashlib

    digest = hashlib.sha256(film(1)).hexdigest()
    known.add_hashes(listed, [known.Given(digest, "sha256")], by=None)
    submit(platform, upload(platform, film(1), prepared=True))
    known.match_due()
    assert Report.objects.get().text.startswith("A film in it is on the list")


def test_what_is_still_being_prepared_is_left_alone(platform, listed):
    known.add_hashes(listed, [known.Given(look(scene()))], by=None)
    medium, _ = media.upload_medium(platform, ContentFile(scene(), name="x"), by=None)
    submit(platform, medium)
    assert known.match_due() == 0
    media_work.prepare_due()
    assert known.match_due() == 1
    assert Report.objects.count() == 1


# Kept by policy owners


def test_what_is_done_to_a_list_is_audited(platform, listed):
    paul = platform.paul
    known.add_hashes(listed, [known.Given("ab" * 32), known.Given("AB" * 32)], by=paul)
    assert known.add_hashes(listed, [known.Given("ab" * 32)], by=paul) == 0
    known.set_distance(listed, 8, by=paul)
    known.remove_hash(listed.hashes.get(), by=paul)
    known.archive_list(listed, by=paul)
    with pytest.raises(Conflict):
        known.archive_list(listed, by=paul)
    with pytest.raises(Conflict):
        known.add_hashes(listed, [known.Given("cd" * 32)], by=paul)
    entries = AuditEntry.objects.filter(verb__startswith="known.").order_by("pk")
    assert [one.verb.partition(".")[2] for one in entries] == [
        *("create", "add", "distance", "remove", "archive"),
    ]
    assert entries[1].data["added"] == 1
    assert {one.actor_id for one in entries} == {paul.pk}


def test_only_policy_owners_and_administrators_keep_lists(platform, listed):
    lena = make_person("lena", platform=platform)
    for deed in (
        lambda: known.create_list(platform.policy, by=lena, name="Mine"),
        lambda: known.add_hashes(listed, [known.Given("ab" * 32)], by=lena),
        lambda: known.set_distance(listed, 3, by=lena),
        lambda: known.archive_list(listed, by=lena),
    ):
        with pytest.raises(Forbidden):
            deed()
    assert known.get_list(lena, listed.pk) == listed
    with pytest.raises(NotFound):
        known.get_list(make_person("abel", platform=make_platform()), listed.pk)


@pytest.mark.parametrize(
    ("name", "distance", "wrong"),
    [("", 20, "name"), ("x" * 81, 20, "name"), ("N", "65", "distance"), ("N", "-1", "distance")],
)
def test_a_list_that_makes_no_sense_is_refused(platform, name, distance, wrong):
    with pytest.raises(Invalid) as caught:
        known.create_list(platform.policy, by=platform.paul, name=name, distance=distance)
    assert set(caught.value.details) == {wrong}


def test_a_second_list_of_the_name_is_refused(platform, listed):
    with pytest.raises(Invalid, match="already"):
        known.create_list(platform.policy, by=None, name="Shared list")


def test_a_file_is_taken_whole_or_not_at_all(platform, listed):
    good = f"\ufeffhash,type,note\n{'ab' * 32},,first\n\n{'cd' * 32},SHA256,\n"
    given = known.read_csv(io.StringIO(good))
    assert [one.sort for one in given] == ["phash", "sha256"]
    with pytest.raises(Invalid) as caught:
        known.add_hashes(
            listed, [*given, known.Given("xyz"), known.Given("ef" * 32, "md5")], by=None
        )
    assert len(caught.value.details["hashes"]) == 2
    assert not listed.hashes.exists()
    assert known.add_hashes(listed, given, by=None) == 2
    assert {one.hex for one in listed.hashes.all()} == {"ab" * 32, "cd" * 32}


def test_an_item_that_was_judged_becomes_known(platform, listed):
    item = submit(platform, upload(platform, scene(), prepared=True), "first")
    known.match_due()
    assert known.add_item(listed, item, by=platform.paul) == 1
    copy = submit(platform, upload(platform, scene(tint=20), prepared=True), "copy")
    known.match_due()
    assert copy.pk in Report.objects.values_list("item", flat=True)
    bare = submit(platform, upload(platform, png(), prepared=True), "bare")
    known.match_due()
    with pytest.raises(Invalid, match="no picture"):
        known.add_item(listed, bare, by=platform.paul)


# Pages and API


@pytest.fixture
def client(platform):
    client = Client()
    client.force_login(platform.paul)
    return client


def test_a_list_is_made_and_filled_on_its_page(platform, client):
    url = reverse("reviews:setup-known-new")
    form = {"policy": platform.policy.pk, "name": "Shared", "distance": "16"}
    page = client.post(url, form, follow=True).content.decode()
    assert "Shared is there" in page
    made = platform.known_lists.get()
    assert made.distance == 16
    file = SimpleUploadedFile("hashes.csv", f"hash\n{'ab' * 32}\n".encode())
    page = client.post(
        reverse("reviews:setup-known-add", args=[made.pk]), {"file": file}, follow=True
    ).content.decode()
    assert "1 hash is new" in page
    assert "ab" * 32 in page
    removed = client.post(
        reverse("reviews:setup-known-remove", args=[made.hashes.get().pk]), follow=True
    )
    assert "None yet." in removed.content.decode()


def test_what_is_wrong_with_a_file_is_said_on_the_page(platform, client, listed):
    url = reverse("reviews:setup-known-add", args=[listed.pk])
    for content, said in ((b"hash\nxyz\n", "Row 1: xyz"), (b"\xff\xfe", "not UTF-8")):
        answer = client.post(url, {"file": SimpleUploadedFile("h.csv", content)})
        assert answer.status_code == 422
        assert said in answer.content.decode()
    answer = client.post(url, {"item": "no number"})
    assert answer.status_code == 422


def test_its_matches_lead_to_their_items_and_show_no_picture(platform, client, listed):
    known.add_hashes(listed, [known.Given(look(scene()))], by=None)
    item = submit(platform, upload(platform, scene(), prepared=True))
    known.match_due()
    page = client.get(reverse("reviews:setup-known-detail", args=[listed.pk])).content.decode()
    assert reverse("reviews:item-detail", args=[item.pk]) in page
    assert "0 bits" in page
    assert "<img" not in page.partition("<main")[2]


def test_hashes_come_over_the_api(platform, client, listed):
    (one,) = client.get(reverse("reviews_api:known-lists")).json()["results"]
    assert one["name"] == "Shared list"
    url = reverse("reviews_api:known-hashes", args=[listed.pk])
    body = {"hashes": [{"hash": "ab" * 32, "note": "n"}, {"hash": "cd" * 32, "type": "sha256"}]}
    answer = client.post(url, body, content_type="application/json")
    assert (answer.status_code, answer.json()) == (200, {"added": 2})
    assert client.post(url, body, content_type="application/json").json() == {"added": 0}
    wrong = client.post(url, {"hashes": [{"hash": "x"}]}, content_type="application/json")
    assert wrong.status_code == 422


def test_the_review_screen_says_how_near_it_is(platform, listed):
    from reviews import evidence

    known.add_hashes(listed, [known.Given(look(scene()))], by=None)
    item = submit(platform, upload(platform, scene(form="JPEG", quality=30), prepared=True))
    known.match_due()
    (report,) = evidence.reports_of(item, limit=5)
    assert report.label == "Hash match"
    assert "of 256 bits differ" in report.text
