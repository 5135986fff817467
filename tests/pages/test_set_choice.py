"""How a prompt set is chosen: pasted, uploaded, drawn from a template, by its kind; each has an address."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from analysis.results import (
    PromptSet,
    TextPair,
)
from analysis.sets import MOST_BYTES
from pages.shared.keys import Key
from pages.shared.set_state import ALONE, own_set, read_set, ready_set, template_set, word_of
from tests.pages.looking import table, texts
from tests.pages.test_prompt_set import DAYS, HEADING, PAIRS, as_csv, shown

Visit = Callable[..., AppTest]


def test_a_table_is_pasted_its_broken_row_named_and_the_rest_taken(visit: Visit):
    app = shown(visit)
    app.text_area(key=Key.SET_TEXT).set_value(
        as_csv(DAYS[0]) + "only one\n" + as_csv(DAYS[1])[len(HEADING) :]
    )
    app.button(key=Key.SET_READ).click().run()
    assert "Row 2 is left out: it has 1 cell where the heading has 4." in texts(app)
    app.button(key=f"{Key.SET_TAKE}_paste").click().run()
    assert not app.exception
    assert [*table(app, PAIRS)["answer"]] == ["' Tuesday'", "' Monday'"]
    word = app.query_params["set"]
    assert own_set(word) == PromptSet(DAYS)
    assert [*table(shown(visit, set=word), PAIRS)["answer"]] == ["' Tuesday'", "' Monday'"]


def test_a_table_that_is_none_is_a_sentence_and_takes_nothing(visit: Visit):
    app = shown(visit)
    app.text_area(key=Key.SET_TEXT).set_value("a,b\n1,2\n")
    app.button(key=Key.SET_READ).click().run()
    assert "lacks clean and corrupted" in texts(app) and "set" not in app.query_params
    assert not [button for button in app.button if button.key == f"{Key.SET_TAKE}_paste"]


def test_a_file_is_read_up_to_its_bound(visit: Visit):
    app = shown(visit)
    app.file_uploader[0].upload("pairs.csv", as_csv(*DAYS).encode(), "text/csv").run()
    app.button(key=f"{Key.SET_TAKE}_upload").click().run()
    assert own_set(app.query_params["set"]) == PromptSet(DAYS)
    app.file_uploader[0].upload("large.csv", b"x" * (MOST_BYTES + 1), "text/csv").run()
    assert "The table has 200,001 bytes, and at most 200,000 are read." in texts(app)


def test_a_template_is_filled_and_its_pairs_stand_in_the_address(visit: Visit):
    app = shown(visit)
    template = "{A} saw {B} at the {place}, so {S} gave a {object} to"
    app.text_input(key=Key.SET_TEMPLATE).set_value(template)
    app.number_input(key=Key.SET_DRAWN).set_value(3)
    app.button(key=Key.SET_DRAW).click().run()
    assert not app.exception
    assert app.query_params["set"] == f"3:{template}"
    assert len(table(app, PAIRS)) == 3 and all(" saw " in text for text in table(app, PAIRS)["clean"])
    again = shown(visit, set=f"3:{template}")
    assert table(again, PAIRS).equals(table(app, PAIRS))
    assert again.text_input(key=Key.SET_TEMPLATE).value == template
    app.text_input(key=Key.SET_TEMPLATE).set_value("{A} and {B}")
    app.button(key=Key.SET_DRAW).click().run()
    assert "The template has no {S}." in texts(app) and not app.dataframe


def test_kind_and_size_are_chosen_and_stand_in_the_address(visit: Visit):
    app = shown(visit, set="days-2")
    assert (app.selectbox(key=Key.SET_KIND).value, app.number_input(key=Key.SET_SIZE).value) == ("days", 2)
    app.number_input(key=Key.SET_SIZE).set_value(3).run()
    assert app.query_params["set"] == "days-3" and len(table(app, PAIRS)) == 3
    app.selectbox(key=Key.SET_KIND).set_value("months").run()
    assert app.query_params["set"] == "months-3"
    app.selectbox(key=Key.SET_KIND).set_value(ALONE).run()
    assert app.query_params["set"] == ALONE and not app.exception


def test_only_pages_with_an_uploader_take_files(visit: Visit, monkeypatch):
    said: list[bool] = []
    for module in ("experiment", "set_choice"):
        monkeypatch.setattr(f"pages.shared.{module}.expect_files", said.append)
    shown(visit, set="days-2")
    assert said == [False, True]


@pytest.mark.parametrize(
    "word",
    ["banana", "drinks-0", "drinks-65", "drinks", "[]", "[[1]]", "[" * 5000, '[["a","a"," x"," y"]]', "null"],
)
def test_a_word_that_names_no_set_is_told_and_the_ready_one_shown(visit: Visit, word: str):
    assert read_set(word) is None
    if word == "banana":
        app = shown(visit, set=word)
        assert "asks for set = 'banana', which there is not" in texts(app) and len(table(app, PAIRS)) == 5


@given(st.lists(st.lists(st.text(min_size=1), min_size=4, max_size=4, unique=True), min_size=1, max_size=5))
def test_any_set_survives_the_address(rows: list[list[str]]):
    pairs = tuple(TextPair(*row) for row in rows)
    word = word_of(PromptSet(pairs))
    found = own_set(word)
    assert found is None or (found.pairs == pairs and read_set(word) == word)
    assert ready_set(word) is None and template_set(word) is None
    if all(text.strip() and text.isascii() for pair in pairs for text in pair):
        assert found is not None
