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
from .outcome import Decision, Enforcement, Finding, Gold, Review, Strike, Verdict
from .people import ApiToken, PastCall, Person, Role
from .policy import Action, Policy, PolicyVersion, Severity
from .revision import Revision
from .work import Claim, Draw, Job, Lane, Queue, QueueAction, QueueRanking, RoutingRule

__all__ = [
    "Account",
    "Action",
    "ApiToken",
    "AuditEntry",
    "Claim",
    "Decision",
    "Draw",
    "DueReporter",
    "Enforcement",
    "Finding",
    "Gold",
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
    "QueueRanking",
    "Report",
    "Reporter",
    "Review",
    "Revision",
    "Role",
    "RoutingRule",
    "Severity",
    "Strike",
    "Verdict",
    "content_hash",
]
