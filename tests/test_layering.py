"""Who may import whom (docs/architecture.md): lower layers only, and torch never in the web."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# From the ground up. A module may import what stands in a lower row, and its own family: the
# modules in one parenthesis share one noun. A module that is not here fails the test: place it.
REVIEWS = [
    [("wording",), ("retelling",)],
    [("encoding",), ("fetching",), ("layouts", "kind_parts"), ("looks",), ("transcripts",)],
    [("charts", "history_charts", "week_charts"), ("forecast",), ("palette",)],
    [("errors",), ("ranking",), ("agreement",), ("measurement",), ("marks",), ("submission",)],
    [("search_terms",)],
    [("sampling",)],
    [
        ("serving", "replay"),
        ("statements",),
        ("lanes",),
        ("expressions", "conditions", "catalogue", "rule_changes"),
        ("shingles",),
    ],
    [("models",)],
    [("signals",), ("bulk",)],
    [("access",), ("audit",), ("draw_pools", "draw_rows"), ("webhooks",)],
    [
        ("parameters",),
        ("revisions",),
        ("refusals",),
        ("attempts",),
        ("wellness", "comfort", "exposures"),
        ("facts",),
        ("blind",),
        ("conversations",),
        ("due_rows",),
        ("history", "presence"),
        ("notifications",),
    ],
    [("search_entries",), ("reading",)],
    [
        ("enforcement",),
        ("routing",),
        ("claims", "leases", "batches", "assignments", "handovers", "shortages", "starts"),
        ("metrics", "desk", "beside", "jobs", "accounts", "evidence"),
        ("clusters", "cluster_members", "cluster_reads"),
        ("tokens",),
        ("media", "media_work"),
        ("feedback",),
        ("notes",),
    ],
    [
        ("intake", "placement", "reports", "reporters", "draws", "learning_draws", "stage"),
        ("gold",),
    ],
    [
        ("decisions", "decision_rows", "answers", "opinions", "rounds", "situations"),
        ("kinds",),
        ("keymap",),
        ("limits",),
        ("questions",),
        ("consultations",),
        ("policies", "policy_texts"),
    ],
    [
        ("idempotency",),
        ("needs",),
        ("routing_versions",),
        ("actions",),
        ("queues", "queue_settings", "reranking"),
        ("erasure",),
        ("known",),
        ("bulk_work",),
        ("cluster_work", "cluster_reach"),
        ("grids",),
        ("search",),
    ],
    [("dry_run",), ("people",), ("relabelling",), ("replays",), ("planning",)],
    [("appeals",), ("quality",)],
    [("tasks",)],
    [("simulation",)],
    [("forms",)],
    [("views",), ("api",), ("demo",)],
    [("urls",), ("admin",), ("apps",), ("management",), ("templatetags",)],
]
MLHOOKS = [
    [
        ("calibration",),
        ("selection",),
        ("aggregation",),
        ("json_lines",),
        ("copying",),
        ("charts",),
        ("lexical",),
        ("pieces",),
        ("curve_svg", "curve_charts"),
        ("gates",),
        ("client",),
        ("rates",),
        ("weights",),
    ],
    [("probability_maps",)],
    [
        ("encoder",),
        ("heads",),
        ("evaluation",),
        ("dataset_card",),
        ("posteriors",),
        ("concordance",),
        ("drift",),
        ("prevalence",),
    ],
    [("training",), ("finetuning",), ("slices",), ("monitor_charts",)],
    [("simulation", "labelled_files")],
    [("models",)],
    [("labels",), ("due",), ("cards",), ("vectors",), ("functional",)],
    [("tallies",), ("shares",)],
    [("patience",), ("registry",), ("snapshots", "snapshot_files", "label_pages", "withdrawals")],
    [("shadows", "shadow_scores"), ("sink",), ("differences",), ("origins",)],
    [("evidence", "evidence_rows", "promotions"), ("rounds",), ("curves",)],
    [
        ("scoring", "strongest"),
        ("neighbours", "similar"),
        ("monitoring", "alerts"),
        ("learning", "tuning"),
        ("new_policies",),
        ("files",),
    ],
    [("predictions",)],
    [("tasks",)],
    [("views",), ("api",), ("receivers",)],
    [("urls",), ("admin",), ("apps",), ("management",), ("templatetags",)],
]
# Each package, and which of the others it may import.
PACKAGES = {
    "trustconsole": {"reviews", "mlhooks"},
    "reviews": set(),
    "mlhooks": {"reviews"},
}
# What may import these at all when it is itself imported; elsewhere, inside functions only.
HEAVY = {
    "torch": {"encoder", "heads", "training", "finetuning"},
    "sentence_transformers": {"encoder", "heads", "training", "finetuning"},
    "transformers": {"encoder", "heads", "training", "finetuning"},
    "PIL": set(),
    "imagehash": set(),
    "av": set(),
    "sklearn": {"encoder", "heads", "training", "calibration", "evaluation", "selection"},
}
PURE = {
    "reviews": {
        "ranking",
        "agreement",
        "charts",
        "history_charts",
        "week_charts",
        "encoding",
        "fetching",
        "webhooks",
        "lanes",
        "layouts",
        "looks",
        "kind_parts",
        "measurement",
        "marks",
        "transcripts",
        "sampling",
        "shingles",
        "submission",
        "search_terms",
        "wording",
        "expressions",
        "catalogue",
        "conditions",
        "rule_changes",
        "replay",
        "serving",
        "forecast",
        "palette",
    },
    "mlhooks": {
        "aggregation",
        "calibration",
        "probability_maps",
        "selection",
        "drift",
        "encoder",
        "heads",
        "evaluation",
        "training",
        "finetuning",
        "pieces",
        "simulation",
        "curve_svg",
        "gates",
        "slices",
        "rates",
        "prevalence",
        "concordance",
        "monitor_charts",
    },
}


def modules(package):
    for path in sorted((ROOT / package).rglob("*.py")):
        if "migrations" not in path.parts:
            yield path


def module_name(path):
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path, *, top_level_only=False):
    """Full dotted names of all that a file imports, relative ones resolved."""
    tree = ast.parse(path.read_text())
    nodes = _at_import_time(tree.body) if top_level_only else ast.walk(tree)
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _at_import_time(body):
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        yield node
        children = [getattr(node, name, []) for name in ("body", "orelse", "finalbody")]
        children += [handler.body for handler in getattr(node, "handlers", [])]
        for child in children:
            yield from _at_import_time(child)


def places(layers):
    """Module → (row, family)."""
    return {
        name: (row, family)
        for row, families in enumerate(layers)
        for family in families
        for name in family
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_only_what_they_may(package):
    wrong = []
    for path in modules(package):
        for name in imports(path):
            target = name.split(".")[0]
            if target in PACKAGES and target != package and target not in PACKAGES[package]:
                wrong.append(f"{module_name(path)} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_nothing_imports_the_tests_or_the_benches():
    wrong = [
        f"{module_name(path)} imports {name}"
        for package in PACKAGES
        for path in modules(package)
        for name in imports(path)
        if name.split(".")[0] in ("tests", "bench")
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("package", "layers"), [("reviews", REVIEWS), ("mlhooks", MLHOOKS)])
def test_a_module_imports_lower_layers_only(package, layers):
    place = places(layers)
    wrong = []
    for path in modules(package):
        name = module_name(path)
        own = name.split(".")[1] if "." in name else None
        if own is None:
            continue
        if own not in place:
            wrong.append(f"{name} has no place: put it into a row of this test")
            continue
        row, family = place[own]
        for target in imports(path):
            parts = target.split(".")
            if parts[0] != package or len(parts) < 2 or parts[1] == own:
                continue
            if parts[1] not in place:
                wrong.append(f"{name} imports {target}, which has no place")
                continue
            target_row, target_family = place[parts[1]]
            if target_row >= row and target_family != family:
                wrong.append(f"{name} imports {target}, which stands no lower")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("package", PURE)
def test_pure_modules_know_no_django(package):
    wrong = [
        f"{module_name(path)} imports {name}"
        for path in modules(package)
        if module_name(path).partition(".")[2] in PURE[package]
        for name in imports(path)
        if name.split(".")[0] in ("django", "celery", "psycopg2", "rest_framework")
    ]
    assert not wrong, "\n".join(wrong)


def test_heavy_libraries_are_imported_where_they_are_needed_only():
    wrong = []
    for package in PACKAGES:
        for path in modules(package):
            stem = module_name(path).split(".")[-1]
            for name in imports(path, top_level_only=True):
                allowed = HEAVY.get(name.split(".")[0])
                if allowed is not None and not (package == "mlhooks" and stem in allowed):
                    wrong.append(f"{module_name(path)} imports {name} when it is imported")
    assert not wrong, "\n".join(wrong)


WEB = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "trustconsole.settings"
from trustconsole.wsgi import application
from django.urls import get_resolver

def load(patterns):
    for pattern in patterns:
        load(getattr(pattern, "url_patterns", []))

load(get_resolver().url_patterns)
heavy = {"torch", "sentence_transformers", "transformers", "sklearn", "scipy", "pyarrow"}
heavy |= {"PIL", "av", "imagehash"}
print(" ".join(sorted(heavy & set(sys.modules))))
"""


def test_the_web_process_never_loads_torch():
    result = subprocess.run(
        [sys.executable, "-c", WEB], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == []
