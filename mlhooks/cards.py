"""The model card: what a model version is, what it saw, how far to trust it. Markdown."""

import json
from collections.abc import Sequence
from typing import Any

from reviews.models import PolicyVersion

from .models import ModelVersion

Kind = ModelVersion.Kind

_HOW = {
    Kind.ZERO_SHOT: (
        "It has seen **no labels**. It compares a text with each policy's definition and examples, "
        "and with the policy's counter-examples and a few everyday sentences, in the space of the "
        "encoder. How that nearness becomes a probability was set by hand, for a stream in which "
        "about one text in ten breaks a rule: it is **not calibrated on your data**. Trust the "
        "order more than the number, and replace it once a few hundred items are decided."
    ),
    Kind.FEW_SHOT: (
        "It averages the few labelled texts of each class and leans on the policy's own words the "
        "more, the fewer labels there are. Its probabilities are fitted on those few labels."
    ),
    Kind.TRAINED: (
        "A head over the encoder's vector and the text's own words and letter groups, trained on "
        "the snapshot's training split; regularisation chosen by cross-validation, probabilities "
        "fitted on predictions for rows each fold had not seen. A policy with too few "
        "positive labels is answered from its own words or from its few labels instead: see "
        "“answered by” in the table."
    ),
    Kind.TUNED: (
        "An encoder of its own, tuned on the snapshot's training split, and "
        "a head trained on its vectors and the text's own words as for a trained model."
    ),
}


# Name and type of a metric as Hugging Face lists them, by its name in a report.
_METRICS = {
    "auprc": ("AUPRC", "average_precision"),
    "auroc": ("AUROC", "roc_auc"),
    "ece": ("ECE", "expected_calibration_error"),
}
_OF_EVIDENCE = {
    "frozen": ("AUPRC against the champion, test rows", "average_precision_difference"),
    "stream": ("AUPRC against the champion, random lane", "average_precision_difference"),
    "calibration": ("ECE, weighted to the stream", "expected_calibration_error"),
}


def model_card(
    model_version: ModelVersion,
    policy_versions: Sequence[PolicyVersion],
    evidence: dict[str, Any] | None = None,
) -> str:
    """`policy_versions` with their policies, in the order to show them; `evidence` as
    Evidence.figures has it."""
    parts = [
        _front_matter(model_version, policy_versions, evidence or {}),
        f"# {model_version.platform.name}: {model_version.label}",
        "Gives each text one probability a policy: how likely a reviewer is to find a violation. "
        "It orders a review queue. It is not made to decide anything by itself.",
        "## How it works",
        _HOW[Kind(model_version.kind)],
        "## What it was made from",
        _origin(model_version),
        "## Policies",
        _policies(model_version, policy_versions),
        "## Evaluation",
        _evaluation(_own_figures(model_version), policy_versions),
        "## Limits",
        _limits(model_version),
        "## Files",
        f"`weights.safetensors`, SHA-256 `{model_version.sha256}`; `head.json` repeats its "
        "configuration for people. No pickle: both are data only.",
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(
    model_version: ModelVersion, versions: Sequence[PolicyVersion], evidence: dict[str, Any]
) -> str:
    lines = [
        "---",
        "library_name: trustconsole",
        "pipeline_tag: text-classification",
        f"base_model: {model_version.encoder.partition('@')[0]}",
        "tags:",
        "- content-moderation",
        f"- {model_version.kind}",
    ]
    if model_version.snapshot_id is not None:
        lines += ["datasets:", f"- snapshot-{model_version.snapshot.number}"]
    lines += ["metrics:", "- average_precision", "- roc_auc"]
    return "\n".join([*lines, *_model_index(model_version, versions, evidence), "---"])


def _model_index(
    model_version: ModelVersion, versions: Sequence[PolicyVersion], evidence: dict[str, Any]
) -> list[str]:
    """Figures as the Hub reads them: one result a policy and data set. Strings are JSON, which is
    YAML too."""
    results = []
    for version in versions:
        slug, name = version.policy.slug, version.policy.name
        report = _own_figures(model_version).get(slug) or {}
        snapshot = model_version.snapshot
        data = f"snapshot {snapshot.number}" if snapshot is not None else "test rows"
        results += _result(name, data, data.replace(" ", "-"), "test", _METRICS, report)
        figures = evidence.get("policies", {}).get(slug) or {}
        values = {key: (figures.get(key) or {}).get("value") for key in _OF_EVIDENCE}
        results += _result(name, "evidence", "live-stream", "evidence", _OF_EVIDENCE, values)
    if not results:
        return []
    label = f"{model_version.platform.slug} {model_version.label}"
    return ["model-index:", f"- name: {json.dumps(label)}", "  results:", *results]


def _result(
    policy: str,
    data: str,
    kind: str,
    split: str,
    metrics: dict[str, tuple[str, str]],
    values: dict[str, Any],
) -> list[str]:
    there = [key for key in metrics if isinstance(values.get(key), int | float)]
    if not there:
        return []
    lines = [
        "  - task:",
        "      type: text-classification",
        f"      name: {json.dumps(policy)}",
        "    dataset:",
        f"      name: {json.dumps(data)}",
        f"      type: {json.dumps(kind)}",
        f"      split: {split}",
        "    metrics:",
    ]
    for key in there:
        name, metric = metrics[key]
        lines += [
            f"    - type: {metric}",
            f"      name: {json.dumps(name)}",
            f"      value: {values[key]:.6g}",
        ]
    return lines


def _origin(model_version: ModelVersion) -> str:
    is_tuned = model_version.kind == Kind.TUNED
    how = "its own, in `tuned/`" if is_tuned else "frozen"
    lines = [f"- Encoder: `{model_version.encoder}`, {how}."]
    if model_version.snapshot_id is None:
        lines.append("- Labels: none.")
    else:
        lines.append(f"- Labels: snapshot {model_version.snapshot.number} of this platform.")
    lines.append(f"- Made: {model_version.created_at:%Y-%m-%d %H:%M} UTC.")
    return "\n".join(lines)


def _policies(model_version: ModelVersion, versions: Sequence[PolicyVersion]) -> str:
    rows = ["| policy | version | in short | answered by |", "| --- | --- | --- | --- |"]
    for version in versions:
        found = _own_figures(model_version).get(version.policy.slug) or {}
        answered_by = found.get("answered_by", model_version.kind)
        cells = (version.policy.name, str(version.number), version.summary, answered_by)
        rows.append("| " + " | ".join(map(_cell, cells)) + " |")
    return "\n".join(rows)


def _evaluation(reports: dict[str, Any], versions: Sequence[PolicyVersion]) -> str:
    rows = [
        "| policy | test rows | positive | AUPRC (95 %) | AUROC | recall at precision .9 | ECE |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for version in versions:
        found = reports.get(version.policy.slug) or {}
        if not found.get("n"):
            continue
        interval = found.get("auprc_interval") or []
        spread = f" ({interval[0]:.3f}–{interval[1]:.3f})" if interval else ""
        recall = (found.get("recall_at_precision") or {}).get("0.9")
        cells = (
            version.policy.name,
            str(found["n"]),
            str(found.get("positives", "–")),
            f"{_number(found.get('auprc'))}{spread}",
            _number(found.get("auroc")),
            _number(recall),
            _number(found.get("ece")),
        )
        rows.append("| " + " | ".join(map(_cell, cells)) + " |")
    if len(rows) == 2:
        return "It has not been evaluated: there were no labels to hold it against."
    return (
        "On the snapshot's test split, which training never saw. Items of one author, and exact "
        "duplicates, are all in one split.\n\n" + "\n".join(rows)
    )


def _limits(model_version: ModelVersion) -> str:
    lines = [
        "- It reads the beginning of a text only (the encoder's 256 tokens, unless set otherwise).",
        "- The default encoder learnt from English. In other languages, expect little.",
        "- It sees text: no images, links' targets, or what the author did before.",
    ]
    if model_version.kind == Kind.ZERO_SHOT:
        lines.append(
            "- It has never seen an item of this platform, nor any reviewer's decision; only the "
            "encoder's own training data (public sentence pairs) and the policies' texts."
        )
    else:
        lines.append(
            "- Its labels are this platform's decisions: what reviewers get wrong together, it "
            "learns. Most test rows are ones that risk ranking put in front of them: not a fair "
            "sample of the platform, so expect lower precision on what nobody reported."
        )
    return "\n".join(lines)


def _own_figures(model_version: ModelVersion) -> dict[str, Any]:
    """Its reports by policy slug; the champion's, on the same rows, stand beside them."""
    found: dict[str, Any] = model_version.evaluation.get("candidate") or {}
    return found


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _cell(text: str) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")
