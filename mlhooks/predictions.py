"""Ask a model version about texts: text in, a probability a policy out, with an interval.

The web process holds no model, so a worker answers. The row is the work, the task a nudge, a sweep
begins it again; a day later texts and answers are gone.
"""

import logging
from collections.abc import Sequence
from datetime import timedelta

from celery import current_app
from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _
from kombu.exceptions import OperationalError as BrokerError

from reviews import access, attempts
from reviews.errors import Conflict, DomainError, Invalid
from reviews.models import Person

from . import registry
from .models import ModelVersion, Prediction

logger = logging.getLogger(__name__)

State = Prediction.State
MOST_TEXTS = 64
MOST_CHARACTERS = 20_000
MOST_OPEN = 20  # a platform: they share the workers that score what comes in
KEPT = timedelta(days=1)


def ask(model_version: ModelVersion, texts: Sequence[str], *, by: Person | None) -> Prediction:
    """Have a worker answer. Invalid for no texts, too many or too long ones; Conflict while as many
    as may be are waiting."""
    platform = model_version.platform
    access.check(by, "model.predict", platform)
    if not 0 < len(texts) <= MOST_TEXTS:
        words = _("From 1 to %(most)s texts.") % {"most": MOST_TEXTS}
        raise Invalid(words, details={"texts": [words]})
    if any(len(text) > MOST_CHARACTERS for text in texts):
        words = _("At most %(most)s characters a text.") % {"most": MOST_CHARACTERS}
        raise Invalid(words, details={"texts": [words]})
    waiting = Prediction.objects.filter(
        platform=platform, state__in=[State.WAITING, State.RUNNING]
    ).count()
    if waiting >= MOST_OPEN:
        raise Conflict(_("Enough texts wait for an answer already. Try again in a minute."))
    with transaction.atomic():
        # PostgreSQL keeps no NUL in JSON.
        prediction = Prediction.objects.create(
            platform=platform,
            model_version=model_version,
            texts=[text.replace("\0", "\ufffd") for text in texts],
            created_by=by,
        )
        transaction.on_commit(lambda: nudge(prediction.pk), robust=True)
    prediction.refresh_from_db()
    return prediction


def answer(prediction_id: int) -> bool:
    """Work it out, unless that is done or another worker is at it."""
    from .encoder import EncoderRefused

    rows = Prediction.objects.select_related("model_version__platform")
    attempt = attempts.begin(rows, prediction_id, running=State.RUNNING)
    if attempt is None:
        return False
    with attempt.failing_as("", refusals=(DomainError, EncoderRefused)):
        found = registry.predict(attempt.row.model_version, attempt.row.texts)
        attempt.write(
            state=State.READY,
            answers=[{slug: one._asdict() for slug, one in text.items()} for text in found],
            finished_at=Now(),
        )
    return True


def nudge(prediction_id: int) -> None:
    try:
        current_app.send_task(
            "mlhooks.tasks.score_texts", args=[prediction_id], expires=60, retry=False
        )
    except (BrokerError, OSError) as error:
        logger.warning("No broker to nudge (%s); the sweep will see to it.", error)


def sweep() -> int:
    """Begin again what waits or fell silent; forget what is a day old. Returns how many."""
    pks = attempts.resume(Prediction.objects.all(), running=State.RUNNING, verb="")
    for pk in pks:
        nudge(pk)
    Prediction.objects.filter(created_at__lt=Now() - KEPT).delete()
    return len(pks)
