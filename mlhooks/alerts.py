"""A figure out of its bounds: opened and closed by a look (monitoring.py), acknowledged by a
person, told of on pages, in notifications, as a metric and by a signed webhook.
"""

import json
import logging
from collections.abc import Mapping
from typing import Any

from celery import current_app
from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from reviews import access, audit, notifications, webhooks
from reviews.errors import Conflict, Invalid
from reviews.models import Notification, Person, Platform, Policy, Role

from . import drift
from .models import Alert, AlertBounds, AlertDelivery, Monitoring

logger = logging.getLogger(__name__)

Figure = Alert.Figure
MOST_ATTEMPTS = 8
_RETRY_SECONDS = 30  # after the first failure; twice as long after each further one: an hour in all
_LEASE_SECONDS = 60
_NOTE_LENGTH = 300

_LEASE = """
UPDATE mlhooks_alertdelivery SET attempts = attempts + 1,
  due_at = clock_timestamp() + make_interval(secs => %(lease)s)
WHERE id IN (
  SELECT id FROM mlhooks_alertdelivery
  WHERE delivered_at IS NULL AND parked_at IS NULL AND due_at <= clock_timestamp()
  ORDER BY due_at LIMIT 20 FOR UPDATE SKIP LOCKED
)
RETURNING id
"""
_FAILED = """
UPDATE mlhooks_alertdelivery SET error = %(error)s,
  due_at = clock_timestamp() + make_interval(secs => %(after)s * 2 ^ (attempts - 1)),
  parked_at = CASE WHEN attempts >= %(most)s THEN clock_timestamp() END
WHERE id = %(pk)s AND delivered_at IS NULL
"""


# Opened and closed


@transaction.atomic
def judge(monitoring: Monitoring, values: Mapping[tuple[str, str], float]) -> list[Alert]:
    """In the transaction of the look: open what has gone out, close what is back. A figure that
    could not be worked out changes nothing. Returns what opened or closed."""
    platform = monitoring.platform
    Platform.objects.select_for_update(no_key=True).get(pk=platform.pk)
    policies = {policy.slug: policy for policy in platform.policies.all()}
    standing = {
        (one.policy.slug if one.policy else "", one.figure): one
        for one in open_alerts([platform.pk]).select_related("policy")
    }
    changed = []
    for (slug, name), value in values.items():
        policy = policies.get(slug)
        bound = bounds_of(platform, policy)[name]
        alert = standing.get((slug, name))
        is_out = drift.is_out(value, bound, was_out=alert is not None)
        if alert is not None:
            Alert.objects.filter(pk=alert.pk).update(
                value=value, **({} if is_out else {"closed_at": Now()})
            )
            alert.value = value
            if not is_out:
                changed.append(alert)
                _tell(alert, AlertDelivery.Event.CLOSED)
        elif is_out:
            alert = Alert.objects.create(
                platform=platform,
                policy=policy,
                figure=name,
                bound=bound.opens,
                first_value=value,
                value=value,
                opened_by=monitoring,
            )
            changed.append(alert)
            _tell(alert, AlertDelivery.Event.OPENED)
    return changed


def acknowledge(alert: Alert, *, by: Person, note: str) -> Alert:
    """Somebody has seen it and says what she makes of it. It is open until the figure is back."""
    access.check(by, "alert.acknowledge", alert.platform_id)
    note = " ".join(note.split())
    if not note or len(note) > _NOTE_LENGTH:
        raise Invalid(
            _("Say what you make of it, in at most 300 characters."),
            details={"note": _("A sentence for whoever looks next.")},
        )
    with transaction.atomic():
        taken = Alert.objects.filter(pk=alert.pk, closed_at=None).update(
            acknowledged_by=by, acknowledged_at=Now(), note=note
        )
        if not taken:
            raise Conflict(_("This alert is closed: the figure is back within its bounds."))
        audit.record(
            "alert.acknowledge",
            alert,
            by=by,
            platform=alert.platform_id,
            figure=alert.figure,
            note=note,
        )
    alert.refresh_from_db()
    return alert


def open_alerts(platform_ids: list[int]) -> QuerySet[Alert]:
    return Alert.objects.filter(platform__in=platform_ids, closed_at=None)


# Bounds


def bounds_of(platform: Platform, policy: Policy | None) -> dict[str, drift.Bound]:
    """The usual ones, where none are set."""
    row = AlertBounds.objects.filter(platform=platform, policy=policy).first()
    own = row.bounds if row else {}
    return {
        name: usual._replace(opens=own[name][0], closes=own[name][1]) if name in own else usual
        for name, usual in drift.BOUNDS.items()
    }


def set_bounds(
    platform: Platform,
    policy: Policy | None,
    bounds: Mapping[str, tuple[float, float]],
    *,
    by: Person | None,
) -> AlertBounds:
    """Of a policy's figures, or (None) of the platform's own. What equals the usual is not kept."""
    access.check(by, "alert.edit", platform)
    known = drift.PER_PLATFORM if policy is None else drift.PER_POLICY
    wrong = {}
    for name, (opens, closes) in bounds.items():
        usual = drift.BOUNDS.get(name)
        if usual is None or name not in known:
            wrong[name] = _("There is no such figure.")
        elif not (0 <= opens <= 10 and 0 <= closes <= 10):
            wrong[name] = _("From 0 to 10.")
        elif (opens > closes) if usual.is_least else (closes > opens):
            wrong[name] = _("It would close where it opens: take a closer bound to close at.")
    if wrong:
        raise Invalid(_("Some bounds make no sense."), details=wrong)
    own = {
        name: [opens, closes]
        for name, (opens, closes) in bounds.items()
        if (opens, closes) != drift.BOUNDS[name][:2]
    }
    with transaction.atomic():
        before = AlertBounds.objects.filter(platform=platform, policy=policy).first()
        row, _is_new = AlertBounds.objects.update_or_create(
            platform=platform,
            policy=policy,
            defaults={"bounds": own, "changed_by": by, "changed_at": Now()},
        )
        audit.record(
            "alert.edit",
            policy or platform,
            by=by,
            platform=platform,
            before=before.bounds if before else {},
            after=own,
        )
    row.refresh_from_db()
    return row


# Told of


def deliver_due() -> int:
    """Sweep, and nudged: send what is due. Each is leased before it is sent, so that two at once
    send it once; a receiver who is told twice all the same knows by the id. Returns how many were
    taken."""
    with connection.cursor() as cursor:
        cursor.execute(_LEASE, {"lease": _LEASE_SECONDS})
        pks = [pk for (pk,) in cursor.fetchall()]
    rows = AlertDelivery.objects.select_related("alert__platform", "alert__policy")
    return sum(_deliver(one) for one in rows.filter(pk__in=pks).order_by("pk"))


def payload(alert: Alert, event: str) -> dict[str, Any]:
    """What the webhook says: figures, no content."""
    return {
        "type": f"model_alert.{event}",
        "timestamp": timezone.now().isoformat(),
        "data": {
            "alert": alert.pk,
            "platform": alert.platform.slug,
            "policy": alert.policy.slug if alert.policy else None,
            "figure": alert.figure,
            "value": alert.value,
            "bound": alert.bound,
            "opened_at": alert.opened_at.isoformat(),
            "closed_at": alert.closed_at.isoformat() if alert.closed_at else None,
        },
    }


def _tell(alert: Alert, event: str) -> None:
    """The platform's ML engineers, and its address if it has one."""
    platform = alert.platform
    audit.record(
        f"alert.{'open' if event == AlertDelivery.Event.OPENED else 'close'}",
        alert,
        by=None,
        platform=platform,
        policy=alert.policy.slug if alert.policy else "",
        figure=alert.figure,
        value=round(alert.value, 4),
        bound=alert.bound,
    )
    if event == AlertDelivery.Event.OPENED:
        people = platform.members.filter(groups__name=Role.ML_ENGINEER, is_active=True)
        notifications.tell(
            list(people.values_list("pk", flat=True)),
            Notification.Sort.ALERT,
            by=None,
            platform=platform,
            policy=alert.policy,
            figure=str(alert.figure),
            alert=alert.pk,
        )
    if platform.slug in settings.ALERT_WEBHOOKS:
        AlertDelivery.objects.create(alert=alert, event=event)
        transaction.on_commit(_nudge, robust=True)


def _nudge() -> None:
    current_app.send_task("mlhooks.tasks.deliver_alerts", retry=False)


def _deliver(delivery: AlertDelivery) -> bool:
    alert = delivery.alert
    to = settings.ALERT_WEBHOOKS.get(alert.platform.slug)
    error = ""
    if to is None:
        error = "no_address"
    else:
        try:
            _post(to, delivery)
        except webhooks.NotSent as refused:
            error = refused.code
    if not error:
        AlertDelivery.objects.filter(pk=delivery.pk).update(delivered_at=Now(), error="")
        return True
    logger.warning("Alert %s was not taken: %s", alert.pk, error)
    with connection.cursor() as cursor:
        cursor.execute(
            _FAILED,
            {
                "pk": delivery.pk,
                "error": error[:300],
                "after": _RETRY_SECONDS,
                "most": MOST_ATTEMPTS,
            },
        )
    return False


def _post(to: Mapping[str, Any], delivery: AlertDelivery) -> None:
    body = json.dumps(payload(delivery.alert, delivery.event)).encode()
    webhooks.post(
        to["url"],
        body,
        secret=to["secret"],
        message_id=f"alert-{delivery.alert_id}-{delivery.event}",
        timestamp=int(timezone.now().timestamp()),
        is_inside=bool(to.get("inside")),
    )
