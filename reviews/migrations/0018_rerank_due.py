"""When a queue's waiting jobs have to be ranked again: set by a save, cleared by the sweep."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("reviews", "0017_drop_routing_rules")]

    operations = [
        migrations.AddField("queue", "rerank_due_at", models.DateTimeField(blank=True, null=True)),
    ]
