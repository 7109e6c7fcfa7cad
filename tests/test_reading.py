"""In which language and time zone a person reads, and that the catalogues are whole."""

import re
from datetime import UTC, datetime

import polib
import pytest
from django.db import connection
from django.template import engines
from django.template.loader import get_template
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from reviews.models import Role
from reviews.templatetags import words
from tools import messages

from .people import make_person

CATALOGUES = list(messages.catalogues())


def client_of(name, **settings):
    person = make_person(name)
    for field, value in settings.items():
        setattr(person, field, value)
    person.save()
    client = Client()
    client.force_login(person)
    return client


@pytest.mark.django_db
def test_a_page_is_written_in_the_language_she_chose():
    answer = client_of("rosa", language="de").get("/", headers={"Accept-Language": "en"})
    assert '<html lang="de"' in answer.content.decode()
    assert "Abmelden" in answer.content.decode()
    assert answer["Content-Language"] == "de"


@pytest.mark.django_db
def test_without_a_choice_the_browser_says_the_language():
    page = client_of("rosa").get("/", headers={"Accept-Language": "de-AT,de;q=0.9"})
    assert '<html lang="de"' in page.content.decode()
    assert "Accept-Language" in page["Vary"]


@pytest.mark.django_db
def test_a_language_we_do_not_have_is_answered_in_english():
    page = client_of("rosa").get("/", headers={"Accept-Language": "sv"})
    assert '<html lang="en"' in page.content.decode()


@pytest.mark.django_db
def test_who_has_not_signed_in_reads_her_browsers_language():
    page = Client().get("/accounts/login/", headers={"Accept-Language": "de"})
    assert '<html lang="de"' in page.content.decode()


@pytest.mark.django_db
def test_the_api_speaks_english_whatever_the_browser_asks():
    answer = Client().get("/api/v1/items/1", headers={"Accept-Language": "de"})
    assert "Authentication credentials" in answer.content.decode()


@pytest.mark.django_db
def test_one_request_leaves_no_language_and_no_zone_to_the_next():
    client_of("rosa", language="de", time_zone="Asia/Tokyo").get("/")
    assert '<html lang="en"' in client_of("remy").get("/").content.decode()
    assert timezone.get_current_timezone_name() == "UTC"


@pytest.mark.django_db
def test_language_and_zone_cost_no_query():
    def queries(client):
        client.get("/")
        with CaptureQueriesContext(connection) as caught:
            client.get("/")
        return len(caught)

    plain = queries(client_of("rosa"))
    assert queries(client_of("remy", language="de", time_zone="Asia/Tokyo")) == plain


def test_times_are_told_in_her_zone_and_language():
    at = datetime(2020, 3, 5, 23, 30, tzinfo=UTC)
    with translation.override("de"), timezone.override("Asia/Tokyo"):
        text = words.moment(at)
        assert "6. März 2020 08:30:00 JST" in text
        assert words.figure(-60420.83) == "−60.420,8"
    assert "5 March 2020 23:30:00 UTC" in words.moment(at)
    assert words.figure(-60420.83) == "−60,420.8"


def test_labels_follow_the_language():
    with translation.override("de"):
        assert Role.REVIEWER.label == "Prüfung"
    assert Role.REVIEWER.label == "Reviewer"


def test_fixed_words_are_in_the_compiled_template_already():
    source = (
        "{% load i18n %}{% translate 'Sign out' %}{% blocktranslate %} 5% {% endblocktranslate %}"
    )
    with translation.override("de"):
        nodes = engines["django"].from_string(source).template.nodelist[1:]
    assert [node.s for node in nodes] == ["Abmelden", " 5% "]


def test_each_language_has_its_own_compiled_templates():
    english = get_template("reviews/base.html")
    with translation.override("de"):
        assert get_template("reviews/base.html").template is not english.template
    assert get_template("reviews/base.html").template is english.template


# The catalogues


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
def test_the_compiled_catalogue_is_the_written_one(path):
    written = polib.pofile(str(path)).translated_entries()
    compiled = polib.mofile(str(path.with_suffix(".mo")))
    assert {_pair(entry) for entry in compiled} == {_pair(entry) for entry in written}


def _pair(entry):
    return entry.msgid_with_context, entry.msgstr or tuple(entry.msgstr_plural.values())


def _places(text):
    return sorted(set(re.findall(r"%\(\w+\)[a-z]|\{\w*\}|%%", text)))


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
def test_a_translation_has_the_places_of_its_message(path):
    for entry in polib.pofile(str(path)).translated_entries():
        for text in [entry.msgstr, *entry.msgstr_plural.values()]:
            wanted = (_places(entry.msgid), _places(entry.msgid_plural or entry.msgid))
            assert not text or _places(text) in wanted, entry.msgid


def test_messages_are_found_in_python_and_in_templates():
    python = (
        'x = _("A"); y = ngettext("%(n)s b", "%(n)s bs", n); z = pgettext("c", "d"); gettext(q)'
    )
    assert [message for _, message in messages.in_python(python)] == [
        (None, "A", None),
        (None, "%(n)s b", "%(n)s bs"),
        ("c", "d", None),
    ]
    template = """{% load i18n %}<p title="{% translate "It's" %}">{% translate 'x "y"' %}
    {% blocktranslate trimmed count n=rows|length %}{{ n }} row
    {% plural %}{{ n }} rows{% endblocktranslate %}</p>"""
    assert [message for _, message in messages.in_template(template)] == [
        (None, "It's", None),
        (None, 'x "y"', None),
        (None, "%(n)s row", "%(n)s rows"),
    ]


# The settings


@pytest.mark.django_db
def test_what_she_chooses_is_kept_and_applies_at_once():
    client = client_of("rosa")
    chosen = {"theme": "dark", "density": "compact", "language": "de", "time_zone": "Asia/Tokyo"}
    answer = client.post("/you/reading/", chosen, follow=True)
    text = answer.content.decode()
    assert '<html lang="de" data-theme="dark" data-density="compact"' in text
    assert "<option selected>Asia/Tokyo</option>" in text


@pytest.mark.django_db
def test_one_setting_leaves_the_others_alone():
    client = client_of("rosa", language="de")
    client.post("/you/reading/", {"density": "compact"})
    assert 'lang="de"' in client.get("/you/").content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("theme", "plaid"),
        ("density", "airy"),
        ("language", "xx"),
        ("time_zone", "Mars/Olympus"),
        ("time_zone", "../etc/passwd"),
    ],
)
def test_what_is_no_choice_is_refused_beside_the_field_and_nothing_kept(field, value):
    client = client_of("rosa")
    answer = client.post("/you/reading/", {"density": "compact", field: value})
    assert answer.status_code == 422
    assert 'class="error"' in answer.content.decode()
    assert 'data-density="cosy"' in client.get("/you/").content.decode()


@pytest.mark.django_db
def test_a_time_zone_that_is_known_no_more_is_that_of_the_installation():
    assert client_of("rosa", time_zone="Gone/Away").get("/you/").status_code == 200


def test_by_htmx_the_page_is_loaded_anew(db):
    answer = client_of("rosa").post(
        "/you/reading/", {"language": "de"}, headers={"HX-Request": "true"}
    )
    assert (answer.status_code, answer["HX-Refresh"]) == (204, "true")
