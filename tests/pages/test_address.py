"""The address: every word that it may hold is understood, shown, and written back whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest
from streamlit.testing.v1 import AppTest

from analysis.demo_model.examples import EXAMPLES
from analysis.requests import HEAD_INPUTS, LAYER_NORM_MODES, METRIC_NAMES, UNITS
from analysis.results import EffectScale, RunShown
from pages.shared.choices import CHOICES, Choice, CircuitLayout, Compared, InputsShown
from pages.shared.keys import Key

Visit = Callable[..., AppTest]
PAGE_OF = {
    Key.UNIT: "direct_logit_attribution",
    Key.RUN: "direct_logit_attribution",
    Key.LAYOUT: "circuit",
    Key.INPUTS: "all_sources",
    Key.COMPARED: "compare",
}


def control(app: AppTest, key: Key):
    [control] = [one for one in (*app.get("button_group"), *app.selectbox) if one.key == key]
    return control


def test_the_choices_offer_what_a_request_may_hold_its_default_first():
    offered = {choice.key: tuple(choice.options) for choice in CHOICES}
    assert offered == {
        Key.UNIT: ("node", *UNITS),
        Key.RUN: get_args(RunShown),
        Key.COMPONENT: HEAD_INPUTS,
        Key.LAYER_NORM: LAYER_NORM_MODES,
        Key.METRIC: METRIC_NAMES,
        Key.SCALE: get_args(EffectScale),
        Key.INPUTS: get_args(InputsShown),
        Key.LAYOUT: get_args(CircuitLayout),
        Key.COMPARED: get_args(Compared),
    }


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice.key)
def test_no_word_names_two_values_and_a_foreign_one_names_none(choice: Choice):
    for value, title in choice.options.items():
        assert choice.read(value) == choice.read(title) == value
    assert len({*choice.options, *choice.options.values()}) == 2 * len(choice.options)
    assert choice.read("banana") is None


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice.key)
@pytest.mark.parametrize("spelt", ["value", "title"])
def test_a_link_chooses_by_value_or_title_and_the_address_writes_the_value(
    visit: Visit, choice: Choice, spelt: str
):
    value, title = list(choice.options.items())[-1]
    word = value if spelt == "value" else title
    app = visit(PAGE_OF.get(choice.key, "path_patching"), **{choice.key: word})
    assert not app.exception
    assert app.session_state[choice.key] == value
    assert control(app, choice.key).value in (value, title)
    assert app.query_params[choice.key] == value


@pytest.mark.parametrize(
    ("word", "position"),
    [("last", "last"), ("Last: ' to'", "last"), ("all", "all"), ("All positions", "all"), ("3", "3"),
     ("3: ' John'", "3"), ("99", "last"), ("nowhere", "last"), ("3 of them", "last")],
)  # fmt: skip
def test_a_link_chooses_the_position_by_number_or_by_title(visit: Visit, word: str, position: str):
    app = visit("direct_logit_attribution", position=word)
    assert not app.exception
    assert app.selectbox(key=Key.POSITION).value == position
    assert app.query_params.get("position", "last") == position


@pytest.mark.parametrize(
    ("word", "layer"), [("2", 2), ("99", 3), ("-1", 0), ("1.5", 0), ("two", 0), ("9" * 400, 0)]
)
def test_a_link_chooses_a_source_within_the_model(visit: Visit, word: str, layer: int):
    app = visit("path_patching", source_layer=word, source_head="1")
    assert not app.exception
    assert app.selectbox(key=Key.SOURCE).value == f"L{layer}H1"
    told = "The model has no source layer 99; the last one, 3, is shown."
    assert (told in "".join(one.value for one in app.text)) is (word == "99")
    assert app.query_params.get("source_layer", "0") == str(layer)


def test_what_is_at_its_default_is_left_out_and_foreign_parameters_stay(visit: Visit):
    app = visit("result", foil=EXAMPLES[0].foil, layer_norm="Frozen", campaign="spring")
    assert app.query_params == {"campaign": "spring"}
    app.text_input(key=Key.FOIL).set_value(" Helen")
    app.button(key=Key.ASK).click().run()
    assert app.query_params == {"campaign": "spring", "foil": " Helen"}


def test_an_emptied_prompt_is_in_the_address_and_an_absent_one_is_the_first_examples(visit: Visit):
    emptied = visit("result", clean="")
    assert "empty" in "".join(element.value for element in emptied.text)
    assert emptied.query_params == {"clean": ""}
    assert visit("result", foil=" Helen").text_area(key=Key.CLEAN).value == EXAMPLES[0].clean
