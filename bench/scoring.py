"""Scoring: the encoder alone, and everything from due row to ranked job, batch beside batch.

    python bench/scoring.py [--items 2048] [--full]

Each batch of texts is encoded alone and scored end to end (lease, read, encode, predict, store the
vector and scores, rank the job) in turns, so that both meet the same noise. The encoder itself is
held against its matmuls: the same multiply-adds as bare matrix products of the model's shapes.
"""

import argparse
import os
import random
import re
import statistics
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "trustconsole.settings")
os.environ.setdefault("SECRET_KEY", "benchmarks-only")
os.environ.setdefault("TRUSTCONSOLE_VAR", str(ROOT / "var"))

from bench.report import Result, say  # noqa: E402

COMMAND = "python bench/scoring.py"
DATABASE = "bench_scoring"
END_TO_END_SHARE = 0.85
MATMUL_SHARE = 0.40
WORDS = re.findall(
    r"\w+",
    """the a people today never always money friend cheap offer report school city weather game
    because nothing really think know want give take last first again winner account please
    doctor football match train garden music number question answer morning evening simple""",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=2048)
    parser.add_argument("--full", action="store_true", help="10,240 items")
    arguments = parser.parse_args()
    items = 10_240 if arguments.full else arguments.items

    from trustconsole import embedded

    embedded.lend_to(["bench"])
    _set_up()
    from django.conf import settings

    from mlhooks import encoder, scoring

    batch = settings.SCORE_BATCH
    texts = _texts(items + batch)
    _fill(texts)
    text_encoder = encoder.shared(settings.ENCODER)
    say(f"Encoder {text_encoder.version}, batches of {batch}")

    text_encoder.encode(texts[:batch])
    scoring.score_due(limit=batch)  # the first makes the champion
    alone, end_to_end = [], []
    for start in range(batch, len(texts) - batch + 1, batch):
        alone.append(_seconds(lambda start=start: text_encoder.encode(texts[start:][:batch])))
        end_to_end.append(_seconds(lambda: scoring.score_due(limit=batch)))
    _check_all_scored(len(texts) // batch * batch)
    shares = [one / both for one, both in zip(alone, end_to_end, strict=True)]
    Result(
        name="scoring_share_of_encoder",
        value=sum(alone) / sum(end_to_end),
        unit="of the encoder's speed",
        target=END_TO_END_SHARE,
        command=COMMAND,
        control=f"{batch * len(alone) / sum(alone):.0f} texts/s alone",
        samples=shares,
    ).write()
    say(f"  end to end {batch * len(alone) / sum(end_to_end):,.0f} texts/s")

    sample = texts[: 4 * batch]
    tokens = sum(map(len, text_encoder._tokenise(sample)))
    samples = []
    for _ in range(5):
        rate = _matmul_rate(text_encoder)
        spent = _seconds(lambda: text_encoder.encode(sample), clock=time.process_time)
        samples.append(_multiply_adds(text_encoder, tokens) / rate / spent)
    Result(
        name="encoder_share_of_matmul",
        value=statistics.median(samples),
        unit=f"of its {text_encoder.precision} matmuls",
        target=MATMUL_SHARE,
        command=COMMAND,
        control=f"{rate / 1e9:.0f} GFLOP/s",
        samples=samples,
    ).write()


def _seconds(work: Any, clock: Any = time.perf_counter) -> float:
    start = clock()
    work()
    return clock() - start


def _shapes(text_encoder: Any) -> tuple[int, int, int]:
    config = text_encoder._model[0].auto_model.config
    return config.num_hidden_layers, config.hidden_size, config.intermediate_size


def _multiply_adds(text_encoder: Any, tokens: int) -> float:
    """FLOP of the linear layers for so many tokens; attention itself is small beside them."""
    layers, wide, wider = _shapes(text_encoder)
    return 2.0 * tokens * layers * (4 * wide * wide + 2 * wide * wider)


def _matmul_rate(text_encoder: Any) -> float:
    """FLOP per CPU second of the bare products, at the encoder's own batch and precision."""
    import torch

    from mlhooks import encoder

    _, wide, wider = _shapes(text_encoder)
    dtype = torch.bfloat16 if text_encoder.precision == "bf16" else torch.float32
    x, y = (torch.randn(encoder.BATCH_TOKENS, size).to(dtype) for size in (wide, wider))
    square, up, down = (
        torch.randn(shape).to(dtype) for shape in ((wide, wide), (wider, wide), (wide, wider))
    )
    linear = torch.nn.functional.linear

    def layer() -> None:
        for _ in range(4):
            linear(x, square)
        linear(x, up)
        linear(y, down)

    with torch.inference_mode():
        layer()
        spent = min(
            _seconds(lambda: [layer() for _ in range(10)], clock=time.process_time)
            for _ in range(3)
        )
    return 10 * 2.0 * encoder.BATCH_TOKENS * (4 * wide * wide + 2 * wide * wider) / spent


def _texts(count: int) -> list[str]:
    """Posts of about 30 tokens (12 to 60): short ones make the database's part large."""
    rng = random.Random(1)  # noqa: S311
    return [
        " ".join(rng.choices(WORDS, k=min(60, max(12, round(rng.gauss(28, 10))))))
        for _ in range(count)
    ]


def _set_up() -> None:
    import django
    from django.conf import settings

    settings.DATABASES["default"].setdefault("TEST", {})["NAME"] = DATABASE
    settings.MODEL_DIR = settings.VAR_DIR / "bench" / "models"
    django.setup()
    from django.db import connection

    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False, keepdb=True)


def _fill(texts: list[str]) -> None:
    """A platform with three policies, and the items through the real intake."""
    from django.db import connection

    from mlhooks import due
    from reviews import intake
    from tests.factories import make_kind, make_platform, make_policy, make_queue

    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        for table in connection.introspection.table_names(cursor):
            if table.startswith(("reviews_", "mlhooks_")):
                cursor.execute(f'TRUNCATE "{table}" RESTART IDENTITY CASCADE')
        cursor.execute("SET session_replication_role = DEFAULT")
    platform = make_platform(slug="bench")
    kind = make_kind(platform=platform)
    policies = [make_policy(platform=platform, slug=f"policy-{n}") for n in range(3)]
    make_queue(platform=platform, policies=policies, is_default=True)
    due.nudge = lambda: None  # no worker but this one
    for start in range(0, len(texts), 1000):
        rows = [
            {"kind": kind.slug, "external_id": f"item-{start + n}", "content": {"body": text}}
            for n, text in enumerate(texts[start : start + 1000])
        ]
        intake.submit_items(platform, rows, by=None)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def _check_all_scored(count: int) -> None:
    from mlhooks.models import Embedding, Score
    from reviews.models import Item

    found = (
        Embedding.objects.count(),
        Score.objects.count(),
        Item.objects.filter(risk__isnull=False).count(),
    )
    if found != (count, 3 * count, count):
        raise SystemExit(f"Not everything was scored: {found} of {count}.")


if __name__ == "__main__":
    main()
