"""What the domain refuses, and why. Pages and API each translate these in one place."""


class DomainError(Exception):
    """A refusal a person can act on: `str()` is a sentence for her, `status` its HTTP twin."""

    status = 422

    def __init__(self, message: str, *, details: dict | None = None) -> None:
        super().__init__(message)
        self.details = details or {}


class Invalid(DomainError):
    """The request makes no sense as it stands. `details` maps field → what is wrong."""

    status = 422


class Forbidden(DomainError):
    """This person may see it, but not do that."""

    status = 403


class NotFound(DomainError):
    """It does not exist, or not for this person: strangers are not told which."""

    status = 404


class Conflict(DomainError):
    """The world moved on: claim lost, already decided, state no longer allows it."""

    status = 409


class Gone(DomainError):
    """It was here, and was taken away on purpose. `details` may name what takes its place."""

    status = 410


class TooSlow(DomainError):
    """It would take longer than anybody waits for an answer; nothing was changed."""

    status = 503


class ClaimLost(Conflict):
    """The claim ran out, was released, or belongs to somebody else now."""
