"""Squashed migrations: they make what their steps made, and no database is lost on the way."""

import pytest
from django.db import connection
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from reviews.models import Finding

SQUASHED = {
    "reviews": "0001_squashed_0061_known_items",
    "mlhooks": "0001_squashed_0013_fine_tuned_models",
}


def steps(app):
    return [name for _, name in MigrationLoader(None).disk_migrations[app, SQUASHED[app]].replaces]


def forget(app, names):
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM django_migrations WHERE app = %s AND name = ANY(%s)", [app, names]
        )


def plan(*targets):
    """Up to these only: what came later is no part of it, and stands in the database already."""
    executor = MigrationExecutor(connection)
    return executor, [
        (migration.app_label, migration.name)
        for migration, _ in executor.migration_plan(list(targets))
    ]


def test_the_squashed_ones_make_what_their_steps_made():
    # Triggers, functions and storage stand in SQL and are no part of this: pg_dump gave the same
    # schema for both ways when the steps were squashed, but for the order of two ANDs.
    loader = MigrationLoader(None)
    at_once = loader.project_state(list(SQUASHED.items()))
    one_by_one = MigrationLoader(None, replace_migrations=False)
    by_steps = one_by_one.project_state([(app, steps(app)[-1]) for app in SQUASHED])
    for before, after in ((by_steps, at_once), (at_once, by_steps)):
        assert MigrationAutodetector(before, after).changes(graph=loader.graph) == {}
    for key, model in by_steps.models.items():
        assert list(model.fields) == list(at_once.models[key].fields)


@pytest.mark.django_db
def test_a_database_that_took_the_steps_takes_only_what_came_after():
    later = [("reviews", "0062_check_severities")]
    for app, name in SQUASHED.items():
        forget(app, [name])
    forget("reviews", ["0062_check_severities"])
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE pg_constraint SET convalidated = false "
            "WHERE conname = 'only_a_violation_has_a_severity'"
        )
    executor, found = plan(*later)
    assert found == later
    executor.migrate(later)
    assert set(SQUASHED.items()) <= executor.recorder.applied_migrations().keys()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT convalidated FROM pg_constraint WHERE conrelid = %s::regclass "
            "AND conname = 'only_a_violation_has_a_severity'",
            [Finding._meta.db_table],
        )
        assert cursor.fetchone() == (True,)


@pytest.mark.django_db
def test_a_database_between_two_steps_takes_the_rest_one_by_one():
    ahead = {"reviews": steps("reviews")[40:], "mlhooks": steps("mlhooks")[5:]}
    for app, names in ahead.items():
        forget(app, [SQUASHED[app], *names])
    forget("reviews", ["0062_check_severities"])
    last = [("reviews", "0062_check_severities"), ("mlhooks", steps("mlhooks")[-1])]
    _, found = plan(*last)
    for app, names in ahead.items():
        assert [name for label, name in found if label == app][: len(names)] == names
    assert not set(SQUASHED.items()) & set(found)
