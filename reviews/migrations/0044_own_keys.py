"""A person's own keys. Null for everybody at first: no row is rewritten."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("reviews", "0043_thread_places")]

    operations = [
        migrations.AddField(
            model_name="person", name="keys", field=models.JSONField(blank=True, null=True)
        )
    ]
