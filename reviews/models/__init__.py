"""The human side's rows, one file per noun family."""

from .audit import AuditEntry
from .content import Account, Item, ItemKind, ItemVersion, Platform, Report, content_hash
from .outcome import Decision, Enforcement, Finding, Review, Strike, Verdict
from .people import ApiToken, PastCall, Person, Role
from .planning import ReplayRun, Roster, Shift
from .policy import Action, Policy, PolicyVersion, Severity
from .revision import Revision
from .work import Claim, Draw, Job, Lane, Queue, QueueAction, RoutingRule

__all__ = [
    "Account",
    "Action",
    "ApiToken",
    "AuditEntry",
    "Claim",
    "Decision",
    "Draw",
    "Enforcement",
    "Finding",
    "Item",
    "ItemKind",
    "ItemVersion",
    "Job",
    "Lane",
    "PastCall",
    "Person",
    "Platform",
    "Policy",
    "PolicyVersion",
    "Queue",
    "QueueAction",
    "ReplayRun",
    "Report",
    "Review",
    "Revision",
    "Role",
    "Roster",
    "RoutingRule",
    "Severity",
    "Shift",
    "Strike",
    "Verdict",
    "content_hash",
]
