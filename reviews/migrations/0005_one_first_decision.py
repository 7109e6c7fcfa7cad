"""That one decision stands an item is the database's to guarantee, not only the services'."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("reviews", "0004_past_calls")]

    operations = [
        migrations.AddConstraint(
            model_name="decision",
            constraint=models.UniqueConstraint(
                condition=models.Q(("supersedes__isnull", True)),
                fields=("item",),
                name="one_first_decision_an_item",
            ),
        ),
    ]
