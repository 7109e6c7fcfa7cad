"""Conditions as data: checked, written out as text, read back, and put into words."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reviews import conditions, expressions
from reviews.catalogue import OPERATORS, make_catalogue
from reviews.rule_changes import compare_rules

FIELDS = [
    {"name": "body", "label": "Body", "type": "text"},
    {"name": "price", "label": "Price", "type": "number"},
    {"name": "is-ad", "label": "Advertisement", "type": "boolean"},
    {"name": "sent", "label": "Sent", "type": "datetime"},
    {"name": "in", "label": "In reply to", "type": "string"},
]
CATALOGUE = make_catalogue(
    policies=[("spam", "Spam"), ("adult-services", "Adult services")],
    fields=FIELDS,
    kinds=[("message", "Message"), ("post", "Post")],
    sources=[("user", "User"), ("trusted_flagger", "Trusted flagger")],
    languages=["en", "de"],
    reasons=["Spam"],
)
FACTS = {
    "kind": "message",
    "language": "en",
    "views_per_hour": 120.0,
    "highest_risk": 0.7,
    "report_count": 3,
    "sources": ["user"],
    "reasons": ["Spam", "Other"],
    "reporter_trust": 0.6,
    "mean_reporter_trust": 0.5,
    "account_age_days": 2.5,
    "strikes": 0,
    "recent_items": 4,
    "risk": {"spam": 0.7},
    "reports": {"user": 3, "trusted_flagger": 0},
    "field": {
        "body": "Your INVOICE is <<here>>",
        "price": 9.5,
        "is_ad": True,
        "sent": "2026-11-20T08:00:00+00:00",
        "in": "m-1",
    },
}


def leaf(fact, op, value=None):
    return {"fact": fact, "op": op} | ({} if value is None else {"value": value})


def holds(tree, facts=FACTS):
    found, problems = conditions.check(tree, CATALOGUE)
    assert problems == {}
    return conditions.compile_tree(found).holds(facts)


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (leaf("risk.spam", ">=", 0.7), True),
        (leaf("risk.spam", ">", 0.7), False),
        (leaf("risk.adult_services", "<", 1), False),  # not scored for it: not known
        (leaf("risk.adult_services", "unknown"), True),
        (leaf("risk.spam", "known"), True),
        (leaf("report_count", "=", 3), True),
        (leaf("report_count", "!=", 3), False),
        (leaf("views_per_hour", "<=", "120"), True),
        (leaf("kind", "is", "message"), True),
        (leaf("language", "is_not", "de"), True),
        (leaf("language", "one_of", ["de", "en"]), True),
        (leaf("language", "one_of", ["de"]), False),
        (leaf("field.body", "contains", "Invoice"), True),
        (leaf("field.body", "contains", "<<HERE>>"), True),
        (leaf("field.body", "contains", "**"), False),
        (leaf("sources", "has", "user"), True),
        (leaf("sources", "has", "trusted_flagger"), False),
        (leaf("sources", "has_any", ["trusted_flagger", "user"]), True),
        (leaf("reasons", "has", "spam"), False),
        (leaf("reports.trusted_flagger", "=", 0), True),
        (leaf("field.is_ad", "is", True), True),
        (leaf("field.is_ad", "is", False), False),
        (leaf("field.price", "<", 10), True),
        (leaf("field.sent", "after", "2026-11-20"), True),
        (leaf("field.sent", "before", "2026-11-20"), False),
        (leaf("field.in", "is", "m-1"), True),
        ({"expression": "report_count * 2 > 5"}, True),
    ],
)
def test_each_comparison_is_true_or_not(tree, expected):
    assert holds(tree) is expected


YES, NO = leaf("report_count", ">", 0), leaf("report_count", ">", 5)
NULL = leaf("risk.adult_services", ">", 0)
_VALUE = {"yes": True, "no": False, "null": None}
_LEAF = {"yes": YES, "no": NO, "null": NULL}


def _and(values):
    return False if False in values else None if None in values else True


def _or(values):
    return True if True in values else None if None in values else False


@pytest.mark.parametrize("names", list(itertools.product(_VALUE, repeat=3)))
def test_and_or_and_not_follow_the_tables_of_sql(names):
    """All 27 triples. Only what is true holds, so `not` tells false and null apart."""
    parts, values = [_LEAF[name] for name in names], [_VALUE[name] for name in names]
    for sort, table in (("all", _and), ("any", _or)):
        expected = table(values)
        assert holds({sort: parts}) is (expected is True)
        assert holds({"not": {sort: parts}}) is (expected is False)


def test_not_known_twice_turned_round_is_still_not_known():
    assert holds({"not": {"not": NULL}}) is False
    assert holds({"not": NULL}) is False
    assert holds({"not": {"not": YES}}) is True


@pytest.mark.parametrize(
    ("tree", "path", "words"),
    [
        (None, "", "not a condition"),
        ({"all": []}, "", "Add a condition"),
        ({"all": [YES, {"any": []}]}, "1", "Add a condition"),
        ({"all": [YES, leaf("colour", "is", "red")]}, "1", "There is no colour"),
        ({"any": [{"all": [YES, leaf("", "is", "")]}]}, "0.1", "Choose what"),
        (leaf("report_count", "contains", 3), "0", "Choose how to compare"),
        (leaf("report_count", ">", "many"), "0", "Give a number"),
        (leaf("report_count", ">", float("nan")), "0", "finite"),
        (leaf("risk.spam", ">", 80), "0", "from 0 to 1"),
        (leaf("kind", "is", "comment"), "0", "There is no comment"),
        (leaf("language", "one_of", []), "0", "at least one"),
        (leaf("language", "is", " "), "0", "Give a value"),
        (leaf("language", "is", "x" * 201), "0", "200 characters"),
        (leaf("field.is_ad", "is", "yes"), "0", "true or false"),
        (leaf("field.sent", "after", "soon"), "0", "Give a date"),
        ({"expression": ""}, "0", "Write an expression"),
        ({"expression": "report_count >"}, "0", "not a condition"),
        ({"expression": "risk.toxic > 0.5"}, "0", "There is no risk.toxic here"),
        ({"all": [{"expression": "true) or (true"}]}, "0", "not a condition"),
        ({"all": [YES] * 51}, "", "at most 50 conditions"),
        ({"all": [{"any": [YES], "all": [YES]}]}, "0", "not a condition"),
    ],
)
def test_what_is_wrong_is_said_where_it_is_wrong(tree, path, words):
    problems = conditions.check(tree, CATALOGUE)[1]
    assert words in problems[path], problems


def test_groups_go_six_deep_and_no_deeper():
    def nested(depth):
        return {"any": [nested(depth - 1)]} if depth else YES

    assert conditions.check(nested(6), CATALOGUE)[1] == {}
    assert "deep" in str(conditions.check(nested(7), CATALOGUE)[1])


def test_a_tree_whose_text_grows_too_long_is_refused():
    tree = {"any": [leaf("language", "one_of", [f"{n}{'x' * 190}" for n in range(50)])]}
    assert "8,000 characters" in conditions.check(tree, CATALOGUE)[1][""]


def test_one_form_is_kept_of_what_can_be_said_in_several_ways():
    assert conditions.check(YES, CATALOGUE)[0] == {"all": [YES]}
    assert conditions.check({"not": YES}, CATALOGUE)[0] == {"not": {"any": [YES]}}
    found = conditions.check(leaf("language", "one_of", ["en", "en", " de "]), CATALOGUE)[0]
    assert found == {"all": [leaf("language", "one_of", ["en", "de"])]}
    assert conditions.check(leaf("report_count", ">", "3.0"), CATALOGUE)[0]["all"][0]["value"] == 3


NUMBERS = st.one_of(
    st.integers(-(2**53), 2**53),
    st.floats(-(2**53), 2**53, allow_nan=False, allow_subnormal=False),
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda text: text.strip()
)
LEAVES = st.one_of(
    st.builds(
        leaf,
        st.sampled_from(["report_count", "field.price", "strikes", "reports.user"]),
        st.sampled_from([">=", ">", "<=", "<", "=", "!="]),
        NUMBERS,
    ),
    st.builds(leaf, st.just("risk.adult_services"), st.sampled_from(["<", ">="]), st.floats(0, 1)),
    st.builds(leaf, st.sampled_from(["field.body", "field.in", "language"]), st.just("is"), TEXTS),
    st.builds(leaf, st.just("language"), st.just("one_of"), st.lists(TEXTS, min_size=1)),
    st.builds(leaf, st.just("reasons"), st.just("has"), TEXTS),
    st.builds(leaf, st.just("field.is_ad"), st.just("is"), st.booleans()),
    st.builds(
        leaf, st.sampled_from(["strikes", "language"]), st.sampled_from(["known", "unknown"])
    ),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda parts: {"all": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"any": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda part: {"not": part}, inner),
    ),
    max_leaves=8,
)
ITEMS = st.fixed_dictionaries(
    {
        "report_count": st.integers(0, 3),
        "strikes": st.none() | st.integers(0, 3),
        "language": st.none() | TEXTS,
        "reasons": st.lists(TEXTS, max_size=2),
        "reports": st.fixed_dictionaries({"user": st.integers(0, 3)}),
        "risk": st.dictionaries(st.just("adult_services"), st.floats(0, 1)),
        "field": st.fixed_dictionaries(
            {}, optional={"body": TEXTS, "in": TEXTS, "price": NUMBERS, "is_ad": st.booleans()}
        ),
    }
)


def truth(tree, facts):
    """The same by hand, straight over the tree: True, False or None."""
    if "not" in tree:
        inner = truth(tree["not"], facts)
        return None if inner is None else not inner
    for sort, table in (("all", _and), ("any", _or)):
        if sort in tree:
            return table([truth(part, facts) for part in tree[sort]])
    space, _, part = tree["fact"].partition(".")
    found = facts.get(space)
    if part:
        found = (found or {}).get(part)
    value = tree.get("value")
    if tree["op"] in ("known", "unknown"):
        return (found is None) == (tree["op"] == "unknown")
    if found is None:
        return None
    return {
        ">=": lambda: found >= value,
        ">": lambda: found > value,
        "<=": lambda: found <= value,
        "<": lambda: found < value,
        "=": lambda: found == value,
        "!=": lambda: found != value,
        "is": lambda: found == value,
        "one_of": lambda: found in value,
        "has": lambda: value in found,
    }[tree["op"]]()


@settings(max_examples=200, deadline=None)
@given(TREES, ITEMS)
def test_the_text_of_a_tree_is_as_true_as_the_tree(tree, facts):
    found, problems = conditions.check(tree, CATALOGUE)
    if problems:  # too deep or too long: refused, whatever it means
        return
    assert conditions.compile_tree(found).holds(facts) is (truth(found, facts) is True)


@settings(max_examples=200, deadline=None)
@given(TREES, ITEMS)
def test_a_tree_read_back_from_its_text_means_the_same(tree, facts):
    found, problems = conditions.check(tree, CATALOGUE)
    if problems:
        return
    text = conditions.to_text(found)
    again = conditions.from_text(text, CATALOGUE)
    if "expression" not in str(again):
        assert conditions.check(again, CATALOGUE) == (again, {})
    assert truth_of(again, facts) is truth_of(found, facts)


def truth_of(tree, facts):
    text = conditions.to_text(tree)
    return expressions.compile_condition(text, most=20_000).holds(facts)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("risk.spam >= 0.2", {"all": [leaf("risk.spam", ">=", 0.2)]}),
        ("0.2 <= risk.spam", {"all": [leaf("risk.spam", ">=", 0.2)]}),
        ('risk["adult-services"] > 0.5', {"all": [leaf("risk.adult_services", ">", 0.5)]}),
        (
            "risk.spam > 0.5 and report_count > 1 and kind == 'post'",
            {
                "all": [
                    leaf("risk.spam", ">", 0.5),
                    leaf("report_count", ">", 1),
                    leaf("kind", "is", "post"),
                ]
            },
        ),
        (
            "not (language in ['en', 'de']) or strikes == null",
            {
                "any": [
                    {"not": {"any": [leaf("language", "one_of", ["en", "de"])]}},
                    leaf("strikes", "unknown"),
                ]
            },
        ),
        ("'user' in sources", {"all": [leaf("sources", "has", "user")]}),
        ("field.is_ad == true", {"all": [leaf("field.is_ad", "is", True)]}),
        # What no tree says stays as it was written.
        ("'x' in field.body", {"all": [{"expression": "'x' in field.body"}]}),
        ("report_count * 2 > 3", {"all": [{"expression": "report_count * 2 > 3"}]}),
        ("risk.gone > 0.5", {"all": [{"expression": "risk.gone > 0.5"}]}),
        ("this is (not", {"all": [{"expression": "this is (not"}]}),
    ],
)
def test_old_text_becomes_a_tree_where_a_tree_can_say_it(text, tree):
    assert conditions.from_text(text, CATALOGUE) == tree


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"all": [leaf("risk.spam", ">=", 0.2)]}, "risk of Spam ≥ 0.2"),
        (
            {
                "any": [
                    {"all": [leaf("risk.spam", ">=", 0.9), leaf("language", "is", "en")]},
                    leaf("sources", "has", "trusted_flagger"),
                ]
            },
            "(risk of Spam ≥ 0.9 and language is en) or "
            "sources of its reports include Trusted flagger",
        ),
        ({"not": {"any": [YES, NO]}}, "none of (reports > 0, reports > 5)"),
        ({"not": {"any": [YES]}}, "not (reports > 0)"),
        ({"all": [leaf("kind", "one_of", ["post", "message"])]}, "kind is one of Post, Message"),
        ({"all": [leaf("views_per_hour", ">", 12000)]}, "views an hour > 12,000"),
        ({"all": [leaf("strikes", "unknown")]}, "account's strikes is not known"),
        ({"all": [leaf("field.sent", "after", "2026-11-20T00:00:00+00:00")]}, None),
        ({"all": [{"expression": "report_count\n> 3"}]}, "report_count > 3"),
        ({"all": [leaf("risk.gone", ">", 0.5)]}, "risk.gone > 0.5"),
    ],
)
def test_a_condition_reads_as_a_sentence(tree, words):
    assert conditions.in_words(tree, CATALOGUE) == (words or "field Sent is after 20 November 2026")


def test_a_field_that_two_kinds_disagree_on_is_asked_for_as_text():
    both = [{"name": "size", "type": "number"}, {"name": "size", "type": "string"}]
    assert make_catalogue(policies=[], fields=both)["field.size"].type == "text"


# Changes


def rule(name, queue="q", n=1):
    return {"name": name, "queue": queue, "is_active": True, "condition": {"all": [n]}}


def told(before, after):
    return [(change.sort, change.name, change.is_moved) for change in compare_rules(before, after)]


def test_added_changed_moved_and_removed_rules_are_told_apart():
    a, b, c, d = (rule(name, n=name) for name in "abcd")
    assert told([a, b, c], [a, b, c]) == []
    assert told([a, b], [a, c, b]) == [("added", "c", False)]
    assert told([a, b, c], [a, c]) == [("removed", "b", False)]
    assert told([a, b, c, d], [d, a, b, c]) == [("moved", "d", True)]
    assert told([a, b], [a, {**b, "queue": "other"}]) == [("changed", "b", False)]
    assert told([a, b, c, d], [{**d, "is_active": False}, a, b, c]) == [("changed", "d", True)]


def test_a_renamed_rule_is_the_same_rule():
    [change] = compare_rules([rule("old")], [rule("new")])
    assert (change.sort, change.before["name"], change.after["name"]) == ("changed", "old", "new")


@given(st.permutations(list("abcdef")))
def test_any_new_order_is_told_as_moves_and_nothing_else(order):
    before = [rule(name, n=name) for name in "abcdef"]
    after = [rule(name, n=name) for name in order]
    changes = compare_rules(before, after)
    assert {change.sort for change in changes} <= {"moved"}
    moved = {change.name for change in changes}
    stayed = [name for name in order if name not in moved]
    assert stayed == sorted(stayed)


def test_the_docs_name_every_fact_and_every_comparison():
    text = (Path(__file__).resolve().parent.parent / "docs" / "routing.md").read_text()
    for name in (*expressions.NAMES, "risk.<policy>", "reports.<source>", "field.<name>"):
        assert f"| `{name}` |" in text, name
    for op in {op for ops in OPERATORS.values() for op in ops}:
        assert f"`{op}`" in text, op
