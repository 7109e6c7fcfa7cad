"""Item kinds as services: what may be, what is kept, what a change means for items already here."""

import pytest

from reviews import intake, kinds, revisions
from reviews.errors import Conflict, Forbidden, Invalid, NotFound
from reviews.models import AuditEntry, Item, ItemKind, Job, Review
from tests.factories import make_item, make_kind, make_platform, make_queue
from tests.people import make_person

pytestmark = pytest.mark.django_db

BODY = {"name": "body", "label": "Text", "type": "text", "role": "text", "required": True}
TITLE = {"name": "subject", "label": "Subject", "type": "string", "role": "title"}


def field(name, type_="string", role="", **more):
    return {"name": name, "type": type_, "role": role, **more}


@pytest.fixture
def platform():
    return make_platform()


@pytest.fixture
def lena(platform):
    return make_person("lena", platform=platform)


def create(platform, by, fields=(BODY,), layout=(), slug="post", name="Post"):
    return kinds.create_kind(
        platform, by=by, slug=slug, name=name, fields=list(fields), layout=list(layout)
    )


def refused(platform, by, **kw):
    with pytest.raises(Invalid) as caught:
        create(platform, by, **kw)
    assert not ItemKind.objects.exists()
    return caught.value.details


def test_a_kind_takes_items_at_once_and_its_making_is_audited(platform, lena):
    kind = create(platform, lena, [TITLE, BODY])
    make_queue(platform=platform, is_default=True)
    row = {"kind": "post", "external_id": "1", "content": {"body": "hi"}}
    (outcome,) = intake.submit_items(platform, [row], by=None)
    assert outcome.status == "created"
    entry = AuditEntry.objects.get(verb="itemkind.save")
    assert (entry.actor, entry.target_id) == (lena, str(kind.pk))
    assert revisions.history(kind).count() == 1


@pytest.mark.parametrize("slug", ["", "Post", "a b", "-a", "a--b", "new", "x" * 41, "ä"])
def test_a_slug_is_something_a_program_can_send(platform, lena, slug):
    assert set(refused(platform, lena, slug=slug)) == {"slug"}


def test_a_slug_is_taken_once_a_platform(platform, lena):
    create(platform, lena)
    with pytest.raises(Invalid) as caught:
        create(platform, lena)
    assert set(caught.value.details) == {"slug"}
    create(make_platform(), None)


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ([], {"fields"}),
        ([field("a")], {"fields"}),
        ([field("", "text", "text")], {"fields.0.name"}),
        ([field("1a", "text", "text")], {"fields.0.name"}),
        ([field("a-b", "text", "text")], {"fields.0.name"}),
        ([field("x" * 41, "text", "text")], {"fields.0.name"}),
        ([BODY, field("body")], {"fields.1.name"}),
        ([BODY, field("BODY")], {"fields.1.name"}),
        ([field("a", "hologram", "text")], {"fields.0.type"}),
        ([field("a", "text", "oracle")], {"fields.0.role"}),
        ([field("a", "number", "title")], {"fields.0.role"}),
        ([BODY, field("a", "text", "date")], {"fields.1.role"}),
        ([BODY, field("a", "boolean", "key-value")], {"fields.1.role"}),
        ([TITLE, field("b", role="title")], {"fields.1.role"}),
        ([BODY, field("a", role="author"), field("b", role="author")], {"fields.2.role"}),
        ([BODY, field("a", role="parent"), field("b", role="parent")], {"fields.2.role"}),
        ([BODY, field("a", role="thread"), field("b", role="thread")], {"fields.2.role"}),
        ([field("a", "text", "text", label="x" * 81)], {"fields.0.label"}),
        ([field(f"f{n}", "text", "text") for n in range(51)], {"fields"}),
        (
            ["no field", None, 7],
            {f"fields.{n}.{key}" for n in range(3) for key in ("name", "type")},
        ),
    ],
)
def test_what_is_wrong_with_a_field_is_said_beside_it(platform, lena, fields, wrong):
    assert set(refused(platform, lena, fields=fields)) == wrong


@pytest.mark.parametrize(
    ("block", "wrong"),
    [
        ({"block": "hologram", "fields": ["body"]}, "layout.0.block"),
        ({"block": "text", "fields": []}, "layout.0.fields"),
        ({"block": "text", "fields": ["nothing"]}, "layout.0.fields"),
        ({"block": "link", "fields": ["body"]}, "layout.0.fields"),
        ({"block": "image", "fields": ["body"]}, "layout.0.fields"),
        ({"block": "text", "fields": ["body", "body"]}, None),
        ({"block": "text", "fields": ["body"], "label": "x" * 81}, "layout.0.label"),
    ],
)
def test_what_is_wrong_with_a_block_is_said_beside_it(platform, lena, block, wrong):
    if wrong is None:
        create(platform, lena, layout=[block])
        return
    assert set(refused(platform, lena, layout=[block])) == {wrong}


def test_a_field_stands_in_one_block_and_one_block_shows_the_rest(platform, lena):
    twice = [{"block": "text", "fields": ["body"]}, {"block": "quote", "fields": ["body"]}]
    assert set(refused(platform, lena, layout=twice)) == {"layout.1.fields"}
    assert set(refused(platform, lena, layout=[{"block": "data"}] * 2)) == {"layout"}


@pytest.mark.parametrize(
    "fields",
    [
        [field("a", "image", "image")],
        [field("a", "url", "video")],
        [TITLE],
        [BODY, field("n", "key-value", "key-value"), field("d", "datetime", "date")],
    ],
)
def test_a_title_a_text_or_something_to_look_at_is_enough(platform, lena, fields):
    create(platform, lena, fields)


def test_a_save_is_a_revision_a_difference_in_words_and_an_audit_entry(platform, lena):
    kind = create(platform, lena)
    layout = [{"block": "quote", "fields": ["body"], "label": "Said"}]
    kinds.save_kind(
        kind, by=lena, name="Posts", fields=[BODY, TITLE], layout=layout, note="Asked for", seen=1
    )
    newest, first = kinds.steps(ItemKind.objects.get())
    assert [change.name for change in newest.changes] == ["name", "fields", "layout"]
    assert newest.changes[1].lines[-1] == "+subject: “Subject”, short text, role title"
    assert newest.revision.note == "Asked for" and first.changes == []
    entry = AuditEntry.objects.filter(verb="itemkind.save").last()
    assert entry.data["changed"] == ["name", "fields", "layout"]


def test_a_save_that_changes_nothing_is_none(platform, lena):
    kind = create(platform, lena)
    kinds.save_kind(kind, by=lena, name=kind.name, fields=kind.fields, layout=kind.layout)
    assert revisions.history(kind).count() == 1


def test_what_was_made_elsewhere_can_be_put_back_too(lena, platform):
    kind = make_kind(platform=platform)
    kinds.save_kind(kind, by=lena, name="Other", fields=[BODY], layout=[])
    kinds.put_back(kind, 1, by=lena, seen=2)
    kind.refresh_from_db()
    assert (kind.name, len(kind.fields)) == ("Message", 2)
    assert revisions.history(kind).first().restores.number == 1


def test_a_former_state_that_would_be_refused_today_is_refused(lena, platform):
    kind = make_kind(platform=platform, fields=[{"name": "x", "type": "hologram"}])
    kinds.save_kind(kind, by=lena, name="Other", fields=[BODY], layout=[])
    with pytest.raises(Invalid):
        kinds.put_back(kind, 1, by=lena)
    with pytest.raises(NotFound):
        kinds.put_back(kind, 9, by=lena)


def test_who_did_not_see_the_newest_state_does_not_overwrite_it(platform, lena):
    kind = create(platform, lena)
    kinds.save_kind(kind, by=lena, name="Posts", fields=[BODY], layout=[], seen=1)
    with pytest.raises(Conflict, match="changed by lena"):
        kinds.save_kind(kind, by=lena, name="Mine", fields=[BODY], layout=[], seen=1)
    kind.refresh_from_db()
    assert kind.name == "Posts"


def test_a_reviewer_makes_no_kinds_and_a_stranger_finds_none(platform):
    rosa = make_person("rosa", platform=platform)
    with pytest.raises(Forbidden):
        create(platform, rosa)
    kind = create(platform, None)
    lena = make_person("lena", platform=make_platform())
    with pytest.raises(NotFound):
        kinds.save_kind(kind, by=lena, name="X", fields=[BODY], layout=[])
    with pytest.raises(NotFound):
        kinds.put_back(kind, 1, by=lena)
    with pytest.raises(NotFound):
        kinds.archive_kind(kind, by=lena)


def test_an_archived_kind_takes_no_items_and_its_items_are_still_reported(platform, lena):
    make_queue(platform=platform, is_default=True)
    kind = create(platform, lena)
    row = {"kind": "post", "external_id": "1", "content": {"body": "hi"}}
    intake.submit_items(platform, [row], by=None)
    kinds.archive_kind(kind, by=lena)
    (outcome,) = intake.submit_items(platform, [{**row, "external_id": "2"}], by=None)
    assert outcome.errors == {"kind": ["post is archived: it takes no items any more."]}
    report = {"kind": "post", "item": "1", "reason": "spam"}
    assert intake.file_reports(platform, [report], by=None)[0].status == "created"
    kinds.archive_kind(kind, by=lena, is_archived=False)
    assert intake.submit_items(platform, [{**row, "external_id": "2"}], by=None)[0].item_id


def words_of(kind, fields):
    return {one.name: one.words for one in kinds.impact(kind, fields)}


def test_an_optional_field_more_means_nothing_for_stored_items(platform):
    kind = make_kind(platform=platform)
    make_item(kind=kind)
    more = {**field("likes", "number"), "required": False}
    assert words_of(kind, [*kind.fields, more]) == {}


def test_without_items_no_change_means_anything(platform):
    assert words_of(make_kind(platform=platform), [BODY]) == {}


def test_what_a_change_means_is_counted_on_the_items_that_are_here(platform):
    kind = make_kind(platform=platform)
    for number in range(3):
        make_item(kind=kind, title="x" if number else "")
    subject, body = kind.fields
    words = words_of(kind, [{**body, "name": "text"}])
    assert words["subject"].startswith("is taken out or renamed. 3 of 3 stored items have it")
    assert "“Other data”" in words["body"]
    assert words["text"].startswith("is required now. 3 of 3 stored items lack it")
    assert "models read changes" in words[""]
    retyped = words_of(kind, [subject, {**body, "type": "string"}])
    assert retyped["body"].startswith("becomes: short text. 3 of 3")


def test_a_stored_item_that_fits_no_more_is_kept_shown_and_decided(platform, lena):
    from reviews import claims, decisions, desk

    queue = make_queue(platform=platform, members=[lena])
    kind = make_kind(platform=platform)
    item = make_item(kind=kind, title="Hello", text="old words")
    Job.objects.create(item=item, queue=queue, due_at="2030-01-01T00:00Z")
    fields = [field("text", "text", "text", required=True), field("subject", "number", "number")]
    kinds.save_kind(kind, by=lena, name="Message", fields=fields, layout=[])
    assert Item.objects.get().current_version.content == {"subject": "Hello", "body": "old words"}
    sight = desk.sight(item.pk)
    shown = {e.name: e for one in sight.layout.show(sight.version.content) for e in one.entries}
    assert (shown["subject"].form, shown["subject"].wanted) == ("raw", "Number")
    assert shown["body"].value == "old words"
    job = claims.claim_next(queue, by=lena)
    decisions.record_review(job.pk, job.claim_token, by=lena, verdict="clean")
    assert Review.objects.get().verdict == "clean"


def test_the_made_up_example_is_content_that_the_kind_takes(platform, lena):
    from reviews.placement import shapes_of
    from reviews.submission import ItemRow, read_item

    types = ["string", "text", "number", "datetime", "url", "boolean", "image", "video"]
    fields = [BODY, *(field(f"f_{name}", name) for name in types), field("kv", "key-value")]
    kind = create(platform, lena, fields)
    row = {"kind": "post", "external_id": "1", "content": kinds.example(kind.fields)}
    assert isinstance(read_item(row, index=0, shapes=shapes_of(platform)), ItemRow)
    assert set(row["content"]) == {one["name"] for one in kind.fields}


def test_the_newest_item_or_the_one_asked_for_is_what_a_preview_shows(platform):
    kind = make_kind(platform=platform)
    assert kinds.example_item(kind) is None
    first, last = make_item(kind=kind), make_item(kind=kind)
    make_item(kind=make_kind(platform=platform))
    assert kinds.example_item(kind) == last
    assert kinds.example_item(kind, first.external_id) == first
    assert kinds.example_item(kind, "nothing") is None
