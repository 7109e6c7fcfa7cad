"""What PostgreSQL itself must refuse, and how it keeps the hot table lean."""

from django.db import migrations

REFUSE = """
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
CREATE TRIGGER append_only BEFORE DELETE ON reviews_auditentry
  FOR EACH ROW EXECUTE FUNCTION reviews_refuse_change();
CREATE TRIGGER only_seal BEFORE UPDATE ON reviews_auditentry
  FOR EACH ROW EXECUTE FUNCTION reviews_only_seal();
"""

UNREFUSE = """
DROP TRIGGER append_only ON reviews_review;
DROP TRIGGER append_only ON reviews_finding;
DROP TRIGGER append_only ON reviews_decision;
DROP TRIGGER append_only ON reviews_auditentry;
DROP TRIGGER only_seal ON reviews_auditentry;
DROP FUNCTION reviews_refuse_change();
DROP FUNCTION reviews_only_seal();
"""

# A claim walks past dead index entries until they are vacuumed: do it early and at full speed.
HOT = """
ALTER TABLE reviews_job SET (
  autovacuum_vacuum_scale_factor = 0,
  autovacuum_vacuum_threshold = 5000,
  autovacuum_vacuum_cost_delay = 0
);
-- One tick a claim, over all queues: claims.py reads its lane from it (low-discrepancy).
CREATE SEQUENCE reviews_claim_turn;
"""
COOL = """
ALTER TABLE reviews_job RESET (
  autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold, autovacuum_vacuum_cost_delay
);
DROP SEQUENCE reviews_claim_turn;
"""


class Migration(migrations.Migration):
    dependencies = [("reviews", "0001_initial")]

    operations = [
        migrations.RunSQL(REFUSE, UNREFUSE),
        migrations.RunSQL(HOT, COOL),
    ]
