"""The two things reviews announces. mlhooks listens; reviews never looks who does."""

from django.dispatch import Signal

# Sent inside the transaction. version_ids: list[int] of item versions that are new.
item_submitted = Signal()
# Sent inside the transaction. decision: Decision.
decision_recorded = Signal()
