"""What stood there when severities came was never looked through. No row is locked meanwhile."""

from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("reviews", "0061_known_items")]

    operations = [ValidateConstraint("finding", "only_a_violation_has_a_severity")]
