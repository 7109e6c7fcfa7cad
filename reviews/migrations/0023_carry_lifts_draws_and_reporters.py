"""What waits gets its next lift, what was asked for its draw, and who has reported her record.

In short transactions: the job table is large, and in use meanwhile.
"""

from django.db import migrations

_WINDOW = 20_000

_LIFTS = """
UPDATE reviews_job SET lift_at = due_at
WHERE id > %s AND id <= %s AND state IN ('ready', 'claimed') AND NOT is_overdue
  AND lift_at IS NULL
"""
# Second opinions and escalations of the risk lane had none: they came with certainty. What is not
# known any more of those days is left empty.
_DRAWS = """
INSERT INTO reviews_draw (queue_id, lane, strategy, probability, seed, parameters, model_version,
  created_at)
SELECT DISTINCT queue_id, lane, 'certainty', 1::float8, 0, '{}'::jsonb, '', clock_timestamp()
FROM reviews_job AS job WHERE lane <> 'risk' AND draw_id IS NULL AND NOT EXISTS (
  SELECT FROM reviews_draw AS draw
  WHERE draw.queue_id = job.queue_id AND draw.lane = job.lane AND draw.strategy = 'certainty'
    AND draw.pool_size IS NULL
)
"""
_DRAWN = """
UPDATE reviews_job AS job
SET draw_id = draw.id, inclusion_probability = coalesce(job.inclusion_probability, 1)
FROM reviews_draw AS draw
WHERE job.id > %s AND job.id <= %s AND job.lane <> 'risk' AND job.draw_id IS NULL
  AND draw.queue_id = job.queue_id AND draw.lane = job.lane AND draw.strategy = 'certainty'
  AND draw.pool_size IS NULL
"""
_REPORTERS = """
INSERT INTO reviews_reporter (platform_id, source, external_id, filed, settled, upheld, trust,
  last_filed_at)
SELECT item.platform_id, report.source, report.reporter, count(*), 0, 0,
  CASE report.source WHEN 'law_enforcement' THEN 0.9 WHEN 'hash' THEN 0.9
    WHEN 'trusted_flagger' THEN 0.8 WHEN 'classifier' THEN 0.5 WHEN 'rule' THEN 0.4 ELSE 0.3 END,
  max(report.created_at)
FROM reviews_report AS report JOIN reviews_item AS item ON item.id = report.item_id
WHERE report.reporter <> '' GROUP BY 1, 2, 3
ON CONFLICT DO NOTHING
"""
# The sweep counts their records, and ranks what waits with their reports.
_DUE = """
INSERT INTO reviews_duereporter (reporter_id)
SELECT id FROM reviews_reporter WHERE refreshed_at IS NULL
"""


def carry(apps, editor):
    with editor.connection.cursor() as cursor:
        cursor.execute(_DRAWS)
        cursor.execute("SELECT coalesce(min(id), 1), coalesce(max(id), 0) FROM reviews_job")
        first, last = cursor.fetchone()
        for start in range(first - 1, last, _WINDOW):
            cursor.execute(_LIFTS, [start, start + _WINDOW])
            cursor.execute(_DRAWN, [start, start + _WINDOW])
        cursor.execute(_REPORTERS)
        cursor.execute(_DUE)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("reviews", "0022_reports_in_the_rank")]

    operations = [migrations.RunPython(carry, migrations.RunPython.noop)]
