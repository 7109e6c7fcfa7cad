"""What a lead does to many jobs at once, and what it leaves on each job."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("reviews", "0026_replays_and_rosters")]

    operations = [
        migrations.CreateModel(
            name="BulkChange",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("before", models.JSONField()),
                ("after", models.JSONField()),
            ],
        ),
        migrations.CreateModel(
            name="BulkOperation",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
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
                (
                    "at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                ("undone_at", models.DateTimeField(null=True)),
                ("undone_count", models.PositiveIntegerField(null=True)),
            ],
        ),
        migrations.AddField(
            model_name="job",
            name="is_pinned",
            field=models.BooleanField(db_default=False),
        ),
        migrations.AddField(
            model_name="job",
            name="raised",
            field=models.FloatField(db_default=0.0),
        ),
        migrations.AddField(
            model_name="bulkchange",
            name="job",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="changes",
                to="reviews.job",
            ),
        ),
        migrations.AddField(
            model_name="bulkoperation",
            name="by",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="operations",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="bulkoperation",
            name="platform",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="operations",
                to="reviews.platform",
            ),
        ),
        migrations.AddField(
            model_name="bulkoperation",
            name="queue",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="operations",
                to="reviews.queue",
            ),
        ),
        migrations.AddField(
            model_name="bulkoperation",
            name="undone_by",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="bulkchange",
            name="operation",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="changes",
                to="reviews.bulkoperation",
            ),
        ),
        migrations.AddIndex(
            model_name="bulkoperation",
            index=models.Index(fields=["queue", "-id"], name="operation_by_queue"),
        ),
        migrations.AddConstraint(
            model_name="bulkoperation",
            constraint=models.CheckConstraint(
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
            ),
        ),
        migrations.AddConstraint(
            model_name="bulkchange",
            constraint=models.UniqueConstraint(
                fields=("operation", "job"), name="one_change_an_operation"
            ),
        ),
    ]
