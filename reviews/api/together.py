"""What people say to each other: notes on items, answered questions, one's own notifications."""

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from reviews import access, notes, notifications, questions
from reviews.errors import Invalid
from reviews.models import Item, Note, Notification, Question

from . import schemas
from .bodies import BoundedJSONParser, whole_number

_REFUSALS = dict.fromkeys((401, 403, 404, 422), schemas.Refusal)
_PAGE = [
    OpenApiParameter("before", int, description="Ids below this one: the page after."),
    OpenApiParameter("limit", int, description="1 to 200; 50 if left out."),
]


class NotesView(APIView):
    verb = {"GET": "note.view", "POST": "note.leave"}
    parser_classes = [BoundedJSONParser]

    @extend_schema(
        operation_id="list_notes",
        summary="Notes on an item",
        description="Oldest first. A withdrawn one keeps its text. A person who may still have to "
        "judge the item blind gets her own only.",
        responses={200: schemas.NoteList, **_REFUSALS},
    )
    def get(self, request: Request, pk: int) -> Response:
        item = _item(request, "note.view", pk)
        found = notes.notes_on(
            item, by=request.user, open_jobs=item.jobs.open().select_related("queue")
        )
        return Response({"results": [_note(note) for note in found[:1000]]})

    @extend_schema(
        operation_id="leave_note",
        summary="Leave a note for the next reviewer",
        request=schemas.NoteIn,
        responses={
            200: schemas.NoteOut,
            400: schemas.Refusal,
            409: schemas.Refusal,
            413: schemas.Refusal,
            **_REFUSALS,
        },
    )
    def post(self, request: Request, pk: int) -> Response:
        item = _item(request, "note.leave", pk)
        text = request.data.get("text") if isinstance(request.data, dict) else None
        if not isinstance(text, str):
            raise Invalid("Send an object with a text.", details={"text": ["Required."]})
        return Response(_note(notes.leave_note(item, by=request.user, text=text)))


class QuestionsView(APIView):
    verb = "policy.view"

    @extend_schema(
        operation_id="list_questions",
        summary="Questions about policies, and their answers",
        description="Newest first: those that are published, a person's own, and all of them for "
        "who owns policies.",
        parameters=[
            OpenApiParameter("policy", str, description="Slug of a policy."),
            OpenApiParameter("state", str, enum=Question.State.values),
            *_PAGE,
        ],
        responses={200: schemas.QuestionPage, **_REFUSALS},
    )
    def get(self, request: Request) -> Response:
        rows = questions.visible(request.user)
        policy, state = (request.query_params.get(name) for name in ("policy", "state"))
        if policy is not None:
            rows = rows.filter(policy__slug=policy.replace("\x00", ""))
        if state is not None:
            if state not in Question.State.values:
                raise Invalid("There is no such state.", details={"state": Question.State.values})
            rows = rows.filter(state=state)
        return _page(request, rows, _question)


class NotificationsView(APIView):
    verb = "notification.view"

    @extend_schema(
        operation_id="list_notifications",
        summary="Your own notifications, newest first",
        description="Of the person who is signed in; programs are told nothing.",
        parameters=_PAGE,
        responses={200: schemas.NotificationPage, **_REFUSALS},
    )
    def get(self, request: Request) -> Response:
        return _page(request, notifications.of_person(request.user), _notification)


class NotificationsReadView(APIView):
    verb = "notification.view"
    parser_classes = [BoundedJSONParser]

    @extend_schema(
        operation_id="read_notifications",
        summary="Mark your notifications read",
        request=schemas.ReadIn,
        responses={200: schemas.ReadOut, 400: schemas.Refusal, 413: schemas.Refusal, **_REFUSALS},
    )
    def post(self, request: Request) -> Response:
        upto = request.data.get("upto") if isinstance(request.data, dict) else None
        if type(upto) is not int or not 0 <= upto < 2**63:
            raise Invalid("Say up to which id.", details={"upto": ["Required: a whole number."]})
        return Response({"read": notifications.mark_read(request.user, upto=upto)})


def _item(request: Request, verb: str, pk: int) -> Item:
    return access.get(request.user, verb, Item.objects.all(), "platform", pk=pk)


def _page(request: Request, rows, as_json) -> Response:  # noqa: ANN001
    before = whole_number(request, "before", default=2**53, least=1, most=2**53)
    limit = whole_number(request, "limit", default=50, least=1, most=200)
    found = list(rows.filter(pk__lt=before)[: limit + 1])
    shown = found[:limit]
    return Response(
        {
            "results": [as_json(one) for one in shown],
            "next_before": shown[-1].pk if len(found) > limit else None,
        }
    )


def _note(note: Note) -> dict:
    return {
        "id": note.pk,
        "author": note.author.username,
        "text": note.text,
        "created_at": note.created_at,
        "withdrawn_at": note.withdrawn_at,
    }


def _question(question: Question) -> dict:
    version = question.policy_version
    return {
        "id": question.pk,
        "policy": question.policy.slug,
        "state": question.state,
        "text": question.text,
        "asked_at": question.asked_at,
        "answer": question.answer,
        "answered_at": question.answered_at,
        "policy_version": version.number if version else None,
        "is_published": question.is_published,
    }


def _notification(notification: Notification) -> dict:
    actor, item, policy, queue = (
        getattr(notification, name) for name in ("actor", "item", "policy", "queue")
    )
    return {
        "id": notification.pk,
        "sort": notification.sort,
        "actor": actor.username if actor else None,
        "item": item.pk if item else None,
        "policy": policy.slug if policy else None,
        "queue": queue.slug if queue else None,
        "created_at": notification.created_at,
        "read_at": notification.read_at,
    }
