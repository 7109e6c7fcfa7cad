"""A queue that was changed is noticed by its settings alone: no mark of its own is needed."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("reviews", "0031_wellbeing")]

    operations = [
        migrations.AddField(
            model_name="queueranking",
            name="is_retiming",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.RemoveField(model_name="queue", name="rerank_due_at"),
    ]
