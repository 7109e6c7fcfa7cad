"""Drop indexes that another one begins with: each answer paid for them, a finding three times.

By hand, since AlterField would drop the foreign key too and check every row to put it back.
"""

from django.conf import settings
from django.db import migrations, models
from django.db.models import PROTECT

# (model, field, to, related name, more), and the index that Django made for it.
_FIELDS = [
    (
        *("auditentry", "actor", settings.AUTH_USER_MODEL, "deeds", {"null": True}),
        "reviews_auditentry_actor_id_d5852f9f",
    ),
    (
        *("decision", "decided_by", settings.AUTH_USER_MODEL, "decisions", {}),
        "reviews_decision_decided_by_id_9c43db88",
    ),
    (
        *("decision", "item", "reviews.item", "decisions", {}),
        "reviews_decision_item_id_8fc96d5d",
    ),
    (
        *("enforcement", "decision", "reviews.decision", "enforcements", {}),
        "reviews_enforcement_decision_id_887d770c",
    ),
    (
        *("finding", "review", "reviews.review", "findings", {}),
        "reviews_finding_review_id_04911644",
    ),
    (
        *("review", "item", "reviews.item", "reviews", {}),
        "reviews_review_item_id_e7dbb70b",
    ),
    (
        *("review", "reviewer", settings.AUTH_USER_MODEL, "reviews", {}),
        "reviews_review_reviewer_id_29fc8a19",
    ),
]


def _drop(model, field, to, related_name, more, index):
    column = f"{field}_id"
    return migrations.SeparateDatabaseAndState(
        database_operations=[
            migrations.RunSQL(
                f"DROP INDEX CONCURRENTLY IF EXISTS {index}",
                f"CREATE INDEX CONCURRENTLY {index} ON reviews_{model} ({column})",
            )
        ],
        state_operations=[
            migrations.AlterField(
                model_name=model,
                name=field,
                field=models.ForeignKey(
                    db_index=False, on_delete=PROTECT, related_name=related_name, to=to, **more
                ),
            )
        ],
    )


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("reviews", "0020_finding_by_version")]

    operations = [_drop(*row) for row in _FIELDS]
