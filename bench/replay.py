"""What ranking prevents: a month under the formula, first in first out, and risk only.

    python bench/replay.py [--data ../shared/data]

Three benches. (1) The demo's 2,000 real mails, ten times over a simulated month: the times of the
week at which they were sent, their real texts and verdicts, scores of a text model that had not
seen the mail (five folds), views and reports as the demo makes them up. (2) 20,000 arrivals drawn
from EDOS' dev and test posts with the scores of a model trained on its train split; left out where
edos.parquet is not there. Both are staffed twice: `kept`, by the roster that forecast.py asks for
to answer 95 % within the promise of 8 hours, and `short`, in office hours only, where no order can
keep it. The candidate is what a replay is for: 48 hours worth a doubling, and a promise so long
that nothing is lifted for being overdue. (3) The CPU that 100,000 arrivals cost in five orders.

Every order is served in the same run with the same arrivals, handle times and reviewers, so first
in first out and risk only are the control. The model is TF-IDF and logistic regression: weaker than
the product's, which makes these figures careful ones.
"""

import argparse
import os
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "trustconsole.settings")
os.environ.setdefault("SECRET_KEY", "benchmarks-only")
# No row is read or written here: settings want the names of servers, nothing asks for them.
os.environ.setdefault("DATABASE_URL", "postgresql://unused/unused")
os.environ.setdefault("CELERY_BROKER_URL", "memory://")

import numpy as np  # noqa: E402

from bench.report import Result, say  # noqa: E402
from reviews import charts, forecast, replay, serving  # noqa: E402

COMMAND = "python bench/replay.py"
DAYS = 28
ARRIVALS = 20_000
START = datetime(2026, 3, 2, tzinfo=UTC)  # a Monday
LOAD = 0.95  # work ÷ presence, where nothing else says
SEED = 1
# What the month is judged by: the demo's queue "Spam and scams".
TODAY = serving.Parameters(
    doubling_hours=2.0,
    severity_weights={},
    handling_minutes=4,
    report_weight=0.5,
    sla_minutes=480,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    arguments = parser.parse_args()
    import django

    django.setup()
    mails()
    path = arguments.data / "edos.parquet"
    if path.exists():
        edos(path)
    else:
        say(f"EDOS figures left out: there is no {path}.")
    speed()


def mails() -> None:
    from reviews.demo import platform_life, rules
    from reviews.demo.corpus import read_mails

    policies = {one["slug"]: one["severity_weight"] for one in rules.POLICIES}
    corpus = read_mails()
    texts = [f"{mail.subject}\n{mail.body}" for mail in corpus]
    labels = np.array([[mail.known_answer[slug] for slug in policies] for mail in corpus])
    scores = _out_of_fold(texts, labels)
    rng = np.random.default_rng(SEED)
    rows = rng.permutation(np.repeat(np.arange(len(corpus)), ARRIVALS // len(corpus)))
    hours = np.array([mail.sent_at.weekday() * 24 + mail.sent_at.hour for mail in corpus])
    at = _times(hours[rows], rng)
    reporters = platform_life.make_reporters(SEED)
    arrivals = [
        platform_life.arrive(mail, at=START, reporters=reporters, seed=SEED) for mail in corpus
    ]
    views = np.array([arrival.views_per_hour for arrival in arrivals])
    reports = {
        row: [
            # People report what they have seen: a minute after it came. A record of its own for
            # every reporter takes history; here all are worth what a stranger is.
            serving.Report(at[row] + 1 / 60, 0.5, one["source"])
            for one in arrivals[mail].reports
        ]
        for row, mail in enumerate(rows.tolist())
        if arrivals[mail].reports
    }
    world = _world(
        tuple(policies), at, views[rows], scores[rows], labels[rows], rng, reports=reports
    )
    _report("mails", world, replace(TODAY, severity_weights=policies))


def edos(path: Path) -> None:
    import pyarrow.parquet as pq

    table = pq.read_table(path).to_pydict()
    is_threat = [category.startswith("1.") for category in table["category"]]
    labels = np.array([table["sexist"], is_threat], dtype=bool).T
    split = np.array(table["split"])
    texts = np.array(table["text"], dtype=object)
    train, rest = np.flatnonzero(split == "train"), np.flatnonzero(split != "train")
    scores = _fit(texts[train], labels[train], texts[rest])
    rng = np.random.default_rng(SEED)
    rows = rng.integers(len(rest), size=ARRIVALS)
    # Rush in the evening, quiet at night, a fifth more at weekends.
    clock = np.arange(168)
    busy = (1.2 + np.sin((clock % 24 - 13) / 24 * 2 * np.pi)) * np.where(clock >= 120, 1.2, 1.0)
    at = _times(rng.choice(168, size=ARRIVALS, p=busy / busy.sum()), rng)
    views = np.minimum(rng.lognormal(np.log(30), 1.3, ARRIVALS), 20_000)
    weights = {"sexist": 4.0, "threats": 16.0}
    world = _world(tuple(weights), at, views, scores[rows], labels[rest][rows], rng)
    _report("edos", world, replace(TODAY, severity_weights=weights))


def speed() -> None:
    """100,000 arrivals in four weeks, six people, five orders, intervals included."""
    rng = np.random.default_rng(SEED)
    size, hours, people = 100_000, DAYS * 24.0, 6
    at = np.sort(rng.random(size) * hours)
    seconds = rng.lognormal(3, 0.6, size)
    seconds *= LOAD * people * hours * 3600 / seconds.sum()
    is_violating = rng.random(size) < 0.2
    world = serving.World(
        start=START,
        hours=hours,
        policies=("spam",),
        ids=np.arange(size),
        at=at,
        views=rng.lognormal(3, 1.3, size),
        probabilities=np.clip(rng.beta(1 + 3 * is_violating, 4 - 2 * is_violating), 0.001, 0.999)[
            :, None
        ],
        known_at=at + 0.01,
        verdict=is_violating.astype(np.int64),
        violates=is_violating[:, None],
        seconds=seconds,
        windows=[[(0.0, hours)]] * people,
        reports={row: [serving.Report(at[row] + 0.05, 0.5, "user")] for row in range(0, size, 5)},
    )
    today = replace(TODAY, severity_weights={"spam": 4.0}, soon_minutes=30)
    start = time.process_time()
    replay.compare(
        world, today=today, candidate=replace(today, doubling_hours=8), seed=SEED, replications=1
    )
    Result(
        name="replay_100k_cpu",
        value=time.process_time() - start,
        unit="s CPU",
        target=60,
        higher_is_better=False,
        control="100,000 arrivals × 5 orders, 500 bootstraps, one thread",
        command=COMMAND,
    ).write()


def _report(name: str, world: serving.World, today: serving.Parameters) -> None:
    retuned = replace(today, doubling_hours=48.0, sla_minutes=1e6)
    for staffing, windows in (("kept", _kept(world, today)), ("short", _office_hours(world))):
        staffed = replace(world, windows=windows)
        found = replay.compare(staffed, today=today, candidate=retuned, seed=SEED, replications=1)
        counts = found["counts"]
        say(
            f"{name}, {staffing}: {counts['arrivals']:,} arrivals, {counts['violating']:,} "
            f"violating, {found['work_hours']:,.0f} h of work in {found['capacity_hours']:,.0f} h"
        )
        for order in replay.ORDERS:
            one = found["orders"][order]
            words = "retuned formula" if order == "candidate" else replay.WORDS[order]
            say(
                f"  {words:<20} {one['views']['value']:>12,.0f} views  p50 "
                f"{charts.hours(one['wait_p50']['value']):>9}  p90 "
                f"{charts.hours(one['wait_p90']['value']):>9}  in time "
                f"{charts.percent(one['in_time']['value'])}  clean "
                f"{charts.hours(one['clean_wait']['value'])}"
            )
        for base, target in (("fifo", 0.2), ("risk", 0.0)):
            # Where no order can keep the promise, lifting what is overdue costs harm by design:
            # that figure is printed and stands in the samples; the bar is on what is retuned.
            if staffing == "kept" or base == "fifo":
                _write(f"replay_{name}_{staffing}_against_{base}", found, base, "today", target)
            _write(
                f"replay_{name}_{staffing}_retuned_against_{base}", found, base, "candidate", target
            )
        lost = found["against"]["risk"]["today"]["harm"]
        say(
            f"  today's formula against risk only: harm {charts.percent(lost['value'], sign=True)} "
            f"[{charts.percent(lost['low'], sign=True)}, {charts.percent(lost['high'], sign=True)}]"
        )


def _write(name: str, found: dict[str, Any], base: str, order: str, target: float) -> None:
    """Share of the harm (views × severity) that `base` lets happen and this order prevents; the
    control says how much perfect knowledge would have."""
    one, best = (found["against"][base][which]["harm"] for which in (order, "oracle"))
    Result(
        name=name,
        value=-one["value"],
        unit=f"of the harm [{-one['high']:.2f}, {-one['low']:.2f}]",
        target=target,
        control=f"perfect knowledge {-best['value']:.2f}",
        samples=[
            {which: found["orders"][which]["harm"]["value"] for which in replay.ORDERS},
            {which: found["orders"][which]["in_time"]["value"] for which in replay.ORDERS},
        ],
        command=COMMAND,
    ).write()


def _kept(world: serving.World, today: serving.Parameters) -> list[list[tuple[float, float]]]:
    """Presence by the roster that keeps the promise for 95 % of each hour's arrivals."""
    hours = np.arange(DAYS * 24)
    counts = np.bincount(world.at.astype(int), minlength=len(hours)).astype(float)
    rates = forecast.estimate_rates(counts, hours % 168)
    people = forecast.needed(
        forecast.Situation(
            rates=rates,
            handling=forecast.estimate_handling(world.seconds, default=60),
            sla_hours=today.sla_minutes / 60,
            people=np.zeros(168),
            first_hour=0,
            productive=1.0,
        ),
        forecast.draw(rates, seed=SEED),
    )
    return [
        [(float(hour), hour + 1.0) for hour in hours.tolist() if people[hour % 168] > slot]
        for slot in range(int(people.max()))
    ]


def _office_hours(world: serving.World) -> list[list[tuple[float, float]]]:
    """From 8 to 18, at weekends from 10 to 16, by as many as make the work LOAD of that."""
    days = [(8, 18) if day % 7 < 5 else (10, 16) for day in range(DAYS)]
    spans = [(24.0 * day + first, 24.0 * day + last) for day, (first, last) in enumerate(days)]
    presence = sum(last - first for first, last in spans)
    people = world.seconds.sum() / 3600 / presence / LOAD
    share = people / np.ceil(people)
    return [
        [(first, first + (last - first) * share) for first, last in spans]
        for _ in range(int(np.ceil(people)))
    ]


def _world(
    policies: tuple[str, ...],
    at: Any,
    views: Any,
    scores: Any,
    labels: Any,
    rng: np.random.Generator,
    **kw: Any,
) -> serving.World:
    is_violating = labels.any(axis=1)
    return serving.World(
        start=START,
        hours=DAYS * 24.0,
        policies=policies,
        ids=np.arange(len(at)),
        at=at,
        views=views,
        probabilities=scores,
        known_at=at + 1 / 60,
        verdict=is_violating.astype(np.int64),
        violates=labels.astype(bool),
        seconds=rng.lognormal(np.log(200), 0.6, len(at)),  # 4 minutes on average
        windows=[],
        **kw,
    )


def _times(hours_of_week: Any, rng: np.random.Generator) -> Any:
    """Moments in the month at these hours of the week, in order."""
    size = len(hours_of_week)
    weeks = rng.integers(DAYS // 7, size=size)
    return np.sort(168.0 * weeks + hours_of_week + rng.random(size))


def _out_of_fold(texts: list[str], labels: Any, folds: int = 5) -> Any:
    scores = np.zeros(labels.shape)
    fold = np.random.default_rng(SEED).integers(folds, size=len(texts))
    array = np.array(texts, dtype=object)
    for number in range(folds):
        here = fold == number
        scores[here] = _fit(array[~here], labels[~here], array[here])
    return scores


def _fit(texts: Any, labels: Any, others: Any) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=3, max_features=20_000)
    known, asked = words.fit_transform(texts), words.transform(others)
    columns = []
    for number in range(labels.shape[1]):
        model = LogisticRegression(C=3.0, max_iter=300)
        columns.append(model.fit(known, labels[:, number]).predict_proba(asked)[:, 1])
    return np.stack(columns, axis=1)


if __name__ == "__main__":
    main()
