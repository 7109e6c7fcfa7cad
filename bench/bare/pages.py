"""The one page of the bare control: POST finishes a job and shows the next."""

import json

from django.contrib.auth.decorators import login_required
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.urls import path

from bench.reviewing import cycles

_PAGE = engines["django"].from_string(
    """<form method="post">{% csrf_token %}
<input type="hidden" name="job" value="{{ job }}">
<input type="hidden" name="token" value="{{ token }}">
<h1>{{ content.subject }}</h1><p>{{ content.body }}</p>
<ul>{% for row in rows %}<li>{{ row }}</li>{% endfor %}</ul>
<button>Clean</button></form>"""
)
_READ = "SELECT content FROM reviews_itemversion WHERE item_id = %s AND number = 1"
_HELD = "SELECT item_id, queue_id, claimed_at FROM reviews_job WHERE id = %s"
_QUEUE = """
SELECT id, platform_id, ARRAY(SELECT id FROM reviews_policyversion)
FROM reviews_queue WHERE slug = 'main'
"""


@login_required
def page(request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute(_QUEUE)
        queue, platform, policies = cursor.fetchone()
        if request.method == "POST":
            with transaction.atomic():
                _finish(cursor, request, platform, policies)
        with transaction.atomic():
            cursor.execute("SET LOCAL synchronous_commit = off")
            cursor.execute(cycles.RAW_CLAIM, [queue, request.user.pk])
            job, item, token, _ = cursor.fetchone()
        cursor.execute(_READ, [item])
        context = {
            "job": job,
            "token": token,
            "content": json.loads(cursor.fetchone()[0]),
            "rows": range(10),
        }
    return HttpResponse(_PAGE.render(context, request))


def _finish(cursor, request: HttpRequest, platform: int, policies: list[int]) -> None:
    person, job, token = request.user.pk, request.POST["job"], request.POST["token"]
    cursor.execute(_HELD, [job])
    item, queue, claimed_at = cursor.fetchone()
    cursor.execute(cycles.RAW_FINISH, [job, token])
    cursor.execute(cycles.RAW_END, [job, person, token, claimed_at])
    claim = cursor.fetchone()[0]
    cursor.execute(cycles.RAW_REVIEW, [job, claim, item, item, person])
    review, version = cursor.fetchone()
    cursor.execute(cycles.RAW_FINDINGS, [review, policies])
    cursor.execute(cycles.RAW_DECISION, [item, version, queue, job, review, person])
    cursor.execute(cycles.RAW_AUDIT, [person, platform, str(review)])


urlpatterns = [path("", page)]
