"""What a form says, what an address says, and what the gallery is asked."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from vasari.core.errors import UsageError
from vasari.serving.asks import Reason
from vasari.serving.filters import Condition
from vasari.serving.page.owner import by_period
from vasari.serving.page.wishes import Choice, Panel, Range, Wish
from vasari.serving.page.works import speakers

text = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20)
numbers = st.none() | st.integers(-(10**6), 10**6).map(float)


def conditions():
    values = st.builds(
        lambda column, found: Condition(column, tuple(found)), text, st.lists(text, min_size=1, max_size=3)
    )
    ranges = st.builds(lambda column, low, high: Condition(column, (), low, high), text, numbers, numbers)
    return values | ranges.filter(lambda one: one.is_range)


wishes = st.builds(
    Wish,
    st.integers(0, 100),
    st.lists(conditions(), max_size=4, unique_by=lambda one: one.column).map(tuple),
    st.booleans(),
    st.integers(1, 240),
)


@given(wishes)
def test_an_address_says_it_all(wish):
    query = urlsplit(wish.address).query
    back = Wish.read(QueryParams(parse_qsl(query, keep_blank_values=True)))
    assert back.address == wish.address
    assert {one.column: one for one in back.conditions} == {one.column: one for one in wish.conditions}
    assert (back.surprise, back.sold, back.show) == (wish.surprise, wish.sold, wish.show)


def test_what_is_left_empty_is_not_wished_for():
    assert Wish.read(QueryParams("is.style=&from.price=&to.price=&surprise=")) == Wish()
    assert Wish().address == "/"


@pytest.mark.parametrize(
    "query", ["surprise=-1", "surprise=x", "surprise=²", "show=0", "from.a=nan", "to.a=1e999"]
)
def test_what_cannot_be_wished_for(query):
    with pytest.raises(UsageError):
        Wish.read(QueryParams(query))


def test_the_first_wall_is_varied_and_later_ones_follow_the_slider():
    assert Wish(20).ask(None, known=False).diversity > Wish(20).ask("u", known=True).diversity
    assert Wish(0).ask("u", known=True).novelty == 0
    assert Wish(100).ask("u", known=True).novelty == 1
    assert not Wish().ask(None, known=False).filters.conditions


def test_the_panel_offers_what_there_is_to_choose():
    columns = {
        "style": ["rain", "sea"],
        "one": ["same"],
        "price": (100, 900),
        "flat": (3, 3),
        "artist_id": ["a1", "a2"],
        "artist": ["Ada", "Bea"],
        "framed": [False, True],
    }
    panel = Panel.of(
        columns, Wish(conditions=(Condition("style", ("sea",)), Condition("price", (), 200.0, None)))
    )
    assert [one.column for one in panel.choices] == ["style", "artist", "framed"]
    assert panel.choices[0] == Choice("style", "Style", (("rain", "rain"), ("sea", "sea")), "sea")
    assert panel.choices[2].values == (("false", "no"), ("true", "yes"))
    assert panel.ranges == (Range("price", "Price", 100, 900, (200.0, None)),)


def test_shares_are_of_what_speaks_for_a_work():
    reasons = [
        Reason("a", 3.0, True),
        Reason("b", -2.0, True),
        Reason("c", 1.0, True),
        Reason("gone", 9.0, True),
    ]
    found = speakers(reasons, {"a": "A", "b": "B", "c": "C"})
    assert [(one.item_id, one.percent) for one in found] == [("a", 75), ("c", 25)]
    assert speakers([Reason("a", -1.0, True)], {"a": "A"}) == []


def test_sales_by_day_or_by_month():
    assert by_period([]) == []
    assert by_period([("2024-01-30", 2), ("2024-02-01", 1)]) == [
        ("2024-01-30", 2),
        ("2024-01-31", 0),
        ("2024-02-01", 1),
    ]
    assert by_period([("2023-11-30", 2), ("2024-02-01", 1), ("2024-02-09", 1)]) == [
        ("2023-11", 2),
        ("2023-12", 0),
        ("2024-01", 0),
        ("2024-02", 2),
    ]
