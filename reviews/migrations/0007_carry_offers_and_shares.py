"""The actions and shares that queues have already, in their new places."""

from django.db import migrations

_OFFERS = """
INSERT INTO reviews_queueaction (queue_id, action_id, key, is_hidden, position)
SELECT old.queue_id, old.action_id, '', false, action.position
FROM reviews_queue_actions AS old JOIN reviews_action AS action ON action.id = old.action_id
"""
_OFFERS_BACK = """
INSERT INTO reviews_queue_actions (queue_id, action_id)
SELECT queue_id, action_id FROM reviews_queueaction
"""
_SHARES = "UPDATE reviews_queue SET lane_shares = jsonb_build_object('random', random_share)"
_SHARES_BACK = """
UPDATE reviews_queue SET random_share = coalesce((lane_shares ->> 'random')::float8, 0)
"""


class Migration(migrations.Migration):
    dependencies = [("reviews", "0006_self_serve")]

    operations = [
        migrations.RunSQL(_OFFERS, _OFFERS_BACK),
        migrations.RunSQL(_SHARES, _SHARES_BACK),
    ]
