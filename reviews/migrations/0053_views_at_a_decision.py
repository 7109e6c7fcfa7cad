"""How much an item was looked at when it was decided. Null for what was decided before."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("reviews", "0052_search_entries_stay_whole"),
    ]

    operations = [
        migrations.AddField("decision", "views_per_hour", models.FloatField(null=True)),
    ]
