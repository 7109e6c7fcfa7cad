"""How often an item has been seen, where the platform says it. An empty column rewrites
no row, and its rule is held against those that stand by the next migration."""

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("reviews", "0057_stranded_notifications")]

    operations = [
        migrations.AddField(
            model_name="item",
            name="views_so_far",
            field=models.BigIntegerField(blank=True, null=True),
        ),
        AddConstraintNotValid(
            model_name="item",
            constraint=models.CheckConstraint(
                condition=models.Q(views_so_far=None) | models.Q(views_so_far__gte=0),
                name="views_so_far_are_not_negative",
            ),
        ),
    ]
