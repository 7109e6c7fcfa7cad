"""A snapshot's papers, from its manifest alone: dataset card (README.md) and Croissant JSON-LD.

No clock and no database here: the same manifest gives the same bytes.
"""

import json
import re

SPLITS = ("train", "valid", "test")
_HF_SPLIT = {"train": "train", "valid": "validation", "test": "test"}
_SIZES = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")]


def dataset_card(manifest: dict) -> str:
    """Markdown with the front matter the Hugging Face hub reads."""
    name = f"{manifest['platform']['name']}, snapshot {manifest['number']}"
    rows = manifest["rows"]
    size = next((label for below, label in _SIZES if rows < below), "n>1M")
    languages = sorted({tag.split("-")[0] for tag in manifest["counts"]["language"] if tag})
    lines = ["---", f"pretty_name: {json.dumps(name, ensure_ascii=False)}", "license: other"]
    lines += ["language:", *(f"- {tag}" for tag in languages if re.fullmatch(r"[a-z]{2,3}", tag))]
    if lines[-1] == "language:":
        lines.pop()
    lines += ["task_categories:", "- text-classification", "size_categories:", f"- {size}"]
    lines += ["configs:", "- config_name: default", "  data_files:"]
    for split in SPLITS:
        lines += [f"  - split: {_HF_SPLIT[split]}", f"    path: data-{split}.parquet"]
    lines += ["---", "", f"# {name}", ""]
    lines += _what_it_is(manifest)
    lines += _counts(manifest)
    lines += _sampling(manifest)
    lines += _aggregation(manifest)
    lines += _columns(manifest)
    lines += _care()
    return "\n".join(lines) + "\n"


def _what_it_is(manifest: dict) -> list[str]:
    cutoff = manifest["cutoff"]
    note = [f"> {manifest['note']}", ""] if manifest["note"] else []
    return [
        *note,
        f"Human decisions about items of {manifest['platform']['name']}, frozen at decision "
        f"{cutoff['decision_id']} ({cutoff['at']}). One row per decided item version: the text as "
        "it was judged, the standing decision, a label per policy, who judged (by pseudonym) and "
        "what the model said at that moment. A decision that was undone or overridden by the "
        "cutoff is not here; the one that replaced it is.",
        "",
        "`data-train.parquet`, `data-valid.parquet` and `data-test.parquet` hold the rows by "
        "split; `data.jsonl` holds all of them in one file, in order of decision. "
        "`manifest.json` lists every file with its SHA-256.",
        "",
    ]


def _counts(manifest: dict) -> list[str]:
    lines = ["## How many", "", "| | train | valid | test |", "|---|---:|---:|---:|"]
    splits = manifest["counts"]["split"]
    lines.append("| rows | " + " | ".join(f"{splits[split]:,}" for split in SPLITS) + " |")
    for policy in manifest["policies"]:
        labels = manifest["counts"]["labels"][policy["slug"]]
        for word in ("violating", "clean"):
            cells = " | ".join(f"{labels[split][word]:,}" for split in SPLITS)
            lines.append(f"| {policy['name']}: {word} | {cells} |")
    lines += ["", "What is not counted as violating or clean was *not judged* and is null.", ""]
    lines += ["| lane | rows |", "|---|---:|"]
    lines += [f"| {lane} | {rows:,} |" for lane, rows in manifest["counts"]["lane"].items()]
    return [*lines, ""]


def _sampling(manifest: dict) -> list[str]:
    return [
        "## How it was sampled, and how to weight it",
        "",
        "**These rows are not a random sample of the platform.** Most come from the risk lane: "
        "items somebody reported or the model thought risky, worked from the top. Rates counted "
        "over all rows overstate how common violations are.",
        "",
        "- `lane = random` marks items drawn by Poisson sampling: each item was taken "
        "independently with the probability in `inclusion_probability`. `weight` is its inverse. "
        "For prevalence, precision, recall or calibration on the natural stream use these rows "
        "only, weighted: prevalence ≈ Σ weight·label / Σ weight.",
        "- `lane = learning` was drawn with a known probability too, but from the jobs that still "
        "waited when a model scored them: `inclusion_probability` weights those back, not the "
        "platform, so `weight` is null there.",
        "- The risk lane has no known probability, so `weight` is null there. Do not fill it with "
        "1 and call the result an estimate.",
        "- Only items that were submitted for review can be drawn at all. What nobody sent is not "
        "represented.",
        "- A second opinion keeps the lane and probability its item was first drawn with; "
        "`decided_lane` says which lane settled it. Items not decided by the cutoff are missing.",
        "",
        "The split is fixed by `split_group` (author and near duplicates): SHA-256 of the group, "
        "70 / 10 / 20. It never changes, so a later snapshot's test rows were never an earlier "
        "one's training rows.",
        "",
        "`draw_id`, `strategy`, `draw_seed` and `pool_size` name the drawing; `exposure` is how "
        "often the item was seen an hour when it was decided: Σ weight·exposure·label / Σ "
        "weight·exposure is prevalence by views.",
        "",
    ]


def _aggregation(manifest: dict) -> list[str]:
    """How answers became labels, and what is known of who gave them."""
    from .aggregation import STRENGTH  # NumPy, which the web process does without

    lines = [
        "## How answers became labels",
        "",
        "`label_…` is the standing decision. `aggregator_…` says how it came about: `single` (one "
        "answer: treat it as noisy), `dawid-skene` (several independent answers agreed by more "
        "than half), `adjudicated`, `appeal` or `override` (somebody settled it, knowing the "
        "others). `answers_…` and `yes_…` count the people who answered independently by the "
        "same version of the policy's text, the newest answer of each.",
        "",
        "`posterior_…` is the chance that the item violates, given those answers: Dawid and "
        "Skene's model of raters, each with a sensitivity and a specificity of her own, learnt "
        "from the newest 20,000 labels up to the cutoff that several people answered for, and "
        f"shrunk to all raters' as by {STRENGTH:.0f} answers. It is null for a single answer, 1 or "
        "0 where somebody settled it. `raters.json` has every rater's figures, by pseudonym.",
        "",
        "| | labels compared | sensitivity | specificity |",
        "|---|---:|---:|---:|",
    ]
    for policy in manifest["policies"]:
        of = manifest["aggregation"][policy["slug"]]
        figures = f"{of['sensitivity']:.2f} | {of['specificity']:.2f}" if of["items"] else "– | –"
        lines.append(f"| {policy['name']} | {of['items']:,} | {figures} |")
    return [*lines, ""]


def _columns(manifest: dict) -> list[str]:
    lines = ["## Columns", "", "| column | type | |", "|---|---|---|"]
    lines += [
        f"| `{column['name']}` | {column['type']} | {column['description']} |"
        for column in manifest["schema"]
    ]
    return [*lines, ""]


def _care() -> list[str]:
    return [
        "## Handle with care",
        "",
        "The texts are real, and many are abusive, fraudulent or private. Keep the files where "
        "the platform's own rules for personal data hold. Raters are pseudonymous, not anonymous. "
        "The labels follow this platform's policies, version by version; they are not universal "
        "truths. Not meant for judging people, nor for training on anything but moderation.",
        "",
        "## Load it",
        "",
        "```python",
        "import pandas as pd",
        "",
        'train = pd.read_parquet("data-train.parquet")',
        "```",
    ]


_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_CROISSANT_TYPES = {
    "int64": "sc:Integer",
    "int16": "sc:Integer",
    "int8": "sc:Integer",
    "double": "sc:Float",
    "string": "sc:Text",
    "timestamp[us, tz=UTC]": "sc:DateTime",
}


# What Croissant's own library reads, where that is not the registered media type.
_ENCODINGS = {
    "application/vnd.apache.parquet": "application/x-parquet",
    "application/jsonl": "application/jsonlines",
}


def croissant(manifest: dict, *, files: list[dict]) -> str:
    """Croissant 1.0. `files` are the manifest's entries for the data files.

    The nested `reviews` column is left to the dataset card: Croissant has no good word for a
    list of structures in a Parquet column.
    """
    record_sets = []
    for split in SPLITS:
        source = f"data-{split}.parquet"
        record_sets.append(
            {
                "@type": "cr:RecordSet",
                "@id": split,
                "name": split,
                "description": f"Rows of the {split} split.",
                "key": {"@id": f"{split}/decision_id"},
                "field": [
                    {
                        "@type": "cr:Field",
                        "@id": f"{split}/{column['name']}",
                        "name": column["name"],
                        "description": column["description"],
                        "dataType": _CROISSANT_TYPES[column["type"]],
                        "source": {
                            "fileObject": {"@id": source},
                            "extract": {"column": column["name"]},
                        },
                    }
                    for column in manifest["schema"]
                    if column["type"] in _CROISSANT_TYPES
                ],
            }
        )
    document = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": f"{manifest['platform']['slug']}-labels",
        "description": (
            f"Human moderation decisions of {manifest['platform']['name']} up to decision "
            f"{manifest['cutoff']['decision_id']}, with a label per policy. See README.md for how "
            "it was sampled."
        ),
        "version": f"{manifest['number']}.0.0",
        "datePublished": manifest["cutoff"]["at"][:10],
        "license": "Internal: not for distribution without the platform's consent.",
        "citeAs": f"{manifest['platform']['name']}, label snapshot {manifest['number']}.",
        "isLiveDataset": False,
        "rai:dataBiases": (
            "Most rows were selected by risk. Only lane = random has inclusion probabilities that "
            "weight rows back to all that was submitted."
        ),
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": entry["name"],
                "name": entry["name"],
                "contentUrl": entry["name"],
                "contentSize": f"{entry['bytes']} B",
                "encodingFormat": _ENCODINGS.get(entry["content_type"], entry["content_type"]),
                "sha256": entry["sha256"],
            }
            for entry in files
        ],
        "recordSet": record_sets,
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
