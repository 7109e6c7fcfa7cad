"""Each queue counts its own claims, so that its lanes keep their shares whatever others do.

A sequence a queue: no row to lock, and no claim waits for another. Made and dropped by the
database with the queue, so that none is ever without.
"""

from django.db import migrations

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

DO $$
DECLARE queue bigint;
BEGIN
  FOR queue IN SELECT id FROM reviews_queue LOOP
    EXECUTE format('CREATE SEQUENCE IF NOT EXISTS %I', 'reviews_queue_turn_' || queue);
  END LOOP;
END $$;

DROP SEQUENCE reviews_claim_turn;
"""

ONE_TURN = """
CREATE SEQUENCE reviews_claim_turn;
DROP TRIGGER queue_turn ON reviews_queue;
DROP TRIGGER queue_turns ON reviews_queue;
DO $$
DECLARE turn text;
BEGIN
  FOR turn IN SELECT relname FROM pg_class
    WHERE relkind = 'S' AND relname ~ '^reviews_queue_turn_[0-9]+$' LOOP
    EXECUTE format('DROP SEQUENCE %I', turn);
  END LOOP;
END $$;
DROP FUNCTION reviews_queue_turn();
"""


class Migration(migrations.Migration):
    dependencies = [("reviews", "0010_revisions")]

    operations = [migrations.RunSQL(TURNS, ONE_TURN)]
