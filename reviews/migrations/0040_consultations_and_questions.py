"""What colleagues ask of each other about an item, and of policy owners about a policy."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("reviews", "0039_media"),
    ]

    operations = [
        migrations.CreateModel(
            name="Consultation",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("note", models.TextField(blank=True)),
                (
                    "leaning",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("violating", "Violating"),
                            ("clean", "Clean"),
                            ("unsure", "Unsure"),
                        ],
                        max_length=10,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("asked", "Asked"),
                            ("answered", "Answered"),
                            ("withdrawn", "Withdrawn"),
                            ("lapsed", "Lapsed"),
                        ],
                        default="asked",
                        max_length=10,
                    ),
                ),
                (
                    "asked_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                ("due_at", models.DateTimeField(null=True)),
                (
                    "opinion",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("violating", "Violating"),
                            ("clean", "Clean"),
                            ("unsure", "Unsure"),
                        ],
                        max_length=10,
                    ),
                ),
                ("text", models.TextField(blank=True)),
                ("ended_at", models.DateTimeField(null=True)),
                (
                    "answered_by",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="opinions",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "asked_by",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="consultations",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "asked_of",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "item",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="consultations",
                        to="reviews.item",
                    ),
                ),
                (
                    "item_version",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="reviews.itemversion",
                    ),
                ),
                (
                    "job",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="consultations",
                        to="reviews.job",
                    ),
                ),
                (
                    "policy_versions",
                    models.ManyToManyField(related_name="+", to="reviews.policyversion"),
                ),
                (
                    "queue",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="reviews.queue",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["item", "-id"], name="consultation_by_item"),
                    models.Index(
                        condition=models.Q(("state", "asked")),
                        fields=["asked_of"],
                        name="consultation_open",
                    ),
                    models.Index(fields=["asked_by", "-id"], name="consultation_by_asker"),
                    models.Index(
                        condition=models.Q(("due_at__isnull", False)),
                        fields=["due_at"],
                        name="consultation_due",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("state", "asked")),
                        fields=("job",),
                        name="one_open_consultation_a_job",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("answered_by__isnull", False),
                                ("ended_at__isnull", False),
                                ("state", "answered"),
                                models.Q(("opinion", ""), _negated=True),
                            ),
                            models.Q(
                                ("answered_by", None),
                                ("ended_at", None),
                                ("opinion", ""),
                                ("state", "asked"),
                                ("due_at__isnull", False),
                            ),
                            models.Q(
                                ("answered_by", None),
                                ("ended_at__isnull", False),
                                ("opinion", ""),
                                ("state__in", ["withdrawn", "lapsed"]),
                            ),
                            _connector="OR",
                        ),
                        name="a_consultation_is_as_its_state_says",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("asked_of", None),
                                models.Q(("asked_of", models.F("asked_by")), _negated=True),
                                _connector="OR",
                            ),
                            models.Q(
                                ("answered_by", None),
                                models.Q(("answered_by", models.F("asked_by")), _negated=True),
                                _connector="OR",
                            ),
                        ),
                        name="nobody_consults_herself",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("asked_of", None),
                            ("answered_by", None),
                            ("answered_by", models.F("asked_of")),
                            _connector="OR",
                        ),
                        name="whoever_was_asked_answers",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Question",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("text", models.TextField(blank=True)),
                (
                    "asked_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("answered", "Answered"),
                            ("withdrawn", "Withdrawn"),
                        ],
                        default="open",
                        max_length=10,
                    ),
                ),
                ("answered_at", models.DateTimeField(null=True)),
                ("answer", models.TextField(blank=True)),
                ("is_published", models.BooleanField(default=False)),
                (
                    "answered_by",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "asked_by",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="questions",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "item",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="questions",
                        to="reviews.item",
                    ),
                ),
                (
                    "policy",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="questions",
                        to="reviews.policy",
                    ),
                ),
                (
                    "policy_version",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="reviews.policyversion",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["policy", "-id"], name="question_by_policy"),
                    models.Index(
                        condition=models.Q(("state", "open")),
                        fields=["policy"],
                        name="question_open",
                    ),
                    models.Index(fields=["asked_by", "-id"], name="question_by_asker"),
                    models.Index(
                        condition=models.Q(("item__isnull", False)),
                        fields=["item"],
                        name="question_by_item",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("answered_at__isnull", False),
                                ("answered_by__isnull", False),
                                ("state", "answered"),
                            ),
                            models.Q(
                                ("answered_at", None),
                                ("answered_by", None),
                                ("is_published", False),
                                ("state__in", ["open", "withdrawn"]),
                            ),
                            _connector="OR",
                        ),
                        name="an_answered_question_says_by_whom",
                    )
                ],
            },
        ),
    ]
