"""Empties the database after a test that commits, in milliseconds.

Django's flush truncates every table, each with its indexes in new files, and makes permissions and
roles anew: a sixth of a second. Here rows are deleted, where there are any; a delete waits for no
reader. A straggling worker may meet it in a deadlock: then it is tried again.
"""

from django.db import OperationalError, connection, transaction
from django.test import TransactionTestCase

ATTEMPTS = 5
# What `migrate` puts in, the roles among it: left as it is, but for what a test has added.
KEPT = (
    "django_migrations",
    "django_content_type",
    "auth_permission",
    "auth_group",
    "auth_group_permissions",
)

# As a replica, no trigger fires: neither a foreign key's, so that the order does not matter, nor
# that of a table whose rows are never deleted.
SWEEP = """
DO $$
DECLARE
  one regclass;
  has_rows boolean;
BEGIN
  SET LOCAL session_replication_role = replica;
  FOR one IN
    SELECT oid FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname NOT IN ({kept})
  LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM %s)', one) INTO has_rows;
    IF has_rows THEN
      EXECUTE format('DELETE FROM %s', one);
    END IF;
  END LOOP;
END $$
""".replace("{kept}", ", ".join(f"'{name}'" for name in KEPT))


def sweep() -> None:
    """No row is left but those of KEPT, and of these no role that is not the product's."""
    from django.contrib.auth.models import Group

    from reviews.models import Role

    for attempt in range(1, ATTEMPTS + 1):
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(SWEEP)
            break
        except OperationalError:  # a deadlock with what a worker is just finishing
            if attempt == ATTEMPTS:
                raise
    Group.objects.exclude(name__in=Role.values).delete()
    Group.objects.bulk_create([Group(name=name) for name in Role.values], ignore_conflicts=True)


def sweep_after_each_test_that_commits() -> None:
    """In the place of TransactionTestCase's flush."""
    TransactionTestCase._fixture_teardown = lambda self: sweep()
