"""Harms of policies, a platform's limits, and how long somebody looked at what, by harm."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("reviews", "0036_notifications"),
    ]

    operations = [
        migrations.AddField(
            model_name="policy",
            name="covers_text",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="policy",
            name="harm",
            field=models.CharField(blank=True, db_default="", max_length=80),
        ),
        migrations.AddField(
            model_name="wellbeing",
            name="break_until",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="wellbeing",
            name="last_job_id",
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="wellbeing",
            name="severe_run",
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="wellbeing",
            name="severe_since_break",
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.AlterField(
            model_name="wellbeing",
            name="filters",
            field=models.JSONField(db_default={}, default=dict),
        ),
        migrations.AlterField(
            model_name="wellbeing",
            name="opt_outs",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=80), db_default=[], default=list, size=None
            ),
        ),
        migrations.AlterField(
            model_name="wellbeing",
            name="reveal",
            field=models.CharField(
                choices=[
                    ("click", "One press shows it, another covers it"),
                    ("hold", "Only while I hold the key or the button"),
                ],
                db_default="click",
                default="click",
                max_length=5,
            ),
        ),
        migrations.CreateModel(
            name="Limits",
            fields=[
                (
                    "platform",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="limits",
                        serialize=False,
                        to="reviews.platform",
                    ),
                ),
                ("budgets", models.JSONField(default=dict)),
                ("shift_hours", models.PositiveSmallIntegerField(default=10)),
                ("rotation", models.PositiveSmallIntegerField(default=0)),
                ("break_minutes", models.PositiveSmallIntegerField(default=60)),
                ("break_severe", models.PositiveSmallIntegerField(default=0)),
                ("break_length", models.PositiveSmallIntegerField(default=5)),
                (
                    "strength",
                    models.PositiveSmallIntegerField(
                        choices=[
                            (1, "Strong"),
                            (2, "Stronger"),
                            (3, "Strongest: only light and colour are left"),
                        ],
                        default=2,
                    ),
                ),
                ("keep_days", models.PositiveSmallIntegerField(default=30)),
            ],
            options={
                "verbose_name_plural": "limits",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("shift_hours__gt", 0), ("keep_days__gt", 0), ("break_length__gt", 0)
                        ),
                        name="limits_are_positive",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Exposure",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("token", models.UUIDField()),
                ("harm", models.CharField(max_length=80)),
                ("seconds", models.FloatField()),
                ("weight", models.FloatField()),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "person",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="exposures",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "queue",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="reviews.queue",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["person", "at"], name="exposure_by_person")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("token", "harm"), name="one_exposure_a_claim_and_harm"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("seconds__gt", 0)), name="exposure_is_positive"
                    ),
                ],
            },
        ),
    ]
