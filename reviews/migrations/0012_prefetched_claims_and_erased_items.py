"""A claim may be taken in advance, a job cancelled under its holder, an item's content erased.

New columns with a default of the database's: no row of the hot tables is rewritten.
"""

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("reviews", "0011_a_turn_for_each_queue")]

    operations = [
        migrations.AddField(
            "job", "is_prefetched", models.BooleanField(default=False, db_default=False)
        ),
        migrations.AddField("item", "erased_at", models.DateTimeField(blank=True, null=True)),
        migrations.AlterField(
            "claim",
            "end",
            models.CharField(
                choices=[
                    ("finished", "Finished"),
                    ("released", "Released"),
                    ("skipped", "Skipped"),
                    ("expired", "Expired"),
                    ("cancelled", "Cancelled"),
                ],
                max_length=10,
            ),
        ),
        AddConstraintNotValid(
            "job",
            models.CheckConstraint(
                condition=Q(state="claimed") | Q(is_prefetched=False),
                name="only_a_claim_is_prefetched",
            ),
        ),
    ]
