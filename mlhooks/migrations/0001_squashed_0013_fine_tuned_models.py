"""All tables at once, for a new database; one that has the 13 steps counts as having taken this.

The steps stay for databases that are somewhere between. tests/test_squashed.py compares both ways.
"""

from django.conf import settings
from django.db import migrations
from pgvector.django import VectorExtension

from reviews.migrations.squashed.tables import CreateModels

from .squashed import database, judging, learning, scoring, training


class Migration(migrations.Migration):
    initial = True

    replaces = [
        ("mlhooks", "0001_initial"),
        ("mlhooks", "0002_snapshot_heartbeat"),
        ("mlhooks", "0003_due_scores_are_hot"),
        ("mlhooks", "0004_neighbours"),
        ("mlhooks", "0005_due_neighbours_are_hot"),
        ("mlhooks", "0006_strong_spans"),
        ("mlhooks", "0007_why_no_strong_spans"),
        ("mlhooks", "0008_evidence_and_gates"),
        ("mlhooks", "0009_snapshot_withdrawals"),
        ("mlhooks", "0010_shadows_and_alerts"),
        ("mlhooks", "0011_learning_rounds"),
        ("mlhooks", "0012_predictions"),
        ("mlhooks", "0013_fine_tuned_models"),
    ]

    dependencies = [
        ("reviews", "0001_squashed_0061_known_items"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        VectorExtension(),
        CreateModels(
            *training.TABLES,
            *scoring.TABLES,
            *judging.TABLES,
            *learning.TABLES,
        ),
        *database.RULES,
    ]
