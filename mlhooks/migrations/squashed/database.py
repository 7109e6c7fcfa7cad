"""How PostgreSQL keeps the hot tables lean: rows written, leased and deleted within seconds."""

from django.db import migrations

HOT = """
ALTER TABLE mlhooks_duescore SET (
  autovacuum_vacuum_scale_factor = 0,
  autovacuum_vacuum_threshold = 5000,
  autovacuum_vacuum_cost_delay = 0
);
ALTER TABLE mlhooks_dueneighbour SET (
  autovacuum_vacuum_scale_factor = 0,
  autovacuum_vacuum_threshold = 5000,
  autovacuum_vacuum_cost_delay = 0
);
"""

# The tables' own settings go with the tables.
RULES = [migrations.RunSQL(HOT, migrations.RunSQL.noop)]
