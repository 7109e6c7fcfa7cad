"""The human side's rows, one file per noun family."""

from .audit import AuditEntry
from .cluster import (
    Anchor,
    Band,
    Cluster,
    ClusterAnswer,
    ClusterMember,
    ClusterOperation,
    DueHash,
)
from .content import Account, Item, ItemKind, ItemVersion, Platform, Report, content_hash
from .operation import BulkChange, BulkOperation
from .outcome import Decision, Enforcement, Finding, Review, Strike, Verdict
from .people import ApiToken, PastCall, Person, Role
from .policy import Action, Policy, PolicyVersion, Severity
from .revision import Revision
from .work import Claim, Draw, Job, Lane, Queue, QueueAction, RoutingRule

__all__ = [
    "Account",
    "Action",
    "Anchor",
    "ApiToken",
    "AuditEntry",
    "Band",
    "BulkChange",
    "BulkOperation",
    "Claim",
    "Cluster",
    "ClusterAnswer",
    "ClusterMember",
    "ClusterOperation",
    "Decision",
    "Draw",
    "DueHash",
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
    "Report",
    "Review",
    "Revision",
    "Role",
    "RoutingRule",
    "Severity",
    "Strike",
    "Verdict",
    "content_hash",
]
