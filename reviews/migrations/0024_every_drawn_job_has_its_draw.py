"""Constraints and indexes for what the last two brought; without blocking the big tables."""

import django.db.models.deletion
from django.contrib.postgres.operations import (
    AddConstraintNotValid,
    AddIndexConcurrently,
    RemoveIndexConcurrently,
    ValidateConstraint,
)
from django.db import migrations, models
from django.db.models import Q

_OPEN = """
CREATE UNIQUE INDEX CONCURRENTLY {name} ON reviews_job (item_id)
WHERE state IN ('ready', 'claimed') AND lane IN ({lanes})
"""
_WIDER = [
    "DROP INDEX CONCURRENTLY IF EXISTS one_open_job_an_item_wider",
    _OPEN.format(name="one_open_job_an_item_wider", lanes="'risk', 'random', 'learning'"),
    "DROP INDEX CONCURRENTLY one_open_job_an_item",
    "ALTER INDEX one_open_job_an_item_wider RENAME TO one_open_job_an_item",
]
_NARROWER = [
    "DROP INDEX CONCURRENTLY IF EXISTS one_open_job_an_item_narrower",
    _OPEN.format(name="one_open_job_an_item_narrower", lanes="'risk', 'random'"),
    "DROP INDEX CONCURRENTLY one_open_job_an_item",
    "ALTER INDEX one_open_job_an_item_narrower RENAME TO one_open_job_an_item",
]
_NEVER_EDITED = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON reviews_draw
  FOR EACH ROW EXECUTE FUNCTION reviews_refuse_change();
"""
_EDITED = "DROP TRIGGER append_only ON reviews_draw"


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("reviews", "0023_carry_lifts_draws_and_reporters")]

    operations = [
        ValidateConstraint("item", "report_trust_is_a_probability"),
        migrations.RemoveConstraint("job", "a_drawn_job_knows_its_probability"),
        AddConstraintNotValid(
            "job",
            models.CheckConstraint(
                condition=Q(lane="risk")
                | Q(draw__isnull=False, inclusion_probability__isnull=False),
                name="a_drawn_job_knows_its_draw",
            ),
        ),
        ValidateConstraint("job", "a_drawn_job_knows_its_draw"),
        AddConstraintNotValid(
            "job",
            models.CheckConstraint(
                condition=Q(inclusion_probability=None)
                | Q(inclusion_probability__gt=0, inclusion_probability__lte=1),
                name="inclusion_probability_is_positive",
            ),
        ),
        ValidateConstraint("job", "inclusion_probability_is_positive"),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(statement, back)
                for statement, back in zip(_WIDER, reversed(_NARROWER), strict=True)
            ],
            state_operations=[
                migrations.RemoveConstraint("job", "one_open_job_an_item"),
                migrations.AddConstraint(
                    "job",
                    models.UniqueConstraint(
                        fields=["item"],
                        condition=Q(
                            state__in=["ready", "claimed"],
                            lane__in=["risk", "random", "learning"],
                        ),
                        name="one_open_job_an_item",
                    ),
                ),
            ],
        ),
        AddIndexConcurrently(
            "job",
            models.Index(
                fields=["lift_at"],
                condition=Q(state="ready", lift_at__isnull=False),
                name="job_to_lift",
            ),
        ),
        RemoveIndexConcurrently("job", "job_falling_due"),
        AddIndexConcurrently(
            "report",
            models.Index(
                fields=["reporter", "source", "-id"],
                condition=~Q(reporter=""),
                name="report_by_reporter_newest",
            ),
        ),
        RemoveIndexConcurrently("report", "report_by_reporter"),
        AddIndexConcurrently(
            "report",
            models.Index(fields=["item", "source", "id"], name="report_by_item_and_source"),
        ),
        migrations.AlterField(
            "report",
            "item",
            models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="reports",
                to="reviews.item",
            ),
        ),
        AddIndexConcurrently(
            "draw", models.Index(fields=["queue", "lane", "-id"], name="draw_by_queue_and_lane")
        ),
        migrations.AlterField(
            "draw",
            "queue",
            models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="draws",
                to="reviews.queue",
            ),
        ),
        migrations.RunSQL(_NEVER_EDITED, _EDITED),
    ]
