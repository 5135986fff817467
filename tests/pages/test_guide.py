"""Help, tour and what the app is: on every page, about that page, and true of the bundled model."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Element

from analysis import __version__
from analysis.answers import answer
from analysis.demo_model.examples import EXAMPLES
from analysis.requests import HEAD_INPUTS, Experiment
from analysis.results import AllSourcesRequest, AttributionRequest, OverviewRequest
from pages.shared.choices import CHOICES, LAYOUT
from pages.shared.explanations import EXPLANATIONS
from pages.shared.guide import TOUR
from pages.shared.keys import Key
from pages.shared.navigation import ALL_SOURCES, ATTRIBUTION, CIRCUIT, LEAVES, PATH_PATCHING, RESULT, Leaf
from pages.shared.papers import PAPERS
from pages.shared.terms import TERMS, Term

Visit = Callable[..., AppTest]
FIRST = EXAMPLES[0]
EXPERIMENT = Experiment("demo", FIRST.clean, FIRST.corrupted, FIRST.answer, FIRST.foil)


def said(app: AppTest) -> str:
    return "\n".join(element.value for element in (*app.sidebar.markdown, *app.sidebar.caption))


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.title)
def test_a_page_explains_itself_and_no_other(visit: Visit, leaf: Leaf):
    app = visit(leaf.file.removeprefix("pages/").removesuffix(".py"))
    assert not app.exception
    told = EXPLANATIONS[leaf]
    assert f"**{leaf.title}.** {told.question}" in said(app)
    formulas = [element.value for element in app.sidebar.markdown if element.value.startswith("$")]
    assert formulas == [f"${told.formula}$"]
    assert all(f"**{term}**: {TERMS[term]}" in said(app) for term in told.terms)
    assert all(f"[{paper.title}]({paper.address})" in said(app) for paper in (*told.papers, *PAPERS))
    assert f"Pathscope {__version__}" in said(app)


def test_every_term_is_defined_and_explained_somewhere():
    assert (
        set(TERMS) == set(get_args(Term)) == {term for told in EXPLANATIONS.values() for term in told.terms}
    )
    assert set(EXPLANATIONS) == set(LEAVES)
    assert {paper for told in EXPLANATIONS.values() for paper in told.papers} == set(PAPERS)


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice.key)
def test_every_control_says_what_it_chooses(choice):
    assert choice.help
    assert choice is LAYOUT or any(meaning in choice.help for meaning in TERMS.values())


def test_every_metric_says_what_it_is(visit: Visit):
    app = visit("path_patching")
    assert app.metric and all(metric.help for metric in app.metric)


# The tour tells of the first example in the bundled model what is so.


def sentence(leaf: Leaf) -> str:
    [told] = [step.sentence for step in TOUR if step.leaf is leaf]
    return told


def test_the_tour_has_five_steps_on_five_pages():
    assert [step.leaf for step in TOUR] == [RESULT, ATTRIBUTION, ALL_SOURCES, PATH_PATCHING, CIRCUIT]


def test_the_tour_begins_with_the_token_that_differs():
    overview = answer(OverviewRequest(EXPERIMENT)).result
    assert overview.differences == (10,) and "at position 10" in sentence(RESULT)
    assert (overview.clean_tokens[10], overview.corrupted_tokens[10]) == (" John", " Mary")
    assert (overview.clean_top[0][0], overview.corrupted_top[0][0]) == (" Mary", " John")


def test_the_mlps_that_the_tour_names_write_most_of_the_answer():
    result = answer(AttributionRequest(EXPERIMENT)).result
    table = result.table(-1).set_index("component")["attribution"]
    last_two = table.filter(regex=r"^[23]_mlp_out$")
    assert set(table.abs().nlargest(2).index) == set(last_two.index)
    assert last_two.sum() > 0.5 * result.logit_difference[-1]


@pytest.mark.slow
def test_the_paths_that_the_tour_names_are_the_strongest():
    results = {
        component: answer(AllSourcesRequest(EXPERIMENT, component)).result for component in HEAD_INPUTS
    }
    strongest = {component: result.table(3) for component, result in results.items()}
    value = strongest["v"]
    assert [*zip(value["source"], value["destination"], strict=True)] == [
        ("L0H7", "L2H5"),
        ("L0H7", "L1H0"),
        ("L1H0", "L2H5"),
    ]
    assert value["recovery"].iloc[0] == pytest.approx(1 / 3, abs=0.03)
    others = [strongest[component]["effect"].abs().max() for component in ("q", "k")]
    assert max(others) < value["effect"].iloc[2]
    for leaf in (ALL_SOURCES, PATH_PATCHING):
        [view] = [step.view for step in TOUR if step.leaf is leaf]
        assert view[Key.COMPONENT] == "v"
    assert (view[Key.SOURCE_LAYER], view[Key.SOURCE_HEAD]) == ("0", "7")


def test_a_step_on_the_page_at_hand_brings_the_example_back(visit: Visit):
    app = visit("path_patching", foil=" Helen", component="q", source_layer="1", source_head="2")
    app.button(key=f"{Key.GUIDE}_step").click().run()
    assert not app.exception
    keys = (Key.FOIL, Key.COMPONENT, Key.SOURCE_LAYER, Key.SOURCE_HEAD)
    assert [app.session_state[key] for key in keys] == [FIRST.foil, "v", 0, 7]


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.title)
def test_every_control_says_what_it_means_when_it_is_hovered_over(visit: Visit, leaf: Leaf):
    app = visit(leaf.file.removeprefix("pages/").removesuffix(".py"))
    assert not app.exception
    kinds = ("selectbox", "button_group", "number_input", "slider", "text_input", "text_area", "metric")
    controls = [control for kind in kinds for control in app.get(kind) if isinstance(control, Element)]
    assert len(controls) > 5
    assert [control.proto.label for control in controls if not control.proto.help] == []
