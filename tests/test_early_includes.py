"""`include`: what is named outright is looked up once; the rest is as Django has it."""

import pytest
from django.template import Context, Engine, TemplateDoesNotExist
from django.template.loaders.locmem import Loader
from django.utils import translation

TEMPLATES = {
    "page.html": "{% load i18n %}{% translate 'Home' %}:{% include 'part.html' with n=3 %}",
    "part.html": "<{{ n }}{% load i18n %}{% translate 'Home' %}>",
    "tree.html": "({{ node.name }}{% for node in node.below %}"
    "{% include 'tree.html' %}{% endfor %})",
    "by_name.html": "{% include name %}",
    "folder/here.html": "{% include './there.html' %}",
    "folder/there.html": "there",
    "lacking.html": "{% include 'nowhere.html' %}",
    "alone.html": "{% include 'part.html' with n=4 only %}",
}


@pytest.fixture
def engine():
    return Engine(
        loaders=[
            (
                "trustconsole.early_translation.Loader",
                [("django.template.loaders.locmem.Loader", TEMPLATES)],
            )
        ],
        builtins=["trustconsole.early_includes"],
        libraries={"i18n": "trustconsole.early_translation"},
    )


def say(engine, template, **values):
    return engine.get_template(template).render(Context(values))


def test_it_is_found_once_and_each_render_has_its_own_values(engine, monkeypatch):
    assert say(engine, "page.html") == "Home:<3Home>"
    monkeypatch.setattr(Loader, "get_contents", lambda *_: pytest.fail("looked up again"))
    monkeypatch.setattr(engine, "select_template", lambda *_: pytest.fail("looked up again"))
    assert say(engine, "page.html") == "Home:<3Home>"


def test_each_language_has_its_own(engine):
    assert say(engine, "page.html") == "Home:<3Home>"
    with translation.override("de"):
        assert say(engine, "page.html") == "Start:<3Start>"
    assert say(engine, "page.html") == "Home:<3Home>"


def test_a_template_may_include_itself(engine):
    leaf = {"name": "c", "below": []}
    tree = {"name": "a", "below": [{"name": "b", "below": [leaf]}, leaf]}
    assert say(engine, "tree.html", node=tree) == "(a(b(c))(c))"


def test_a_name_in_a_variable_is_looked_up_each_time(engine):
    assert say(engine, "by_name.html", name="part.html", n=1) == "<1Home>"
    assert say(engine, "by_name.html", name="folder/there.html") == "there"


def test_a_place_beside_it_and_values_of_its_own_alone(engine):
    assert say(engine, "folder/here.html") == "there"
    assert say(engine, "alone.html", n=1) == "<4Home>"


def test_what_is_not_there_is_named(engine):
    with pytest.raises(TemplateDoesNotExist, match="nowhere.html"):
        say(engine, "lacking.html")
