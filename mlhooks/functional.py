"""Functional cases: texts whose answer under a policy is beyond doubt, by policy owners."""

import csv
import io
from pathlib import Path
from typing import NamedTuple

from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from reviews import access, audit
from reviews.errors import Conflict, Invalid
from reviews.models import Person, Platform, Policy

from .models import FunctionalCase

MOST_TEXT, MOST_NAME, MOST_ROWS = 2_000, 80, 5_000
DEMO = Path(__file__).with_name("demo_cases.csv")
_YES = {"1", "true", "yes", "violating"}
_NO = {"0", "false", "no", "clean"}


class Case(NamedTuple):
    functionality: str
    text: str
    violates: bool


def add_cases(policy: Policy, cases: list[Case], *, by: Person | None) -> int:
    """All or none; a text that is there already, under the same name and answer, is left as it is.
    Returns how many are new."""
    access.check(by, "functional.edit", policy.platform_id)
    if not cases:
        raise Invalid(_("There is no case in it."), details={"text": _("Give a text.")})
    if len(cases) > MOST_ROWS:
        raise Invalid(_("At most %(most)s cases at once.") % {"most": MOST_ROWS})
    for number, case in enumerate(cases, start=1):
        _check(case, number if len(cases) > 1 else None)
    with transaction.atomic():
        Policy.objects.select_for_update(no_key=True).get(pk=policy.pk)
        standing = FunctionalCase.objects.filter(policy=policy, archived_at=None)
        answers = dict(standing.values_list("text", "violates"))
        new = []
        for case in cases:
            if case.text in answers and answers[case.text] != case.violates:
                raise Conflict(
                    _("“%(text)s” is a case already, with the other answer. Archive that first.")
                    % {"text": case.text[:60]}
                )
            if case.text not in answers:
                answers[case.text] = case.violates
                new.append(FunctionalCase(policy=policy, created_by=by, **case._asdict()))
        FunctionalCase.objects.bulk_create(new)
        if new:
            audit.record(
                "functional.add", policy, by=by, platform=policy.platform_id, count=len(new)
            )
    return len(new)


def archive_case(case: FunctionalCase, *, by: Person | None) -> None:
    """No model is asked it any more; evidence that was gathered keeps its figures."""
    access.check(by, "functional.edit", case.policy.platform_id)
    with transaction.atomic():
        taken = FunctionalCase.objects.filter(pk=case.pk, archived_at=None)
        if not taken.update(archived_at=Now()):
            raise Conflict(_("This case is archived already."))
        audit.record(
            "functional.archive",
            case.policy,
            by=by,
            platform=case.policy.platform_id,
            text=case.text[:200],
        )


def read_csv(text: str) -> list[Case]:
    """Columns functionality, text, answer (violating or clean). Invalid names the row."""
    reader = csv.DictReader(io.StringIO(text.lstrip("\ufeff")))
    missing = {"functionality", "text", "answer"} - set(reader.fieldnames or ())
    if missing:
        raise Invalid(
            _("The file has no column %(names)s.") % {"names": ", ".join(sorted(missing))}
        )
    cases = []
    for number, row in enumerate(reader, start=1):
        answer = (row["answer"] or "").strip().lower()
        if answer not in _YES | _NO:
            raise Invalid(
                _("Row %(number)s: the answer is “%(answer)s”, not violating or clean.")
                % {"number": number, "answer": answer[:40]}
            )
        cases.append(
            Case(
                " ".join((row["functionality"] or "").split()),
                (row["text"] or "").strip(),
                answer in _YES,
            )
        )
    return cases


def add_demo_cases(platform: Platform) -> int:
    """What the demo's policies are tested with; again adds nothing twice."""
    policies = {policy.slug: policy for policy in platform.policies.all()}
    found: dict[str, list[Case]] = {}
    for row in csv.DictReader(io.StringIO(DEMO.read_text(encoding="utf-8"))):
        case = Case(row["functionality"], row["text"], row["answer"] == "violating")
        found.setdefault(row["policy"], []).append(case)
    return sum(
        add_cases(policies[slug], cases, by=None)
        for slug, cases in found.items()
        if slug in policies
    )


def _check(case: Case, number: int | None) -> None:
    wrong = {}
    if not case.functionality or len(case.functionality) > MOST_NAME:
        wrong["functionality"] = _("Name what it tests, in at most %(most)s characters.") % {
            "most": MOST_NAME
        }
    if not case.text or len(case.text) > MOST_TEXT:
        wrong["text"] = _("Give a text of at most %(most)s characters.") % {"most": MOST_TEXT}
    if wrong:
        words = next(iter(wrong.values()))
        if number is not None:
            words = _("Row %(number)s: %(words)s") % {"number": number, "words": words}
        raise Invalid(words, details=wrong)
