"""What the desk shows of one item, read in one query: the page a reviewer sees all day is the one
whose cost counts. Rules of a queue are kept for a few seconds, since every job shows the same.
"""

import json
import time
from collections.abc import Iterable
from typing import NamedTuple

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from . import beside, layouts, parameters, ranking
from .beside import Beside
from .errors import NotFound
from .layouts import Layout
from .metrics import AuthorRecord, ReportGroup
from .models import (
    Account,
    Action,
    Item,
    ItemKind,
    ItemVersion,
    Person,
    PolicyVersion,
    Queue,
    Verdict,
)
from .statements import Statement

# How long a changed policy, action or queue may be shown as it was.
RULES_SECONDS = 5.0
# Keys with a fixed meaning on the desk; policies and actions get others.
RESERVED_KEYS = frozenset("0abceghikmnpqsuvy?")

# Hers, while it still stands; for an hour after it could be undone, to override it.
_LAST_SQL = """
SELECT
  last.id AS pk, last.verdict, kind.name AS kind_name,
  coalesce(nullif(account.name, ''), account.external_id) AS author,
  ceil(extract(epoch FROM last.undo_until - clock_timestamp()))::int AS seconds_left
FROM (
  SELECT id, kind, verdict, undo_until, item_id FROM reviews_decision
  WHERE decided_by_id = %(person)s ORDER BY id DESC LIMIT 1
) AS last
JOIN reviews_item AS item ON item.id = last.item_id
JOIN reviews_itemkind AS kind ON kind.id = item.kind_id
LEFT JOIN reviews_account AS account ON account.id = item.account_id
WHERE last.kind <> 'undo' AND last.undo_until > clock_timestamp() - interval '1 hour'
  AND NOT EXISTS (SELECT FROM reviews_decision AS later WHERE later.supersedes_id = last.id)
"""
_LAST = Statement("desk_last", _LAST_SQL)

# An author's record is read from her newest 500 items; reports from the newest 500. The newest
# decision on an item is the standing one: asked for item by item, since as a join it was planned to
# walk all decisions there are.
_SIGHT = Statement(
    "desk_sight",
    """
SELECT
  version.id, version.number, version.content, version.created_at,
  item.external_id, item.platform_id, item.language, item.posted_at, item.submitted_at,
  item.views_per_hour, item.views_so_far, item.report_count, item.risks, item.risk,
  item.risk_source, item.scored_at, item.reporter_trust, {is_said} AS is_said,
  kind.id, kind.name, kind.fields, kind.layout,
  account.id, account.external_id, account.name, account.joined_at,
  author.items_week, author.decided, author.violating, author.strikes,
  reports.groups, cluster.id, cluster.size,
  media.shown,
  last.pk, last.verdict, last.kind_name, last.author, last.seconds_left
FROM reviews_item AS item
JOIN reviews_itemversion AS version
  ON version.item_id = item.id AND version.number = item.version_number
JOIN reviews_itemkind AS kind ON kind.id = item.kind_id
LEFT JOIN reviews_account AS account ON account.id = item.account_id
LEFT JOIN LATERAL (
  SELECT
    (SELECT count(*) FROM (
      SELECT FROM reviews_item AS other
      WHERE other.account_id = account.id
        AND other.submitted_at > clock_timestamp() - interval '7 days' LIMIT 500
    ) AS week) AS items_week,
    count(*) AS decided,
    count(*) FILTER (WHERE standing.verdict = 'violating') AS violating,
    (SELECT count(*) FROM reviews_strike AS strike
     WHERE strike.account_id = account.id AND strike.reversed_at IS NULL
       AND strike.expires_at > clock_timestamp()) AS strikes
  FROM (
    SELECT other.id FROM reviews_item AS other
    WHERE other.account_id = account.id ORDER BY other.submitted_at DESC LIMIT 500
  ) AS newest
  CROSS JOIN LATERAL (
    SELECT decision.verdict FROM reviews_decision AS decision
    WHERE decision.item_id = newest.id ORDER BY decision.id DESC LIMIT 1
  ) AS standing
  WHERE standing.verdict IN ('violating', 'clean')
) AS author ON account.id IS NOT NULL
LEFT JOIN LATERAL (
  SELECT json_agg(json_build_array(source, reason, n, texts, record) ORDER BY n DESC) AS groups
  FROM (
    SELECT newest.source, reason, count(*) AS n,
      (array_agg(text ORDER BY newest.id DESC) FILTER (WHERE text <> ''))[1:3] AS texts,
      (array_agg(json_build_array(upheld, settled) ORDER BY trust DESC)
        FILTER (WHERE settled > 0))[1] AS record
    FROM (
      SELECT id, source, reporter, reason, left(text, 400) AS text FROM reviews_report
      WHERE item_id = item.id ORDER BY id DESC LIMIT 500
    ) AS newest
    LEFT JOIN reviews_reporter AS reporter
      ON reporter.platform_id = item.platform_id AND reporter.source = newest.source
      AND reporter.external_id = newest.reporter
    GROUP BY newest.source, reason
  ) AS merged
) AS reports ON item.report_count > 0
LEFT JOIN LATERAL (
  SELECT json_agg(json_build_array(
    medium.id, address, state, form, width, height, seconds, error, renditions
  )) AS shown
  FROM reviews_mediumuse AS use JOIN reviews_medium AS medium ON medium.id = use.medium_id
  WHERE use.item_version_id = version.id
) AS media ON true
LEFT JOIN reviews_clustermember AS member ON member.item_id = item.id
LEFT JOIN reviews_cluster AS cluster ON cluster.id = member.cluster_id AND cluster.size > 1
LEFT JOIN ({last}) AS last ON true
WHERE item.id = %(item)s
""".replace("{last}", _LAST_SQL).replace("{is_said}", beside.IS_THERE),
)


class Near(NamedTuple):
    """The cluster of messages that say nearly the same."""

    cluster_id: int
    size: int


class LastDecision(NamedTuple):
    """Her newest decision while it can be undone."""

    pk: int
    verdict: str
    kind_name: str
    author: str | None
    seconds_left: int

    @property
    def verdict_label(self) -> str:
        return str(Verdict(self.verdict).label).lower()


class Sight(NamedTuple):
    """One item as it stands, with what is known about it, and what the reviewer decided last.

    Of its kind only the name is read.
    """

    item: Item
    version: ItemVersion
    layout: Layout
    author: AuthorRecord | None
    reports: list[ReportGroup]
    near: Near | None
    media: dict[str, layouts.Medium]  # by what the fields say
    last: LastDecision | None
    beside: Beside


class PolicyOption(NamedTuple):
    key: str
    version: PolicyVersion


class ActionOption(NamedTuple):
    key: str
    action: Action

    @property
    def questions(self) -> list[parameters.Question]:
        return parameters.questions(self.action)


class Rules(NamedTuple):
    """What can be found and done in a queue, with the key of each."""

    queue: Queue
    policies: list[PolicyOption]
    actions: list[ActionOption]
    kept: dict  # what a page made of it: gone together with the rules

    @property
    def versions(self) -> list[PolicyVersion]:
        return [option.version for option in self.policies]

    def actions_for(self, *, has_author: bool) -> list[ActionOption]:
        if has_author:
            return self.actions
        return [one for one in self.actions if one.action.target != Action.Target.ACCOUNT]


# By language too: what is kept with them is words.
_rules: dict[tuple[int, str | None], tuple[float, Rules]] = {}


def rules(queue_id: int) -> Rules:
    """The queue and its rules, at most RULES_SECONDS old. Asks nobody's permission."""
    key = (queue_id, get_language())
    until, known = _rules.get(key, (0.0, None))
    if known is None or time.monotonic() > until:
        known = read_rules(queue_id)
        _rules[key] = (time.monotonic() + RULES_SECONDS, known)
    return known


def forget_rules() -> None:
    """In this process: what is shown next is read anew."""
    _rules.clear()


def read_rules(queue_id: int) -> Rules:
    queue = Queue.objects.filter(pk=queue_id).first()
    if queue is None:
        raise NotFound(_("There is no such queue here."))
    versions = list(
        PolicyVersion.objects.in_force().filter(policy__queues=queue).select_related("policy")
    )
    versions.sort(key=lambda version: (version.policy.position, version.policy_id))
    keys = policy_keys(version.policy.key for version in versions)
    offers = (
        queue.offers.filter(is_hidden=False, action__is_archived=False)
        .select_related("action")
        .order_by("position", "action__position", "action_id")
    )
    offered = [(offer.key or offer.action.key, offer.action) for offer in offers]
    action_keys = _keys((key for key, _rest in offered), "rtlbwcdfgijkmoqxyz", taken=keys)
    return Rules(
        queue,
        [PolicyOption(*pair) for pair in zip(keys, versions, strict=True)],
        [
            ActionOption(key, action)
            for key, (_key, action) in zip(action_keys, offered, strict=True)
        ],
        {},
    )


def policy_keys(wanted: Iterable[str]) -> list[str]:
    """The keys that policies get on the desk, by the key each asks for, in their order there."""
    return _keys(wanted, "123456789")


def sight(item_id: int, *, by: Person | None = None) -> Sight:
    """The item's current version, its author's record, its reports merged; with `by`, her last
    decision too."""
    (row,) = _SIGHT.rows(item=item_id, person=by.pk if by else None)
    version_id, number, content, written_at, *rest = row
    (external_id, platform_id, language, posted_at, submitted_at, *rest) = rest
    (views_per_hour, views_so_far, report_count, risks, risk, *rest) = rest
    (risk_source, scored_at, reporter_trust, is_said, *rest) = rest
    (kind_id, kind_name, fields, layout, *rest) = rest
    (account_id, account_external_id, account_name, joined_at, *rest) = rest
    (*author, groups, cluster_id, cluster_size, shown), last = rest[:-5], rest[-5:]
    media = [layouts.Medium(*columns) for columns in shown or ()]
    kind = ItemKind(id=kind_id, platform_id=platform_id, name=kind_name)
    item = Item(
        id=item_id,
        platform_id=platform_id,
        kind=kind,
        external_id=external_id,
        version_number=number,
        language=language,
        posted_at=posted_at,
        submitted_at=submitted_at,
        views_per_hour=views_per_hour,
        views_so_far=views_so_far,
        report_count=report_count,
        risks=json.loads(risks),
        risk=risk,
        risk_source=risk_source,
        scored_at=scored_at,
        reporter_trust=reporter_trust,
    )
    if account_id is not None:
        item.account = Account(
            id=account_id,
            platform_id=platform_id,
            external_id=account_external_id,
            name=account_name,
            joined_at=joined_at,
        )
    version = ItemVersion(
        id=version_id,
        item=item,
        number=number,
        content=json.loads(content),
        created_at=written_at,
    )
    return Sight(
        item,
        version,
        layouts.compiled(kind_id, fields, layout),
        AuthorRecord(*author) if account_id is not None else None,
        [
            ReportGroup(
                source,
                reason,
                n,
                list(dict.fromkeys(texts or ())),
                ranking.record(*record) if record else "",
            )
            for source, reason, n, texts, record in groups or ()
        ],
        Near(cluster_id, cluster_size) if cluster_id is not None else None,
        {medium.reference: medium for medium in media},
        LastDecision(*last) if last[0] is not None else None,
        beside.read(item_id, by.pk if by else None) if is_said else beside.NOTHING,
    )


def last_undoable(person: Person) -> LastDecision | None:
    """Her newest decision, if it still stands and its undo window is open."""
    row = _LAST.row(person=person.pk)
    return LastDecision(*row) if row else None


def _keys(wanted: Iterable[str], spare: str, *, taken: Iterable[str] = ()) -> list[str]:
    """The key each asked for, or the next spare one where that has another meaning already."""
    used = set(taken) | RESERVED_KEYS
    keys = []
    for key in wanted:
        key = key.lower()
        if not key or key in used:
            key = next((one for one in spare if one not in used), "")
        used.add(key)
        keys.append(key)
    return keys
