"""Rules versioned as a whole; what was published stays as it was."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

_PUBLISHED = """
CREATE FUNCTION reviews_keep_published() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state = 'draft' THEN
    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
    RETURN NEW;
  END IF;
  IF TG_OP = 'UPDATE'
     AND (NEW.platform_id, NEW.number, NEW.rules, NEW.note, NEW.published_at)
       = (OLD.platform_id, OLD.number, OLD.rules, OLD.note, OLD.published_at)
     AND NEW.published_by_id IS NOT DISTINCT FROM OLD.published_by_id
     AND NEW.restores_id IS NOT DISTINCT FROM OLD.restores_id
     AND (NEW.state = OLD.state OR (OLD.state, NEW.state) = ('published', 'retired')) THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'a published routing version is never changed'
    USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER keep_published BEFORE UPDATE OR DELETE ON reviews_routingversion
  FOR EACH ROW EXECUTE FUNCTION reviews_keep_published();
"""
_UNKEEP = """
DROP TRIGGER keep_published ON reviews_routingversion;
DROP FUNCTION reviews_keep_published();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("reviews", "0014_where_a_claim_starts"),
    ]

    operations = [
        migrations.CreateModel(
            name="RoutingVersion",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("draft", "Draft"),
                            ("published", "Published"),
                            ("retired", "Retired"),
                        ],
                        default="draft",
                        max_length=10,
                    ),
                ),
                ("rules", models.JSONField(default=list)),
                ("note", models.CharField(blank=True, max_length=300)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                ("edition", models.PositiveIntegerField(default=1)),
                (
                    "saved_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("published_at", models.DateTimeField(null=True)),
                ("rerouted_through", models.BigIntegerField(default=0)),
                ("rerouted_at", models.DateTimeField(null=True)),
                (
                    "created_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "platform",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="routing_versions",
                        to="reviews.platform",
                    ),
                ),
                (
                    "published_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "restores",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="reviews.routingversion",
                    ),
                ),
                (
                    "saved_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-number"],
            },
        ),
        migrations.CreateModel(
            name="DryRun",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("edition", models.PositiveIntegerField()),
                ("rules", models.JSONField()),
                ("days", models.PositiveSmallIntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("running", "Running"),
                            ("ready", "Ready"),
                            ("failed", "Failed"),
                        ],
                        default="waiting",
                        max_length=10,
                    ),
                ),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("items_done", models.PositiveIntegerField(default=0)),
                ("items_expected", models.PositiveIntegerField(default=0)),
                ("result", models.JSONField(null=True)),
                ("error", models.CharField(blank=True, max_length=500)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                ("heartbeat_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                (
                    "created_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "published",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="reviews.routingversion",
                    ),
                ),
                (
                    "version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="dry_runs",
                        to="reviews.routingversion",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.AddConstraint(
            model_name="routingversion",
            constraint=models.UniqueConstraint(
                fields=("platform", "number"), name="one_routing_version_per_number"
            ),
        ),
        migrations.AddConstraint(
            model_name="routingversion",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "published")),
                fields=("platform",),
                name="one_published_routing_version",
            ),
        ),
        migrations.AddConstraint(
            model_name="routingversion",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "draft")),
                fields=("platform",),
                name="one_routing_draft",
            ),
        ),
        migrations.AddConstraint(
            model_name="routingversion",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("published_at__isnull", True), ("state", "draft")),
                    models.Q(
                        models.Q(("state", "draft"), _negated=True), ("published_at__isnull", False)
                    ),
                    _connector="OR",
                ),
                name="what_is_no_draft_was_published",
            ),
        ),
        migrations.AddIndex(
            model_name="dryrun",
            index=models.Index(
                models.F("created_at"),
                condition=models.Q(("state__in", ["waiting", "running"])),
                name="dry_run_due",
            ),
        ),
        migrations.AddConstraint(
            model_name="dryrun",
            constraint=models.CheckConstraint(
                condition=models.Q(("days__range", (1, 90))), name="dry_run_of_1_to_90_days"
            ),
        ),
        migrations.RunSQL(_PUBLISHED, _UNKEEP),
    ]
