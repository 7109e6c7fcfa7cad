"""Any order of submitting, moving, claiming, prefetching, assigning, answering, expiring, undoing,
overriding, cancelling and erasing keeps the books. What is done and what must hold: lifecycle.py.

30 runs of 25 steps here. `python bench/lifecycle.py` has 1,000 of 50, and says by the environment
how many, from which seed, and where to leave what was done.
"""

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from .lifecycle import Lifecycle, World

SEED = os.environ.get("LIFECYCLE_SEED")


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("slow_claims_keep_starts")
def test_no_order_of_events_breaks_the_books():
    Lifecycle.world = World()
    Lifecycle.done.clear()
    run_state_machine_as_test(
        seed(int(SEED))(Lifecycle) if SEED else Lifecycle,
        settings=settings(
            max_examples=int(os.environ.get("LIFECYCLE_RUNS", 30)),
            stateful_step_count=int(os.environ.get("LIFECYCLE_STEPS", 25)),
            deadline=None,
            derandomize=not SEED,
            suppress_health_check=list(HealthCheck),
        ),
    )
    if SEED:
        Path(os.environ["LIFECYCLE_REPORT"]).write_text(json.dumps(Lifecycle.done))
