"""What in a text moved its score: the whole's score less the score without each piece of it.

Worked out by a worker when somebody asks, kept by item version and model version, so whoever asks
next has it at once. A row says where, never what: characters of a field's own text.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from celery import current_app
from django.db import DatabaseError, connection
from django.utils import timezone
from django.utils.translation import gettext as _
from kombu.exceptions import OperationalError

from reviews import audit
from reviews.errors import DomainError
from reviews.models import Item, ItemVersion, Job, Person

from . import pieces, registry, scoring
from .models import ModelVersion, StrongSpans

logger = logging.getLogger(__name__)

MOST_READ = 10_000  # characters of a text
A_POLICY = 3  # spans shown of each
LEAST = 0.02  # a smaller difference says nothing
STRONG = 0.15
KEPT = timedelta(days=7)
SECONDS = 60  # a busy worker takes it late: then it is there when she asks again
_BATCH = 1000
_MOST_SAID = 300

# Texts → one probability a text, by policy.
Predict = Callable[[Sequence[str]], Mapping[str, Sequence[float]]]


class Span(NamedTuple):
    """Characters `start` to `end` of a field push this policy's score up by `effect`."""

    policy: str
    field: str
    start: int
    end: int
    effect: float

    @property
    def is_strong(self) -> bool:
        return self.effect >= STRONG


class Outcome(NamedTuple):
    """The spans, or in words why there are none to be had."""

    spans: Sequence[Span] = ()
    error: str = ""


def find(fields: Mapping[str, str], predict: Predict) -> list[Span]:
    """The strongest of these texts, policy by policy, in one batch. `fields` in the kind's order,
    as ItemVersion.text() joins them."""
    names = list(fields)
    shown = {name: fields[name] for name in names if fields[name]}
    whole = "\n\n".join(shown.values())
    starts, at = {}, 0
    for name, text in shown.items():
        starts[name] = at
        at += len(text) + 2
    cuts = [
        (name, start, end)
        for name, text in _first(shown).items()
        for start, end in pieces.cut(text)
    ][: pieces.MOST]
    texts = [
        pieces.without(whole, (starts[name] + start, starts[name] + end))
        for name, start, end in cuts
    ]
    if len(texts) < 2:
        return []  # without its only piece nothing is left to compare
    found = []
    for policy, values in predict([whole, *texts]).items():
        effects = [float(values[0]) - float(value) for value in values[1:]]
        spans = [
            Span(policy, *cut, round(effect, 4))
            for cut, effect in zip(cuts, effects, strict=True)
            if effect >= LEAST
        ]
        found += sorted(spans, key=lambda span: -span.effect)[:A_POLICY]
    return found


def work_out(item_version_id: int) -> bool:
    """By the champion of its platform, unless it is there already. May run twice, unharmed."""
    version = (
        ItemVersion.objects.select_related("item__kind", "item__platform")
        .filter(pk=item_version_id)
        .first()
    )
    champion = version and registry.champion(version.item.platform_id)
    if version is None or champion is None or _row(version, champion) is not None:
        return False
    row = StrongSpans(item_version=version, model_version=champion)
    try:
        spans = find(_fields(version), scoring.predictor(champion.platform_id))
    except DatabaseError:
        raise
    except Exception as error:  # whatever it is, somebody waits to be told
        logger.exception("Item version %s: its strongest spans", item_version_id)
        row.error = _said(error)
    else:
        row.spans = [[*one] for one in spans]
    StrongSpans.objects.bulk_create([row], ignore_conflicts=True)
    return not row.error


def can_be_asked(version: ItemVersion) -> bool:
    """A champion has to be there: what else gave the score can only be asked for a number."""
    return registry.champion(version.item.platform_id) is not None


def ask(version: ItemVersion) -> None:
    """Have a worker look at it, again if it failed. The message runs out: nobody waits for an old
    answer."""
    StrongSpans.objects.filter(item_version=version).exclude(error="").delete()
    try:
        current_app.send_task(
            "mlhooks.tasks.score_pieces", args=[version.pk], expires=SECONDS, retry=False
        )
    except (OperationalError, OSError) as error:
        logger.warning("No broker to ask (%s).", error)


def known(version: ItemVersion) -> Outcome | None:
    """What the model that is champion now has to say of it; None where it has not looked yet."""
    champion = registry.champion(version.item.platform_id)
    if champion is None:
        return Outcome(error=_("No model scores here: the score came with the item."))
    row = _row(version, champion)
    return row and Outcome([Span(*one) for one in row.spans], row.error)


def record_shown(job: Job, *, by: Person) -> None:
    """Whoever has seen it may be led by it: that is kept beside her answer."""
    item: Item = job.item
    audit.record("item.strongest", item, by=by, platform=item.platform_id, job=job.pk)


def prune() -> int:
    """Sweep: rows older than KEPT go; asked again, they are worked out again."""
    total = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                """DELETE FROM mlhooks_strongspans WHERE id IN (
                     SELECT id FROM mlhooks_strongspans
                     WHERE created_at < %s ORDER BY created_at LIMIT %s)""",
                [timezone.now() - KEPT, _BATCH],
            )
            count = cursor.rowcount
        total += count
        if count < _BATCH:
            return total


def _said(error: Exception) -> str:
    """A refusal is a sentence of ours; of anything else its kind: the log has the rest."""
    from .encoder import EncoderRefused
    from .heads import HeadRefused

    if isinstance(error, (DomainError, EncoderRefused, HeadRefused)):
        return str(error)[:_MOST_SAID]
    return type(error).__name__


def _row(version: ItemVersion, champion: ModelVersion) -> StrongSpans | None:
    return StrongSpans.objects.filter(item_version=version, model_version=champion).first()


def _fields(version: ItemVersion) -> dict[str, str]:
    content: Mapping[str, Any] = version.content
    names = version.item.kind.names_with_role("title", "text")
    return {name: str(content[name])[: scoring.TEXT_LIMIT] for name in names if content.get(name)}


def _first(fields: Mapping[str, str]) -> dict[str, str]:
    """The first MOST_READ characters of them together."""
    found, left = {}, MOST_READ
    for name, text in fields.items():
        found[name] = text[:left]
        left = max(left - len(text), 0)
    return found
