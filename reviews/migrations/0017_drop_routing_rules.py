"""The rules stand in versions now; their table goes."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("reviews", "0016_rules_to_versions")]

    operations = [migrations.DeleteModel("RoutingRule")]
