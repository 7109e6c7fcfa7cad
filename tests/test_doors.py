"""What the fragments' own `door` says is what `url` says."""

import pytest
from django.template import Context, Template
from django.urls import reverse, set_script_prefix

from reviews.templatetags.doors import door


@pytest.mark.parametrize("number", [1, 7, 3141592653, 10**12])
def test_a_door_with_a_number(number):
    assert door("reviews:job-decide", number) == reverse("reviews:job-decide", args=[number])


def test_a_door_without():
    assert door("reviews:home") == reverse("reviews:home")


def test_below_another_prefix():
    try:
        set_script_prefix("/console/")
        assert door("reviews:job-skip", 5) == reverse("reviews:job-skip", args=[5])
        assert door("reviews:job-skip", 5).startswith("/console/")
    finally:
        set_script_prefix("/")
    assert door("reviews:job-skip", 5).startswith("/jobs/")


def test_in_a_template_also_by_name():
    page = Template("{% load doors %}{% door 'reviews:job-skip' n as there %}<{{ there }}>")
    assert page.render(Context({"n": 5})) == "</jobs/5/skip/>"


def test_no_path_is_made_of_what_is_no_number():
    page = Template("{% load doors %}{% door 'reviews:job-skip' n %}")
    with pytest.raises((TypeError, ValueError)):
        page.render(Context({"n": "5/../6"}))
