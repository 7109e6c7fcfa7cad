"""make_x(**kw): boring defaults, rows made straight away. Build through services when the
state matters (reviewed, decided, enforced)."""

import itertools
from datetime import timedelta

from django.utils import timezone

from reviews.models import (
    Account,
    Action,
    Draw,
    Item,
    ItemKind,
    ItemVersion,
    Job,
    Lane,
    Person,
    Platform,
    Policy,
    PolicyVersion,
    Queue,
    RoutingVersion,
    Severity,
    content_hash,
)

_numbers = itertools.count(1)


def make_platform(**kw) -> Platform:
    n = next(_numbers)
    return Platform.objects.create(**{"slug": f"platform-{n}", "name": f"Platform {n}", **kw})


def make_kind(**kw) -> ItemKind:
    kw.setdefault("platform", None)
    kw["platform"] = kw["platform"] or make_platform()
    fields = [
        {
            "name": "subject",
            "label": "Subject",
            "type": "string",
            "role": "title",
            "required": False,
        },
        {"name": "body", "label": "Body", "type": "text", "role": "text", "required": True},
    ]
    return ItemKind.objects.create(
        **{"slug": f"message-{next(_numbers)}", "name": "Message", "fields": fields, **kw}
    )


def make_policy(*, severity_weight=4.0, **kw) -> Policy:
    """A policy with one version in force, reachable as `.version`."""
    n = next(_numbers)
    kw.setdefault("platform", None)
    kw["platform"] = kw["platform"] or make_platform()
    policy = Policy.objects.create(**{"slug": f"policy-{n}", "name": f"Policy {n}", **kw})
    policy.version = PolicyVersion.objects.create(
        policy=policy,
        number=1,
        summary="What it forbids, in a line.",
        definition="What it forbids.",
        examples=["buy now"],
        counter_examples=["see you at lunch"],
        severity=Severity.MEDIUM,
        severity_weight=severity_weight,
        effective_at=timezone.now() - timedelta(days=1),
    )
    return policy


def make_action(**kw) -> Action:
    n = next(_numbers)
    kw.setdefault("platform", None)
    kw["platform"] = kw["platform"] or make_platform()
    return Action.objects.create(**{"slug": f"action-{n}", "name": "Remove", **kw})


def make_queue(*, policies=None, actions=(), members=(), **kw) -> Queue:
    n = next(_numbers)
    kw.setdefault("platform", None)
    kw["platform"] = kw["platform"] or make_platform()
    queue = Queue.objects.create(
        **{"slug": f"queue-{n}", "name": f"Queue {n}", "random_rate": 0, **kw}
    )
    if policies is None:
        policies = [make_policy(platform=queue.platform)]
    queue.policies.set(policies)
    queue.actions.set(actions)
    queue.members.set(members)
    for person in members:
        queue.platform.members.add(person)
    return queue


def make_rules(platform: Platform, *rules: dict, **kw) -> RoutingVersion:
    """Rules in force, unchecked: {"condition": tree or text, "queue": slug, "name"?, "is_active"?}.

    What was in force before is retired.
    """
    before = platform.routing_versions.all()
    if kw.get("state", "published") == "published":
        before.filter(state="published").update(state="retired")
    made = []
    for number, rule in enumerate(rules, start=1):
        condition = rule["condition"]
        if isinstance(condition, str):
            condition = {"all": [{"expression": condition}]}
        made.append({"name": f"Rule {number}", "is_active": True, **rule, "condition": condition})
    return RoutingVersion.objects.create(
        **{
            "platform": platform,
            "number": before.count() + 1,
            "state": "published",
            "published_at": timezone.now(),
            "rerouted_at": timezone.now(),
            "rules": made,
            **kw,
        }
    )


def make_evidence(model_version, **figures):
    """Ready, beside today's champion; `figures` by policy slug; without, no gate can fail."""
    from mlhooks import registry
    from mlhooks.models import Evidence

    return Evidence.objects.create(
        platform=model_version.platform,
        model_version=model_version,
        champion=registry.champion(model_version.platform),
        state=Evidence.State.READY,
        finished_at=timezone.now(),
        figures={"policies": figures},
    )


def make_round(platform, **kw):
    """A learning round that was drawn, with its pool beside it."""
    from mlhooks.models import LearningRound, RoundPool

    values = {"strategy": "default", "size": 50, "seed": 7, "state": "done", "pool_size": 900}
    values |= {"known": 40, "expected": 50.0, "drawn": 47, "left_out": {"split": 300, "vector": 2}}
    row = LearningRound.objects.create(platform=platform, **{**values, **kw})
    if row.state == "done":
        RoundPool.objects.create(learning_round=row, table=b"PAR1")
    row.refresh_from_db()
    return row


def make_learning_curve(snapshot, **policies):
    """Ready; `policies` by slug as curves.py keeps them. Without, of a snapshot with few labels."""
    from mlhooks.models import LearningCurve

    snapshot.refresh_from_db()
    slugs = list(policies) or [one["slug"] for one in snapshot.manifest["policies"]]
    share = {"n": 200, "violating": 20, "interval": [0.066, 0.149]}
    lanes = {
        lane: {**share, "policies": dict.fromkeys(slugs, share)}
        for lane in ("learning", "random", "risk")
    }
    count = 64 if policies else 3
    return LearningCurve.objects.create(
        platform=snapshot.platform,
        snapshot=snapshot,
        state=LearningCurve.State.READY,
        finished_at=timezone.now(),
        figures={
            "lanes": lanes,
            "labels": {"learning": count, "random": count},
            "common": count,
            "least": 32,
            "policies": policies,
        },
    )


def make_account(**kw) -> Account:
    n = next(_numbers)
    kw.setdefault("platform", None)
    kw["platform"] = kw["platform"] or make_platform()
    return Account.objects.create(
        **{"external_id": f"account-{n}", "split_group": f"group-{n}", **kw}
    )


def make_item(*, text="hello there", title="", platform=None, kind=None, **kw) -> Item:
    """An item with its first version, straight into the tables; no job, no score."""
    n = next(_numbers)
    platform = platform or (kind.platform if kind else make_platform())
    kind = kind or platform.kinds.first() or make_kind(platform=platform)
    item = Item.objects.create(
        **{
            "platform": platform,
            "kind": kind,
            "external_id": f"item-{n}",
            "fingerprint": f"{n:032x}",
            "split_group": f"group-{n}",
            **kw,
        }
    )
    content = {"subject": title, "body": text}
    ItemVersion.objects.create(
        item=item, number=1, content=content, content_hash=content_hash(content)
    )
    return item


def make_draw(*, queue=None, lane=Lane.RANDOM, **kw) -> Draw:
    return Draw.objects.create(
        **{
            "queue": queue or make_queue(),
            "lane": lane,
            "strategy": "poisson",
            "probability": 0.1,
            "seed": 1,
            "pool_size": 10,
            "drawn": 1,
            **kw,
        }
    )


def make_job(*, queue=None, item=None, lane=Lane.RISK, **kw) -> Job:
    """Outside the risk lane, with a draw; due in four hours, where the sweep will look at it."""
    queue = queue or make_queue()
    item = item or make_item(platform=queue.platform)
    due_at = kw.setdefault("due_at", timezone.now() + timedelta(hours=4))
    if lane != Lane.RISK and "draw" not in kw and "draw_id" not in kw:
        probability = kw.setdefault("inclusion_probability", 0.1)
        kw["draw"] = make_draw(queue=queue, lane=lane, probability=probability)
    return Job.objects.create(
        **{"queue": queue, "item": item, "lane": lane, "lift_at": due_at, **kw}
    )


def move_to_lane(lane, *, probability=0.1) -> None:
    """All jobs there are, with a draw."""
    queue = Job.objects.first().queue
    draw = make_draw(queue=queue, lane=lane, probability=probability)
    Job.objects.update(lane=lane, draw=draw, inclusion_probability=probability)


def claimed_job(person: Person, **kw) -> Job:
    """A job that `person` holds through the real claim service."""
    from reviews import claims

    job = make_job(**kw)
    job.queue.members.add(person)
    job.queue.platform.members.add(person)
    return claims.claim_next(job.queue, by=person)
