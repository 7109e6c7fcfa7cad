"""A call with an Idempotency-Key is done once; whoever sends it again gets the same answer."""

from collections.abc import Callable
from typing import NamedTuple

from django.db import connection, transaction
from django.utils.translation import gettext as _

from .errors import Conflict, Invalid
from .models import PastCall, Person
from .placement import again_on_deadlock

KEPT_HOURS = 24

# Waits for whoever is at the same key right now, and then finds his row.
_TAKE = """
INSERT INTO reviews_pastcall (person_id, key, digest, body) VALUES (%s, %s, %s, '')
ON CONFLICT (person_id, key) DO NOTHING RETURNING id
"""
_FORGET = """
DELETE FROM reviews_pastcall WHERE id IN (
  SELECT id FROM reviews_pastcall
  WHERE created_at < clock_timestamp() - make_interval(hours => %s)
  ORDER BY created_at LIMIT 100 FOR UPDATE SKIP LOCKED
)
"""


class Answer(NamedTuple):
    status: int
    body: str
    is_replay: bool = False


def once(person: Person, key: str, *, digest: str, work: Callable[[], Answer]) -> Answer:
    """Do `work`, unless it was done under this key: then its answer of that time.

    `digest` is over the whole call: a key used for another call is a Conflict. What raises has
    not been done, and leaves the key free. Keys are forgotten after KEPT_HOURS.
    """
    if not 0 < len(key) <= 200 or not key.isprintable():
        raise Invalid(_("An Idempotency-Key has 1 to 200 printable characters."))
    return again_on_deadlock(lambda: _once(person, key, digest, work))


def _once(person: Person, key: str, digest: str, work: Callable[[], Answer]) -> Answer:
    with connection.cursor() as cursor:
        cursor.execute(_FORGET, [KEPT_HOURS])
        cursor.execute(_TAKE, [person.pk, key, digest])
        taken = cursor.fetchone()
    if taken is None:
        past = PastCall.objects.filter(person=person, key=key).first()
        if past is None:
            raise Conflict(_("This call was just forgotten. Send it again."))
        if past.digest != digest:
            raise Conflict(_("This Idempotency-Key was used for another call."))
        return Answer(past.status, past.body, is_replay=True)
    with transaction.atomic():
        answer = work()
    PastCall.objects.filter(pk=taken[0]).update(status=answer.status, body=answer.body)
    return answer
