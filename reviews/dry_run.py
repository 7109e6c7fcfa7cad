"""Past items through other rules, to see what would move before anything does.

Risks, reports, strikes and content are taken as they stand now; the account's age and its recent
items as they were when the item came in. Items are read by key in short pages, and above
SAMPLE_MOST only a sample of them, by a hash of their ids: the same one every time.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from celery import current_app
from django.db import connection, transaction
from django.db.models import Max
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from . import access, attempts, audit
from .errors import Conflict, Invalid
from .facts import make_facts, read_background
from .models import DryRun, Item, Person, Platform, RoutingVersion
from .placement import database_now
from .routing import Rule, RuleSet
from .routing_versions import check_rules, find_published, refusal

MAX_DAYS = 90
SAMPLE_MOST = 200_000
AT_ONCE = 2_000  # items that a page waits for; more run in a task
_PAGE = 1000
_STRIDE = 50_000  # ids counted in one statement
_PATIENCE = 4  # strides without an item of these days, before all older ones are taken to be older
_EXAMPLES = 20
_EXAMPLES_A_MOVE = 5

_COUNT = """
SELECT count(*) FILTER (WHERE platform_id = %(platform)s AND submitted_at >= %(since)s),
  count(*) FILTER (WHERE submitted_at >= %(since)s), count(*)
FROM reviews_item WHERE id > %(after)s AND id <= %(through)s
"""
_ROWS = """
SELECT item.id, kind.slug, item.language, item.views_per_hour, item.report_count, item.risks,
  item.submitted_at, item.account_id, account.joined_at
FROM reviews_item AS item
JOIN reviews_itemkind AS kind ON kind.id = item.kind_id
LEFT JOIN reviews_account AS account ON account.id = item.account_id
WHERE item.id > %(after)s AND item.id <= %(through)s AND item.platform_id = %(platform)s
  AND item.submitted_at >= %(since)s
  AND (hashint8(item.id) & 1048575) < %(keep)s
ORDER BY item.id LIMIT %(most)s
"""
_BUCKETS = 1_048_576

Progress = Callable[[int, int], object]  # items done, items expected


class _Stretch(NamedTuple):
    """Ids after, up to and including, and how many items of these days there are."""

    after: int
    through: int
    count: int


def replay(
    platform: Platform,
    rules: Sequence[Mapping[str, Any]],
    *,
    published: Sequence[Mapping[str, Any]],
    days: int,
    progress: Progress = lambda done, expected: None,
) -> dict[str, Any]:
    """Send the items of the last `days` through both; what came of it, as JSON."""
    queues = list(platform.queues.all())
    if not queues:
        raise Conflict(_("This platform has no queue yet, so nothing could be routed."))
    until = database_now()
    since = until - timedelta(days=days)
    stretches = _stretches(platform.pk, since)
    total = sum(stretch.count for stretch in stretches)
    rate = min(1.0, SAMPLE_MOST / total) if total else 1.0
    tally = _Tally(
        RuleSet(published, queues),
        RuleSet(rules, queues),
        default=next((queue for queue in queues if queue.is_default), queues[0]).pk,
    )
    for rows in _pages(platform.pk, since, stretches, rate):
        tally.add(rows)
        progress(tally.items, round(total * rate))
    slugs = {queue.pk: queue.slug for queue in queues}
    return {
        "days": days,
        "since": since.isoformat(),
        "until": until.isoformat(),
        "items": tally.items,
        "of": total,
        "rate": rate,
        "queues": [
            [queue.slug, queue.name]
            for queue in queues
            if not queue.is_archived or tally.met(queue.pk)
        ],
        **tally.result(slugs, rules, published),
    }


class _Tally:
    """Which rule took each item before and after, counted."""

    def __init__(self, before: RuleSet, after: RuleSet, *, default: int) -> None:
        self.before, self.after, self.default = before, after, default
        self.reads = before.reads | after.reads
        self.items = 0
        self.flows: Counter[tuple[int, int]] = Counter()
        self.fired_before: Counter[int] = Counter()
        self.fired: Counter[int] = Counter()
        self.held: Counter[int] = Counter()
        self.taken: Counter[tuple[int, int]] = Counter()  # (the later rule, the one before it)
        self.examples: list[tuple[int, int, int, str, str]] = []
        self._shown: Counter[tuple[int, int]] = Counter()

    def add(self, rows: Sequence[tuple]) -> None:
        background = read_background(self.reads, [(row[0], row[7], row[6]) for row in rows])
        for row in rows:
            item_id, kind, language, views, reports, risks, submitted_at, account_id, joined_at = (
                row
            )
            self._add(
                item_id,
                make_facts(
                    kind=kind,
                    language=language,
                    views_per_hour=views,
                    report_count=reports,
                    joined_at=joined_at,
                    risks=risks,
                    now=submitted_at,
                    **background.of(item_id, account_id),
                ),
            )

    def _add(self, item_id: int, facts: Mapping[str, Any]) -> None:
        self.items += 1
        was = self.before.first(facts)
        holding = [rule for rule in self.after.rules if rule.condition.holds(facts)]
        now = holding[0] if holding else None
        if was:
            self.fired_before[was.place] += 1
        if now:
            self.fired[now.place] += 1
        for rule in holding:
            self.held[rule.place] += 1
        for rule in holding[1:]:
            self.taken[rule.place, holding[0].place] += 1
        move = was.queue_id if was else self.default, now.queue_id if now else self.default
        self.flows[move] += 1
        if move[0] == move[1] or len(self.examples) == _EXAMPLES:
            return
        if self._shown[move] < _EXAMPLES_A_MOVE:
            self.examples.append((item_id, *move, _name(was), _name(now)))
            self._shown[move] += 1

    def met(self, queue_id: int) -> bool:
        return any(queue_id in move for move in self.flows)

    def result(
        self,
        slugs: Mapping[int, str],
        rules: Sequence[Mapping[str, Any]],
        published: Sequence[Mapping[str, Any]],
    ) -> dict[str, Any]:
        return {
            "moved": sum(count for (one, other), count in self.flows.items() if one != other),
            "flows": [
                [slugs[one], slugs[other], count] for (one, other), count in self.flows.items()
            ],
            "rules": [
                {
                    "name": rule["name"],
                    "queue": rule["queue"],
                    "is_active": rule.get("is_active", True),
                    "fires": self.fired[place],
                    "holds": self.held[place],
                    "taken_by": [
                        [rules[first]["name"], count]
                        for (later, first), count in self.taken.most_common()
                        if later == place
                    ][:3],
                }
                for place, rule in enumerate(rules)
            ],
            "published_rules": [
                {"name": rule["name"], "fires": self.fired_before[place]}
                for place, rule in enumerate(published)
            ],
            "default": [
                self.items - self.fired_before.total(),
                self.items - self.fired.total(),
            ],
            "examples": [
                {
                    "item": item_id,
                    "from": slugs[one],
                    "to": slugs[other],
                    "rule_before": was,
                    "rule_after": now,
                }
                for item_id, one, other, was, now in self.examples
            ],
        }


def _name(rule: Rule | None) -> str:
    return rule.name if rule else ""


def _stretches(platform_id: int, since: datetime) -> list[_Stretch]:
    """Where in the ids the items of these days lie, newest first, in short statements.

    Ids are given out as items come in, so after some strides without one the rest is older.
    """
    through = Item.objects.aggregate(Max("pk"))["pk__max"] or 0
    found, patience = [], _PATIENCE
    with connection.cursor() as cursor:
        while through > 0 and patience:
            after = max(0, through - _STRIDE)
            cursor.execute(
                _COUNT,
                {"platform": platform_id, "since": since, "after": after, "through": through},
            )
            mine, fresh, rows = cursor.fetchone()
            if mine:
                found.append(_Stretch(after, through, mine))
            if fresh:
                patience = _PATIENCE
            elif rows:
                patience -= 1
            through = after
    return found


def _pages(
    platform_id: int, since: datetime, stretches: Sequence[_Stretch], rate: float
) -> Iterator[list[tuple]]:
    keep = _BUCKETS if rate >= 1 else round(rate * _BUCKETS)
    for stretch in stretches:
        after = stretch.after
        while True:
            with connection.cursor() as cursor:
                cursor.execute(
                    _ROWS,
                    {
                        "platform": platform_id,
                        "since": since,
                        "after": after,
                        "through": stretch.through,
                        "keep": keep,
                        "most": _PAGE,
                    },
                )
                rows = [_with_risks(row) for row in cursor.fetchall()]
            if rows:
                yield rows
            if len(rows) < _PAGE:
                break
            after = rows[-1][0]


def _with_risks(row: tuple) -> tuple:
    """jsonb comes as text from a bare cursor."""
    return (*row[:5], json.loads(row[5]), *row[6:])


# Runs that are kept


def start_dry_run(draft: RoutingVersion, *, days: int, by: Person | None) -> DryRun:
    """Run it now if there is little to look at, else in a task."""
    access.check(by, "routing.edit", draft.platform_id)
    if not 1 <= days <= MAX_DAYS:
        raise Invalid(
            _("Choose 1 to %(max_days)s days.") % {"max_days": MAX_DAYS},
            details={"days": [_("A number from 1 to %(max_days)s.") % {"max_days": MAX_DAYS}]},
        )
    clean, problems = check_rules(draft.platform, draft.rules)
    if problems:
        raise refusal(clean, problems)
    published = find_published(draft.platform_id)
    with transaction.atomic():
        run = DryRun.objects.create(
            version=draft,
            edition=draft.edition,
            published=published,
            rules=draft.rules,
            days=days,
            created_by=by,
        )
        audit.record(
            "routing.dry_run",
            draft,
            by=by,
            platform=draft.platform_id,
            number=draft.number,
            edition=draft.edition,
            days=days,
        )
        is_small = _is_small(draft.platform_id, days)
        if not is_small:
            transaction.on_commit(lambda: nudge(run.pk), robust=True)
    if is_small:
        run_dry_run(run.pk)
    run.refresh_from_db()
    return run


def _is_small(platform_id: int, days: int) -> bool:
    if (Item.objects.aggregate(Max("pk"))["pk__max"] or 0) > _STRIDE:
        return False
    stretches = _stretches(platform_id, database_now() - timedelta(days=days))
    return sum(stretch.count for stretch in stretches) <= AT_ONCE


def nudge(run_id: int) -> None:
    current_app.send_task("reviews.tasks.run_dry_run", args=[run_id])


def run_dry_run(run_id: int) -> None:
    """Unless that is done or another process is at it. Safe to call again."""
    rows = DryRun.objects.select_related("version__platform", "published")
    attempt = attempts.begin(rows, run_id, running=DryRun.State.RUNNING, items_done=0)
    if attempt is None:
        return
    run = attempt.row
    with attempt.failing_as(""):
        result = replay(
            run.version.platform,
            run.rules,
            published=run.published.rules if run.published else [],
            days=run.days,
            progress=lambda done, expected: attempt.say(items_done=done, items_expected=expected),
        )
        attempt.write(
            state=DryRun.State.READY,
            result=result,
            items_done=result["items"],
            items_expected=result["items"],
            finished_at=Now(),
        )


def resume_dry_runs() -> int:
    """Sweep: begin again what waits or fell silent; give up after three attempts."""
    pks = attempts.resume(DryRun.objects.all(), running=DryRun.State.RUNNING, verb="")
    for pk in pks:
        nudge(pk)
    return len(pks)
