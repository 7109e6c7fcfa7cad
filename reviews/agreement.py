"""PURE. What several people's answers to one item come to."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple


class Answer(NamedTuple):
    """One person's answer; `violated` names the policies, none when clean."""

    verdict: str
    violated: frozenset[str] = frozenset()


def consensus(answers: Sequence[Answer]) -> Answer | None:
    """The answer that more than half of them gave; None where they disagree.

    The verdict needs more than half of all answers; each policy more than half of those that found
    a violation. A violation on whose policy nobody agrees is a disagreement. Two answers agree
    only when they are the same: at low prevalence that is little evidence, so ask three people
    where it matters.
    """
    verdict = _most(Counter(answer.verdict for answer in answers))
    if verdict is None:
        return None
    with_it = [answer for answer in answers if answer.verdict == verdict]
    named = Counter(policy for answer in with_it for policy in answer.violated)
    violated = frozenset(policy for policy, n in named.items() if n > len(with_it) / 2)
    if named and not violated:
        return None
    return Answer(verdict, violated)


def _most(votes: Counter[str]) -> str | None:
    """The vote of more than half, if there is one."""
    for vote, n in votes.most_common(1):
        if n > votes.total() / 2:
            return vote
    return None
