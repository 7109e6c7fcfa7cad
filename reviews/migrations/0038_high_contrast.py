"""A theme of high contrast. Choices live in the code, so the table stays as it is."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("reviews", "0037_exposure")]

    operations = [
        migrations.AlterField(
            model_name="person",
            name="theme",
            field=models.CharField(
                choices=[
                    ("auto", "Like my system"),
                    ("light", "Light"),
                    ("dark", "Dark"),
                    ("contrast", "High contrast"),
                ],
                default="auto",
                max_length=8,
            ),
        )
    ]
