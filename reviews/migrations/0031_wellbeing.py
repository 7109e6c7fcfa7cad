"""What a person sets for her own sake: how content arrives for her, and what she does not take."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

REVEALS = [
    ("click", "One press shows it, another covers it"),
    ("hold", "Only while I hold the key or the button"),
]
STRENGTHS = [(1, "Strong"), (2, "Stronger"), (3, "Strongest: only light and colour are left")]


class Migration(migrations.Migration):
    dependencies = [("reviews", "0030_due_hashes_are_hot")]

    operations = [
        migrations.CreateModel(
            name="Wellbeing",
            fields=[
                (
                    "person",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="wellbeing",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("filters", models.JSONField(default=dict)),
                (
                    "reveal",
                    models.CharField(choices=REVEALS, default="click", max_length=5),
                ),
                (
                    "strength",
                    models.PositiveSmallIntegerField(blank=True, choices=STRENGTHS, null=True),
                ),
                (
                    "opt_outs",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=40), default=list, size=None
                    ),
                ),
            ],
        ),
    ]
