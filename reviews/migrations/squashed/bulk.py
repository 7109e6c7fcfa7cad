"""Many decisions at once."""

from django.conf import settings
from django.db import migrations, models
from django.db.models.functions import Now

ID = models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")

TABLES = [
    migrations.CreateModel(
        name="BulkOperation",
        fields=[
            ("id", ID),
            (
                "verb",
                models.CharField(
                    choices=[
                        ("assign", "Assign"),
                        ("move", "Move"),
                        ("cancel", "Cancel"),
                        ("raise", "Raise"),
                    ],
                    max_length=10,
                ),
            ),
            ("filter", models.JSONField(default=dict)),
            ("parameters", models.JSONField(default=dict)),
            ("note", models.CharField(blank=True, max_length=500)),
            ("count", models.PositiveIntegerField(default=0)),
            ("skipped", models.JSONField(default=dict)),
            ("token", models.UUIDField(unique=True)),
            ("at", models.DateTimeField(db_default=Now(), editable=False)),
            ("undone_at", models.DateTimeField(null=True)),
            ("undone_count", models.PositiveIntegerField(null=True)),
            (
                "by",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="operations", to=settings.AUTH_USER_MODEL
                ),
            ),
            (
                "platform",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="operations",
                    to="reviews.platform",
                ),
            ),
            (
                "queue",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="operations",
                    to="reviews.queue",
                ),
            ),
            (
                "undone_by",
                models.ForeignKey(
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
        ],
        options={
            "indexes": [models.Index(fields=["queue", "-id"], name="operation_by_queue")],
            "constraints": [
                models.CheckConstraint(
                    condition=models.Q(
                        models.Q(("undone_at", None), ("undone_by", None), ("undone_count", None)),
                        models.Q(
                            ("undone_at__isnull", False),
                            ("undone_by__isnull", False),
                            ("undone_count__isnull", False),
                        ),
                        _connector="OR",
                    ),
                    name="an_undone_operation_says_by_whom",
                )
            ],
        },
    ),
    migrations.CreateModel(
        name="BulkChange",
        fields=[
            ("id", ID),
            ("before", models.JSONField()),
            ("after", models.JSONField()),
            (
                "job",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="changes", to="reviews.job"
                ),
            ),
            (
                "operation",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.CASCADE,
                    related_name="changes",
                    to="reviews.bulkoperation",
                ),
            ),
        ],
        options={
            "constraints": [
                models.UniqueConstraint(fields=("operation", "job"), name="one_change_an_operation")
            ]
        },
    ),
]
