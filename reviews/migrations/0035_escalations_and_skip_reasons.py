"""What reviewers may say when they skip, and which queues take what others cannot settle."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("reviews", "0034_notes"),
    ]

    operations = [
        migrations.AddField(
            model_name="queue",
            name="skip_reasons",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=60),
                blank=True,
                db_default=[],
                default=list,
                size=None,
            ),
        ),
        migrations.AddField(
            model_name="queue",
            name="takes_escalations",
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
