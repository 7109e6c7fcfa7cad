"""Where items stand in a conversation. A table of its own: nothing that is there is touched."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("reviews", "0042_parameters_that_are_asked"),
    ]

    operations = [
        migrations.CreateModel(
            name="ThreadPlace",
            fields=[
                (
                    "item",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="thread_place",
                        serialize=False,
                        to="reviews.item",
                    ),
                ),
                ("thread_key", models.BigIntegerField(null=True)),
                ("parent_key", models.BigIntegerField(null=True)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["thread_key", "item"], name="place_by_thread"),
                    models.Index(fields=["parent_key", "item"], name="place_by_parent"),
                ],
            },
        ),
    ]
