"""Ask a model version about texts: text in, a probability a policy out, with an interval; and, of a
few texts, what in them moved it.

The web process holds no model, so a worker answers. The row is the work, the task a nudge, a sweep
begins it again; a day later texts and answers are gone, those asked on a page when they were read.
"""

import logging
from collections.abc import Sequence
from datetime import timedelta

from celery import current_app
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext as _
from kombu.exceptions import OperationalError as BrokerError

from reviews import access, attempts
from reviews.errors import Conflict, Invalid
from reviews.models import Person

from . import registry, strongest
from .models import ModelVersion, Prediction

logger = logging.getLogger(__name__)

State = Prediction.State
MOST_TEXTS = 64
MOST_CHARACTERS = 20_000
MOST_WITH_SPANS = 8  # texts: each is read again without each of its pieces
MOST_OPEN = 20  # a platform: they share the workers that score what comes in
KEPT = timedelta(days=1)
KEPT_BRIEFLY = timedelta(minutes=10)


def ask(
    model_version: ModelVersion,
    texts: Sequence[str],
    *,
    by: Person | None,
    with_spans: bool = False,
    is_brief: bool = False,
) -> Prediction:
    """Have a worker answer. Invalid for no texts, too many or too long ones; Conflict while as many
    as may be are waiting. `is_brief`: for take(), and gone after it."""
    platform = model_version.platform
    access.check(by, "model.predict", platform)
    if not 0 < len(texts) <= MOST_TEXTS:
        words = _("From 1 to %(most)s texts.") % {"most": MOST_TEXTS}
        raise Invalid(words, details={"texts": [words]})
    if with_spans and len(texts) > MOST_WITH_SPANS:
        words = _("With spans, at most %(most)s texts.") % {"most": MOST_WITH_SPANS}
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
            with_spans=with_spans,
            is_brief=is_brief,
            created_by=by,
        )
        transaction.on_commit(lambda: nudge(prediction.pk), robust=True)
    prediction.refresh_from_db()
    return prediction


def answer(prediction_id: int) -> bool:
    """Work it out, unless that is done or another worker is at it."""
    rows = Prediction.objects.select_related("model_version__platform")
    attempt = attempts.begin(rows, prediction_id, running=State.RUNNING)
    if attempt is None:
        return False
    with attempt.failing_as(""):
        texts = attempt.row.texts
        asked = registry.make_ready(attempt.row.model_version)
        spans = []
        if attempt.row.with_spans:
            spans = [strongest.find({"text": text}, asked.probabilities) for text in texts]
        attempt.write(
            state=State.READY,
            answers=[
                {slug: one._asdict() for slug, one in text.items()} for text in asked.answers(texts)
            ],
            spans=[[[one.policy, *one[2:]] for one in found] for found in spans],
            finished_at=Now(),
        )
    return True


def get_asked(person: Person, pk: int) -> Prediction:
    """What she asked on a page, and has not read yet."""
    rows = Prediction.objects.select_related("model_version__platform")
    rows = rows.filter(is_brief=True, created_by=person)
    return access.get(person, "model.predict", rows, "platform", pk=pk)


def forget(prediction: Prediction) -> None:
    """Its text and answer; a worker that is still at it writes nothing."""
    Prediction.objects.filter(pk=prediction.pk).delete()


def nudge(prediction_id: int) -> None:
    try:
        current_app.send_task(
            "mlhooks.tasks.score_texts", args=[prediction_id], expires=60, retry=False
        )
    except (BrokerError, OSError) as error:
        logger.warning("No broker to nudge (%s); the sweep will see to it.", error)


def sweep() -> int:
    """Begin again what waits or fell silent; forget what has been kept long enough. Returns how
    many were begun."""
    pks = attempts.resume(Prediction.objects.all(), running=State.RUNNING, verb="")
    for pk in pks:
        nudge(pk)
    Prediction.objects.filter(
        Q(created_at__lt=Now() - KEPT) | Q(is_brief=True, created_at__lt=Now() - KEPT_BRIEFLY)
    ).delete()
    return len(pks)
