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
from .content import (
    Account,
    DueReporter,
    Item,
    ItemKind,
    ItemVersion,
    Platform,
    Report,
    Reporter,
    ThreadPlace,
    content_hash,
)
from .known import KnownHash, KnownList, KnownMatch, LookAlike
from .media import Medium, MediumUse
from .operation import BulkChange, BulkOperation
from .outcome import Decision, Enforcement, Finding, Gold, Relabelling, Review, Strike, Verdict
from .people import ApiToken, PastCall, Person, Role
from .planning import ReplayRun, Roster, Shift
from .policy import Action, Policy, PolicyVersion, Severity
from .revision import Revision
from .routing import DryRun, RoutingVersion
from .search import SearchEntry, SearchProgress
from .together import Consultation, MutedSort, Note, Notification, Question
from .wellness import Exposure, Limits, Strength, Wellbeing
from .work import (
    Claim,
    Draw,
    Job,
    Lane,
    LaneArrival,
    LaneStart,
    Queue,
    QueueAction,
    QueueRanking,
    StrandedJob,
)

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
    "Consultation",
    "Decision",
    "Draw",
    "DryRun",
    "DueHash",
    "DueReporter",
    "Enforcement",
    "Exposure",
    "Finding",
    "Gold",
    "Item",
    "ItemKind",
    "ItemVersion",
    "Job",
    "KnownHash",
    "KnownList",
    "KnownMatch",
    "Lane",
    "LaneArrival",
    "LaneStart",
    "MutedSort",
    "Note",
    "Notification",
    "LookAlike",
    "Medium",
    "MediumUse",
    "PastCall",
    "Person",
    "Limits",
    "Platform",
    "Policy",
    "PolicyVersion",
    "Question",
    "Queue",
    "QueueAction",
    "QueueRanking",
    "Relabelling",
    "ReplayRun",
    "Report",
    "Reporter",
    "Review",
    "Revision",
    "Role",
    "Roster",
    "RoutingVersion",
    "SearchEntry",
    "SearchProgress",
    "Severity",
    "Shift",
    "StrandedJob",
    "Strength",
    "Strike",
    "Verdict",
    "Wellbeing",
    "ThreadPlace",
    "content_hash",
]
