"""The human side's rows, one file per noun family."""

from .audit import AuditEntry
from .content import Account, Item, ItemKind, ItemVersion, Platform, Report, content_hash
from .outcome import Decision, Enforcement, Finding, Relabelling, Review, Strike, Verdict
from .people import ApiToken, PastCall, Person, Role
from .policy import Action, Policy, PolicyVersion, Severity
from .revision import Revision
from .routing import DryRun, RoutingVersion
from .work import Claim, Draw, Job, Lane, LaneArrival, LaneStart, Queue, QueueAction

__all__ = [
    "Account",
    "Action",
    "ApiToken",
    "AuditEntry",
    "Claim",
    "Decision",
    "Draw",
    "DryRun",
    "Enforcement",
    "Finding",
    "Item",
    "ItemKind",
    "ItemVersion",
    "Job",
    "Lane",
    "LaneArrival",
    "LaneStart",
    "PastCall",
    "Person",
    "Platform",
    "Policy",
    "PolicyVersion",
    "Queue",
    "QueueAction",
    "Relabelling",
    "Report",
    "Review",
    "Revision",
    "Role",
    "RoutingVersion",
    "Severity",
    "Strike",
    "Verdict",
    "content_hash",
]
