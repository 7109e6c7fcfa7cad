"""The human side's rows, one file per noun family."""

from .audit import AuditEntry
from .content import (
    Account,
    DueReporter,
    Item,
    ItemKind,
    ItemVersion,
    Platform,
    Report,
    Reporter,
    content_hash,
)
from .outcome import Decision, Enforcement, Finding, Gold, Relabelling, Review, Strike, Verdict
from .people import ApiToken, PastCall, Person, Role
from .policy import Action, Policy, PolicyVersion, Severity
from .revision import Revision
from .routing import DryRun, RoutingVersion
from .work import Claim, Draw, Job, Lane, LaneArrival, LaneStart, Queue, QueueAction, QueueRanking

__all__ = [
    "Account",
    "Action",
    "ApiToken",
    "AuditEntry",
    "Claim",
    "Decision",
    "Draw",
    "DryRun",
    "DueReporter",
    "Enforcement",
    "Finding",
    "Gold",
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
    "QueueRanking",
    "Relabelling",
    "Report",
    "Reporter",
    "Review",
    "Revision",
    "Role",
    "RoutingVersion",
    "Severity",
    "Strike",
    "Verdict",
    "content_hash",
]
