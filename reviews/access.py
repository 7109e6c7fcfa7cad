"""Who may do what. Pages, API and services ask here, and nowhere else.

GRANTS is the table: verb → the roles that may, and the token scope that may. Everything else is
refused. Object rules (which queue, which platform, whose decision) are the functions below it.
Fetching and authorising is one call (`get_*`); what a stranger may not see does not exist for her.
"""

from typing import NamedTuple

from django.db.models import Exists, Model, OuterRef, QuerySet
from django.utils.translation import gettext as _

from .errors import Forbidden, NotFound
from .models import (
    Account,
    Action,
    AuditEntry,
    BulkOperation,
    Cluster,
    ClusterOperation,
    Decision,
    Draw,
    Enforcement,
    Item,
    ItemKind,
    Job,
    Lane,
    Medium,
    Note,
    Person,
    Platform,
    Policy,
    Queue,
    Revision,
    Role,
)
from .statements import Statement

# Asked in every request, so planned once; as querysets they cost four times as much.
_PERSON = Statement(
    "person",
    """
SELECT {columns},
  ARRAY(
    SELECT auth_group.name FROM auth_group
    JOIN reviews_person_groups AS link ON link.group_id = auth_group.id
    WHERE link.person_id = reviews_person.id
  ) AS _roles,
  ARRAY(
    SELECT platform_id FROM reviews_platform_members WHERE person_id = reviews_person.id
  ) AS _platform_ids,
  (
    SELECT row_to_json(own) FROM reviews_wellbeing AS own WHERE own.person_id = reviews_person.id
  ) AS _wellbeing
FROM reviews_person WHERE id = %(person)s
""",
    model=Person,
)
_PLATFORMS = Statement(
    "person_platforms",
    "SELECT platform_id FROM reviews_platform_members WHERE person_id = %(person)s",
)


class Grant(NamedTuple):
    roles: frozenset[str]
    scope: str = ""


def _to(*roles: str, scope: str = "") -> Grant:
    return Grant(frozenset(roles), scope)


_STAFF = tuple(Role.values)

GRANTS: dict[str, Grant] = {
    "item.submit": _to(Role.ADMIN, scope="items:write"),
    "item.view": _to(*_STAFF, scope="items:read"),
    "item.erase": _to(Role.ADMIN),
    "consultation.ask": _to(Role.REVIEWER, Role.LEAD),
    "consultation.answer": _to(Role.REVIEWER, Role.LEAD),
    "question.ask": _to(Role.REVIEWER, Role.LEAD),
    "question.answer": _to(Role.POLICY_OWNER, Role.ADMIN),
    "notification.view": _to(*_STAFF),
    "note.view": _to(*_STAFF, scope="notes:read"),
    "note.leave": _to(Role.REVIEWER, Role.LEAD, Role.POLICY_OWNER, scope="notes:write"),
    "medium.view": _to(*_STAFF),
    "medium.upload": _to(Role.ADMIN, scope="items:write"),
    "report.file": _to(Role.ADMIN, scope="reports:write"),
    "policy.view": _to(*_STAFF, scope="policies:read"),
    "kind.view": _to(*_STAFF, scope="items:write"),  # whoever sends items has to know it
    "queue.view": _to(*_STAFF, scope="queues:read"),
    "job.view": _to(Role.LEAD, Role.ML_ENGINEER, Role.AUDITOR, Role.ADMIN, scope="queues:read"),
    "job.claim": _to(Role.REVIEWER, Role.LEAD),
    "job.adjudicate": _to(Role.LEAD),
    "review.record": _to(Role.REVIEWER, Role.LEAD),
    "decision.view": _to(*_STAFF, scope="decisions:read"),
    "decision.undo": _to(Role.REVIEWER, Role.LEAD),
    "decision.override": _to(Role.LEAD),
    "enforcement.view": _to(Role.LEAD, Role.AUDITOR, Role.ADMIN),
    "enforcement.approve": _to(Role.LEAD),
    # What a queue is and how it is run.
    "setup.view": _to(Role.LEAD, Role.POLICY_OWNER, Role.AUDITOR, Role.ADMIN, scope="queues:read"),
    "queue.edit": _to(Role.LEAD, Role.POLICY_OWNER, Role.ADMIN),
    "routing.edit": _to(Role.LEAD, Role.POLICY_OWNER, Role.ADMIN),
    "action.edit": _to(Role.LEAD, Role.POLICY_OWNER, Role.ADMIN),
    "kind.edit": _to(Role.LEAD, Role.POLICY_OWNER, Role.ADMIN),
    "policy.edit": _to(Role.POLICY_OWNER, Role.ADMIN),
    "known.view": _to(
        Role.LEAD, Role.POLICY_OWNER, Role.AUDITOR, Role.ADMIN, scope="policies:read"
    ),
    "known.edit": _to(Role.POLICY_OWNER, Role.ADMIN, scope="known:write"),
    "wellness.view": _to(Role.LEAD),  # sums of many; nobody sees anybody's own
    "wellness.edit": _to(Role.LEAD, Role.ADMIN),
    "person.view": _to(Role.LEAD, Role.POLICY_OWNER, Role.AUDITOR, Role.ADMIN),
    "person.edit": _to(Role.ADMIN),
    "queue.staff": _to(Role.LEAD, Role.ADMIN),  # who works in it
    "roster.edit": _to(Role.LEAD, Role.ADMIN),
    "job.manage": _to(Role.LEAD),  # assign, move, cancel, raise
    "cluster.view": _to(Role.LEAD, Role.ML_ENGINEER, Role.AUDITOR, Role.ADMIN),
    "cluster.decide": _to(Role.LEAD),
    "draw.create": _to(Role.LEAD, Role.ML_ENGINEER, scope="models:write"),
    "replay.view": _to(Role.LEAD, Role.POLICY_OWNER, Role.ML_ENGINEER, Role.AUDITOR, Role.ADMIN),
    "replay.run": _to(Role.LEAD, Role.POLICY_OWNER, Role.ML_ENGINEER),
    "design.view": _to(Role.LEAD, Role.ML_ENGINEER, Role.ADMIN),
    "token.create": _to(Role.ADMIN),
    "token.revoke": _to(Role.ADMIN),
    "audit.view": _to(Role.AUDITOR, Role.ADMIN),
    "snapshot.view": _to(Role.ML_ENGINEER, Role.POLICY_OWNER, Role.AUDITOR, scope="snapshots:read"),
    "snapshot.create": _to(Role.ML_ENGINEER, scope="snapshots:write"),
    "snapshot.download": _to(Role.ML_ENGINEER, scope="snapshots:read"),
    "model.view": _to(
        Role.ML_ENGINEER, Role.POLICY_OWNER, Role.LEAD, Role.AUDITOR, scope="models:read"
    ),
    "model.train": _to(Role.ML_ENGINEER, scope="models:write"),
    "model.predict": _to(Role.ML_ENGINEER, Role.POLICY_OWNER, scope="models:write"),
    "model.propose": _to(Role.ML_ENGINEER),
    "model.shadow": _to(Role.ML_ENGINEER, scope="models:write"),
    "model.approve": _to(Role.ML_ENGINEER, Role.POLICY_OWNER),
    "model.roll_back": _to(Role.ML_ENGINEER),
    "monitoring.run": _to(Role.ML_ENGINEER, Role.POLICY_OWNER, scope="models:write"),
    "alert.acknowledge": _to(Role.ML_ENGINEER, Role.POLICY_OWNER),
    "alert.edit": _to(Role.ML_ENGINEER, Role.POLICY_OWNER),
    "evidence.gather": _to(Role.ML_ENGINEER, Role.POLICY_OWNER, scope="models:write"),
    "round.draw": _to(Role.ML_ENGINEER, Role.LEAD, scope="models:write"),
    "round.edit": _to(Role.ML_ENGINEER, scope="models:write"),
    # Whoever builds models does not set what they are held against.
    "gate.edit": _to(Role.POLICY_OWNER),
    "gate.waive": _to(Role.POLICY_OWNER),
    "functional.edit": _to(Role.POLICY_OWNER),
}
SCOPES = sorted({grant.scope for grant in GRANTS.values() if grant.scope})


def read_person(pk: int) -> Person | None:
    """Who acts in a request, her roles and platforms with her: one round trip, read anew each time,
    so what is taken from her is gone with her next click."""
    person = next(iter(_PERSON.instances(Person, person=pk)), None)
    if person is not None:
        person._roles = frozenset(person._roles)
        person._platform_ids = frozenset(person._platform_ids)
    return person


def may(person: Person, verb: str) -> bool:
    """Does a role of hers, or the scope of the token she came with, allow this verb at all?"""
    grant = GRANTS[verb]
    if not person.is_authenticated or not person.is_active:
        return False
    token = getattr(person, "token", None)
    if token is not None:
        return bool(grant.scope) and grant.scope in token.scopes
    return not grant.roles.isdisjoint(person.roles)


def check(person: Person | None, verb: str, platform: Platform | int | None = None) -> None:
    """Raise Forbidden unless `person` may; NotFound if the platform is not one of hers.

    None is the system itself (sweeps, commands) and may do everything.
    """
    if person is None:
        return
    if not may(person, verb):
        raise Forbidden(_refusal(verb))
    if platform is not None and not is_on_platform(person, platform):
        raise NotFound(_("There is no such thing here."))


def is_on_platform(person: Person, platform: Platform | int) -> bool:
    platform_id = platform if isinstance(platform, int) else platform.pk
    return platform_id in platform_ids(person)


def platform_ids(person: Person) -> frozenset[int]:
    """Platforms this person belongs to; a token reaches its own only. Read once per request."""
    token = getattr(person, "token", None)
    if token is not None:
        return frozenset({token.platform_id})
    if not hasattr(person, "_platform_ids"):
        person._platform_ids = frozenset(pk for (pk,) in _PLATFORMS.rows(person=person.pk))
    return person._platform_ids


def visible(person: Person, verb: str, rows: QuerySet, platform_path: str) -> QuerySet:
    """`rows` cut to the person's platforms; Forbidden when the verb is not hers."""
    check(person, verb)
    return rows.filter(**{f"{platform_path}__in": platform_ids(person)})


def get(person: Person, verb: str, rows: QuerySet, platform_path: str, **lookup: object) -> Model:
    """One of `visible` rows, or NotFound."""
    try:
        return visible(person, verb, rows, platform_path).get(**lookup)
    except rows.model.DoesNotExist:
        name = rows.model._meta.verbose_name
        raise NotFound(_("There is no such %(name)s here.") % {"name": name}) from None


def get_platform(person: Person, verb: str, slug: str) -> Platform:
    return get(person, verb, Platform.objects.all(), "pk", slug=slug)


def get_item(person: Person, pk: int) -> Item:
    rows = Item.objects.select_related("kind", "account", "platform")
    return get(person, "item.view", rows, "platform", pk=pk)


def get_own_note(person: Person, pk: int) -> Note:
    """A note she left herself; anybody else's is not hers to withdraw."""
    rows = Note.objects.select_related("item").filter(author=person)
    return get(person, "note.leave", rows, "item__platform", pk=pk)


def get_account(person: Person, pk: int) -> Account:
    """Whoever sees items sees who wrote them; what a blind queue keeps back, accounts.py leaves
    out."""
    return get(person, "item.view", Account.objects.select_related("platform"), "platform", pk=pk)


def get_medium(person: Person, pk: int) -> Medium:
    """One of her platforms'; media.py asks whether it is shown to her."""
    rows = Medium.objects.exclude(state=Medium.State.ERASED)
    return get(person, "medium.view", rows, "platform", pk=pk)


def get_medium_to_send(person: Person, pk: int) -> Medium:
    """For who uploads: how far is it?"""
    rows = Medium.objects.exclude(state=Medium.State.ERASED)
    return get(person, "medium.upload", rows, "platform", pk=pk)


def get_policy(person: Person, slug: str) -> Policy:
    return get(person, "policy.view", Policy.objects.all(), "platform", slug=slug)


def get_kind_to_set_up(person: Person, slug: str, verb: str = "setup.view") -> ItemKind:
    rows = ItemKind.objects.select_related("platform")
    return get(person, verb, rows, "platform", slug=slug)


def get_policy_to_set_up(person: Person, slug: str, verb: str = "setup.view") -> Policy:
    rows = Policy.objects.select_related("platform")
    return get(person, verb, rows, "platform", slug=slug)


def may_ask_again(person: Person) -> bool:
    """Have decided items looked at again under a new policy: who runs the work, or the rules."""
    return may(person, "job.manage") or may(person, "policy.edit")


def check_ask_again(person: Person | None, policy: Policy) -> None:
    if person is None:
        return
    check(person, "job.manage" if may(person, "job.manage") else "policy.edit", policy.platform_id)


def get_queue(person: Person, slug: str) -> Queue:
    return get(
        person, "queue.view", Queue.objects.select_related("platform"), "platform", slug=slug
    )


def get_queue_to_set_up(person: Person, slug: str) -> Queue:
    """Any of her platforms' queues, archived ones too, to look at what is set on it."""
    rows = Queue.objects.select_related("platform")
    return get(person, "setup.view", rows, "platform", slug=slug)


def get_action(person: Person, slug: str) -> Action:
    rows = Action.objects.select_related("platform")
    return get(person, "setup.view", rows, "platform", slug=slug)


def people_to_see(person: Person) -> QuerySet[Person]:
    """Who works, or worked, on her platforms; no accounts of programs."""
    check(person, "person.view")
    mine = platform_ids(person)
    kept = Revision.objects.filter(
        platform__in=mine, target_type="person", target_id=OuterRef("pk")
    )
    members = Platform.members.through.objects.filter(platform__in=mine, person=OuterRef("pk"))
    return Person.objects.filter(Exists(members) | Exists(kept), tokens=None)


def get_person(person: Person, username: str) -> Person:
    found = people_to_see(person).filter(username=username).first()
    if found is None:
        raise NotFound(_("There is no such person here."))
    return found


def get_queue_to_browse(person: Person, slug: str) -> Queue:
    """A queue whose single jobs this person may see."""
    return get(person, "job.view", Queue.objects.select_related("platform"), "platform", slug=slug)


def get_queue_to_manage(person: Person, slug: str) -> Queue:
    """A queue whose jobs this person may assign, move, cancel and raise."""
    rows = Queue.objects.select_related("platform")
    return get(person, "job.manage", rows, "platform", slug=slug)


def get_operation(person: Person, pk: int) -> BulkOperation:
    rows = BulkOperation.objects.select_related("queue")
    return get(person, "job.view", rows, "platform", pk=pk)


def get_cluster(person: Person, pk: int) -> Cluster:
    rows = Cluster.objects.select_related("anchor__item_version__item__kind", "platform")
    return get(person, "cluster.view", rows, "platform", pk=pk)


def get_cluster_to_decide(person: Person, pk: int) -> Cluster:
    rows = Cluster.objects.select_related("anchor__item_version__item__kind", "platform")
    return get(person, "cluster.decide", rows, "platform", pk=pk)


def get_cluster_operation(person: Person, pk: int) -> ClusterOperation:
    rows = ClusterOperation.objects.select_related("by", "cluster", "platform")
    return get(person, "cluster.view", rows, "platform", pk=pk)


def get_decision(person: Person, pk: int) -> Decision:
    rows = Decision.objects.select_related("item__kind", "queue", "decided_by")
    return get(person, "decision.view", rows, "item__platform", pk=pk)


def get_enforcement(person: Person, pk: int) -> Enforcement:
    rows = Enforcement.objects.select_related("decision__item", "action")
    return get(person, "enforcement.view", rows, "action__platform", pk=pk)


def get_draw(person: Person, pk: int) -> Draw:
    rows = Draw.objects.select_related("queue", "created_by", "follows")
    return get(person, "job.view", rows, "queue__platform", pk=pk)


def get_queue_to_draw_from(person: Person, slug: str) -> Queue:
    rows = Queue.objects.select_related("platform")
    return get(person, "draw.create", rows, "platform", slug=slug)


def get_item_to_vouch_for(person: Person, pk: int) -> Item:
    return get(person, "draw.create", Item.objects.all(), "platform", pk=pk)


def get_queue_to_work(person: Person, slug: str) -> Queue:
    """A queue this person works: she has the role and is a member. Whether there is more for her
    in it, claims.py asks."""
    queue = get(
        person, "job.claim", Queue.objects.select_related("platform"), "platform", slug=slug
    )
    check_belongs(person, queue)
    return queue


def queues_to_work(person: Person) -> QuerySet[Queue]:
    if not may(person, "job.claim"):
        return Queue.objects.none()
    return Queue.objects.filter(
        members=person, platform__in=platform_ids(person), is_archived=False
    )


def queues_to_escalate_to(platform_id: int) -> QuerySet[Queue]:
    """Queues that take what others cannot settle, for whoever reviews on their platform."""
    return Queue.objects.filter(platform=platform_id, takes_escalations=True, is_archived=False)


def get_queue_to_escalate_to(person: Person, platform_id: int, slug: str) -> Queue:
    check(person, "review.record", platform_id)
    queue = queues_to_escalate_to(platform_id).filter(slug=slug).first()
    if queue is None:
        raise NotFound(_("This queue takes no escalations (any more). Choose another one."))
    return queue


def check_works(person: Person, queue: Queue) -> None:
    check_belongs(person, queue)
    if queue.is_archived:
        raise NotFound(
            _("%(name)s is archived: nobody works it any more. Choose another queue.")
            % {"name": queue.name}
        )


def check_belongs(person: Person, queue: Queue) -> None:
    """She is one of its people; what she holds there is hers to finish, archived or not."""
    check(person, "job.claim", queue.platform_id)
    if not queue.members.filter(pk=person.pk).exists():
        raise NotFound(_("There is no such queue for you. Ask a lead to add you to it."))


def check_focus(person: Person, lane: str, queue: Queue) -> None:
    """Working one lane only bends the queue's shares, so it is for those who answer for them."""
    check(person, "job.manage", queue.platform_id)
    if lane not in Lane.values:
        raise NotFound(_("There is no lane %(lane)s.") % {"lane": lane})
    if lane == Lane.ADJUDICATION:
        check(person, "job.adjudicate", queue.platform_id)


def get_held_job(person: Person, pk: int) -> Job:
    """A job of a queue she works. Whether her claim still lives is claims.py's to say."""
    rows = Job.objects.select_related("queue", "item__kind", "item__account")
    return get(person, "job.claim", rows.filter(queue__members=person), "queue__platform", pk=pk)


def check_holds(person: Person, job_id: int) -> None:
    """The job is of a queue she works; whether she holds it is claims.py's to say."""
    check(person, "job.claim")
    jobs = Job.objects.filter(queue__members=person, queue__platform__in=platform_ids(person))
    if not jobs.filter(pk=job_id).exists():
        raise NotFound(_("There is no such job here."))


def check_records(person: Person, *, platform_id: int, is_member: bool) -> None:
    """She may answer jobs of this queue; a stranger to it is not told that it exists."""
    check(person, "review.record", platform_id)
    if not is_member:
        raise NotFound(_("There is no such job here."))


def check_own_business(by: Person, person: Person) -> None:
    """What a person sets for her own sake is hers: nobody else reads or writes it, in any role."""
    if by.pk != person.pk:
        raise NotFound(_("There is no such thing here."))


def check_undo(person: Person, decision: Decision) -> None:
    """One's own decision only; anyone else's is a lead's override."""
    check(person, "decision.undo", decision.item.platform_id)
    if decision.decided_by_id != person.pk:
        raise Forbidden(_("You can undo your own decisions only. A lead can override this one."))


def check_override(person: Person, decision: Decision) -> None:
    check(person, "decision.override", decision.item.platform_id)


def check_approve_enforcement(person: Person, enforcement: Enforcement) -> None:
    check(person, "enforcement.approve", enforcement.action.platform_id)
    if enforcement.requested_by_id == person.pk:
        raise Forbidden(_("You asked for this action, so somebody else has to approve it."))


def audit_entries(person: Person) -> QuerySet[AuditEntry]:
    return visible(person, "audit.view", AuditEntry.objects.all(), "platform")


def _refusal(verb: str) -> str:
    roles = sorted(str(Role(role).label) for role in GRANTS[verb].roles)
    return _("Your role does not allow this (%(verb)s). It takes: %(roles)s.") % {
        "verb": verb,
        "roles": ", ".join(roles),
    }
