"""Find items: by their words, ids and accounts, and by what was decided where and when.

One box takes it all: words, "words in a row", scam* (and what goes on like that), -word (without
it), and field:value. docs/search.md tells it to people.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from difflib import get_close_matches
from typing import NamedTuple

from django.db import connection
from django.db.models import F, Prefetch
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _

from . import access, blind, search_entries, search_terms
from .errors import Invalid
from .models import Decision, Item, ItemKind, ItemVersion, Job, Person, Policy, Queue, Verdict
from .search_terms import Part, Phrase

PAGE = 25
MOST_PARTS = 20
LONGEST_QUESTION = 500
# So many of the newest are looked through one by one before the index is asked: what is frequent
# is found among them at once, and what is rare is quick to fetch by the index.
NEWEST = 2_000
FIELDS = (
    *("id", "account", "kind", "queue", "policy"),
    *("decision", "state", "language", "from", "until"),
)
# Those that pages and the API take beside the box.
BESIDE = ("policy", "decision", "queue", "kind", "account", "language", "from", "until")
_OTHER_NAMES = {"author": "account", "verdict": "decision", "lang": "language", "since": "from"}
_PART = re.compile(
    r'(?P<minus>-?)(?:(?P<field>[^\W\d_]+):)?(?:"(?P<quoted>[^"]*)"|(?P<plain>[^\s"]+))|(?P<open>")'
)
_STATES = {"open": False, "decided": True}


class Question(NamedTuple):
    phrases: list[Phrase]
    facets: list[tuple[list[str], bool]]
    since: datetime | None
    until: datetime | None
    # Asked for what may be kept from her: hits that hide it do not count.
    asks_history: bool
    asks_author: bool

    @property
    def is_empty(self) -> bool:
        return not (self.phrases or self.facets or self.since or self.until)


class Hit(NamedTuple):
    item: Item
    title: str
    parts: list[Part]
    hidden: frozenset[str]
    decision: Decision | None
    queues: list[Queue]


class Page(NamedTuple):
    hits: list[Hit]
    next_key: str  # "" on the last page


def understand(text: str, filters: Mapping[str, str], *, by: Person) -> Question:
    """The box and the fields beside it. Invalid says which part makes no sense, and what might."""
    if len(text) > LONGEST_QUESTION:
        raise _refused("q", _("Use at most %(most)s characters.") % {"most": LONGEST_QUESTION})
    reader = _Reader(by)
    for number, part in enumerate(_PART.finditer(text.replace("\x00", " "))):
        if number == MOST_PARTS:
            raise _refused("q", _("Use at most %(most)s words or fields.") % {"most": MOST_PARTS})
        if part["open"]:
            raise _refused("q", _('A quotation mark (") opens a phrase that is never closed.'))
        reader.take(part)
    for name, value in filters.items():
        if value.strip():
            reader.take_field(name, value.strip(), is_excluded=False, at=name)
    return reader.question()


def find(question: Question, *, by: Person, after: str = "", limit: int = PAGE) -> Page:
    """The newest first, told apart by key: (when it was submitted, its number)."""
    access.check(by, "item.view")
    platforms = sorted(access.platform_ids(by))
    if question.is_empty or not platforms:
        return Page([], "")
    key = _key(after)
    hits: list[Hit] = []
    while len(hits) <= limit:
        found = _matching(question, platforms, key, limit + 1)
        hits += _told([item_id for _at, item_id in found], question, by)
        if len(found) <= limit:
            break
        # Some were kept from her and left out: on, until the page is full.
        key = found[-1]
    more = len(hits) > limit
    hits = hits[:limit]
    last = hits[-1].item if hits else None
    return Page(hits, f"{last.submitted_at.isoformat()}~{last.pk}" if more and last else "")


class _Reader:
    """Reads one question, part by part."""

    def __init__(self, by: Person) -> None:
        self.by = by
        self.phrases: list[Phrase] = []
        self.facets: list[tuple[list[str], bool]] = []
        self.since: datetime | None = None
        self.until: datetime | None = None
        self.asked: set[str] = set()

    def take(self, part: re.Match[str]) -> None:
        is_excluded, field = bool(part["minus"]), (part["field"] or "").lower()
        value = part["quoted"] if part["quoted"] is not None else part["plain"]
        field = _OTHER_NAMES.get(field, field)
        if field in FIELDS:
            self.take_field(field, value, is_excluded=is_excluded, at="q")
            return
        if field and not value.startswith("//"):
            if near := get_close_matches(field, [*FIELDS, *_OTHER_NAMES], 1, 0.7):
                raise _refused(
                    "q",
                    _("There is no field “%(field)s:”. Did you mean “%(near)s:”?")
                    % {"field": field, "near": near[0]},
                )
            value = f"{field} {value}"
        self._take_words(value, is_excluded, is_quoted=part["quoted"] is not None)

    def _take_words(self, value: str, is_excluded: bool, *, is_quoted: bool) -> None:
        is_open = value.endswith("*") and not is_quoted
        phrase = search_terms.phrase(value, is_open=is_open, is_excluded=is_excluded)
        if phrase is None:
            return
        if not is_quoted and len(value) >= 3 and any(letter.isdigit() for letter in value):
            # It may be an id as well, or how one begins.
            phrase = phrase._replace(or_facet=f"=x{search_terms.folded(value.rstrip('*'))}*")
        self.phrases.append(phrase)

    def take_field(self, field: str, value: str, *, is_excluded: bool, at: str) -> None:
        if not value:
            raise _refused(at, _("Say what “%(field)s:” is to be.") % {"field": field})
        self.asked.add(field)
        if field in ("from", "until"):
            self._take_date(field, value, is_excluded, at)
            return
        reader = {
            "id": self._id,
            "account": self._account,
            "kind": self._kind,
            "queue": self._queue,
            "policy": self._policy,
            "decision": self._decision,
            "state": self._state,
            "language": self._language,
        }[field]
        values, is_reversed = reader(value, at)
        self.facets.append((values, is_excluded != is_reversed))

    def question(self) -> Question:
        if self.since and self.until and self.since >= self.until:
            raise _refused("until", _("The last day is before the first."))
        return Question(
            self.phrases,
            self.facets,
            self.since,
            self.until,
            asks_history=not self.asked.isdisjoint({"decision", "policy", "state"}),
            asks_author="account" in self.asked,
        )

    def _take_date(self, field: str, value: str, is_excluded: bool, at: str) -> None:
        try:
            day = parse_date(value)
        except ValueError:
            day = None
        if day is None or is_excluded or not 1970 <= day.year <= 9000:
            raise _refused(at, _("A date is written like 2026-03-31."))
        if field == "from":
            self.since = _midnight(day)
        else:
            self.until = _midnight(day + timedelta(days=1))

    def _id(self, value: str, at: str) -> tuple[list[str], bool]:
        return [f"=x{search_terms.folded(value)}"], False

    def _account(self, value: str, at: str) -> tuple[list[str], bool]:
        return [f"=a{search_terms.folded(value)}"], False

    def _kind(self, value: str, at: str) -> tuple[list[str], bool]:
        rows = access.visible(self.by, "item.view", ItemKind.objects.all(), "platform")
        return _named("k", value, rows.values_list("slug", "name"), at), False

    def _queue(self, value: str, at: str) -> tuple[list[str], bool]:
        rows = access.visible(self.by, "queue.view", Queue.objects.all(), "platform")
        return _named("q", value, rows.values_list("slug", "name"), at), False

    def _policy(self, value: str, at: str) -> tuple[list[str], bool]:
        rows = access.visible(self.by, "policy.view", Policy.objects.all(), "platform")
        return _named("y", value, rows.values_list("slug", "name"), at), False

    def _decision(self, value: str, at: str) -> tuple[list[str], bool]:
        choices = [(name, str(label)) for name, label in Verdict.choices]
        return _named("v", value, [*choices, ("none", _("none yet"))], at), False

    def _state(self, value: str, at: str) -> tuple[list[str], bool]:
        if value.lower() not in _STATES:
            raise _refused(at, _("A state is open or decided."))
        return ["=vnone"], _STATES[value.lower()]

    def _language(self, value: str, at: str) -> tuple[list[str], bool]:
        return [f"=l{value.partition('-')[0].lower()}"], False


def _named(letter: str, value: str, known: Iterable[tuple[str, str]], at: str) -> list[str]:
    """By slug or by name; a slug can stand on several of her platforms."""
    known = list(known)
    wanted = value.casefold()
    slugs = sorted({slug for slug, name in known if wanted in (slug, name.casefold())})
    if slugs:
        return [f"={letter}{slug}" for slug in slugs]
    names = {one.casefold(): slug for slug, name in known for one in (slug, name)}
    if near := get_close_matches(wanted, list(names), 1, 0.6):
        raise _refused(
            at,
            _("There is nothing called “%(value)s” here. Did you mean “%(near)s”?")
            % {"value": value, "near": names[near[0]]},
        )
    raise _refused(at, _("There is nothing called “%(value)s” here.") % {"value": value})


def _refused(at: str, message: str) -> Invalid:
    return Invalid(message, details={at: [message]})


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time()))


def _key(after: str) -> tuple[datetime, int] | None:
    if not after:
        return None
    moment, _tilde, number = after.partition("~")
    try:
        at = datetime.fromisoformat(moment)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None or not (number.isascii() and number.isdigit()):
        raise _refused("after", _("That is not the end of a page of this search."))
    return at, min(int(number), 2**62)


def _matching(
    question: Question,
    platforms: Sequence[int],
    before: tuple[datetime, int] | None,
    limit: int,
) -> list[tuple[datetime, int]]:
    """Keys of the newest `limit` that fit: looked for among the newest of all, else by the index.

    Left to itself the planner takes one way or the other by how frequent it thinks the words are
    together, and is wrong by minutes where they are not independent.
    """
    facets = [([f"=p{platform}" for platform in platforms], False), *question.facets]
    terms = search_terms.query(question.phrases, facets)
    narrow = search_terms.query(_narrow(question), facets)
    values = {
        "terms": terms,
        "narrow": narrow,
        "platforms": list(platforms),
        "limit": limit,
        "newest": NEWEST,
    }
    bounds = ["platform_id = ANY(%(platforms)s)"]
    if question.since:
        bounds.append("submitted_at >= %(since)s")
        values["since"] = question.since
    if question.until:
        bounds.append("submitted_at < %(until)s")
        values["until"] = question.until
    if before:
        bounds.append("(submitted_at, item_id) < (%(before_at)s, %(before_id)s)")
        values["before_at"], values["before_id"] = before
    where = " AND ".join(bounds)
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST.format(where=where), values)
        rows: list[tuple[datetime, int]] = cursor.fetchall()
        if len(rows) < limit:
            if narrow != terms:
                where += " AND (terms @@ %(terms)s::tsquery) IS TRUE"  # so that no index is asked
            cursor.execute(_INDEX.format(where=where), values)
            rows = cursor.fetchall()
    return rows


def _narrow(question: Question) -> list[Phrase]:
    """The phrases to ask the index for: "e*" is most of it, and is looked for in what the others
    have found, if there are others."""
    narrow = [one for one in question.phrases if not search_terms.is_broad(one)]
    is_asked = any(not one.is_excluded for one in narrow) or any(
        not is_excluded for _, is_excluded in question.facets
    )
    return narrow if is_asked else question.phrases


_NEWEST = """
SELECT submitted_at, item_id FROM (
  SELECT submitted_at, item_id, terms FROM reviews_searchentry WHERE {where}
  ORDER BY submitted_at DESC, item_id DESC LIMIT %(newest)s
) AS newest
WHERE terms @@ %(terms)s::tsquery ORDER BY submitted_at DESC, item_id DESC LIMIT %(limit)s
"""
_INDEX = """
WITH hit AS MATERIALIZED (
  SELECT submitted_at, item_id FROM reviews_searchentry
  WHERE terms @@ %(narrow)s::tsquery AND {where}
)
SELECT submitted_at, item_id FROM hit ORDER BY submitted_at DESC, item_id DESC LIMIT %(limit)s
"""


def _told(item_ids: list[int], question: Question, by: Person) -> list[Hit]:
    """The items as this person may see them, in the order given."""
    items = (
        access.visible(by, "item.view", Item.objects.filter(pk__in=item_ids), "platform")
        .filter(erased_at=None)
        .select_related("kind", "account")
        .prefetch_related(
            Prefetch("jobs", Job.objects.select_related("queue").order_by("id"), to_attr="all_jobs")
        )
    )
    found = {item.pk: item for item in items}
    versions = {
        version.item_id: version
        for version in ItemVersion.objects.filter(
            item__in=item_ids, number=F("item__version_number")
        )
    }
    decisions = {
        decision.item_id: decision
        for decision in Decision.objects.current()
        .filter(item__in=item_ids, verdict__isnull=False)
        .prefetch_related("policy_versions__policy")
    }
    hits = []
    for pk in item_ids:
        item = found.get(pk)
        if item is None:
            continue
        hidden = blind.of_item(by, item.all_jobs)
        if question.asks_history and blind.HISTORY in hidden:
            continue
        if question.asks_author and blind.AUTHOR in hidden:
            continue
        version = versions[pk]
        version.item = item
        text = search_entries.words_of(item.kind.fields, version.content)
        blind.hide(item, hidden)
        hits.append(
            Hit(
                item,
                version.title(),
                search_terms.snippet(" ".join(text.split()), question.phrases),
                hidden,
                None if blind.HISTORY in hidden else decisions.get(pk),
                list({job.queue_id: job.queue for job in item.all_jobs}.values()),
            )
        )
    return hits
