"""Learning rounds: now and then, what waits is drawn from for the learning lane, by a strategy.

A round looks at all that waits on a platform at once: the champion's scores, stored vectors, what
is labelled already. Its row is the work, the task a nudge, and a sweep begins what is due. It needs
no torch: nothing is encoded or scored here.
"""

import contextlib
import io
import secrets
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from celery import current_app
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from reviews import access, attempts, audit, draws, learning_draws
from reviews.errors import Conflict, Invalid
from reviews.learning_draws import Waiting
from reviews.models import Decision, Draw, Person, Platform, Queue

from . import labels, registry, selection, vectors
from .models import LearningRound, ModelVersion, RoundPool, RoundSettings
from .models.rounds import HOURS, MOST_IN_POOL, MOST_ITEMS

if TYPE_CHECKING:
    import numpy as np

State = LearningRound.State
NEWEST_DECISIONS = 20_000  # looked through for what is labelled already
MOST_CAP = 1_000
_MOST_SEED = 2**53
# The product has one head; what compares several is for simulations.
STRATEGIES = tuple(name for name, one in selection.STRATEGIES.items() if one.needs != "ensembles")

_SCORES = """
SELECT DISTINCT ON (score.item_version_id, policy.slug)
  score.item_version_id, policy.slug, score.probability
FROM mlhooks_score AS score
JOIN reviews_policyversion AS version ON version.id = score.policy_version_id
JOIN reviews_policy AS policy ON policy.id = version.policy_id
WHERE score.model_version_id = %s AND score.item_version_id = ANY(%s)
ORDER BY score.item_version_id, policy.slug, version.number DESC
"""


# Settings


def settings_of(platform: Platform) -> RoundSettings:
    """As kept, or as they are before anybody has kept any."""
    found = RoundSettings.objects.select_related("changed_by").filter(platform=platform).first()
    return found or RoundSettings(platform=platform, next_at=None, changed_at=None)


def is_on(platform_id: int) -> bool:
    """Then nothing else draws for learning there as scores arrive."""
    return RoundSettings.objects.filter(platform=platform_id, is_on=True).exists()


def save_settings(platform: Platform, *, by: Person | None, **values: Any) -> RoundSettings:
    """is_on, every_hours, size, strategy, per_account, per_cluster (None: no cap): what is not
    given stays. The first round of a schedule that is turned on is due at once."""
    access.check(by, "round.edit", platform)
    with transaction.atomic():
        Platform.objects.select_for_update(no_key=True).get(pk=platform.pk)
        before = settings_of(platform)
        after = {name: values.get(name, getattr(before, name)) for name in _NAMES}
        _check_settings(after)
        changed = {"changed_by": by, "changed_at": Now()}
        if after["is_on"] and not before.is_on:
            changed["next_at"] = Now()
        elif after["every_hours"] < before.every_hours and before.next_at is not None:
            soon = Now() + timedelta(hours=after["every_hours"])
            RoundSettings.objects.filter(platform=platform, next_at__gt=soon).update(next_at=soon)
        row, _is_new = RoundSettings.objects.update_or_create(
            platform=platform, defaults={**after, **changed}
        )
        audit.record(
            "round.edit",
            platform,
            by=by,
            platform=platform,
            before={name: getattr(before, name) for name in _NAMES},
            after=after,
        )
    row.refresh_from_db()
    return row


_NAMES = ("is_on", "every_hours", "size", "strategy", "per_account", "per_cluster")


def _check_settings(values: dict[str, Any]) -> None:
    wrong = {}
    bounds = {"every_hours": HOURS, "size": (1, MOST_ITEMS)}
    bounds |= {"per_account": (1, MOST_CAP), "per_cluster": (1, MOST_CAP)}
    for name, (least, most) in bounds.items():
        value = values[name]
        if value is None and name.startswith("per_"):
            continue
        if not isinstance(value, int) or not least <= value <= most:
            wrong[name] = _("Give a whole number from %(least)s to %(most)s.") % {
                "least": least,
                "most": f"{most:,}",
            }
    if values["strategy"] not in STRATEGIES:
        wrong["strategy"] = _("Choose one of: %(names)s.") % {"names": ", ".join(STRATEGIES)}
    if wrong:
        raise Invalid(_("Some settings of the rounds make no sense."), details=wrong)


# Rows that are the work


def start_round(
    platform: Platform,
    *,
    by: Person | None,
    size: int | None = None,
    strategy: str | None = None,
    seed: int | None = None,
    is_scheduled: bool = False,
) -> LearningRound:
    """A round for a worker to draw: as the platform's settings say where nothing else is given.

    Conflict without a champion, and while another round is being drawn.
    """
    access.check(by, "round.draw", platform)
    own = settings_of(platform)
    wanted = {name: getattr(own, name) for name in _NAMES}
    wanted |= {"size": own.size if size is None else size}
    wanted |= {"strategy": own.strategy if strategy is None else strategy}
    _check_settings(wanted)
    if seed is not None and not 0 <= seed < _MOST_SEED:
        raise Invalid(
            _("The seed is out of range."),
            details={"seed": _("0 to %(most)s") % {"most": "2^53 − 1"}},
        )
    if registry.champion(platform) is None:
        raise Conflict(
            _(
                "There is no champion yet, so nothing says what would teach it. It is made when "
                "the first items are scored."
            )
        )
    try:
        with transaction.atomic():
            row = LearningRound.objects.create(
                platform=platform,
                is_scheduled=is_scheduled,
                strategy=wanted["strategy"],
                size=wanted["size"],
                per_account=wanted["per_account"],
                per_cluster=wanted["per_cluster"],
                seed=secrets.randbelow(_MOST_SEED) if seed is None else seed,
                created_by=by,
            )
            audit.record(
                "round.start",
                row,
                by=by,
                platform=platform,
                strategy=row.strategy,
                size=row.size,
                seed=row.seed,
                is_scheduled=is_scheduled,
            )
            transaction.on_commit(lambda: nudge(row.pk), robust=True)
    except IntegrityError as error:
        raise Conflict(_("A round is being drawn already. Wait until it is done.")) from error
    row.refresh_from_db()
    return row


def nudge(round_id: int) -> None:
    current_app.send_task("mlhooks.tasks.draw_round", args=[round_id])


def sweep() -> int:
    """Begin the rounds that are due, and begin again what waits or fell silent."""
    due = RoundSettings.objects.filter(is_on=True, next_at__lte=Now()).select_related("platform")
    for one in due:
        if registry.champion(one.platform_id) is None:
            continue  # it stays due until there is one
        with transaction.atomic():
            # Whoever moves the hand on draws it.
            moved = RoundSettings.objects.filter(pk=one.pk, is_on=True, next_at=one.next_at).update(
                next_at=Now() + timedelta(hours=one.every_hours)
            )
            open_ones = LearningRound.objects.filter(
                platform=one.platform, state__in=[State.WAITING, State.RUNNING]
            )
            if moved and not open_ones.exists():
                # Somebody pressed the button meanwhile: that is the round.
                with contextlib.suppress(Conflict), transaction.atomic():
                    start_round(one.platform, by=None, is_scheduled=True)
    pks = attempts.resume(LearningRound.objects.all(), running=State.RUNNING, verb="round.fail")
    for pk in pks:
        nudge(pk)
    return len(pks)


def run(round_id: int) -> None:
    """Draw it, unless that is done or another process is at it."""
    rows = LearningRound.objects.select_related("platform", "created_by")
    attempt = attempts.begin(rows, round_id, running=State.RUNNING, step="Reading what waits")
    if attempt is None:
        return
    with attempt.failing_as("round.fail"), attempt.pulse():
        _draw(attempt)


# Drawing


class _Found(NamedTuple):
    """What a round draws from: rows of `waiting` and of `pool` belong together."""

    waiting: list[Waiting]
    pool: selection.Pool
    policies: list[str]
    left_out: dict[str, int]


def _draw(attempt: attempts.Attempt[LearningRound]) -> None:
    import numpy as np

    row = attempt.row
    champion = registry.champion(row.platform)
    if champion is None:
        raise Conflict(_("There is no champion any more."))
    found = read_pool(row.platform, champion)
    known = found.pool.known
    attempt.write(step="Working out chances", model_version=champion)
    done: dict[str, Any] = {"pool_size": len(found.waiting), "left_out": found.left_out}
    done |= {"known": 0 if known is None else len(known.vectors)}
    if not found.waiting:
        # Nothing to draw from is an answer, not a failure.
        attempt.write(state=State.DONE, step="", expected=0, drawn=0, finished_at=Now(), **done)
        return
    inclusion = selection.inclusion(
        row.strategy,
        found.pool,
        expected=row.size,
        caps=selection.Caps(row.per_account, row.per_cluster),
        rng=np.random.default_rng([row.seed, row.pk]),
    )
    about = {
        ("pool_of_round" if name == "pool" else name): value
        for name, value in inclusion.parameters.items()
        if name != "expected"
    }
    about |= {"round": row.pk, "wanted": row.size, "known": done["known"]}
    about |= {"thresholds": dict(zip(found.policies, found.pool.thresholds.tolist(), strict=True))}
    pools: dict[int, dict[int, float]] = {}
    for one, probability in zip(found.waiting, inclusion.probabilities.tolist(), strict=True):
        pools.setdefault(one.queue_id, {})[one.job_id] = probability
    table = _as_parquet(found.waiting, inclusion.probabilities)
    with transaction.atomic():
        # Under the row: an attempt that was overtaken draws nothing.
        if not attempt.rows().select_for_update().exists():
            raise attempts.Overtaken
        drawn = list(_draw_pools(row, pools, champion, about))
        row.draws.set(drawn)
        RoundPool.objects.create(learning_round=row, table=table)
        attempt.write(
            state=State.DONE,
            step="",
            expected=float(inclusion.probabilities.sum()),
            drawn=sum(draw.drawn or 0 for draw in drawn),
            finished_at=Now(),
            **done,
        )


def _draw_pools(
    row: LearningRound,
    pools: dict[int, dict[int, float]],
    champion: ModelVersion,
    about: dict[str, Any],
) -> Iterator[Draw]:
    """A draw a queue, in one order; none where all of its pool was taken meanwhile."""
    for queue in Queue.objects.filter(pk__in=pools).order_by("pk"):
        with contextlib.suppress(Conflict):
            yield draws.draw_given(
                queue,
                pools[queue.pk],
                strategy=Draw.Strategy.ROUND,
                model_version=champion.label,
                parameters=about,
                seed=row.seed,
                by=None,
                asked_by=row.created_by,
            )


def read_pool(platform: Platform, champion: ModelVersion) -> _Found:
    """All that waits and could teach: on the training side of the split, scored by the champion,
    with a stored vector. `left_out` counts the rest by reason."""
    import numpy as np

    waiting = learning_draws.read_waiting(platform, most=MOST_IN_POOL)
    here = [one for one in waiting if labels.split_of(one.split_group) == "train"]
    left_out = {"split": len(waiting) - len(here)}
    version_ids = [one.item_version_id for one in here]
    embeddings, has_vector = vectors.stored(version_ids, champion.encoder)
    severities = learning_draws.read_severities(platform, {one.queue_id for one in here})
    policies = sorted({slug for judged in severities.values() for slug in judged})
    scores = _read_scores(champion, version_ids, policies)
    costs = np.array(
        [[severities.get(one.queue_id, {}).get(slug, 0.0) for slug in policies] for one in here]
    ).reshape(len(here), len(policies))
    costs[np.isnan(scores)] = 0.0
    is_scored = (costs > 0).any(axis=1) if policies else np.zeros(len(here), dtype=bool)
    left_out |= {"vector": int((~has_vector).sum()), "score": int((has_vector & ~is_scored).sum())}
    rows = np.flatnonzero(has_vector & is_scored)
    thresholds = registry.thresholds(champion)
    pool = selection.Pool(
        embeddings[rows],
        np.nan_to_num(scores[rows], nan=0.0),
        np.array([thresholds.get(slug, 0.5) for slug in policies]),
        costs[rows],
        accounts=np.array([here[n].account_id or -1 for n in rows], dtype=np.int64),
        clusters=np.array([here[n].cluster_id or -1 for n in rows], dtype=np.int64),
        known=_read_known(platform, champion, policies),
        examples=_read_examples(champion, policies),
    )
    return _Found([here[n] for n in rows], pool, policies, left_out)


def _read_examples(champion: ModelVersion, policies: Sequence[str]) -> "np.ndarray":
    """(policies,): how many violations the text by which the champion judges each policy shows."""
    import numpy as np

    versions = champion.policy_versions.values_list("policy__slug", "examples")
    shown = {slug: len(examples) for slug, examples in versions}
    return np.array([shown.get(slug, 0) for slug in policies], dtype=np.int64)


def _read_scores(
    champion: ModelVersion, version_ids: Sequence[int], policies: Sequence[str]
) -> "np.ndarray":
    """(n, policies), NaN where the champion has not scored it for that policy."""
    import numpy as np

    found = np.full((len(version_ids), len(policies)), np.nan)
    place = {pk: number for number, pk in enumerate(version_ids)}
    column = {slug: number for number, slug in enumerate(policies)}
    with connection.cursor() as cursor:
        cursor.execute(_SCORES, [champion.pk, list(version_ids)])
        for pk, slug, probability in cursor.fetchall():
            if slug in column:
                found[place[pk], column[slug]] = probability
    return found


def _read_known(
    platform: Platform, champion: ModelVersion, policies: Sequence[str]
) -> selection.Known | None:
    """The newest decided items of the training side that have a vector."""
    import numpy as np
    import pyarrow.compute as pc

    from . import label_pages

    upto = Decision.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    pages = label_pages.Pages(platform.pk, upto, labels.freeze(platform))
    table = pages.parse(pages.read(max(0, upto - NEWEST_DECISIONS), upto))
    table = table.filter(pc.equal(table["split"], "train"))
    embeddings, has_vector = vectors.stored(table["item_version_id"].to_pylist(), champion.encoder)
    judged = np.full((len(embeddings), len(policies)), np.nan)
    for number, slug in enumerate(policies):
        if f"label_{slug}" in table.column_names:
            judged[:, number] = table[f"label_{slug}"].cast("float64").to_numpy()
    rows = np.flatnonzero(has_vector & ~np.isnan(judged).all(axis=1))
    return selection.Known(embeddings[rows], judged[rows]) if len(rows) else None


def _as_parquet(waiting: Sequence[Waiting], probabilities: "np.ndarray") -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table: pa.Table = pa.table(
        {
            "job_id": pa.array([one.job_id for one in waiting], pa.int64()),
            "item_id": pa.array([one.item_id for one in waiting], pa.int64()),
            "queue_id": pa.array([one.queue_id for one in waiting], pa.int64()),
            "probability": pa.array(probabilities, pa.float64()),
        }
    )
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()
