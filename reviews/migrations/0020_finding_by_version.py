"""A policy version's answers, newest first; instead of the index on the version alone.

Built beside the work: the table is written by every answer.
"""

import django.db.models.deletion
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("reviews", "0019_relabelling")]

    operations = [
        AddIndexConcurrently(
            "finding",
            models.Index(fields=["policy_version", "-review"], name="finding_by_version"),
        ),
        migrations.AlterField(
            "finding",
            "policy_version",
            models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="findings",
                to="reviews.policyversion",
            ),
        ),
    ]
