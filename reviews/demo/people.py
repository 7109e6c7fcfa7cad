"""Who works at Mailhaven: one or two people for every role."""

from typing import NamedTuple

from reviews.models import Role


class Member(NamedTuple):
    username: str
    first_name: str
    last_name: str
    role: str
    queues: tuple[str, ...] = ()


MEMBERS = (
    Member("rosa", "Rosa", "Lind", Role.REVIEWER, ("spam", "phishing", "pins", "boards")),
    Member("remy", "Remy", "Okafor", Role.REVIEWER, ("spam", "adult", "pins", "boards", "clips")),
    Member(
        "lena",
        "Lena",
        "Hartmann",
        Role.LEAD,
        ("spam", "phishing", "adult", "pins", "boards", "clips"),
    ),
    Member("paul", "Paul", "Ferreira", Role.POLICY_OWNER),
    Member("mila", "Mila", "Novak", Role.ML_ENGINEER),
    Member("max", "Max", "Tan", Role.ML_ENGINEER),
    Member("abel", "Abel", "Rossi", Role.AUDITOR),
    Member("ada", "Ada", "Berg", Role.ADMIN),
)

# Their colleagues, who are simulated: the share of the answers that each gets right.
SIMULATED = {"sim-01": 0.97, "sim-02": 0.95, "sim-03": 0.92, "sim-04": 0.85}
# How well the named reviewers answered before you came.
NAMED = {"rosa": 0.97, "remy": 0.94}
