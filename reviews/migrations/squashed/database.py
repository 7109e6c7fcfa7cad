"""What PostgreSQL itself must refuse, and how it keeps the hot tables lean."""

from django.db import migrations

# Answers, decisions and draws are never edited, notes never deleted; an audit entry is sealed once.
APPEND_ONLY = """
CREATE FUNCTION reviews_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP
    USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE FUNCTION reviews_only_seal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.position IS NULL AND OLD.hash = ''
     AND (NEW.id, NEW.at, NEW.verb, NEW.target_type, NEW.target_id, NEW.data)
       = (OLD.id, OLD.at, OLD.verb, OLD.target_type, OLD.target_id, OLD.data)
     AND NEW.actor_id IS NOT DISTINCT FROM OLD.actor_id
     AND NEW.platform_id IS NOT DISTINCT FROM OLD.platform_id THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'an audit entry is never edited'
    USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON reviews_review
  FOR EACH ROW EXECUTE FUNCTION reviews_refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON reviews_finding
  FOR EACH ROW EXECUTE FUNCTION reviews_refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON reviews_decision
  FOR EACH ROW EXECUTE FUNCTION reviews_refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON reviews_draw
  FOR EACH ROW EXECUTE FUNCTION reviews_refuse_change();
CREATE TRIGGER append_only BEFORE DELETE ON reviews_auditentry
  FOR EACH ROW EXECUTE FUNCTION reviews_refuse_change();
CREATE TRIGGER only_seal BEFORE UPDATE ON reviews_auditentry
  FOR EACH ROW EXECUTE FUNCTION reviews_only_seal();
CREATE TRIGGER never_deleted BEFORE DELETE ON reviews_note
  FOR EACH ROW EXECUTE FUNCTION reviews_refuse_change();
"""
NOT_APPEND_ONLY = """
DROP FUNCTION reviews_refuse_change() CASCADE;
DROP FUNCTION reviews_only_seal() CASCADE;
"""

# Rules that were published stay as they were.
PUBLISHED = """
CREATE FUNCTION reviews_keep_published() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state = 'draft' THEN
    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
    RETURN NEW;
  END IF;
  IF TG_OP = 'UPDATE'
     AND (NEW.platform_id, NEW.number, NEW.rules, NEW.note, NEW.published_at)
       = (OLD.platform_id, OLD.number, OLD.rules, OLD.note, OLD.published_at)
     AND NEW.published_by_id IS NOT DISTINCT FROM OLD.published_by_id
     AND NEW.restores_id IS NOT DISTINCT FROM OLD.restores_id
     AND (NEW.state = OLD.state OR (OLD.state, NEW.state) = ('published', 'retired')) THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'a published routing version is never changed'
    USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER keep_published BEFORE UPDATE OR DELETE ON reviews_routingversion
  FOR EACH ROW EXECUTE FUNCTION reviews_keep_published();
"""
NOT_PUBLISHED = "DROP FUNCTION reviews_keep_published() CASCADE"

# Each queue counts its own claims, so that its lanes keep their shares whatever others do. A
# sequence a queue: no row to lock, and no claim waits for another. Made and dropped by the database
# with the queue, so that none is ever without.
TURNS = """
CREATE FUNCTION reviews_queue_turn() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE turn text;
BEGIN
  IF TG_OP = 'INSERT' THEN
    EXECUTE format('CREATE SEQUENCE IF NOT EXISTS %I', 'reviews_queue_turn_' || NEW.id);
  ELSIF TG_OP = 'DELETE' THEN
    EXECUTE format('DROP SEQUENCE IF EXISTS %I', 'reviews_queue_turn_' || OLD.id);
  ELSE
    FOR turn IN SELECT relname FROM pg_class
      WHERE relkind = 'S' AND relname ~ '^reviews_queue_turn_[0-9]+$'
        AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = TG_RELID)
    LOOP
      EXECUTE format('DROP SEQUENCE %I', turn);
    END LOOP;
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER queue_turn AFTER INSERT OR DELETE ON reviews_queue
  FOR EACH ROW EXECUTE FUNCTION reviews_queue_turn();
CREATE TRIGGER queue_turns AFTER TRUNCATE ON reviews_queue
  FOR EACH STATEMENT EXECUTE FUNCTION reviews_queue_turn();
"""
NO_TURNS = """
DO $$
DECLARE turn text;
BEGIN
  FOR turn IN SELECT relname FROM pg_class
    WHERE relkind = 'S' AND relname ~ '^reviews_queue_turn_[0-9]+$' LOOP
    EXECUTE format('DROP SEQUENCE %I', turn);
  END LOOP;
END $$;
DROP FUNCTION reviews_queue_turn() CASCADE;
"""

# Whatever makes a job ready, COPY too, moves the starts of claims back. While nobody keeps a start
# they look once and leave. A note within the last half second that is no lower says the same: a
# re-ranking of thousands leaves a handful. starts.py looks two seconds back, so it does not miss
# by that.
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
DROP FUNCTION reviews_jobs_arrive() CASCADE;
DROP FUNCTION reviews_job_arrives() CASCADE;
DROP FUNCTION reviews_note_arrival(bigint, text, float8);
"""

# A claim walks past dead index entries until they are vacuumed, and a row that waits to be hashed
# is written and deleted within seconds: vacuum both early and at full speed.
HOT = """
ALTER TABLE reviews_job SET (
  autovacuum_vacuum_scale_factor = 0,
  autovacuum_vacuum_threshold = 5000,
  autovacuum_vacuum_cost_delay = 0
);
ALTER TABLE reviews_duehash SET (
  autovacuum_vacuum_scale_factor = 0,
  autovacuum_vacuum_threshold = 5000,
  autovacuum_vacuum_cost_delay = 0
);
"""

# A phrase is looked for in every entry that has its words, and fetching and unpacking those that
# were compressed and put out of line was half of that. Most fit a page as they are.
WHOLE_ENTRIES = "ALTER TABLE reviews_searchentry SET (toast_tuple_target = 8160)"

# The tables' own settings go with the tables.
RULES = [
    migrations.RunSQL(APPEND_ONLY, NOT_APPEND_ONLY),
    migrations.RunSQL(PUBLISHED, NOT_PUBLISHED),
    migrations.RunSQL(TURNS, NO_TURNS),
    migrations.RunSQL(NOTES, NO_NOTES),
    migrations.RunSQL(HOT, migrations.RunSQL.noop),
    migrations.RunSQL(WHOLE_ENTRIES, migrations.RunSQL.noop),
]
