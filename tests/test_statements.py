"""Hand-written SQL: prepared once a connection, sent in full behind a pooler, the same rows."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from reviews.models import Action, Person
from reviews.statements import Statement

from .factories import make_action, make_platform

pytestmark = pytest.mark.django_db

ADD = Statement("test_add", "SELECT %(a)s::int + %(b)s::int, %(a)s::int")
NOTE = Statement("test_note", "INSERT INTO auth_group (name) VALUES (%(name)s)")
NOTED = Statement("test_noted", "SELECT count(*) FROM auth_group WHERE name = %(name)s")
ACTIONS = Statement(
    "test_actions",
    "SELECT {columns}, position + 1 AS place FROM reviews_action WHERE slug = %(slug)s",
    model=Action,
)


@pytest.fixture(params=[False, True], ids=["direct", "behind a pooler"])
def _pooler(request, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", request.param)


@pytest.mark.usefixtures("_pooler")
def test_places_are_filled_by_name_as_often_as_they_stand():
    assert ADD.rows(b=2, a=40) == [(42, 40)]
    assert ADD.row(b=2, a=40) == (42, 40)


@pytest.mark.usefixtures("_pooler")
def test_one_statement_after_another_sees_what_that_one_did_in_one_round_trip():
    with CaptureQueriesContext(connection) as queries:
        assert NOTED.row(after=NOTE, name="first") == (1,)
    assert len([q for q in queries if not q["sql"].startswith("PREPARE")]) == 1


@pytest.mark.usefixtures("_pooler")
def test_rows_become_instances_with_their_json_read_and_further_columns_beside():
    action = make_action(platform=make_platform(), slug="limit", parameters={"days": 3}, position=4)
    (found,) = ACTIONS.instances(Action, slug="limit")
    assert found == action
    assert (found.parameters, found.place) == ({"days": 3}, 5)
    assert not found._state.adding
    assert ACTIONS.instances(Action, slug="nothing") == []


def test_a_statement_is_planned_once_a_connection():
    ADD.rows(a=1, b=1)
    with CaptureQueriesContext(connection) as queries:
        ADD.rows(a=1, b=2)
    (query,) = queries
    assert query["sql"].startswith("EXECUTE test_add_")


def test_an_instance_can_be_changed_and_saved():
    Person.objects.create(username="rosa")
    people = Statement(
        "test_people",
        "SELECT {columns} FROM reviews_person WHERE username = %(name)s",
        model=Person,
    )
    (rosa,) = people.instances(Person, name="rosa")
    rosa.theme = Person.Theme.DARK
    rosa.save()
    assert Person.objects.get().theme == "dark"
