"""Holds the rows against the rule of the migration before, while others go on writing."""

from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("reviews", "0058_views_so_far")]

    operations = [
        ValidateConstraint(model_name="item", name="views_so_far_are_not_negative"),
    ]
