"""What a routing rule may ask: the facts of a platform, each with its type and what can be asked of
that type. Conditions over them: conditions.py; where their values come from: facts.py."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from .wording import gettext as _
from .wording import noop

# Type of fact → what can be asked of it, in the order it is offered, with the words it is read in.
_KNOWN = {"known": noop("is known"), "unknown": noop("is not known")}
OPERATORS: dict[str, dict[str, str]] = {
    "number": {">=": "≥", ">": ">", "<=": "≤", "<": "<", "=": "=", "!=": "≠", **_KNOWN},
    "text": {
        "is": noop("is"),
        "is_not": noop("is not"),
        "one_of": noop("is one of"),
        "contains": noop("contains"),
        **_KNOWN,
    },
    "list": {"has": noop("include"), "has_any": noop("include any of")},
    "boolean": {"is": noop("is"), **_KNOWN},
    "time": {"after": noop("is after"), "before": noop("is before"), **_KNOWN},
}
NO_VALUE = frozenset(_KNOWN)
MANY_VALUES = frozenset({"one_of", "has_any"})
_FIELD_TYPES = {"number": "number", "boolean": "boolean", "datetime": "time"}


class Fact(NamedTuple):
    """Something a condition may ask. `choices` are the values a page offers."""

    name: str
    label: str
    type: str  # a key of OPERATORS
    group: str
    about: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    is_open: bool = True  # may other values than `choices` be given?
    is_fraction: bool = False


Catalogue = Mapping[str, Fact]


def make_catalogue(
    *,
    policies: Iterable[tuple[str, str]],
    fields: Iterable[Mapping[str, Any]],
    kinds: Iterable[tuple[str, str]] = (),
    sources: Iterable[tuple[str, str]] = (),
    languages: Iterable[str] = (),
    reasons: Iterable[str] = (),
) -> dict[str, Fact]:
    """All facts of a platform by name, in the order they are offered."""
    sources = tuple(sources)
    facts = [
        Fact(
            "highest_risk",
            _("highest risk"),
            "number",
            _("Risk"),
            _("Over all policies."),
            (),
            True,
            True,
        )
    ]
    for slug, name in policies:
        about = _("What the model thinks now, 0 to 1. Not known until the item is scored.")
        facts.append(
            Fact(
                f"risk.{_plain(slug)}",
                _("risk of %(name)s") % {"name": name},
                "number",
                _("Risk"),
                about,
                (),
                True,
                True,
            )
        )
    facts += [
        Fact(
            "report_count", _("reports"), "number", _("Reports"), _("All of them, from any source.")
        ),
        Fact(
            "sources",
            _("sources of its reports"),
            "list",
            _("Reports"),
            _("Who or what reported it."),
            sources,
            False,
        ),
        Fact(
            "reasons",
            _("reasons of its reports"),
            "list",
            _("Reports"),
            _("As the reporters put them, letter by letter."),
            tuple((reason, reason) for reason in reasons),
        ),
        Fact(
            "reporter_trust",
            _("best reporter's record"),
            "number",
            _("Reports"),
            _(
                "Share of her earlier reports that were upheld, 0 to 1, drawn towards a half while "
                "they are few. Not known without a named reporter."
            ),
            is_fraction=True,
        ),
        Fact(
            "mean_reporter_trust",
            _("reporters' mean record"),
            "number",
            _("Reports"),
            _("The mean over its named reporters."),
            is_fraction=True,
        ),
    ]
    for source, name in sources:
        facts.append(
            Fact(
                f"reports.{source}",
                _("reports from %(name)s") % {"name": name},
                "number",
                _("Reports"),
            )
        )
    facts += [
        Fact("kind", _("kind"), "text", _("Item"), "", tuple(kinds), False),
        Fact(
            "language",
            _("language"),
            "text",
            _("Item"),
            _("As the platform says it, such as en or pt-BR."),
            tuple((language, language) for language in languages),
        ),
        Fact("views_per_hour", _("views an hour"), "number", _("Item")),
        Fact("account_age_days", _("account's age in days"), "number", _("Account")),
        Fact("strikes", _("account's strikes"), "number", _("Account"), _("Those that count now.")),
        Fact(
            "recent_items",
            _("account's items of 7 days"),
            "number",
            _("Account"),
            _("This one included; counted up to 1,000."),
        ),
    ]
    named: dict[str, Fact] = {fact.name: fact for fact in facts}
    for field in fields:
        name = f"field.{_plain(field['name'])}"
        sort = _FIELD_TYPES.get(field.get("type", ""), "text")
        known = named.get(name)
        if known is not None and known.type != sort:
            sort = "text"  # two kinds of item do not agree: ask for it as it reads
        label = _("field %(field)s") % {"field": field.get("label") or field["name"]}
        named[name] = Fact(name, label, sort, _("Fields"))
    return named


def _plain(name: str) -> str:
    return name.replace("-", "_")
