"""Keep the due rows lean: each is written, leased and deleted within seconds."""

from django.db import migrations

HOT = """
ALTER TABLE mlhooks_duescore SET (
  autovacuum_vacuum_scale_factor = 0,
  autovacuum_vacuum_threshold = 5000,
  autovacuum_vacuum_cost_delay = 0
)
"""
COOL = """
ALTER TABLE mlhooks_duescore RESET (
  autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold, autovacuum_vacuum_cost_delay
)
"""


class Migration(migrations.Migration):
    dependencies = [("mlhooks", "0002_snapshot_heartbeat")]

    operations = [migrations.RunSQL(HOT, COOL)]
