"""The trail: append-only in the database, and any tampering shows in the chain."""

from contextlib import contextmanager

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from reviews import audit, decisions
from reviews.models import AuditEntry, Decision, Finding, Review

from .factories import claimed_job, make_platform
from .people import make_person

pytestmark = pytest.mark.django_db


@pytest.fixture
def platform():
    return make_platform()


def write(platform, count=5):
    return [
        audit.record("item.submit", platform, by=None, platform=platform, n=n) for n in range(count)
    ]


@contextmanager
def an_intruder():
    """Someone with the database's own key: triggers do not fire for her."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        yield cursor
        cursor.execute("SET LOCAL session_replication_role = origin")


def test_sealed_entries_verify(platform):
    write(platform)
    assert audit.seal() == 5
    assert audit.verify() == (5, 0, None)


def test_sealing_goes_on_where_it_stopped(platform):
    write(platform)
    assert audit.seal(limit=2) == 2
    assert audit.verify() == (2, 3, None)
    assert audit.seal() == 3
    assert audit.seal() == 0
    positions = AuditEntry.objects.order_by("id").values_list("position", flat=True)
    assert list(positions) == [1, 2, 3, 4, 5]


def test_an_empty_trail_verifies():
    assert audit.verify() == (0, 0, None)


@pytest.mark.parametrize(
    "change",
    [
        "verb = 'item.view'",
        "data = '{}'",
        "at = at + interval '1 second'",
        "target_id = '0'",
        "platform_id = NULL",
        "hash = repeat('0', 64)",
    ],
)
def test_an_edited_entry_breaks_the_chain_there(platform, change):
    third = write(platform)[2]
    audit.seal()
    with an_intruder() as cursor:
        cursor.execute(f"UPDATE reviews_auditentry SET {change} WHERE id = %s", [third.pk])
    assert audit.verify().broken_at == 3


def test_a_removed_entry_breaks_the_chain_there(platform):
    third = write(platform)[2]
    audit.seal()
    with an_intruder() as cursor:
        cursor.execute("DELETE FROM reviews_auditentry WHERE id = %s", [third.pk])
    assert audit.verify().broken_at == 3


def test_two_entries_that_change_places_break_the_chain(platform):
    entries = write(platform)
    audit.seal()
    with an_intruder() as cursor:
        for position, entry in ((100, entries[1]), (2, entries[2]), (3, entries[1])):
            cursor.execute(
                "UPDATE reviews_auditentry SET position = %s WHERE id = %s", [position, entry.pk]
            )
    assert audit.verify().broken_at == 2


def test_an_entry_with_unicode_and_nesting_verifies(platform):
    data = {"note": 'ﷺ 👩‍🚀 \\ " \n', "risks": {"b": 0.1, "a": 1e-9}, "none": None, "n": 2**53}
    audit.record("item.submit", platform, by=None, platform=None, **data)
    audit.seal()
    assert audit.verify().broken_at is None


def refuse(statement, *values):
    with (
        pytest.raises(IntegrityError, match="append-only|never edited"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement, values)


def test_the_database_refuses_to_edit_or_delete_an_entry(platform):
    entry = write(platform, 1)[0]
    refuse("DELETE FROM reviews_auditentry WHERE id = %s", entry.pk)
    refuse("UPDATE reviews_auditentry SET verb = 'x' WHERE id = %s", entry.pk)
    audit.seal()
    refuse("UPDATE reviews_auditentry SET hash = 'x' WHERE id = %s", entry.pk)
    refuse("UPDATE reviews_auditentry SET position = NULL WHERE id = %s", entry.pk)


@pytest.mark.parametrize("model", [Review, Finding, Decision])
def test_the_database_refuses_to_edit_or_delete_what_was_decided(model):
    rosa = make_person("rosa")
    job = claimed_job(rosa)
    decisions.record_review(job.pk, job.claim_token, by=rosa, verdict="clean")
    row = model.objects.get()
    table = model._meta.db_table
    refuse(f"DELETE FROM {table} WHERE id = %s", row.pk)
    refuse(f"UPDATE {table} SET id = id WHERE id = %s", row.pk)


def test_verify_audit_says_that_the_chain_holds(platform, capsys):
    write(platform)
    audit.seal(limit=4)
    call_command("verify_audit")
    assert "holds: 4 entries checked, 1 not yet sealed" in capsys.readouterr().out


def test_verify_audit_fails_on_a_broken_chain(platform):
    second = write(platform)[1]
    audit.seal()
    with an_intruder() as cursor:
        cursor.execute("UPDATE reviews_auditentry SET data = '{}' WHERE id = %s", [second.pk])
    with pytest.raises(CommandError, match="broken at position 2"):
        call_command("verify_audit")
