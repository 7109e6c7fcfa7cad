"""What is good for the person who looks: asked before she is given a job, and nowhere else."""

from .models import Person, Queue


def may_be_served(person: Person, queue: Queue) -> bool:
    """May she be given a job of this queue now? Membership is the claim's own to ask.

    Here will stand what she has looked at today against her exposure budget, and her breaks; a
    job that she holds already is hers to finish, whatever the answer.
    """
    return person.is_active and not queue.is_archived
