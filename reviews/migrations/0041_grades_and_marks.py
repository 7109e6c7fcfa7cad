"""How severe a breach is, where a policy asks; what was marked in the text as evidence."""

import django.contrib.postgres.fields
from django.db import migrations, models

# Rows that are there have no severity, so nothing need be looked through.
CHECK = """
ALTER TABLE reviews_finding ADD CONSTRAINT only_a_violation_has_a_severity
  CHECK (violates OR severity IS NULL) NOT VALID
"""


class Migration(migrations.Migration):
    dependencies = [
        ("reviews", "0040_consultations_and_questions"),
    ]

    operations = [
        migrations.AddField(
            "policyversion",
            "severity_levels",
            django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=60),
                blank=True,
                db_default=[],
                default=list,
                size=None,
            ),
        ),
        migrations.AddField("finding", "severity", models.SmallIntegerField(null=True)),
        migrations.AddField(
            "decision", "severities", models.JSONField(db_default={}, default=dict)
        ),
        migrations.AddField("review", "spans", models.JSONField(db_default=[], default=list)),
        migrations.SeparateDatabaseAndState(
            [
                migrations.RunSQL(
                    CHECK,
                    "ALTER TABLE reviews_finding DROP CONSTRAINT only_a_violation_has_a_severity",
                )
            ],
            [
                migrations.AddConstraint(
                    "finding",
                    models.CheckConstraint(
                        condition=models.Q(violates=True) | models.Q(severity__isnull=True),
                        name="only_a_violation_has_a_severity",
                    ),
                )
            ],
        ),
    ]
