"""Reads label rows page by page into Arrow tables.

PostgreSQL only looks rows up and sends them by COPY; pivoting and nesting are done here, on
whole columns. A page costs three short statements, and nothing is held between two pages.
"""

import io
import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Exists, OuterRef
from numpy.typing import NDArray

from reviews import rounds
from reviews.models import Lane, Person, PolicyVersion, Review

from . import aggregation, copying, labels, posteriors

Ints = NDArray[np.int64]

_DECISIONS = """
SELECT d.id AS decision_id, d.item_id, i.external_id, d.item_version_id, v.content_hash,
       i.kind_id, i.language, {text} AS text, i.split_group, d.verdict,
       {scores}{severities}d.risk_source,
       {lane} AS lane, j.lane AS decided_lane, {probability} AS inclusion_probability,
       draw.id AS draw_id, draw.strategy, draw.seed AS draw_seed, draw.pool_size,
       d.views_per_hour AS exposure, d.queue_id, d.decided_at, d.kind AS decision_kind,
       {judged_by} AS review_id
FROM reviews_decision d
JOIN reviews_item i ON i.id = d.item_id
JOIN reviews_itemversion v ON v.id = d.item_version_id
JOIN reviews_job j ON j.id = d.job_id
{draws}
WHERE d.id > %(after)s AND d.id <= %(upto)s AND i.platform_id = %(platform)s AND {standing}
  AND {kept}
ORDER BY d.id
"""
# Every answer behind a decision, with a line for each policy it spoke about. An answer that its
# own author took back is none.
_ANSWERS = """
SELECT d.id AS decision_id, r.id AS review_id, r.reviewer_id, r.verdict,
       r.active_seconds AS seconds, r.score_shown, nullif(r.spans, '[]'::jsonb)::text AS spans,
       given.lane, f.policy_version_id, f.violates, f.severity
FROM reviews_decision d
JOIN reviews_review r ON r.item_id = d.item_id AND r.item_version_id = d.item_version_id
  AND r.id <= {judged_by}
JOIN reviews_job given ON given.id = r.job_id
LEFT JOIN reviews_finding f ON f.review_id = r.id
WHERE {which} AND d.queue_id = ANY(%(queues)s)
  AND d.verdict IN ('violating', 'clean')
  AND (r.id = d.review_id OR NOT EXISTS (
    SELECT FROM reviews_decision taken JOIN reviews_decision u ON u.supersedes_id = taken.id
    WHERE taken.review_id = r.id AND u.kind = 'undo' AND u.id <= %(cutoff)s))
"""
_VIOLATED = """
SELECT decision_id, policyversion_id AS policy_version_id
FROM reviews_decision_policy_versions WHERE {which}
"""
_OF_PAGE = "{id} > %(after)s AND {id} <= %(upto)s"
_OF_THESE = "{id} = ANY(%(ids)s)"
# Labels that several people answered for independently, the newest of them.
_COMPARED = """
SELECT d.id, {judged_by} AS review_id
FROM reviews_decision d
JOIN reviews_item i ON i.id = d.item_id
WHERE i.platform_id = %(platform)s AND {standing} AND d.item_version_id IN (
    SELECT item_version_id FROM reviews_review GROUP BY item_version_id HAVING count(*) > 1)
  AND (SELECT count(DISTINCT r.reviewer_id) > 1 FROM reviews_review r
    JOIN reviews_job given ON given.id = r.job_id
    WHERE r.item_version_id = d.item_version_id AND r.id <= {judged_by}
      AND given.lane = ANY(%(independent)s))
ORDER BY d.id DESC LIMIT %(most)s
"""
MOST_COMPARED = 20_000
# A lead's word on a disagreement or an appeal follows from what others said; the rest is given
# without knowing it.
INDEPENDENT = (*rounds.INDEPENDENT, *map(str, Lane.checking()))
# An override has no review of its own: it stands on those of its job.
_JUDGED_BY = """COALESCE(d.review_id, (
         SELECT max(own.id) FROM reviews_review own WHERE own.job_id = d.job_id))"""

# A page is small and the tables are large: look its rows up by index, whatever the statistics say
# (the planner would read whole tables, a page at a time). Compiling costs more than it saves.
_PLAN = b"; ".join(
    b"SET LOCAL %s = off" % name
    for name in (b"enable_seqscan", b"enable_hashjoin", b"enable_mergejoin", b"jit")
)

_ANSWER_TYPES = {
    "decision_id": pa.int64(),
    "review_id": pa.int64(),
    "reviewer_id": pa.int64(),
    "verdict": pa.string(),
    "seconds": pa.float32(),
    "score_shown": pa.bool_(),
    "spans": pa.string(),
    "lane": pa.string(),
    "policy_version_id": pa.int64(),
    "violates": pa.bool_(),
    "severity": pa.int8(),
}
_VIOLATED_TYPES = {"decision_id": pa.int64(), "policy_version_id": pa.int64()}

_SPLITS = pa.array(labels.SPLIT_OF_BUCKET, pa.string())
_INDEPENDENT = pa.array(INDEPENDENT, pa.string())
# Column, value and what it says of how the label came about, the last that fits.
_SETTLED_BY = (
    ("decided_lane", str(Lane.ADJUDICATION), posteriors.ADJUDICATED),
    ("decided_lane", str(Lane.APPEAL), posteriors.APPEAL),
    ("decision_kind", "override", posteriors.OVERRIDE),
)


class Raw(NamedTuple):
    """A page as PostgreSQL sent it."""

    decisions: bytes
    answers: bytes
    violated: bytes


class Pages:
    def __init__(self, platform_id: int, cutoff_id: int, frozen: labels.Frozen) -> None:
        self.schema = labels.schema(frozen.policies)
        # Kept: a thread that reads ahead would be given another.
        self._connection = connections[DEFAULT_DB_ALIAS]
        self._policies = frozen.policies
        self._slugs = pa.array([policy["slug"] for policy in frozen.policies], pa.string())
        self._kinds = _Names.of(frozen.kinds)
        self._queues = _Names.of(frozen.queues)
        raters = Person.objects.filter(Exists(Review.objects.filter(reviewer=OuterRef("pk"))))
        self._raters = _Names.of(
            [
                {"id": pk, "slug": labels.pseudonym(pk, platform_id=platform_id)}
                for pk in raters.values_list("pk", flat=True)
            ]
        )
        place = {policy["id"]: number for number, policy in enumerate(frozen.policies)}
        versions = list(
            PolicyVersion.objects.filter(policy__in=place)
            .order_by("pk")
            .values_list("pk", "policy_id", "number")
        )
        self._versions = np.array([pk for pk, _, _ in versions], np.int64)
        self._version_policy = np.array([place[policy] for _, policy, _ in versions], np.int64)
        self._version_number = np.array([number for _, _, number in versions], np.int64)
        self._parameters: dict[str, object] = {
            "platform": platform_id,
            "cutoff": cutoff_id,
            "queues": [queue["id"] for queue in frozen.queues],
        }
        self._decisions_sql = self._compose(frozen)
        self._learnt: list[aggregation.Raters] = []
        self._decision_types = {
            "decision_id": pa.int64(),
            "item_id": pa.int64(),
            "external_id": pa.string(),
            "item_version_id": pa.int64(),
            "content_hash": pa.string(),
            "kind_id": pa.int64(),
            "language": pa.string(),
            "text": pa.string(),
            "split_group": pa.string(),
            "verdict": pa.string(),
            **{f"score_{policy['slug']}": pa.float64() for policy in frozen.policies},
            **{f"severity_{policy['slug']}": pa.int8() for policy in frozen.policies},
            "risk_source": pa.string(),
            "lane": pa.string(),
            "decided_lane": pa.string(),
            "inclusion_probability": pa.float64(),
            "draw_id": pa.int64(),
            "strategy": pa.string(),
            "draw_seed": pa.int64(),
            "pool_size": pa.int32(),
            "exposure": pa.float64(),
            "queue_id": pa.int64(),
            "decided_at": pa.timestamp("us", tz="UTC"),
            "decision_kind": pa.string(),
            "review_id": pa.int64(),
        }

    def read(self, after: int, upto: int) -> Raw:
        """The decisions in (after, upto], for `parse`. All the waiting for PostgreSQL is here."""
        return Raw(*(self._copy(sql) for sql, _ in self.statements(after, upto)))

    def statements(self, after: int, upto: int) -> list[tuple[bytes, dict[str, pa.DataType]]]:
        """What `read` asks for, in its order, and the columns that each gives."""
        between = {**self._parameters, "after": after, "upto": upto}
        decisions = self._mogrify(self._decisions_sql, between)
        answers, violated = self._behind(between, which=_OF_PAGE)
        return [
            (decisions, self._decision_types),
            (answers, _ANSWER_TYPES),
            (violated, _VIOLATED_TYPES),
        ]

    def learn_raters(self) -> dict[str, dict]:
        """Learn from the labels that several people answered for how far each is to be believed;
        by policy slug. Until then, and for a snapshot in which nobody was asked twice, no label
        has a posterior. It hangs on the rows up to the cutoff alone."""
        statement = _COMPARED.format(judged_by=_JUDGED_BY, standing=labels.STANDING)
        parameters = {
            **self._parameters,
            "independent": list(INDEPENDENT),
            "most": MOST_COMPARED,
        }
        with self._connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            rows = np.array(sorted(cursor.fetchall()), np.int64).reshape(-1, 2)
        ids, behind = rows[:, 0].copy(), rows[:, 1]
        answers, violated = self._behind({**self._parameters, "ids": ids.tolist()}, which=_OF_THESE)
        found = self._answers(self._copy(answers), ids)
        _, version = self._judged(found, self._violated(self._copy(violated), ids), behind)
        self._learnt = posteriors.learn(
            self._cells(found, version), policies=len(self._policies), raters=len(self._raters.ids)
        )
        return posteriors.as_json(self._learnt, self._slugs.to_pylist(), self._raters.names)

    def _behind(self, parameters: dict[str, object], *, which: str) -> tuple[bytes, bytes]:
        """Answers and violated policies of some decisions."""
        answers = _ANSWERS.format(judged_by=_JUDGED_BY, which=which.format(id="d.id"))
        violated = _VIOLATED.format(which=which.format(id="decision_id"))
        return self._mogrify(answers, parameters), self._mogrify(violated, parameters)

    def parse(self, raw: Raw) -> pa.Table:
        if not raw.decisions:
            return self.schema.empty_table()
        table = copying.as_table(raw.decisions, self._decision_types)
        ids = table["decision_id"].to_numpy()
        answers = self._answers(raw.answers, ids)
        found = {name: table[name] for name in table.column_names}
        found |= self._labels(answers, self._violated(raw.violated, ids), table)
        found["reviews"] = self._reviews(answers, len(ids))
        found["kind"] = self._kinds.take(table["kind_id"].to_numpy())
        found["queue"] = self._queues.take(table["queue_id"].to_numpy())
        groups = table["split_group"].combine_chunks().dictionary_encode()
        buckets = pa.array(labels.buckets_of(groups.dictionary.to_pylist()))
        found["split"] = _SPLITS.take(buckets.take(groups.indices))
        found["weight"] = pc.if_else(
            pc.equal(table["lane"], "random"),
            pc.divide(1.0, table["inclusion_probability"]),
            pa.scalar(None, pa.float64()),
        )
        return pa.table([found[name] for name in self.schema.names], schema=self.schema)

    def _mogrify(self, statement: str, parameters: dict[str, object]) -> bytes:
        with self._connection.cursor() as cursor:
            found: bytes = cursor.mogrify(statement, parameters)
        return found

    def _copy(self, statement: bytes) -> bytes:
        rows = io.BytesIO()
        with self._connection.cursor() as cursor:
            cursor.copy_expert(_PLAN + b"; " + copying.copy_out(statement), rows)
        return rows.getvalue()

    def _compose(self, frozen: labels.Frozen) -> str:
        """Only integers and quoted names are put into the statement's text."""
        scores, severities = [], []
        for n, policy in enumerate(frozen.policies):
            scores.append(f"(d.risks ->> %(slug{n})s)::float8, ")
            severities.append(f"(d.severities ->> %(slug{n})s)::int2, ")
            self._parameters[f"slug{n}"] = policy["slug"]
        texts = []
        for n, kind in enumerate(frozen.kinds):
            fields = []
            for m, name in enumerate(kind["text_fields"]):
                self._parameters[f"field{n}_{m}"] = name
                fields.append(f"NULLIF(v.content ->> %(field{n}_{m})s, '')")
            joined = f"concat_ws(E'\\n\\n', {', '.join(fields)})" if fields else "''"
            texts.append(f"WHEN {int(kind['id'])} THEN {joined}")
        return _DECISIONS.format(
            text=f"CASE i.kind_id {' '.join(texts)} END" if texts else "''",
            scores="".join(scores),
            severities="".join(severities),
            lane=labels.LANE,
            draws=labels.DRAWS,
            probability=labels.PROBABILITY,
            judged_by=_JUDGED_BY,
            standing=labels.STANDING,
            kept=labels.KEPT,
        )

    def _answers(self, rows: bytes, ids: Ints) -> "_Answers":
        """Sorted by decision, review and policy, so that groups lie together."""
        table = copying.as_table(rows, _ANSWER_TYPES)
        row_of, is_known = _places(table["decision_id"].to_numpy(), ids)
        policy, number = self._version(table["policy_version_id"])
        review = table["review_id"].to_numpy()
        order = np.lexsort((policy, review, row_of))
        order = order[is_known[order]]
        return _Answers(
            table=table,
            order=order,
            row=row_of[order],
            review=review[order],
            policy=policy[order],
            number=number[order],
            rater=self._raters.places(table["reviewer_id"].to_numpy())[order],
            is_independent=pc.is_in(table["lane"], _INDEPENDENT).to_numpy()[order],
            violates=pc.fill_null(table["violates"], False).to_numpy()[order],
        )

    def _violated(self, rows: bytes, ids: Ints) -> tuple[Ints, Ints, Ints]:
        table = copying.as_table(rows, _VIOLATED_TYPES)
        row_of, is_known = _places(table["decision_id"].to_numpy(), ids)
        policy, number = self._version(table["policy_version_id"])
        kept = is_known & (policy >= 0)
        return row_of[kept], policy[kept], number[kept]

    def _version(self, column: pa.ChunkedArray) -> tuple[Ints, Ints]:
        """(place of the policy or −1, number) of each policy version id."""
        place, is_known = _places(pc.fill_null(column, -1).to_numpy(), self._versions)
        if not len(self._versions):
            return np.full(len(place), -1), np.full(len(place), -1)
        return (
            np.where(is_known, self._version_policy[place], -1),
            np.where(is_known, self._version_number[place], -1),
        )

    def _labels(
        self, answers: "_Answers", violated: tuple[Ints, Ints, Ints], table: pa.Table
    ) -> dict[str, pa.Array]:
        """The columns of each policy."""
        behind = pc.fill_null(table["review_id"], -1).to_numpy()
        label, version = self._judged(answers, violated, behind)
        settled_by = np.full(table.num_rows, posteriors.SINGLE, np.int8)
        for name, word, code in _SETTLED_BY:
            settled_by[pc.equal(table[name], word).to_numpy()] = code
        cells = self._cells(answers, version)
        found = posteriors.columns(cells, label, settled_by, self._learnt, self._slugs.to_pylist())
        for n, policy in enumerate(self._policies):
            found[f"label_{policy['slug']}"] = pa.array(label[n], mask=label[n] < 0)
            found[f"policy_version_{policy['slug']}"] = pa.array(version[n], mask=version[n] < 0)
        return found

    def _judged(
        self, answers: "_Answers", violated: tuple[Ints, Ints, Ints], behind: Ints
    ) -> tuple[NDArray[np.int8], NDArray[np.int16]]:
        """(policies, rows) of labels and versions, −1 for not judged: what the review behind the
        decision judged, and what the decision found violated."""
        version = np.full((len(self._policies), len(behind)), -1, np.int16)
        label = np.full((len(self._policies), len(behind)), -1, np.int8)
        latest = (answers.policy >= 0) & (answers.review == behind[answers.row])
        version[answers.policy[latest], answers.row[latest]] = answers.number[latest]
        label[answers.policy[latest], answers.row[latest]] = 0
        rows, policies, numbers = violated
        version[policies, rows] = numbers
        label[policies, rows] = 1
        return label, version

    def _cells(self, answers: "_Answers", version: NDArray[np.int16]) -> posteriors.Cells:
        which = answers.is_independent
        return posteriors.cells(
            answers.row[which],
            answers.policy[which],
            answers.number[which],
            answers.rater[which],
            answers.violates[which],
            version=version,
            raters=len(self._raters.ids),
        )

    def _reviews(self, answers: "_Answers", count: int) -> pa.Array:
        """Decisions → reviews → policies found violated, as nested lists."""
        kind = self.schema.field("reviews").type
        is_first = np.ones(len(answers.row), bool)
        is_first[1:] = answers.review[1:] != answers.review[:-1]
        is_first[1:] |= answers.row[1:] != answers.row[:-1]
        firsts = np.flatnonzero(is_first)
        ratings = answers.table.take(answers.order[firsts])
        rating_of = np.cumsum(is_first) - 1
        asked = answers.policy >= 0
        judged = pa.ListArray.from_arrays(
            _offsets(rating_of[asked], len(firsts)),
            self._slugs.take(pa.array(answers.policy[asked])),
        )
        versions = pa.ListArray.from_arrays(
            judged.offsets, pa.array(answers.number[asked], pa.int16())
        )
        hits = answers.violates & asked
        violated = pa.ListArray.from_arrays(
            _offsets(rating_of[hits], len(firsts)),
            self._slugs.take(pa.array(answers.policy[hits])),
        )
        severities = pa.ListArray.from_arrays(
            violated.offsets,
            answers.table["severity"].take(pa.array(answers.order[hits])).combine_chunks(),
        )
        columns = [
            self._raters.take(ratings["reviewer_id"].to_numpy()),
            ratings["verdict"].combine_chunks(),
            violated,
            ratings["seconds"].combine_chunks(),
            ratings["score_shown"].combine_chunks(),
            ratings["lane"].combine_chunks(),
            judged,
            versions,
            severities,
            _spans(ratings["spans"], kind.value_type.field("spans").type),
        ]
        rating = pa.StructArray.from_arrays(columns, fields=list(kind.value_type))
        return pa.ListArray.from_arrays(_offsets(answers.row[firsts], count), rating)


class _Answers(NamedTuple):
    table: pa.Table
    order: Ints  # rows of the table; the arrays below are in this order
    row: Ints  # of the page
    review: Ints
    policy: Ints  # place among the snapshot's, or −1
    number: Ints
    rater: Ints  # place among the raters
    is_independent: NDArray[np.bool_]
    violates: NDArray[np.bool_]


class _Names(NamedTuple):
    """Ids and what they are called."""

    ids: Ints
    names: pa.Array

    @classmethod
    def of(cls, rows: Sequence[dict]) -> "_Names":
        rows = sorted(rows, key=lambda row: row["id"])
        return cls(
            np.array([row["id"] for row in rows], np.int64),
            pa.array([row["slug"] for row in rows], pa.string()),
        )

    def places(self, ids: Ints) -> Ints:
        return np.searchsorted(self.ids, ids)

    def take(self, ids: Ints) -> pa.Array:
        return self.names.take(pa.array(self.places(ids)))


def _spans(column: pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    """JSON as stored → lists of structures; hardly any answer has one."""
    if column.null_count == len(column):
        return pa.repeat(pa.scalar([], kind), len(column))
    return pa.array([json.loads(spans) if spans else [] for spans in column.to_pylist()], kind)


def _places(values: Ints, among: Ints) -> tuple[Ints, NDArray[np.bool_]]:
    """Where each value stands in a sorted array, and whether it does."""
    if not len(among):
        return np.zeros(len(values), np.int64), np.zeros(len(values), bool)
    place = np.searchsorted(among, values).clip(0, len(among) - 1)
    return place, among[place] == values


def _offsets(rows: Ints, count: int) -> pa.Array:
    """Ends of the lists when `rows` (ascending) says which list each element is in."""
    ends = np.cumsum(np.bincount(rows, minlength=count))
    return pa.array(np.concatenate([[0], ends]), pa.int32())
