"""Filters for what somebody found: levels in the policy's words, marks as what they quote."""

from collections.abc import Iterator

from django import template

from reviews.models import Decision

register = template.Library()

_QUOTED = 160
_MOST = 20


@register.filter
def grades(decision: Decision) -> list[tuple[str, str]]:
    """[("Spam", "Serious (2 of 3)")]: each graded policy with the word of its level."""
    found = []
    for version in decision.policy_versions.all() if decision.severities else ():
        level = decision.severities.get(version.policy.slug)
        words = version.severity_levels
        if level is not None and 0 < level <= len(words):
            found.append((version.policy.name, f"{words[level - 1]} ({level} of {len(words)})"))
    return found


@register.filter
def quotes(decision: Decision) -> list[tuple[str, str]]:
    """[("send money", "Spam")]: what the reviewer marked, cut where it is long."""
    return list(_quotes(decision))[:_MOST] if decision.review is not None else []


def _quotes(decision: Decision) -> Iterator[tuple[str, str]]:
    spans = decision.review.spans
    names = {one.policy.slug: one.policy.name for one in decision.policy_versions.all()}
    content = decision.item_version.content if spans else {}
    for span in spans:
        text = content.get(span["field"]) if isinstance(content, dict) else None
        if isinstance(text, str):  # not when the item was erased
            quoted = text[span["start"] : span["end"]]
            cut = f"{quoted[:_QUOTED]}…" if len(quoted) > _QUOTED else quoted
            yield cut, names.get(span["policy"], span["policy"])
