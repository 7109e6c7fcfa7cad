"""The editor of an item kind: one form, worked on row by row, with a preview, with and without
JavaScript."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from reviews import intake, kinds, revisions
from reviews.models import ItemKind
from tests.factories import make_item, make_kind, make_platform, make_queue
from tests.people import make_person

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def platform():
    return make_platform()


@pytest.fixture
def kind(platform):
    return make_kind(platform=platform, slug="message")


def client_of(name, platform):
    client = Client()
    client.force_login(make_person(name, platform=platform))
    return client


@pytest.fixture
def lena(platform):
    return client_of("lena", platform)


def url(kind):
    return reverse("reviews:setup-kind-edit", args=[kind.slug])


def form_of(page):
    """What a browser would send: the editor's controls as they stand."""
    text = page.content.decode()
    text = text[text.index('<form id="kind-form"') : text.index("</form>", text.index("kind-form"))]
    form = {}
    for tag in re.findall(r"<input\b[^>]*>", text):
        name, value = (re.search(rf'\b{key}="([^"]*)"', tag) for key in ("name", "value"))
        if not name or name[1] == "csrfmiddlewaretoken":
            continue
        if 'type="checkbox"' in tag:
            if "checked" in tag:
                form.setdefault(name[1], []).append(value[1] if value else "on")
        else:
            form[name[1]] = value[1] if value else ""
    for name, inner in re.findall(
        r'<select\b[^>]*\bname="([^"]+)"[^>]*>(.*?)</select>', text, re.S
    ):
        form[name] = re.search(r'value="([^"]*)" selected', inner)[1]
    return form


def blocks_of(page):
    return [block.block for block in page.context["draft"].blocks]


def test_the_editor_shows_the_kind_as_it_is_and_saves_it_so(lena, kind):
    page = lena.get(url(kind))
    answer = lena.post(url(kind), {**form_of(page), "name": "Mail", "note": "shorter"})
    assert (answer.status_code, answer["Location"]) == (302, url(kind))
    before = kind.fields
    kind.refresh_from_db()
    assert (kind.name, kind.fields, kind.layout) == ("Mail", before, [])
    assert revisions.history(kind).first().note == "shorter"


def test_with_htmx_a_save_sends_the_browser_to_the_page_afresh(lena, kind):
    answer = lena.post(url(kind), form_of(lena.get(url(kind))), headers=HTMX)
    assert answer["HX-Redirect"] == url(kind)


def test_rows_are_added_moved_and_taken_out_and_nothing_is_saved(lena, kind):
    page = lena.get(url(kind))
    page = lena.post(url(kind), {**form_of(page), "do": "add-field"})
    assert len(page.context["draft"].fields) == 3
    page = lena.post(url(kind), {**form_of(page), "f-2-name": "likes", "do": "up:f-2"})
    assert [row.name for row in page.context["draft"].fields] == ["subject", "likes", "body"]
    page = lena.post(url(kind), {**form_of(page), "do": "drop:f-0"})
    page = lena.post(url(kind), {**form_of(page), "do": "own"})
    assert blocks_of(page) == ["text", "facts"]
    page = lena.post(url(kind), {**form_of(page), "do": "add-block:quote"})
    page = lena.post(url(kind), {**form_of(page), "do": "up:b-2"})
    assert blocks_of(page) == ["text", "quote", "facts"]
    page = lena.post(url(kind), {**form_of(page), "do": "down:b-0"})
    page = lena.post(url(kind), {**form_of(page), "do": "drop:b-0"})
    assert blocks_of(page) == ["text", "facts"]
    page = lena.post(url(kind), {**form_of(page), "do": "usual"})
    assert page.context["draft"].is_own is False
    assert not revisions.history(kind).exists()


@pytest.mark.parametrize(
    "what", ["up:f-0", "down:f-1", "up:f-9", "up:x-0", "drop:f-", "add-block:hologram", "nonsense"]
)
def test_a_press_that_means_nothing_changes_nothing(lena, kind, what):
    page = lena.get(url(kind))
    after = lena.post(url(kind), {**form_of(page), "do": what})
    assert after.status_code == 200 and form_of(after) == form_of(page)


def test_a_field_renamed_in_the_form_stays_in_its_block(lena, kind):
    page = lena.post(url(kind), {**form_of(lena.get(url(kind))), "do": "own"})
    form = {**form_of(page), "f-1-name": "words"}
    page = lena.post(url(kind), {**form, "do": "preview"})
    assert [row.name for row in page.context["draft"].blocks[1].fields] == ["words"]


def test_a_field_in_no_block_is_named(lena, kind):
    page = lena.post(url(kind), {**form_of(lena.get(url(kind))), "do": "own"})
    page = lena.post(url(kind), {**form_of(page), "do": "drop:b-0"})
    assert "under Other data: Subject." in page.content.decode()


def test_the_preview_is_the_newest_item_by_the_desks_own_blocks_unsaved(lena, kind):
    make_item(kind=kind, title="First", text="one")
    make_item(kind=kind, title="Second", text="two https://evil.example/x")
    page = lena.post(url(kind), {**form_of(lena.get(url(kind))), "do": "own"})
    form = {**form_of(page), "b-0-label": "Brand new heading", "do": "preview"}
    answer = lena.post(url(kind), form, headers=HTMX)
    text = answer.content.decode()
    assert text.startswith('<section id="_kind_preview"')
    assert "Second" in text and "Brand new heading" in text
    assert "hxxps://evil[.]example/x" in text
    names = [template.name for template in answer.templates]
    assert "reviews/_blocks.html" in names
    assert ItemKind.objects.get().layout == []


def test_the_preview_shows_the_item_asked_for_and_says_when_there_is_none(lena, kind):
    first = make_item(kind=kind, title="First")
    make_item(kind=kind, title="Second")
    form = {**form_of(lena.get(url(kind))), "do": "preview"}
    text = lena.post(url(kind), {**form, "sample": first.external_id}, headers=HTMX)
    assert "First" in text.content.decode() and "Second" not in text.content.decode()
    text = lena.post(url(kind), {**form, "sample": "<b>none"}, headers=HTMX).content.decode()
    assert "There is no item <bdi>&lt;b&gt;none</bdi>" in text and "Second" in text


def test_a_kind_without_items_previews_on_an_example_that_says_so(lena, kind):
    text = lena.get(url(kind)).content.decode()
    assert "Made-up example" in text and "made-up text" in text


def test_the_preview_shows_no_item_of_another_kind(lena, kind, platform):
    other = make_item(kind=make_kind(platform=platform), title="Elsewhere")
    form = {**form_of(lena.get(url(kind))), "do": "preview", "sample": other.external_id}
    assert "Elsewhere" not in lena.post(url(kind), form, headers=HTMX).content.decode()


def test_what_is_wrong_is_said_beside_its_field_and_what_was_typed_is_kept(lena, kind):
    form = {**form_of(lena.get(url(kind))), "name": "", "f-0-name": "9 lives", "f-1-role": "title"}
    page = lena.post(url(kind), form)
    text = page.content.decode()
    assert page.status_code == 422
    assert 'value="9 lives"' in text and "a letter first" in text
    assert "Give a name of 1 to 80" in text and "Field 1 is the title already" in text
    assert not revisions.history(kind).exists()


def test_a_change_that_means_something_for_stored_items_is_asked_about_first(lena, kind):
    make_item(kind=kind, title="x")
    form = {**form_of(lena.get(url(kind))), "f-0-name": "heading"}
    page = lena.post(url(kind), form)
    text = page.content.decode()
    assert page.status_code == 422 and "Nothing is saved yet." in text
    assert "1 of 1 stored item have it" in text or "1 of 1 stored item" in text
    confirmed = page.context["impact_digest"]
    # What was confirmed is this, not something else typed since.
    other = lena.post(url(kind), {**form, "f-1-name": "words", "confirmed": confirmed})
    assert other.status_code == 422
    assert not revisions.history(kind).exists()
    assert lena.post(url(kind), {**form, "confirmed": confirmed}).status_code == 302
    kind.refresh_from_db()
    assert kind.fields[0]["name"] == "heading"


def test_who_was_overtaken_keeps_what_she_typed_and_may_save_it_knowingly(lena, kind):
    form = {**form_of(lena.get(url(kind))), "name": "Hers"}
    kinds.save_kind(kind, by=None, name="Theirs", fields=kind.fields, layout=[])
    page = lena.post(url(kind), form)
    assert page.status_code == 409 and 'value="Hers"' in page.content.decode()
    assert lena.post(url(kind), form_of(page)).status_code == 302
    kind.refresh_from_db()
    assert kind.name == "Hers"


def test_a_former_revision_is_put_back_from_the_history(lena, kind):
    kinds.save_kind(kind, by=None, name="Else", fields=kind.fields, layout=[])
    page = lena.get(url(kind)).content.decode()
    assert "Put back" in page and "<del>Message</del>" in page
    back = reverse("reviews:setup-kind-restore", args=[kind.slug, 1])
    assert lena.post(back, {"seen": "1"}).status_code == 409
    assert lena.post(back, {"seen": "2"}).status_code == 302
    kind.refresh_from_db()
    assert kind.name == "Message"


def test_a_new_kind_is_made_in_the_page_and_takes_items(lena, platform):
    make_queue(platform=platform, is_default=True)
    page = lena.get(reverse("reviews:setup-kind-new"))
    form = {**form_of(page), "name": "Forum post", "slug": "forum-post"}
    answer = lena.post(reverse("reviews:setup-kind-new"), form)
    assert answer["Location"] == reverse("reviews:setup-kind-edit", args=["forum-post"])
    row = {"kind": "forum-post", "external_id": "1", "content": {"body": "hi"}}
    assert intake.submit_items(platform, [row], by=None)[0].status == "created"


def test_a_new_kind_with_a_slug_that_is_taken_says_so(lena, kind):
    form = form_of(lena.get(reverse("reviews:setup-kind-new")))
    page = lena.post(
        reverse("reviews:setup-kind-new"), {**form, "name": "X", "slug": "message"}, headers=HTMX
    )
    assert page.status_code == 422
    assert "There is a kind of this name already." in page.content.decode()
    assert page.content.decode().startswith('<div id="_kind_editor"')


def test_an_auditor_sees_it_all_and_changes_nothing(kind, platform):
    abel = client_of("abel", platform)
    page = abel.get(url(kind))
    text = page.content.decode()
    assert "Subject" in text and "Save</button>" not in text
    assert '<fieldset class="whole" disabled>' in text
    assert 'hx-trigger="input' not in text
    assert abel.post(url(kind), {"name": "x"}).status_code == 403


def test_an_archived_kind_says_so_and_comes_back(lena, kind):
    lena.post(reverse("reviews:setup-kind-archive", args=[kind.slug]))
    assert "It takes no items." in lena.get(url(kind)).content.decode()
    assert "Archived" in lena.get(reverse("reviews:setup-kind-list")).content.decode()
    lena.post(reverse("reviews:setup-kind-unarchive", args=[kind.slug]))
    kind.refresh_from_db()
    assert not kind.is_archived


@pytest.mark.parametrize(
    "junk",
    [
        {"f-0-name": "\x00"},
        {"f-0-type": "\x00", "f-0-role": "\x00"},
        {"seen": "9" * 30},
        {"sample": "\x00"},
        {"b-0-block": "text", "b-0-fields": ["99", "-1", "x"], "is_own": "1"},
        {f"f-{n}-name": f"n{n}" for n in range(130)},
    ],
)
@pytest.mark.parametrize("what", ["save", "preview", "add-field", "own"])
def test_junk_in_the_form_is_never_a_server_error(lena, kind, junk, what):
    form = {**form_of(lena.get(url(kind))), **junk, "do": what}
    assert lena.post(url(kind), form).status_code in (200, 302, 409, 422)


def test_a_broken_kind_can_be_opened_and_mended(lena, platform):
    broken = make_kind(
        platform=platform, fields=[None, {"name": "body", "type": "hologram"}], layout=["x"]
    )
    page = lena.get(url(broken))
    assert page.status_code == 200
