"""What people are told of, and which sorts each has switched off."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("reviews", "0035_escalations_and_skip_reasons"),
    ]

    operations = [
        migrations.CreateModel(
            name="MutedSort",
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
                        choices=[
                            ("assigned", "Jobs are assigned to you"),
                            ("asked", "A colleague asks for your opinion"),
                            ("opinion", "A colleague answers you"),
                            ("question", "A question about a policy of yours"),
                            ("answered", "Your question about a policy is answered"),
                            ("mention", "You are mentioned in a note"),
                            ("overturned", "A decision of yours is decided otherwise"),
                            ("escalation", "What you escalated is decided"),
                            ("hold", "An action you asked for is approved or refused"),
                            ("taken", "A job is taken away from you"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="muted_sorts",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("person", "sort"), name="one_choice_per_sort")
                ],
            },
        ),
        migrations.CreateModel(
            name="Notification",
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
                        choices=[
                            ("assigned", "Jobs are assigned to you"),
                            ("asked", "A colleague asks for your opinion"),
                            ("opinion", "A colleague answers you"),
                            ("question", "A question about a policy of yours"),
                            ("answered", "Your question about a policy is answered"),
                            ("mention", "You are mentioned in a note"),
                            ("overturned", "A decision of yours is decided otherwise"),
                            ("escalation", "What you escalated is decided"),
                            ("hold", "An action you asked for is approved or refused"),
                            ("taken", "A job is taken away from you"),
                        ],
                        max_length=12,
                    ),
                ),
                ("data", models.JSONField(default=dict)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                ("read_at", models.DateTimeField(null=True)),
                (
                    "actor",
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
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="reviews.item",
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="notifications",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "platform",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="reviews.platform",
                    ),
                ),
                (
                    "policy",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="reviews.policy",
                    ),
                ),
                (
                    "queue",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="reviews.queue",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["person", "-id"], name="notification_by_person"),
                    models.Index(
                        condition=models.Q(("read_at", None)),
                        fields=["person"],
                        name="notification_unread",
                    ),
                    models.Index(fields=["created_at"], name="notification_by_age"),
                ],
            },
        ),
    ]
