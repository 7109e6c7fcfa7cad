"""Decisions as label rows: what a row holds, and which there are.

A row is a pure function of the cutoff: it reads append-only tables (decisions, reviews, findings,
item versions), columns set once at birth, and what `freeze` kept of the mutable ones.
"""

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from django.conf import settings

from reviews.models import ItemKind, Platform, Policy, Queue, content_hash

from .dataset_card import SPLITS as SPLITS

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray


def split_of(split_group: str) -> str:
    """The side of a split group, for ever: 70 % train, 10 % valid, 20 % test."""
    return SPLIT_OF_BUCKET[bucket_of(split_group)]


def bucket_of(split_group: str) -> int:
    """0 to 99: the first four bytes of its SHA-256, modulo 100."""
    return int.from_bytes(hashlib.sha256(split_group.encode()).digest()[:4], "big") % 100


def buckets_of(split_groups: Iterable[str]) -> "NDArray[np.uint32]":
    """The same of many."""
    import numpy as np

    sha256 = hashlib.sha256
    heads = b"".join([sha256(group.encode()).digest()[:4] for group in split_groups])
    return np.frombuffer(heads, ">u4") % 100


SPLIT_OF_BUCKET = ["train"] * 70 + ["valid"] * 10 + ["test"] * 20


class Frozen(NamedTuple):
    """The mutable settings a snapshot depends on, as they stood when it was asked for."""

    policies: list[dict]  # {"id", "slug", "name"}, in display order
    kinds: list[dict]  # {"id", "slug", "text_fields"}
    queues: list[dict]  # {"id", "slug"}


def freeze(platform: Platform) -> Frozen:
    return Frozen(
        policies=list(Policy.objects.filter(platform=platform).values("id", "slug", "name")),
        kinds=[
            {
                "id": kind.pk,
                "slug": kind.slug,
                "text_fields": kind.names_with_role("title", "text"),
            }
            for kind in ItemKind.objects.filter(platform=platform).order_by("id")
        ],
        queues=list(Queue.objects.filter(platform=platform).order_by("id").values("id", "slug")),
    )


def columns(policies: Sequence[dict]) -> list[tuple["pa.Field", str]]:
    """Every column in order, with the sentence that explains it."""
    import pyarrow as pa

    span = pa.struct(
        [
            pa.field("field", pa.string()),
            pa.field("start", pa.int32()),
            pa.field("end", pa.int32()),
            pa.field("policy", pa.string()),
        ]
    )
    rating = pa.struct(
        [
            pa.field("rater", pa.string()),
            pa.field("verdict", pa.string()),
            pa.field("violated", pa.list_(pa.string())),
            pa.field("seconds", pa.float32()),
            pa.field("score_shown", pa.bool_()),
            pa.field("lane", pa.string()),
            pa.field("judged", pa.list_(pa.string())),
            pa.field("policy_versions", pa.list_(pa.int16())),
            pa.field("severities", pa.list_(pa.int8())),
            pa.field("spans", pa.list_(span)),
        ]
    )
    rows: list[tuple[str, pa.DataType, str]] = [
        ("decision_id", pa.int64(), "The decision this label follows from; rows ascend by it."),
        ("item_id", pa.int64(), "The item; one row per decided item version."),
        ("external_id", pa.string(), "The platform's own id of the item."),
        ("item_version_id", pa.int64(), "The version of the item that was judged."),
        ("content_hash", pa.string(), "SHA-256 of the version's canonical JSON content."),
        ("kind", pa.string(), "Kind of item."),
        ("language", pa.string(), "BCP 47 tag the platform gave; empty when it gave none."),
        ("text", pa.string(), "Title and text fields, one blank line apart: what a model reads."),
        ("split", pa.string(), "train, valid or test: fixed by split_group, so nothing leaks."),
        ("split_group", pa.string(), "Author and near-duplicate group; never on two sides."),
        ("verdict", pa.string(), "violating or clean: the standing decision."),
    ]
    for policy in policies:
        slug, name = policy["slug"], policy["name"]
        rows += [
            (f"label_{slug}", pa.int8(), f"{name}: 1 violates, 0 does not, null not judged."),
            (
                f"posterior_{slug}",
                pa.float64(),
                f"{name}: chance that it violates, given the answers and each rater's record; "
                "1 or 0 where a lead settled it; null for a single answer.",
            ),
            (
                f"aggregator_{slug}",
                pa.string(),
                f"{name}: single, dawid-skene, adjudicated, appeal or override; null not judged.",
            ),
            (
                f"answers_{slug}",
                pa.int16(),
                f"{name}: people who answered independently, by this version of its text.",
            ),
            (f"yes_{slug}", pa.int16(), f"{name}: how many of them found it violating."),
            (f"policy_version_{slug}", pa.int16(), f"{name}: version of the text judged by."),
            (
                f"severity_{slug}",
                pa.int8(),
                f"{name}: how severe, of that version's levels from 1; null: not graded.",
            ),
            (f"score_{slug}", pa.float64(), f"{name}: the model's probability at decision time."),
        ]
    rows += [
        ("risk_source", pa.string(), "The model version that gave the scores; empty: none had."),
        ("lane", pa.string(), "Why the item was drawn for review."),
        ("decided_lane", pa.string(), "Lane of the job that settled it (second, adjudication …)."),
        (
            "inclusion_probability",
            pa.float64(),
            "Known chance of having been drawn; null where none is known (risk lane). In the "
            "learning lane: among the jobs that waited when a model scored them.",
        ),
        ("weight", pa.float64(), "1 / inclusion_probability in the random lane, else null."),
        ("draw_id", pa.int64(), "The drawing that brought it in; null: it came by its rank."),
        ("strategy", pa.string(), "How that one drew; null: by rank."),
        ("draw_seed", pa.int64(), "The seed of that drawing: with its id, enough to draw again."),
        ("pool_size", pa.int32(), "How many it drew from; null where that was not counted."),
        (
            "exposure",
            pa.float64(),
            "Views an hour the platform told of when it was decided; weight · exposure makes "
            "estimates per view. Null: decided before that was kept.",
        ),
        ("queue", pa.string(), "Queue the decision was made in."),
        ("decided_at", pa.timestamp("us", tz="UTC"), "When."),
        (
            "reviews",
            pa.list_(rating),
            "The answers behind the decision, oldest first; `lane` says what each was asked for: "
            "those of the lanes adjudication and appeal knew the others. `policy_versions` stand "
            "beside `judged`, `severities` beside `violated`; `spans` are what the rater marked as "
            "evidence, in characters (code points) of that field of the item's content.",
        ),
    ]
    return [(pa.field(name, kind), text) for name, kind, text in rows]


def schema(policies: Sequence[dict]) -> "pa.Schema":
    import pyarrow as pa

    return pa.schema([field for field, _ in columns(policies)])


def pseudonym(person_id: int, *, platform_id: int) -> str:
    """Stable per platform, meaningless without SECRET_KEY."""
    message = f"rater:{platform_id}:{person_id}".encode()
    return "r_" + hmac.new(settings.SECRET_KEY.encode(), message, "sha256").hexdigest()[:16]


# What a decision said of one version stands until another speaks of that same version. (An edited
# item is decided anew: that supersedes the old decision, yet its label of the old text is true.)
STANDING = """
    d.id <= %(cutoff)s
    AND d.verdict IN ('violating', 'clean')
    AND NOT EXISTS (
        SELECT FROM reviews_decision s
        WHERE s.supersedes_id = d.id AND s.id <= %(cutoff)s
          AND s.item_version_id = d.item_version_id)
"""


# Of what an erased version says now. Its row is gone from every snapshot; the reviews are not, and
# what they say of the raters stays what it was.
ERASED = content_hash({})
KEPT = f"v.content_hash <> '{ERASED}'"

# A job that follows from another has the lane of the first draw: the one its own draw follows, or
# (before draws followed each other) its own. Asked for after a job of the risk lane, it follows
# none: then it was certain to come, yet how likely the item was to be looked at is not known.
DRAWS = """LEFT JOIN reviews_draw own ON own.id = j.draw_id
LEFT JOIN reviews_draw draw ON draw.id = CASE
    WHEN own.lane IN ('second', 'adjudication') THEN own.follows_id ELSE own.id END"""
LANE = """CASE WHEN j.lane IN ('second', 'adjudication') THEN COALESCE(draw.lane, 'risk')
    ELSE j.lane END"""
PROBABILITY = """CASE WHEN j.lane IN ('second', 'adjudication') AND draw.id IS NULL THEN NULL
    ELSE j.inclusion_probability END"""
