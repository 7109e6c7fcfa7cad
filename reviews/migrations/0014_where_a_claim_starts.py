"""Hints for claims that take long: where each person may start, and what came in above it.

The triggers are the database's own, so that whatever makes a job ready, COPY too, moves starts
back. While nobody keeps a start they look once and leave.
"""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

_LANES = [
    ("risk", "Risk"),
    ("random", "Random"),
    ("learning", "Learning"),
    ("gold", "Gold"),
    ("second", "Second opinion"),
    ("adjudication", "Adjudication"),
    ("appeal", "Appeal"),
    ("qa", "Quality check"),
]
_ID = models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")

# A note within the last half second that is no lower says the same: a re-ranking of thousands
# leaves a handful. starts.py looks two seconds back, so it does not miss by that.
NOTES = """
CREATE FUNCTION reviews_note_arrival(to_queue bigint, to_lane text, at_rank float8)
RETURNS void LANGUAGE sql AS $$
  INSERT INTO reviews_lanearrival (queue_id, lane, rank, at)
  SELECT to_queue, to_lane, at_rank, clock_timestamp()
  WHERE EXISTS (
    SELECT FROM reviews_lanestart
    WHERE queue_id = to_queue AND lane = to_lane AND at > clock_timestamp() - interval '60 s'
  ) AND NOT EXISTS (
    SELECT FROM reviews_lanearrival
    WHERE queue_id = to_queue AND lane = to_lane AND rank >= at_rank
      AND at > clock_timestamp() - interval '0.5 s'
  )
$$;

CREATE FUNCTION reviews_jobs_arrive() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM reviews_lanestart) THEN
    PERFORM reviews_note_arrival(queue_id, lane, rank) FROM (
      SELECT queue_id, lane, max(rank) AS rank FROM arrived
      WHERE state = 'ready' AND assigned_to_id IS NULL GROUP BY queue_id, lane
    ) AS best;
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION reviews_job_arrives() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM reviews_lanestart) THEN
    PERFORM reviews_note_arrival(NEW.queue_id, NEW.lane, NEW.rank);
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER jobs_arrive AFTER INSERT ON reviews_job
  REFERENCING NEW TABLE AS arrived
  FOR EACH STATEMENT EXECUTE FUNCTION reviews_jobs_arrive();
-- A claim or an answer leaves no job ready: the condition is all it pays.
CREATE TRIGGER job_arrives AFTER UPDATE ON reviews_job
  FOR EACH ROW WHEN (NEW.state = 'ready' AND NEW.assigned_to_id IS NULL)
  EXECUTE FUNCTION reviews_job_arrives();
"""

NO_NOTES = """
DROP TRIGGER jobs_arrive ON reviews_job;
DROP TRIGGER job_arrives ON reviews_job;
DROP FUNCTION reviews_jobs_arrive();
DROP FUNCTION reviews_job_arrives();
DROP FUNCTION reviews_note_arrival(bigint, text, float8);
"""


class Migration(migrations.Migration):
    dependencies = [("reviews", "0013_one_prefetched_claim")]

    operations = [
        migrations.CreateModel(
            name="LaneStart",
            fields=[
                ("id", _ID),
                ("lane", models.CharField(choices=_LANES, max_length=16)),
                ("rank", models.FloatField()),
                ("since", models.DateTimeField()),
                ("at", models.DateTimeField()),
                ("until", models.DateTimeField()),
                (
                    "person",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "queue",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="reviews.queue",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("person", "queue", "lane"), name="one_start_a_person_and_lane"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="LaneArrival",
            fields=[
                ("id", _ID),
                ("lane", models.CharField(choices=_LANES, max_length=16)),
                ("rank", models.FloatField()),
                ("at", models.DateTimeField()),
                (
                    "queue",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="reviews.queue",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["queue", "lane", "at"], name="arrival_by_lane")],
            },
        ),
        migrations.RunSQL(NOTES, NO_NOTES),
    ]
