"""Keep the rows that wait to be compared lean: each is written and deleted within seconds."""

from django.db import migrations

HOT = """
ALTER TABLE mlhooks_dueneighbour SET (
  autovacuum_vacuum_scale_factor = 0,
  autovacuum_vacuum_threshold = 5000,
  autovacuum_vacuum_cost_delay = 0
)
"""
COOL = """
ALTER TABLE mlhooks_dueneighbour RESET (
  autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold, autovacuum_vacuum_cost_delay
)
"""


class Migration(migrations.Migration):
    dependencies = [("mlhooks", "0004_neighbours")]

    operations = [migrations.RunSQL(HOT, COOL)]
