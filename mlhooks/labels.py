"""Decisions as label rows: what a row holds, and how a page of them is read.

A row is a pure function of the cutoff: it reads append-only tables (decisions, reviews, findings,
item versions), columns set once at birth, and what `freeze` kept of the mutable ones.
"""

import hashlib
import hmac
import io
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Exists, OuterRef

from reviews.models import ItemKind, Person, Platform, Policy, Queue, Review

from .dataset_card import SPLITS

if TYPE_CHECKING:
    import pyarrow as pa

_BELOW = {"train": 70, "valid": 80, "test": 100}  # of 100 buckets


def split_of(split_group: str) -> str:
    """The side of a split group, for ever: 70 % train, 10 % valid, 20 % test."""
    bucket = int.from_bytes(hashlib.sha256(split_group.encode()).digest()[:4], "big") % 100
    return next(split for split, below in _BELOW.items() if bucket < below)


_SPLIT_SQL = """CASE
    WHEN ('x' || left(encode(sha256(convert_to({group}, 'UTF8')), 'hex'), 8))::bit(32)::bigint
         %% 100 < 70 THEN 'train'
    WHEN ('x' || left(encode(sha256(convert_to({group}, 'UTF8')), 'hex'), 8))::bit(32)::bigint
         %% 100 < 80 THEN 'valid'
    ELSE 'test' END"""


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

    rating = pa.struct(
        [
            pa.field("rater", pa.string()),
            pa.field("verdict", pa.string()),
            pa.field("violated", pa.list_(pa.string())),
            pa.field("seconds", pa.float32()),
            pa.field("score_shown", pa.bool_()),
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
            (f"policy_version_{slug}", pa.int16(), f"{name}: version of the text judged by."),
            (f"score_{slug}", pa.float64(), f"{name}: the model's probability at decision time."),
        ]
    rows += [
        ("risk_source", pa.string(), "The model version that gave the scores; empty: none had."),
        ("lane", pa.string(), "Why the item was drawn for review."),
        ("decided_lane", pa.string(), "Lane of the job that settled it (second, adjudication …)."),
        (
            "inclusion_probability",
            pa.float64(),
            "Known chance of having been drawn; null where none is known (risk lane).",
        ),
        ("weight", pa.float64(), "1 / inclusion_probability in the random lane, else null."),
        ("queue", pa.string(), "Queue the decision was made in."),
        ("decided_at", pa.timestamp("us", tz="UTC"), "When."),
        ("reviews", pa.list_(rating), "Independent answers behind the decision, oldest first."),
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


class Tally(NamedTuple):
    """Labels a snapshot would hold now: {split: n}, {lane: n}, {policy slug: {split: {…}}}."""

    rows: int
    splits: dict[str, int]
    lanes: dict[str, int]
    labels: dict[str, dict[str, dict[str, int]]]


class Pages:
    """Reads label rows, a range of decision ids at a time.

    Each page is its own statement: no snapshot of the database is held between two of them.
    PostgreSQL sends each row twice, as columns for Parquet and as the line of data.jsonl: quicker
    than writing either from the other here.
    """

    def __init__(self, platform_id: int, cutoff_id: int, frozen: Frozen) -> None:
        raters = list(
            Person.objects.filter(Exists(Review.objects.filter(reviewer=OuterRef("pk"))))
            .order_by("pk")
            .values_list("pk", flat=True)
        )
        self._parameters = {
            "platform": platform_id,
            "cutoff": cutoff_id,
            "rater_ids": raters,
            "rater_names": [pseudonym(pk, platform_id=platform_id) for pk in raters],
            "kinds": [kind["id"] for kind in frozen.kinds],
            "kind_slugs": [kind["slug"] for kind in frozen.kinds],
            "queues": [queue["id"] for queue in frozen.queues],
            "queue_slugs": [queue["slug"] for queue in frozen.queues],
        }
        # Kept: a thread that reads ahead would be given another.
        self._connection = connections[DEFAULT_DB_ALIAS]
        self._policies = frozen.policies
        self._sql = self._compose(frozen, wanted="row_to_json(line), line.*")
        self._tally_sql = self._compose(
            frozen,
            wanted=", ".join(["split, lane, count(*)", *self._label_counts()]),
            grouped="GROUP BY split, lane ORDER BY split, lane",
        )

    @cached_property
    def schema(self) -> "pa.Schema":
        return schema(self._policies)

    def read(self, after: int, upto: int) -> bytes:
        """The rows of decisions in (after, upto], for `parse`; empty when there are none."""
        rows = io.BytesIO()
        with self._connection.cursor() as cursor:
            statement = (
                # Compiling the statement anew for each page costs more than it saves.
                b"SET LOCAL jit = off; COPY ("
                + cursor.mogrify(self._sql, {**self._parameters, "after": after, "upto": upto})
                # As quote and delimiter, what hardly any text holds: little is to be escaped.
                + rb") TO STDOUT (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')"
            )
            cursor.copy_expert(statement, rows)
        return rows.getvalue()

    def tally(self) -> Tally:
        """What `read` would give from the first decision on, counted in one statement."""
        with self._connection.cursor() as cursor:
            cursor.execute(
                self._tally_sql,
                {**self._parameters, "after": 0, "upto": self._parameters["cutoff"]},
            )
            found = cursor.fetchall()
        tally = Tally(0, dict.fromkeys(SPLITS, 0), {}, {})
        for split, lane, rows, *counts in found:
            tally.splits[split] += rows
            tally.lanes[lane] = tally.lanes.get(lane, 0) + rows
            for policy, violating, clean in zip(
                self._policies, counts[::2], counts[1::2], strict=True
            ):
                label = tally.labels.setdefault(policy["slug"], {}).setdefault(
                    split, {"violating": 0, "clean": 0}
                )
                label["violating"] += violating
                label["clean"] += clean
        return tally._replace(rows=sum(tally.splits.values()))

    def parse(self, rows: bytes) -> tuple["pa.Table", bytes]:
        """A page as a table, and as JSON lines."""
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.csv
        import pyarrow.json

        if not rows:
            return self.schema.empty_table(), b""
        types = {field.name: field.type for field in self.schema}
        table = pyarrow.csv.read_csv(
            io.BytesIO(rows),
            read_options=pyarrow.csv.ReadOptions(
                use_threads=False, block_size=len(rows) + 1, column_names=["line", *types]
            ),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter="\x02", quote_char="\x01", newlines_in_values=True
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types={**types, "line": pa.large_string(), "reviews": pa.string()},
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
        reviews = pyarrow.json.read_json(
            io.BytesIO(
                _joined(pc.binary_join_element_wise('{"reviews":', table["reviews"], "}", ""))
            ),
            read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(rows) + 1),
            parse_options=pyarrow.json.ParseOptions(
                explicit_schema=pa.schema([self.schema.field("reviews")])
            ),
        )
        lines = _joined(table["line"])
        table = table.drop_columns(["line", "reviews"])
        return table.append_column(self.schema.field("reviews"), reviews["reviews"]), lines

    def _compose(self, frozen: Frozen, *, wanted: str, grouped: str = "") -> str:
        """The statement. Only integers and quoted names are put into its text."""
        quote = self._connection.ops.quote_name
        answered, judged, violated, violated_slugs, per_policy = [], [], [], [], []
        for n, policy in enumerate(frozen.policies):
            pk, slug = int(policy["id"]), policy["slug"]
            of_policy = f"FILTER (WHERE pv.policy_id = {pk})"
            answered.append(f"max(2 * pv.number + f.violates::int) {of_policy} AS a{n}")
            judged.append(f"max(a.a{n}) FILTER (WHERE a.is_latest) AS j{n}")
            violated.append(f"max(pv.number) {of_policy} AS v{n}")
            violated_slugs.append(f"CASE WHEN a.a{n} %% 2 = 1 THEN %(quoted{n})s END")
            per_policy.append(
                f"CASE WHEN violated.v{n} IS NOT NULL THEN 1 WHEN judged.j{n} IS NOT NULL THEN 0 "
                f"END AS {quote(f'label_{slug}')}, "
                f"COALESCE(violated.v{n}, judged.j{n} / 2) AS {quote(f'policy_version_{slug}')}, "
                f"(p.risks ->> %(slug{n})s)::float8 AS {quote(f'score_{slug}')}"
            )
            self._parameters[f"slug{n}"] = slug
            self._parameters[f"quoted{n}"] = f'"{slug}"'
        texts = []
        for n, kind in enumerate(frozen.kinds):
            fields = []
            for m, name in enumerate(kind["text_fields"]):
                self._parameters[f"field{n}_{m}"] = name
                fields.append(f"NULLIF(v.content ->> %(field{n}_{m})s, '')")
            joined = f"concat_ws(E'\\n\\n', {', '.join(fields)})" if fields else "''"
            texts.append(f"WHEN {int(kind['id'])} THEN {joined}")
        text = f"CASE p.kind_id {' '.join(texts)} END" if texts else "''"
        nothing = "0 AS nothing"
        return _SQL.format(
            standing=STANDING,
            answered=", ".join(answered) or nothing,
            judged=", ".join(judged) or nothing,
            violated=", ".join(violated) or nothing,
            violated_slugs=", ".join(violated_slugs) or "NULL",
            per_policy="".join(f"{column},\n" for column in per_policy),
            text=text,
            split=_SPLIT_SQL.format(group="p.split_group"),
            wanted=wanted,
            grouped=grouped,
        )

    def _label_counts(self) -> list[str]:
        quote = self._connection.ops.quote_name
        return [
            f"count(*) FILTER (WHERE {quote('label_' + policy['slug'])} = {label})"
            for policy in self._policies
            for label in (1, 0)
        ]


def _joined(lines: "pa.ChunkedArray") -> bytes:
    """The strings, each with a newline behind it: their buffer, in one piece."""
    import pyarrow as pa
    import pyarrow.compute as pc

    nothing, newline = (pa.scalar(text, pa.large_string()) for text in ("", "\n"))
    whole = pc.binary_join_element_wise(lines.cast(pa.large_string()), nothing, newline)
    whole = pa.chunked_array(whole).combine_chunks()
    offsets, data = whole.buffers()[1:]
    return data.to_pybytes()


_SQL = """
WITH page AS MATERIALIZED (
    SELECT d.id, d.item_id, d.item_version_id, d.queue_id, d.job_id, d.verdict, d.risks,
           d.risk_source, d.decided_at,
           -- An override has no review of its own: it stands on those of its job.
           COALESCE(d.review_id, (
               SELECT max(r.id) FROM reviews_review r WHERE r.job_id = d.job_id)) AS review_id,
           i.external_id, i.kind_id, i.language, i.split_group,
           j.lane AS decided_lane, j.inclusion_probability,
           -- A job that follows from another keeps the draw of the first.
           CASE WHEN j.lane IN ('second', 'adjudication') THEN COALESCE(draw.lane, 'risk')
                ELSE j.lane END AS lane
    FROM reviews_decision d
    JOIN reviews_item i ON i.id = d.item_id
    JOIN reviews_job j ON j.id = d.job_id
    LEFT JOIN reviews_draw draw ON draw.id = j.draw_id
    WHERE d.id > %(after)s AND d.id <= %(upto)s AND i.platform_id = %(platform)s
      AND {standing}
), answered AS (
    -- a<n>: 2 × version number + violated, of policy n; null when it was not judged.
    SELECT p.id, r.id AS review_id, r.id = p.review_id AS is_latest, r.reviewer_id, r.verdict,
           r.active_seconds, r.score_shown, {answered}
    FROM page p
    JOIN reviews_review r
      ON r.item_id = p.item_id AND r.item_version_id = p.item_version_id AND r.id <= p.review_id
    LEFT JOIN reviews_finding f ON f.review_id = r.id
    LEFT JOIN reviews_policyversion pv ON pv.id = f.policy_version_id
    -- An answer its own author took back is not a rating.
    WHERE r.id = p.review_id OR NOT EXISTS (
        SELECT FROM reviews_decision taken JOIN reviews_decision u ON u.supersedes_id = taken.id
        WHERE taken.review_id = r.id AND u.kind = 'undo' AND u.id <= %(cutoff)s)
    GROUP BY 1, 2, 3, 4, 5, 6, 7
), judged AS (
    -- The JSON is put together by hand: names and slugs in it need no escaping.
    SELECT a.id, {judged},
           '[' || string_agg(
               '{{"rater":"' || raters.name || '","verdict":"' || a.verdict
               || '","violated":[' || concat_ws(',', {violated_slugs})
               || '],"seconds":' || a.active_seconds
               || ',"score_shown":' || a.score_shown::text || '}}',
               ',' ORDER BY a.review_id) || ']' AS reviews
    FROM answered a
    JOIN unnest(%(rater_ids)s::bigint[], %(rater_names)s::text[]) AS raters(id, name)
      ON raters.id = a.reviewer_id
    GROUP BY a.id
), violated AS (
    SELECT dv.decision_id AS id, {violated}
    FROM reviews_decision_policy_versions dv
    JOIN reviews_policyversion pv ON pv.id = dv.policyversion_id
    WHERE dv.decision_id > %(after)s AND dv.decision_id <= %(upto)s
    GROUP BY dv.decision_id
)
SELECT {wanted} FROM (
    SELECT p.id AS decision_id, p.item_id, p.external_id, p.item_version_id, v.content_hash,
           kinds.slug AS kind, p.language, {text} AS text, {split} AS split, p.split_group,
           p.verdict,
           {per_policy}
           p.risk_source, p.lane, p.decided_lane, p.inclusion_probability,
           CASE WHEN p.lane = 'random' THEN 1 / p.inclusion_probability END AS weight,
           queues.slug AS queue,
           to_char(p.decided_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS decided_at,
           COALESCE(judged.reviews, '[]')::json AS reviews
    FROM page p
    JOIN reviews_itemversion v ON v.id = p.item_version_id
    JOIN unnest(%(kinds)s::bigint[], %(kind_slugs)s::text[]) AS kinds(id, slug)
      ON kinds.id = p.kind_id
    JOIN unnest(%(queues)s::bigint[], %(queue_slugs)s::text[]) AS queues(id, slug)
      ON queues.id = p.queue_id
    LEFT JOIN judged ON judged.id = p.id
    LEFT JOIN violated ON violated.id = p.id
    ORDER BY p.id
) line {grouped}
"""
