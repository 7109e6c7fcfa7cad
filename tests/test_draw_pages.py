"""Draws and track records on their pages, and what an item's page says about its place."""

import csv

import pytest
from django.urls import reverse

from reviews import claims, decisions, draws, gold, intake, ranking, reporters
from reviews.models import Draw, Gold, Item, Job, Queue, Reporter
from tests.factories import make_draw, make_item, make_job
from tests.test_pages_all import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def world():
    return World()


@pytest.fixture
def lena(world):
    return world.client("lena")


def sample(world, **kw):
    values = {"lane": "learning", "strategy": "poisson", "expected": "2", "seed": "5", **kw}
    return world.client("lena").post(world.urls()["sample"], values)


def text_of(answer):
    return answer.content.decode()


# Drawing a sample


def test_a_lead_draws_a_sample_and_sees_what_came_of_it(world, lena):
    answer = sample(world)
    draw = Draw.objects.latest("pk")
    assert answer["Location"] == reverse("reviews:draw-detail", args=[draw.pk])
    assert (draw.lane, draw.pool_size, draw.seed) == ("learning", 3, 5)
    page = text_of(lena.get(answer["Location"]))
    assert f"Draw {draw.pk}" in page and "lena" in page
    assert f"stream=&quot;learning:{draw.pk}&quot;" in page


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("lane", "risk"),
        ("strategy", "nonsense"),
        ("expected", "many"),
        ("expected", "-1"),
        ("expected", "nan"),
        ("seed", "abc"),
        ("seed", "9" * 30),
    ],
)
def test_what_is_wrong_stands_beside_its_field_and_what_was_typed_stays(world, field, value):
    before = Draw.objects.count()
    answer = sample(world, **{field: value})
    assert answer.status_code == 422
    assert f'id="draw-{field}-error"' in text_of(answer)
    if field in ("expected", "seed"):
        assert f'value="{value}"' in text_of(answer)
    assert Draw.objects.count() == before


def test_an_empty_pool_is_told_beside_the_lane(world):
    answer = sample(world, lane="gold")
    assert answer.status_code == 409
    assert "No verdict is known here" in text_of(answer)


def test_the_form_says_how_many_there_are_to_draw_from(world, lena):
    page = text_of(lena.get(world.urls()["sample"]))
    assert "Learning: from 3" in page and "Gold: from 0" in page


def test_a_reviewer_finds_no_way_to_draw(world):
    assert "Draw a sample" not in text_of(world.client("rosa").get(world.urls()["queue"]))
    assert "Draw a sample" in text_of(world.client("mila").get(world.urls()["queue"]))


# Lists


def test_draws_are_filtered_by_the_url_and_empty_ones_hidden(world, lena):
    make_draw(queue=world.queue, lane="random", pool_size=9, drawn=0)
    url = world.urls()["draws"]

    def shown(**query):
        return [draw.lane for draw in lena.get(url, query).context["draws"]]

    assert shown() == ["learning"]
    assert shown(empty=1) == ["random", "learning"]
    assert shown(empty=1, lane="random") == ["random"]
    assert shown(queue="elsewhere") == []
    assert shown(by="hand") == []
    assert shown(before="nonsense", strategy="nonsense") == ["learning"]


def test_a_draw_as_csv_has_each_job_with_its_probability(world, lena):
    for number in range(120):
        item = make_item(platform=world.platform, external_id=f"={number}")
        make_job(
            queue=world.queue,
            item=item,
            lane="random",
            draw=world.drawn.draw,
            inclusion_probability=0.5,
        )
    url = reverse("reviews:draw-detail", args=[world.drawn.draw_id])
    page = lena.get(url)
    assert len(page.context["jobs"]) == 100
    rows = list(csv.DictReader(text_of(lena.get(url, {"format": "csv"})).splitlines()))
    assert len(rows) == 121
    assert {row["inclusion_probability"] for row in rows} == {"0.5", "0.1"}
    assert any(row["external_id"] == "'=7" for row in rows)


def test_an_old_draw_whose_pool_was_not_counted_has_a_page(world, lena):
    draw = make_draw(queue=world.queue, pool_size=None, drawn=None, probability=None)
    page = text_of(lena.get(reverse("reviews:draw-detail", args=[draw.pk])))
    assert "not kept" in page


def test_the_code_on_the_page_draws_the_same_jobs_again(world, lena):
    for number in range(40):
        world.add_job(number)
    sample(world, strategy="poisson_band", expected="15")
    draw = Draw.objects.latest("pk")
    code = lena.get(reverse("reviews:draw-detail", args=[draw.pk])).context["code"]
    for job in Job.objects.filter(queue=world.queue, item__risk__isnull=False):
        scope = {"item_id": job.item_id, "risk": job.item.risk}
        exec(code, scope)  # noqa: S102  (it is what we offer to run)
        assert scope["is_drawn"] == (job.draw_id == draw.pk)


# Reporters


def test_reporters_are_sorted_filtered_and_paged(world, lena, monkeypatch):
    from reviews.views import reporters as views

    monkeypatch.setattr(views, "PAGE", 2)
    for name, filed, settled, upheld in (("amy", 9, 4, 1), ("bob", 50, 9, 9), ("cy", 1, 0, 0)):
        Reporter.objects.create(
            platform=world.platform,
            source="user",
            external_id=name,
            filed=filed,
            settled=settled,
            upheld=upheld,
            trust=0.3,
        )
    url = world.urls()["reporters"]

    def shown(**query):
        return [one.external_id for one in lena.get(url, query).context["page"].object_list]

    assert shown() == ["bob", "nora"]
    assert shown(page=2) == ["amy", "cy"]
    assert shown(sort="-filed") == ["cy", "amy"]
    assert shown(sort="share") == ["bob", "nora"]
    assert shown(sort="-share") == ["amy", "nora"]
    assert shown(sort="share", page=2) == ["amy", "cy"]  # unknown last, whichever way
    assert shown(sort="-share", page=2) == ["bob", "cy"]
    assert shown(q="OB") == ["bob"]
    assert shown(least=9, sort="name") == ["bob", "nora"]
    assert shown(source="rule") == []
    assert shown(sort="nonsense", page="x", least="x", source="x") == ["bob", "nora"]


def test_a_reporter_is_shown_with_her_interval_in_words_and_as_csv(world, lena):
    url = world.urls()["reporters"]
    page = text_of(lena.get(url))
    low, high = ranking.interval(18, 21)
    assert "usually right (18 of 21)" in page
    assert f"{low:.2f}–{high:.2f}" in page
    (row,) = csv.DictReader(text_of(lena.get(url, {"format": "csv"})).splitlines())
    assert (row["reporter"], row["upheld"], row["settled"]) == ("nora", "18", "21")


def test_the_head_of_a_column_turns_the_order_round(world, lena):
    page = text_of(lena.get(world.urls()["reporters"], {"sort": "trust", "q": "nora"}))
    assert 'aria-sort="descending"' in page
    assert "sort=-trust" in page and "q=nora" in page


# What a reviewer sees of it


def report(world, item, name="nora"):
    row = {"kind": item.kind.slug, "item": item.external_id, "reason": "Scam", "reporter": name}
    intake.file_reports(world.platform, [row], by=None)


def test_the_desk_tells_a_reporters_record_in_words(world):
    for job in world.queue.jobs.filter(lane="risk"):
        report(world, job.item)
    page = text_of(world.client("rosa").get(world.urls()["review"]))
    assert "usually right (18 of 21)" in page
    assert "by a reliable reporter" in page
    assert "0.75" not in page


def test_a_queue_blind_to_reports_tells_no_record(world):
    Queue.objects.update(blind=["reports"])
    for job in world.queue.jobs.filter(lane="risk"):
        report(world, job.item)
    page = text_of(world.client("rosa").get(world.urls()["review"]))
    assert "usually right" not in page and "reliable" not in page


# Why here


def test_a_lead_sees_a_rank_taken_apart_and_a_reviewer_words(world, lena):
    item = world.queue.jobs.filter(lane="risk").latest("rank").item
    report(world, item)
    url = reverse("reviews:item-detail", args=[item.pk])
    page = lena.get(url)
    (place,) = page.context["places"]
    job = Job.objects.get(item=item)
    assert place.account.rank == pytest.approx(job.rank)
    assert place.account.harm == pytest.approx(job.harm)
    text = text_of(page)
    assert "Why here" in text and "P(violation)" in text and "0.900" in text
    words = text_of(world.client("rosa").get(url))
    assert "Why here" in words and "likely spam and scams" in words.lower()
    assert "P(violation)" not in words and "0.900" not in words


def test_what_is_judged_blind_gives_a_reviewer_no_reasons(world):
    url = reverse("reviews:item-detail", args=[world.drawn.item_id])
    assert "Why here" not in text_of(world.client("rosa").get(url))


def test_a_check_does_not_tell_its_answer_on_the_items_page(world):
    decision = world.decide()
    rosa, remy, lena = (world.client(name) for name in ("rosa", "remy", "lena"))
    gold.mark(decision.item, by=world.people["lena"])
    draws.draw_jobs(
        world.queue, lane="gold", strategy="certainty", expected=1, by=world.people["lena"]
    )
    url = reverse("reviews:item-detail", args=[decision.item_id])
    hidden = text_of(remy.get(url))
    assert "Violating" not in hidden and "gold" not in hidden.lower()
    assert "Violating" in text_of(rosa.get(url))  # her own
    assert "Violating" in text_of(lena.get(url))


# Gold


def test_a_lead_marks_an_item_as_gold_and_takes_it_back(world, lena):
    decision = world.decide()
    page = reverse("reviews:item-detail", args=[decision.item_id])
    url = reverse("reviews:item-gold", args=[decision.item_id])
    assert "Use as gold" in text_of(lena.get(page))
    assert lena.post(url, {"gold": "1"})["Location"] == page
    assert Gold.objects.get().decision == decision
    assert "No longer gold" in text_of(lena.get(page))
    lena.post(url, {"gold": "0"})
    assert not Gold.objects.exists()


def test_what_is_not_decided_is_refused_as_gold(world, lena):
    item = world.queue.jobs.first().item_id
    assert lena.post(reverse("reviews:item-gold", args=[item])).status_code == 409
    assert "Use as gold" not in text_of(lena.get(reverse("reviews:item-detail", args=[item])))


def test_records_follow_from_what_reviewers_decide(world):
    """From report to page, through services and sweep."""
    item = Item.objects.get(pk=world.queue.jobs.filter(lane="risk").latest("rank").item_id)
    report(world, item, name="tess")
    job = claims.claim_job(Job.objects.get(item=item), by=world.people["rosa"])
    decisions.record_review(job.pk, job.claim_token, by=world.people["rosa"], verdict="clean")
    reporters.refresh_reporters()
    page = text_of(world.client("abel").get(world.urls()["reporters"], {"q": "tess"}))
    assert "new (0 of 1)" in page
