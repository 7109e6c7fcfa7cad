"""Lists of known items, what a picture looks like, and which known one it is."""

import django.db.models.deletion
import django.db.models.functions.datetime
import pgvector.django.bit
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("reviews", "0060_draws_by_learning_rounds"),
    ]

    operations = [
        migrations.CreateModel(
            name="KnownList",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=80)),
                ("distance", models.PositiveSmallIntegerField(default=20)),
                ("is_archived", models.BooleanField(default=False)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
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
                        related_name="known_lists",
                        to="reviews.platform",
                    ),
                ),
                (
                    "policy",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="known_lists",
                        to="reviews.policy",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="KnownHash",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "sort",
                    models.CharField(
                        choices=[("phash", "What it looks like"), ("sha256", "Its exact bytes")],
                        max_length=6,
                    ),
                ),
                ("value", pgvector.django.bit.BitField(length=256)),
                ("note", models.CharField(blank=True, max_length=200)),
                (
                    "added_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                (
                    "added_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "known_list",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="hashes",
                        to="reviews.knownlist",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "known hashes",
            },
        ),
        migrations.CreateModel(
            name="KnownMatch",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("distance", models.PositiveSmallIntegerField()),
                (
                    "found_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                (
                    "known_hash",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="matches",
                        to="reviews.knownhash",
                    ),
                ),
                (
                    "medium",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="known_matches",
                        to="reviews.medium",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "known matches",
            },
        ),
        migrations.CreateModel(
            name="LookAlike",
            fields=[
                (
                    "medium",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="look",
                        serialize=False,
                        to="reviews.medium",
                    ),
                ),
                ("value", pgvector.django.bit.BitField(length=256, null=True)),
                (
                    "due_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), null=True
                    ),
                ),
                ("attempts", models.PositiveSmallIntegerField(db_default=0)),
                ("error", models.CharField(blank=True, db_default="", max_length=300)),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("due_at__isnull", False)),
                        fields=["due_at"],
                        name="look_due",
                    )
                ],
            },
        ),
        migrations.AddConstraint(
            model_name="knownlist",
            constraint=models.UniqueConstraint(
                fields=("platform", "name"), name="one_known_list_a_name"
            ),
        ),
        migrations.AddConstraint(
            model_name="knownlist",
            constraint=models.CheckConstraint(
                condition=models.Q(("distance__lte", 64)), name="known_distance_is_near"
            ),
        ),
        migrations.AddConstraint(
            model_name="knownhash",
            constraint=models.UniqueConstraint(
                fields=("known_list", "sort", "value"), name="one_known_hash_a_list"
            ),
        ),
        migrations.AddConstraint(
            model_name="knownmatch",
            constraint=models.UniqueConstraint(
                fields=("medium", "known_hash"), name="one_match_a_known_hash"
            ),
        ),
    ]
