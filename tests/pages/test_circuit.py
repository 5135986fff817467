"""The circuit page on results made by hand: its sentences, its controls, and what they choose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from analysis.demo_model.examples import EXAMPLES
from analysis.nodes import Graph
from analysis.results import EdgeLabels, NodeRequest
from pages.shared import circuit_state
from pages.shared.circuit_words import beside_random, finding, hidden
from pages.shared.keys import Key
from tests.charts.test_drawn_attention import node
from tests.circuit_samples import GRAPH, a_graph, own_scores_of, scores_of
from tests.pages.looking import captions, scripts, texts
from tests.pages.stored_results import EXPERIMENT, an_overview, keep

Visit = Callable[..., AppTest]
EDGES: EdgeLabels = (("embed", "L0H1.v"), ("L0H1", "L1H0.q"))


@pytest.fixture
def graph(own_store: None):
    """A graph in the store, and the scores of its two strongest paths and of `EDGES`."""
    found = a_graph(EXPERIMENT)
    keep(an_overview(), found)
    strongest = tuple(found.graph.labels(found.ranking[:2]))
    for edges in (strongest, EDGES):
        keep(own_scores_of(edges, EXPERIMENT), scores_of(edges, EXPERIMENT))
    return found


def circuit(visit: Visit, **parameters: str) -> AppTest:
    app = visit("circuit", **{"edges": "2", **parameters})
    assert not app.exception
    return app


def drawn(app: AppTest) -> list[list[str]]:
    """Writer and reader of each drawn path, from the table."""
    return app.dataframe[-1].value[["writer", "reader"]].to_numpy().tolist()


def test_the_page_says_what_the_paths_that_are_drawn_carry(visit: Visit, graph) -> None:
    app = circuit(visit)
    answer, foil = (f"·{EXPERIMENT.answer.strip()}", f"·{EXPERIMENT.foil.strip()}")
    total = len(GRAPH)
    assert (
        f"These 2 of {total} paths bring back 91 % of the difference between {answer} and {foil}. Alone, "
        "with every other path as in the corrupted run, they keep 64 % of it." in texts(app)
    )
    said = captions(app)
    assert "half bring back 25 % (at most 33 %) or less, and half keep 2 % (at most 3 %) or less." in said
    assert "One by one these paths bring back 157 % in sum." in said
    assert "CPR 1.125 (higher is better), CMD 0.0375 (0 is best)" in said
    assert f"Not drawn: {total - 2} other paths" in said and graph.proof in captions(app)
    shown = {metric.label: metric.value for metric in app.metric}
    assert shown == {"Brings back": "91 %", "Breaks": "87 %", "Faithful": "64 %"}
    assert drawn(app) == [list(edge) for edge in graph.graph.labels(graph.ranking[:2])]


def test_only_this_page_takes_files(visit: Visit, graph, monkeypatch) -> None:
    said: list[bool] = []
    for module in ("experiment", "circuit_leave"):
        monkeypatch.setattr(f"pages.shared.{module}.expect_files", said.append)
    app = circuit(visit)
    assert said == [False, True]
    app.run()
    assert said == [False, True, True], "a file that is on its way is not refused meanwhile"
    visit("result")
    assert said == [False, True, True, False]


def test_pins_are_drawn_whatever_the_slider_says(visit: Visit, graph) -> None:
    app = circuit(visit, edges="0", pins="embed-L0H1.v~L0H1-L1H0.q")
    assert sorted(drawn(app)) == sorted(map(list, EDGES))
    app.button(key="clear").click().run()
    assert not app.exception and "No path is drawn." in captions(app)
    assert "pins" not in app.query_params


def test_a_path_is_kept_and_taken_out_again(visit: Visit, graph) -> None:
    strongest = graph.graph.labels(graph.ranking[:1])[0]
    keep(replace(node(strongest), request=NodeRequest(EXPERIMENT, strongest[1].partition(".")[0], strongest)))
    app = circuit(visit, selected=" → ".join(strongest))
    app.button(key="pin").click().run()
    assert not app.exception and app.query_params["pins"] == "-".join(strongest)
    app.button(key="unpin").click().run()
    assert "pins" not in app.query_params


def test_all_that_is_drawn_is_kept(visit: Visit, graph) -> None:
    app = circuit(visit)
    app.button(key="pin_all").click().run()
    assert not app.exception
    assert [*map(list, app.session_state[Key.PINS])] == [*map(list, graph.graph.labels(graph.ranking[:2]))]
    assert app.session_state[Key.EDGES] == 0


def test_the_two_sliders_are_one_number(visit: Visit, graph) -> None:
    app = circuit(visit)
    share = app.slider(key=Key.ACCOUNTED)
    assert share.value == round(100 * graph.accounted(2))
    share.set_value(40).run()
    assert app.session_state[Key.EDGES] == graph.smallest(0.4) != 2


def test_what_the_model_does_not_have_is_said_and_left_out(visit: Visit, graph) -> None:
    app = circuit(visit, edges="0", pins="embed-L0H1.v~L0H1-L1H0.q~L9H9-logits~MLP1-MLP0")
    assert "2 of the 4 paths in my circuit are no paths of this model" in texts(app)
    assert sorted(drawn(app)) == sorted(map(list, EDGES))
    assert "not in this model, or not drawn" in captions(circuit(visit, selected="L9H9"))


def test_identical_prompts_have_no_circuit(visit: Visit) -> None:
    app = visit("circuit", corrupted=EXAMPLES[0].clean)
    assert not app.exception and "there is no circuit to find" in texts(app)


def test_the_script_is_that_of_the_drawn_paths(visit: Visit, graph) -> None:
    drawn = [repr(edge) for edge in graph.graph.labels(graph.ranking[:2])]
    assert [script for script in scripts(circuit(visit)) if all(edge in script for edge in drawn)]


labels = st.sampled_from(GRAPH.labels(GRAPH.edges))
names = st.text(min_size=1, max_size=circuit_state.LONGEST_NAME).filter(lambda name: name.strip() == name)


@given(st.lists(labels, unique=True, min_size=1))
def test_pins_survive_the_address(edges: list[tuple[str, str]]) -> None:
    assert circuit_state.read_edges(circuit_state.write_edges(tuple(edges))) == tuple(edges)


@given(st.dictionaries(names, st.lists(st.sampled_from(GRAPH.writers), min_size=1), max_size=4, min_size=1))
def test_groups_survive_the_address(groups: dict[str, list[str]]) -> None:
    held = tuple((name, tuple(nodes)) for name, nodes in groups.items())
    try:
        word = circuit_state.write_groups(held)
    except UnicodeEncodeError:  # half of a surrogate pair cannot be typed
        return
    assert circuit_state.read_groups(word) == held


@given(st.text())
def test_no_word_of_the_address_is_too_strange(word: str) -> None:
    graph = Graph(2, 2)
    known, _ = circuit_state.known_edges(circuit_state.read_edges(word), graph)
    assert all(edge in graph.labels(graph.edges) for edge in known)
    circuit_state.known_groups(dict(circuit_state.read_groups(word)), graph)
    assert circuit_state.read_count(word) is None or 0 <= int(word) <= circuit_state.MOST_DRAWN


def test_one_path_and_one_group_are_told_in_the_singular() -> None:
    graph, own = a_graph(), own_scores_of(EDGES)
    assert finding(graph, own, 1).startswith("This one path brings back 91 %")
    assert "Of 3 random sets" in beside_random(scores_of(EDGES)) and "100 %" in hidden(graph, 0, 0.0)
    assert circuit_state.fault_of_name("L0H1", GRAPH) and circuit_state.fault_of_name(" ", GRAPH)
    assert circuit_state.fault_of_name("name movers", GRAPH) is None
