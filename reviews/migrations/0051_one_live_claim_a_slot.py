"""Two live claims a reviewer came of its having two slots; since pages of a grid have more, the name
said what is not so. The index stays as it is, and nothing waits for this."""

from django.db import migrations, models
from django.db.models import Q

_OLD, _NEW = "two_live_claims_a_reviewer", "one_live_claim_a_slot"


def _constraint(name: str) -> models.UniqueConstraint:
    return models.UniqueConstraint(
        fields=["claimed_by", "claim_slot"], condition=Q(state="claimed"), name=name
    )


class Migration(migrations.Migration):
    dependencies = [("reviews", "0050_consultation_is_for_anybody")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    f"ALTER INDEX {_OLD} RENAME TO {_NEW}",
                    f"ALTER INDEX {_NEW} RENAME TO {_OLD}",
                ),
            ],
            state_operations=[
                migrations.RemoveConstraint("job", _OLD),
                migrations.AddConstraint("job", _constraint(_NEW)),
            ],
        )
    ]
