"""Each bundled model can be chosen, with its ready examples, and the address says which."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from analysis.answers import answer
from analysis.demo_model.examples import EXAMPLES, Example
from analysis.induction_model.examples import EXAMPLES as OF_INDUCTION
from analysis.models import ATTENTION, INDUCTION
from analysis.requests import Experiment
from analysis.results import GraphRequest
from pages.shared.keys import PROMPT_KEYS, Key

Visit = Callable[..., AppTest]


def pair(app: AppTest) -> list[str]:
    return [app.session_state[key] for key in PROMPT_KEYS]


def of(example: Example) -> list[str]:
    return [getattr(example, key) for key in PROMPT_KEYS]


def test_an_address_that_names_the_model_alone_opens_its_first_example(visit: Visit):
    app = visit("result", model=INDUCTION)
    assert not app.exception and pair(app) == of(OF_INDUCTION[0])
    assert app.selectbox(Key.EXAMPLE).options == [example.title for example in OF_INDUCTION]
    assert OF_INDUCTION[0].explanation in [caption.value for caption in app.sidebar.caption]
    assert app.query_params.keys() == {"model"}


def test_the_page_says_that_the_weights_were_set_and_which_circuit_it_is(visit: Visit):
    told = [caption.value for caption in visit("result", model=INDUCTION).sidebar.caption]
    circuit = "the previous-token head L0H2 feeds the key of the induction head L1H3"
    assert any(circuit in caption and "set by hand" in caption for caption in told)


def test_an_example_gives_way_to_one_of_the_model_that_is_chosen_and_back(visit: Visit):
    app = visit("result")
    assert pair(app) == of(EXAMPLES[0])
    app.selectbox(Key.MODEL).set_value(INDUCTION).run()
    assert not app.exception and pair(app) == of(OF_INDUCTION[0])
    assert app.selectbox(Key.EXAMPLE).value == 0
    app.selectbox(Key.EXAMPLE).set_value(2).run()
    assert pair(app) == of(OF_INDUCTION[2])
    app.selectbox(Key.MODEL).set_value("demo").run()
    assert not app.exception and pair(app) == of(EXAMPLES[0]) and not app.query_params


@pytest.mark.parametrize("shared", OF_INDUCTION[3:], ids=lambda example: example.title)
def test_an_example_of_both_models_stays(visit: Visit, shared: Example):
    app = visit("result", **dict(zip(PROMPT_KEYS, of(shared), strict=True)))
    app.selectbox(Key.MODEL).set_value(INDUCTION).run()
    assert not app.exception and pair(app) == of(shared)
    assert app.selectbox(Key.EXAMPLE).value == OF_INDUCTION.index(shared)


def test_what_was_typed_stays(visit: Visit):
    app = visit("result", foil=" Helen")
    app.selectbox(Key.MODEL).set_value(INDUCTION).run()
    assert pair(app) == [*of(EXAMPLES[0])[:3], " Helen"]


def test_a_word_that_the_model_does_not_know_is_several_tokens_and_told(visit: Visit):
    app = visit("result", model=INDUCTION, foil=" banana")
    assert not app.exception
    told = "\n".join(element.value for element in app.main.text)
    assert "The foil ' banana' is 7 tokens" in told


def test_a_set_of_the_same_kind_is_offered_for_its_examples_alone(visit: Visit):
    for model, examples in (("demo", EXAMPLES), (INDUCTION, OF_INDUCTION)):
        app = visit("prompt_set", model=model)
        assert not app.exception
        offered = [title for title in app.selectbox(Key.SET_KIND).options if title.startswith("Same kind")]
        assert sorted(offered) == sorted(f"Same kind: {example.title}" for example in examples)


def test_the_circuit_page_knows_the_roles_of_its_heads(visit: Visit):
    first = OF_INDUCTION[0]
    answer(GraphRequest(Experiment(INDUCTION, first.clean, first.corrupted, first.answer, first.foil)))
    app = visit("circuit", model=INDUCTION)
    assert not app.exception
    (told,) = (caption.value for caption in app.main.caption if "with a known role" in caption.value)
    assert "(induction, set by hand in this model after Elhage et al. 2021)" in told
    assert "2 of the 2 known ones are drawn" in told


@pytest.mark.parametrize("page", ["direct_logit_attribution", "path_patching", "all_sources"])
def test_the_other_pages_find_the_circuit(visit: Visit, page: str):
    app = visit(page, model=INDUCTION)
    assert not app.exception
    told = "\n".join(element.value for element in app.main.text)
    found = {"direct_logit_attribution": "L1H3"}.get(page, "L0H2 tells L1H3's key")
    assert found in told


@pytest.mark.parametrize(
    ("page", "found"),
    [
        ("direct_logit_attribution", "L3H4"),
        ("path_patching", "L2H4 tells L3H4's query"),
        ("all_sources", "L2H4 tells L3H4's query"),
    ],
)
def test_without_mlps_the_textbooks_heads_are_found(visit: Visit, page: str, found: str):
    app = visit(page, model=ATTENTION)
    assert not app.exception and pair(app) == of(EXAMPLES[0])
    assert found in "\n".join(element.value for element in app.main.text)
    told = [caption.value for caption in app.sidebar.caption]
    assert any("no MLPs" in caption and "L3H4 moves names" in caption for caption in told)


def test_another_example_of_letters_is_offered(visit: Visit):
    app = visit("result", model=INDUCTION)
    app.button(f"{Key.GENERATE}_another_example").click().run()
    assert not app.exception
    clean, corrupted, answer, foil = pair(app)
    assert (clean, answer) == (OF_INDUCTION[0].clean, " D") and corrupted.count(foil.strip()) == 1
    exchanged = dict(zip(clean.split(), corrupted.split(), strict=True))
    assert corrupted.split() == [exchanged[letter] for letter in clean.split()]
    assert foil == f" {exchanged['D']}" and not set(clean.split()) & set(corrupted.split())
