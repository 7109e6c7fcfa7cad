"""Drop indexes that another one begins with: each new item and job paid for them."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("reviews", "0002_append_only_and_hot_tables"),
    ]

    operations = [
        migrations.AlterField(
            model_name="item",
            name="account",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="items",
                to="reviews.account",
            ),
        ),
        migrations.AlterField(
            model_name="item",
            name="fingerprint",
            field=models.CharField(max_length=32),
        ),
        migrations.AlterField(
            model_name="item",
            name="kind",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="items",
                to="reviews.itemkind",
            ),
        ),
        migrations.AlterField(
            model_name="item",
            name="platform",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="items",
                to="reviews.platform",
            ),
        ),
        migrations.AlterField(
            model_name="itemversion",
            name="item",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="versions",
                to="reviews.item",
            ),
        ),
        migrations.AlterField(
            model_name="job",
            name="draw",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="jobs",
                to="reviews.draw",
            ),
        ),
        migrations.AlterField(
            model_name="job",
            name="queue",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="jobs",
                to="reviews.queue",
            ),
        ),
        migrations.AddIndex(
            model_name="item",
            index=models.Index(fields=["fingerprint"], name="item_by_fingerprint"),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                condition=models.Q(("draw__isnull", False)), fields=["draw"], name="job_by_draw"
            ),
        ),
    ]
