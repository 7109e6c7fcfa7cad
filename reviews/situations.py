"""How things stand for an item as it is answered: read under its lock, in one round trip."""

import json
import uuid
from datetime import datetime
from typing import NamedTuple

from django.utils.translation import gettext as _

from .errors import Conflict, NotFound
from .models import Person
from .statements import Statement

# Before anything else, and a statement of its own, so that what follows sees all that went before.
_LOCK = Statement(
    "item_lock",
    """
SELECT id FROM reviews_item
WHERE id = (SELECT item_id FROM reviews_job WHERE id = %(job)s) FOR NO KEY UPDATE
""",
)

# All that an answer depends on in one round trip; as querysets it was half of an answer's cost.
# "In force" as PolicyVersionQuerySet.in_force() has it; the newest decision is the standing one.
_SITUATION = Statement(
    "situation",
    """
SELECT job.id AS job_id, job.item_id, job.queue_id, queue.slug AS queue, queue.platform_id,
  job.lane, queue.policy_required, queue.note_required, queue.reviews_wanted,
  queue.undo_seconds, item.account_id, item.risks::text,
  item.risk_source, version.id AS version_id, version.created_at AS version_at,
  (
    SELECT id FROM reviews_decision WHERE item_id = item.id ORDER BY id DESC LIMIT 1
  ) AS standing_id,
  ARRAY(
    SELECT json_build_array(slug, id, levels)::text FROM (
      SELECT DISTINCT ON (policy.id) policy.slug, policy.position, policy.id AS policy, version.id,
        cardinality(version.severity_levels) AS levels
      FROM reviews_queue_policies AS link
      JOIN reviews_policy AS policy ON policy.id = link.policy_id
      JOIN reviews_policyversion AS version ON version.policy_id = policy.id
      WHERE link.queue_id = queue.id AND version.effective_at <= clock_timestamp()
      ORDER BY policy.id, version.effective_at DESC, version.number DESC
    ) AS in_force ORDER BY position, policy
  ) AS policies,
  EXISTS (
    SELECT FROM reviews_queue_members WHERE queue_id = job.queue_id AND person_id = %(by)s
  ) AS is_member,
  item.report_count > 0 AS is_reported, job.claimed_at,
  coalesce(job.claim_token = %(token)s::uuid AND job.claimed_by_id = %(by)s
    AND job.expires_at > clock_timestamp(), false) AS is_hers,
  item.views_per_hour
FROM reviews_job AS job
JOIN reviews_queue AS queue ON queue.id = job.queue_id
JOIN reviews_item AS item ON item.id = job.item_id
JOIN reviews_itemversion AS version
  ON version.item_id = item.id AND version.number = item.version_number
WHERE job.id = %(job)s
""",
)


class Situation(NamedTuple):
    """The item, held until the end of the transaction, and what can be decided about it."""

    job_id: int
    item_id: int
    queue_id: int
    queue: str
    platform_id: int
    lane: str
    policy_required: bool
    note_required: bool
    reviews_wanted: int
    undo_seconds: int
    account_id: int | None
    risks: dict[str, float]
    risk_source: str
    version_id: int
    version_at: datetime
    standing_id: int | None
    policies: dict[str, int]  # slug → id of the policy version in force
    is_member: bool  # of the queue: the person who acts
    is_reported: bool
    claimed_at: datetime | None
    is_hers: bool  # the job: claimed by the person who acts, with the token she names
    views_per_hour: float
    levels: dict[str, int] = {}  # slug → how many levels its severity has, where it asks for one


def look(job_id: int, by: Person, *, token: uuid.UUID | None = None) -> Situation:
    """Lock the item of this job, then read how things stand."""
    row = _SITUATION.row(after=_LOCK, job=job_id, by=by.pk, token=token)
    if row is None:
        raise NotFound(_("There is no such job here."))
    now = Situation(*row)
    policies = [json.loads(policy) for policy in now.policies]
    return now._replace(
        risks=json.loads(now.risks),
        policies={slug: pk for slug, pk, _levels in policies},
        levels={slug: levels for slug, _pk, levels in policies if levels},
    )


def check_seen(now: Situation, seen_id: int | None) -> None:
    """What she read, or without it what was current when she claimed, is what stands."""
    if seen_id is None and now.claimed_at is not None and now.version_at <= now.claimed_at:
        return
    if seen_id == now.version_id:
        return
    raise Conflict(
        _("This message was edited while you were reading. Here is the new version."),
        details={"item_version": now.version_id},
    )
