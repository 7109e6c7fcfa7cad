"""The databases the reviewers work in: one for each number of waiting jobs, kept between runs."""

import hashlib
import json
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
REVIEWERS = 16
# In the queue; the crash run takes a fresh one for each that dies.
PEOPLE = 2000


def set_up() -> None:
    """Django on the checkout's own servers."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "trustconsole.settings")
    os.environ.setdefault("SECRET_KEY", "benchmarks-only")
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    from trustconsole import embedded

    embedded.lend_to(["bench"])
    import django

    django.setup()


def enter(ready: int) -> None:
    """From here on the connection is to the world with so many ready jobs, as on its first day.

    Built once, which takes a minute for a million; then only what the last run did is taken back.
    """
    from django.conf import settings
    from django.db import connection, connections

    from bench.report import say

    connections.close_all()
    tests = settings.DATABASES["default"].setdefault("TEST", {})
    tests["NAME"] = connection.settings_dict["TEST"]["NAME"] = f"bench_claims_{ready}"
    began = time.perf_counter()
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False, keepdb=True)
    if _note().get("recipe") == _recipe():
        take_back()
        return
    say(f"Building a world of {ready:,} ready jobs …")
    _build(ready)
    say(f"… took {time.perf_counter() - began:,.0f} s")


def take_back() -> None:
    """What was done since it was built has not happened: every job is ready again."""
    from django.db import connection

    from reviews import claims

    built = _note()["built"]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE reviews_job SET expires_at = now() WHERE state = 'claimed'")
        claims.expire_claims()
        cursor.execute(
            "TRUNCATE reviews_review, reviews_finding, reviews_decision, reviews_claim, "
            "reviews_enforcement, reviews_strike, reviews_auditentry CASCADE"
        )
        # Whatever else was not there in the beginning; triggers would refuse some of it.
        cursor.execute("SET session_replication_role = replica")
        for table in _filled() - set(built):
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")  # noqa: S608
        cursor.execute("RESET session_replication_role")
        cursor.execute(
            "UPDATE reviews_job SET state = 'ready', attempts = 0 WHERE state <> 'ready'"
        )
        # All runs begin with the same statistics and without dead rows of the one before.
        cursor.execute("VACUUM (ANALYZE) reviews_job")
        cursor.execute("CHECKPOINT")


def _note() -> dict:
    """What the database says about itself: how it was built, and which tables had rows then."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database "
            "WHERE datname = current_database()"
        )
        return json.loads(cursor.fetchone()[0] or "{}")


def _filled() -> set[str]:
    """Tables of ours with rows in them."""
    from django.apps import apps
    from django.db import connection

    tables = {
        model._meta.db_table
        for label in ("reviews", "mlhooks")
        for model in apps.get_app_config(label).get_models(include_auto_created=True)
    }
    with connection.cursor() as cursor:
        filled = set()
        for table in tables:
            cursor.execute(f"SELECT EXISTS (SELECT FROM {connection.ops.quote_name(table)})")  # noqa: S608
            if cursor.fetchone()[0]:
                filled.add(table)
    return filled


def _recipe() -> str:
    """Another one when the schema is, or what builds a world."""
    from django.db.migrations.recorder import MigrationRecorder

    applied = sorted(MigrationRecorder.Migration.objects.values_list("app", "name"))
    return hashlib.sha256(f"{Path(__file__).read_bytes()!r}{applied}".encode()).hexdigest()


def _build(ready: int) -> None:
    from django.core.management import call_command
    from django.db import connection

    call_command("flush", interactive=False, verbosity=0)
    values = {**_rules(), "ready": ready}
    with connection.cursor() as cursor:
        # The rows fit each other by construction, and a crash only means to build again.
        cursor.execute("SET session_replication_role = replica; SET synchronous_commit = off")
        for statement in _FILL:
            cursor.execute(statement, values)
        cursor.execute("RESET session_replication_role; RESET synchronous_commit")
        cursor.execute("VACUUM ANALYZE")
        name = connection.ops.quote_name(connection.settings_dict["NAME"])
        note = json.dumps({"recipe": _recipe(), "built": sorted(_filled())})
        cursor.execute(f"COMMENT ON DATABASE {name} IS %s", [note])


def _rules() -> dict[str, int]:
    """One queue that judges three policies, and who works in it. Returns their keys."""
    from django.contrib.auth.models import Group

    from reviews.models import (
        Action,
        Draw,
        ItemKind,
        Person,
        Platform,
        Policy,
        PolicyVersion,
        Queue,
    )

    platform = Platform.objects.create(slug="bench", name="Bench")
    kind = ItemKind.objects.create(
        platform=platform,
        slug="message",
        name="Message",
        fields=[
            {"name": "subject", "label": "Subject", "type": "string", "role": "title"},
            {"name": "body", "label": "Body", "type": "text", "role": "text"},
        ],
    )
    queue = Queue.objects.create(
        platform=platform, slug="main", name="Main", is_default=True, lane_shares={"random": 0.1}
    )
    for position, slug in enumerate(("spam", "phishing", "adult")):
        policy = Policy.objects.create(
            platform=platform, slug=slug, name=slug.capitalize(), position=position
        )
        PolicyVersion.objects.create(
            policy=policy, number=1, summary="What it forbids.", definition="What it forbids."
        )
        queue.policies.add(policy)
    for position, slug in enumerate(("remove", "warn")):
        queue.actions.add(
            Action.objects.create(platform=platform, slug=slug, name=slug, position=position)
        )
    draw = Draw.objects.create(
        queue=queue, lane="random", strategy="poisson", probability=0.1, seed=1
    )
    crowd = Person.objects.bulk_create(Person(username=f"reviewer-{n}") for n in range(PEOPLE))
    for group in (Group.objects.get(name="reviewer").user_set, platform.members, queue.members):
        group.add(*crowd)
    return {"platform": platform.pk, "kind": kind.pk, "queue": queue.pk, "draw": draw.pk}


# A tenth of the jobs is drawn at random; texts of 500 bytes, ten items an author.
_FILL = (
    """
    INSERT INTO reviews_account (platform_id, external_id, name, split_group)
    SELECT %(platform)s, 'author-' || n, 'Author ' || n, md5(n::text)
    FROM generate_series(1, greatest(%(ready)s / 10, 1)) AS n
    """,
    """
    INSERT INTO reviews_item (platform_id, kind_id, external_id, account_id, version_number,
      language, views_per_hour, report_count, fingerprint, split_group, risks, risk, risk_source)
    SELECT %(platform)s, %(kind)s, 'item-' || n, account.id, 1, 'en', random() * 1000, n %% 3,
      md5(n::text), md5(n::text), jsonb_build_object('spam', 0.7, 'phishing', 0.2, 'adult', 0.1),
      0.7, 'v1 zero-shot'
    FROM generate_series(1, %(ready)s) AS n
    JOIN reviews_account AS account
      ON account.external_id = 'author-' || (n %% greatest(%(ready)s / 10, 1) + 1)
    """,
    """
    INSERT INTO reviews_itemversion (item_id, number, content, content_hash)
    SELECT id, 1, jsonb_build_object('subject', 'Hello ' || id,
      'body', repeat(md5(id::text) || ' some words in between ', 9)), md5(id::text)
    FROM reviews_item
    """,
    """
    INSERT INTO reviews_report (item_id, external_id, source, reporter, reason, text)
    SELECT item.id, 'report-' || n, 'user', 'user-' || (item.id + n) %% 5000, 'spam', 'not nice'
    FROM reviews_item AS item, generate_series(1, item.report_count) AS n
    """,
    """
    INSERT INTO reviews_job (item_id, queue_id, lane, state, rank, harm, due_at, is_overdue,
      attempts, draw_id, inclusion_probability)
    SELECT id, %(queue)s, CASE WHEN id %% 10 = 0 THEN 'random' ELSE 'risk' END, 'ready',
      random() * 1000 - 60000, 1, now() + interval '90 days', false, 0,
      CASE WHEN id %% 10 = 0 THEN %(draw)s::bigint END, CASE WHEN id %% 10 = 0 THEN 0.1 END
    FROM reviews_item
    """,
)
