"""Labels → a calibrated head. Knows no rows and no Django; the same seed gives the same bits.

Each policy gets the best head its labels allow: trained, few-shot, or zero-shot.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from reviews.wording import kept

from . import evaluation, lexical, probability_maps
from .heads import (
    Composite,
    Doubts,
    Encode,
    FewShot,
    Floats,
    Head,
    PolicyText,
    TrainedHead,
    Vectors,
    ZeroShot,
    dense_features,
    tf_idf,
)
from .probability_maps import ProbabilityMap

# torch calls CSR matrices beta; the two products we take of them are tested here to the last bit.
warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")

LEAN = 0.25  # of inverse inclusion probabilities in the loss: 0 ignores them, 1 is the stream's

# Called with (fraction done, what is being done, a history entry or None).
Progress = Callable[[float, str, "dict[str, Any] | None"], None]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Examples:
    """Rows to learn from. `labels` is (n, policies): 1, 0, or NaN for not judged."""

    embeddings: Vectors
    texts: Sequence[str]
    labels: Floats
    weights: Floats  # what each row counts in the loss; all 1 when the sample is fair
    # Inverse inclusion probabilities, for calibration; NaN where nobody knows them. None: weights.
    stream: Floats | None = None

    @property
    def worth(self) -> Floats:
        """What each row stands for in the stream that probabilities are to be true of."""
        return self.weights if self.stream is None else self.stream

    @property
    def counts(self) -> Floats:
        """What each row counts in the loss. A sample that was drawn for what it teaches is not the
        stream: inverse probabilities to a small power lean towards it, without letting a few rows
        that were unlikely to come decide (flattened importance weights, Shimodaira 2000)."""
        if self.stream is None:
            return self.weights
        return self.weights * np.nan_to_num(self.stream, nan=1.0) ** LEAN


@dataclass(frozen=True)
class TrainingConfig:
    """`policies` in the order of the labels' columns; `encode` reads their words."""

    policies: Sequence[PolicyText]
    encode: Encode
    kind: str = "trained"  # or "few-shot"
    trained_from: int = 8  # labels of each class a trained head needs, …
    few_shot_from: int = 2  # … a few-shot one
    strengths: tuple[float, ...] = (0.3, 1.0, 3.0, 10.0)  # C, the inverse of the L2 penalty
    folds: int = 5
    cross_validated_rows: int = 20_000  # at most; the penalty hardly moves with more
    rounds: int = 12  # of STEPS iterations, at most
    fold_steps: int = 20  # L-BFGS iterations a fold and strength
    ratio_power: float = 0.75  # of the log-count ratios: 0 ignores them, 1 is NB-SVM


@dataclass(frozen=True)
class Fitted:
    head: Composite
    history: list[dict[str, Any]]  # {"policy", "epoch", "train_loss", "valid_loss"}
    answered_by: dict[str, str]  # policy → kind of head
    strengths: dict[str, float]  # policy → C chosen
    thresholds: dict[str, float]  # policy → best for macro-F1 on rows no fold had seen


STEPS = 5  # L-BFGS iterations between two looks at the losses
GROUPS = 10  # of labels left out in turn, to see how far class means would move
TOLERANCE = 1e-4  # of the loss between two looks: smaller is converged


def fit(
    config: TrainingConfig,
    train: Examples,
    valid: Examples,
    *,
    seed: int,
    progress: Progress | None = None,
) -> Fitted:
    """Learn every policy from `train`; `valid` is only looked at, for the loss curves."""
    torch.set_num_threads(1)  # sums in one order
    say: Progress = progress or (lambda fraction, step, entry: None)
    say(0.0, kept("Reading the policies"), None)
    slugs = [policy.slug for policy in config.policies]
    prior = ZeroShot.from_policies(config.policies, config.encode)
    kinds = {slug: _kind(config, train.labels[:, n]) for n, slug in enumerate(slugs)}
    history: list[dict[str, Any]] = []
    strengths: dict[str, float] = {}
    thresholds: dict[str, float] = {}
    parts: list[Head] = []

    few = [slug for slug in slugs if kinds[slug] == FewShot.kind]
    if few:
        say(0.02, kept("Averaging few labels"), None)
        columns = [slugs.index(slug) for slug in few]
        head, found = _few_shot(prior.only(few), train, columns, seed)
        thresholds.update(zip(few, found, strict=True))
        parts.append(head)

    learnt = [slug for slug in slugs if kinds[slug] == TrainedHead.kind]
    if learnt:
        say(0.05, kept("Counting words"), None)
        design = _Design.of(train, prior.only(learnt))
        look = _Design.of(valid, prior.only(learnt), like=design)
        weights = []
        for number, slug in enumerate(learnt):
            column = slugs.index(slug)
            start, end = 0.1 + 0.9 * number / len(learnt), 0.1 + 0.9 * (number + 1) / len(learnt)
            rng = np.random.default_rng([seed, number])

            # 1. How much to trust the features: the penalty that predicts unseen folds best.
            say(start, kept("Choosing regularisation for %(policy)s", policy=slug), None)
            task = _Task.of(design, number, train.labels[:, column], train.counts)
            sample, rows = _sample(task, config.cross_validated_rows, rng)
            chosen = _cross_validate(
                config, sample, rng, _Steps(say, slug, start, 0.7 * (end - start))
            )

            # 2. What a logit is worth, by predictions for rows their fold had not seen.
            truth = sample.labels[sample.judged]
            stream = train.worth[rows][sample.judged]
            worth = probability_maps.fit(chosen.unseen, truth, stream=stream, rng=rng)

            # 3. All rows, the chosen penalty, until the loss stands still.
            look_task = _Task.of(look, number, valid.labels[:, column], valid.weights)
            model = _Model(task, task.judged, config.ratio_power)
            loss = model.loss(task)
            for epoch in range(config.rounds):
                model.improve(task, task.judged, chosen.strength)
                before, loss = loss, model.loss(task)
                entry = {
                    "policy": slug,
                    "epoch": epoch + 1,
                    "train_loss": loss,
                    "valid_loss": model.loss(look_task) if look_task.judged.any() else None,
                }
                history.append(entry)
                done = 0.7 + 0.3 * (epoch + 1) / config.rounds
                say(start + done * (end - start), f"Fitting {slug}", entry)
                if abs(before - loss) < TOLERANCE * before:
                    break
            doubts = chosen.doubts(int(sample.judged.sum()) / int(task.judged.sum()))
            weights.append(_Learnt(model, worth.map, doubts))
            strengths[slug] = chosen.strength
            thresholds[slug] = _threshold(worth, chosen.unseen, truth)
        parts.append(_trained_head(prior.only(learnt), design, weights))

    rest = [slug for slug in slugs if kinds[slug] == ZeroShot.kind]
    if rest:
        parts.append(prior.only(rest))
    say(1.0, "Trained", None)
    return Fitted(Composite(parts), history, kinds, strengths, thresholds)


def _kind(config: TrainingConfig, labels: Floats) -> str:
    fewest = min(int((labels == 1).sum()), int((labels == 0).sum()))
    if fewest >= config.trained_from and config.kind == TrainedHead.kind:
        return TrainedHead.kind
    return FewShot.kind if fewest >= config.few_shot_from else ZeroShot.kind


def _threshold(found: probability_maps.Fitted, scores: Floats, truth: Floats) -> float:
    counted = found.weights > 0
    p = found.map.probability(scores[counted])
    return evaluation.best_threshold(truth[counted], p, weights=found.weights[counted])


def _few_shot(
    prior: ZeroShot, train: Examples, columns: list[int], seed: int
) -> tuple[FewShot, list[float]]:
    """Class means, and a map fitted on each label's score with that label left out of its mean."""
    scores = prior.scores(train.embeddings)
    directions, prior_weights, maps, thresholds, doubts = [], [], [], [], []
    for number, column in enumerate(columns):
        rng = np.random.default_rng([seed, column])
        judged = ~np.isnan(train.labels[:, column])
        x = train.embeddings[judged].astype(np.float64)
        y = train.labels[judged, column]
        ones, zeros = x[y == 1], x[y == 0]
        weight = FewShot.PRIOR / min(len(ones), len(zeros))
        without = np.where(
            (y == 1)[:, None],
            (ones.sum(axis=0) - x) / (len(ones) - 1) - zeros.mean(axis=0),
            ones.mean(axis=0) - (zeros.sum(axis=0) - x) / (len(zeros) - 1),
        )
        left_out = (x * without).sum(axis=1) + weight * scores[judged, number]
        found = probability_maps.fit(left_out, y, stream=train.worth[judged], rng=rng)
        directions.append((ones.mean(axis=0) - zeros.mean(axis=0)).astype(np.float32))
        prior_weights.append(weight)
        maps.append(found.map)
        thresholds.append(_threshold(found, left_out, y))
        doubts.append(np.concatenate([_mean_doubts(ones, rng), _mean_doubts(zeros, rng)]))
    return FewShot(prior, np.stack(directions), prior_weights, maps, np.stack(doubts)), thresholds


def _mean_doubts(rows: Floats, rng: np.random.Generator) -> Vectors:
    """(GROUPS, d): jackknife of a mean over groups of rows; the sum of squares is its variance."""
    count = min(GROUPS, len(rows))
    group_of = rng.permutation(len(rows)) % count
    means = np.stack([rows[group_of != group].mean(axis=0) for group in range(count)])
    found = np.zeros((GROUPS, rows.shape[1]), dtype=np.float32)
    found[:count] = np.sqrt((count - 1) / count) * (means - means.mean(axis=0))
    return found


@dataclass(frozen=True)
class _Design:
    """Features of some rows: sparse words (rows × kept buckets) and, a policy, dense columns."""

    centre: Vectors
    idf: Vectors
    kept: NDArray[np.int64]  # buckets that stand in two texts or more
    words: torch.Tensor  # CSR (n, kept)
    by_word: torch.Tensor  # its transpose, CSR
    dense: list[torch.Tensor]  # a policy: (n, d + 2)

    @classmethod
    def of(cls, rows: Examples, prior: ZeroShot, like: "_Design | None" = None) -> "_Design":
        """`like`: of validation rows, in the terms of the training rows' design."""
        counts = lexical.count(rows.texts)
        n = len(counts)
        if like is None:
            texts_with = np.bincount(counts.buckets, minlength=lexical.BUCKETS)
            idf = np.where(texts_with >= 2, np.log((1 + n) / (1 + texts_with)) + 1, 0)
            idf = idf.astype(np.float32)
            centre = rows.embeddings.mean(axis=0).astype(np.float32)
        else:
            idf, centre = like.idf, like.centre
        kept = np.flatnonzero(idf)
        place = np.zeros(lexical.BUCKETS, dtype=np.int64)
        place[kept] = np.arange(len(kept))
        there = idf[counts.buckets] > 0
        row_of, column_of = counts.rows[there], place[counts.buckets[there]]
        values = tf_idf(counts, idf)[there]
        scores = prior.scores(rows.embeddings)
        return cls(
            centre=centre,
            idf=idf,
            kept=kept,
            words=_csr(row_of, column_of, values, (n, len(kept))),
            by_word=_csr(column_of, row_of, values, (len(kept), n)),
            dense=[
                torch.from_numpy(dense_features(rows.embeddings, scores[:, number], centre))
                for number in range(len(prior.policies))
            ],
        )

    def take(self, rows: NDArray[np.int64]) -> "_Design":
        """The same features of some of the rows."""
        start = self.words.crow_indices().numpy().astype(np.int64)
        sizes = np.diff(start)[rows]
        row_of = np.repeat(np.arange(len(rows)), sizes)
        entries = np.repeat(start[:-1][rows] - np.cumsum(sizes) + sizes, sizes)
        entries += np.arange(len(entries))
        column_of = self.words.col_indices().numpy()[entries].astype(np.int64)
        values = self.words.values().numpy()[entries]
        shape = (len(rows), len(self.kept))
        return replace(
            self,
            words=_csr(row_of, column_of, values, shape),
            by_word=_csr(column_of, row_of, values, shape[::-1]),
            dense=[columns[torch.from_numpy(rows)] for columns in self.dense],
        )


def _csr(
    rows: NDArray[np.int64], columns: NDArray[np.int64], values: Vectors, shape: tuple[int, int]
) -> torch.Tensor:
    order = np.argsort(rows, kind="stable")
    start = np.zeros(shape[0] + 1, dtype=np.int64)
    np.cumsum(np.bincount(rows, minlength=shape[0]), out=start[1:])
    return torch.sparse_csr_tensor(
        torch.from_numpy(start.astype(np.int32)),  # half the memory to walk, and MKL's own width
        torch.from_numpy(columns[order].astype(np.int32)),
        torch.from_numpy(values[order]),
        size=shape,
        check_invariants=False,
    )


@dataclass(frozen=True)
class _Task:
    """One policy's labels over a design's rows. Not judged: weight 0."""

    design: _Design
    number: int
    labels: Floats
    weights: Floats
    judged: Mask

    @property
    def dense(self) -> torch.Tensor:
        return self.design.dense[self.number]

    @classmethod
    def of(cls, design: _Design, number: int, labels: Floats, weights: Floats) -> "_Task":
        judged = ~np.isnan(labels)
        weights = np.where(judged, weights, 0.0)
        if judged.any():
            weights = weights / weights[judged].mean()
        return cls(design, number, np.where(judged, labels, 0.0), weights, judged)


def _sample(task: _Task, size: int, rng: np.random.Generator) -> tuple[_Task, NDArray[np.int64]]:
    """At most `size` judged rows of it, drawn evenly; and which of its rows those are."""
    if len(task.labels) <= size:
        return task, np.arange(len(task.labels))
    rows = np.sort(rng.permutation(np.flatnonzero(task.judged))[:size])
    labels, weights = task.labels[rows], task.weights[rows]
    return _Task.of(task.design.take(rows), task.number, labels, weights), rows


class _Model:
    """Weights of one policy while they are learnt: words (times their ratios) and dense columns."""

    def __init__(self, task: _Task, rows: Mask, power: float) -> None:
        """Log-count ratios (Wang & Manning 2012) over `rows`: how much more often in positives."""
        by_word = task.design.by_word
        y = torch.from_numpy((task.weights * task.labels * rows).astype(np.float32))
        other = torch.from_numpy((task.weights * (1 - task.labels) * rows).astype(np.float32))
        ones, zeros = 1 + torch.mv(by_word, y), 1 + torch.mv(by_word, other)
        ratios = torch.log(ones / ones.sum()) - torch.log(zeros / zeros.sum())
        self.ratios = ratios.abs() ** power
        self.theta = torch.zeros(len(ratios) + task.dense.shape[1], requires_grad=True)
        self._optimizers: dict[float, torch.optim.LBFGS] = {}

    def words(self) -> torch.Tensor:
        return self.ratios * self.theta.detach()[: len(self.ratios)]

    def others(self) -> torch.Tensor:
        return self.theta.detach()[len(self.ratios) :]

    def logits(self, task: _Task) -> torch.Tensor:
        return torch.mv(task.design.words, self.words()) + torch.mv(task.dense, self.others())

    def loss(self, task: _Task) -> float:
        """Weighted mean log loss, without the penalty."""
        z = self.logits(task).double().numpy()
        losses = task.weights * (np.logaddexp(0, z) - task.labels * z)
        return float(losses.sum() / task.weights.sum())

    def improve(self, task: _Task, rows: Mask, strength: float, *, steps: int = STEPS) -> None:
        """`steps` L-BFGS iterations on the penalised logistic loss over `rows`."""
        split = len(self.ratios)
        y = torch.from_numpy(task.labels.astype(np.float32))
        weight = torch.from_numpy((task.weights * rows).astype(np.float32))
        penalty = torch.full((len(self.theta),), 1 / strength)
        penalty[-1] *= 1e-3  # the offset is all but free
        if strength not in self._optimizers:
            self._optimizers[strength] = torch.optim.LBFGS(
                [self.theta], max_iter=steps, history_size=10, line_search_fn="strong_wolfe"
            )

        def closure() -> float:
            with torch.no_grad():
                z = self.logits(task)
                residual = weight * (torch.sigmoid(z) - y)
                gradient = penalty * self.theta
                gradient[:split] += self.ratios * torch.mv(task.design.by_word, residual)
                gradient[split:] += torch.mv(task.dense.T, residual)
                self.theta.grad = gradient
                misfit = (weight * (torch.nn.functional.softplus(z) - y * z)).sum()
                return float(misfit + 0.5 * (penalty * self.theta**2).sum())

        self._optimizers[strength].step(closure)  # type: ignore[no-untyped-call]


class _Chosen(NamedTuple):
    strength: float
    unseen: Floats  # logits of the judged rows, each by a model that had not seen it
    words: Vectors  # (folds, kept), and …
    others: Vectors  # … (folds, d + 2): what each fold's model weighed

    def doubts(self, share: float) -> tuple[Vectors, Vectors]:
        """Delete-a-group jackknife, for a model of all rows, of which `share` took part."""
        count = len(self.words)
        scale = np.float32(np.sqrt(share * (count - 1) / count))
        return (
            scale * (self.others - self.others.mean(axis=0)),
            scale * (self.words - self.words.mean(axis=0)),
        )


class _Learnt(NamedTuple):
    model: _Model
    map: ProbabilityMap
    doubts: tuple[Vectors, Vectors]


def _cross_validate(
    config: TrainingConfig, task: _Task, rng: np.random.Generator, say: Callable[[float], None]
) -> _Chosen:
    """The strength with the least log loss on unseen folds. Each fold warms up from the last C."""
    folds = _folds(task, config.folds, rng)
    strengths = sorted(config.strengths)
    unseen = np.zeros((len(strengths), len(task.labels)))
    weighed: dict[tuple[int, int], tuple[Vectors, Vectors]] = {}
    for fold in range(config.folds):
        away = folds == fold
        model = _Model(task, task.judged & ~away, config.ratio_power)
        for number, strength in enumerate(strengths):
            model.improve(task, task.judged & ~away, strength, steps=config.fold_steps)
            unseen[number, away] = model.logits(task).double().numpy()[away]
            weighed[number, fold] = (
                model.words().numpy().copy(),
                model.others().numpy().copy(),
            )
            say((fold * len(strengths) + number + 1) / (config.folds * len(strengths)))
    losses = [float((task.weights * (np.logaddexp(0, z) - task.labels * z)).sum()) for z in unseen]
    best = int(np.argmin(losses))
    words, others = (
        np.stack([weighed[best, fold][part] for fold in range(config.folds)]) for part in (0, 1)
    )
    return _Chosen(strengths[best], unseen[best][task.judged], words, others)


def _folds(task: _Task, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """A fold a row, the classes spread evenly; −1 for rows that are not judged."""
    folds = np.full(len(task.labels), -1, dtype=np.int64)
    for label in (0, 1):
        rows = np.flatnonzero(task.judged & (task.labels == label))
        folds[rng.permutation(rows)] = np.arange(len(rows)) % count
    return folds


def _trained_head(prior: ZeroShot, design: _Design, learnt: Sequence[_Learnt]) -> TrainedHead:
    words = np.zeros((len(learnt), lexical.BUCKETS), dtype=np.float32)
    for number, one in enumerate(learnt):
        words[number, design.kept] = one.model.words().numpy()
    return TrainedHead(
        prior,
        centre=design.centre,
        idf=design.idf,
        dense=np.stack([one.model.others().numpy() for one in learnt]),
        lexical=words,
        maps=[one.map for one in learnt],
        doubts=Doubts(
            dense=np.stack([one.doubts[0] for one in learnt]),
            words=np.stack([one.doubts[1] for one in learnt]).astype(np.float16),
            buckets=design.kept.astype(np.int32),
        ),
    )


class _Steps:
    """A stretch of the whole, told in fractions of its own."""

    def __init__(self, say: Progress, slug: str, start: float, length: float) -> None:
        self._say, self._slug, self._start, self._length = say, slug, start, length

    def __call__(self, done: float) -> None:
        step = kept("Choosing regularisation for %(policy)s", policy=self._slug)
        self._say(self._start + self._length * done, step, None)
