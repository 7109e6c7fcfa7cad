"""Why the strongest spans of a text could not be worked out, for whoever waits for them."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("mlhooks", "0006_strong_spans")]

    operations = [
        migrations.AddField(
            model_name="strongspans",
            name="error",
            field=models.TextField(blank=True, default=""),
        ),
    ]
