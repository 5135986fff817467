"""What is selected on a map is what stands below it from near, on this page and on the next."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape

import pytest
from streamlit.testing.v1 import AppTest

from analysis.answers import answer
from analysis.labels import shown_token
from analysis.results import (
    RUNS_SHOWN,
    HeadPathsRequest,
    NeuronsRequest,
    NodeAttributionRequest,
    NodeRequest,
)
from pages.shared.keys import Key
from tests.pages.looking import scripts, table, texts, written
from tests.pages.stored_results import EXPERIMENT

Visit = Callable[..., AppTest]
MINUS = "\N{MINUS SIGN}"


def headers(app: AppTest) -> list[str]:
    return [one.value for one in (*app.header, *app.subheader)]


def test_the_map_opens_on_the_largest_node_and_lists_it_first(visit: Visit):
    app = visit("direct_logit_attribution")
    assert not app.exception
    result = answer(NodeAttributionRequest(EXPERIMENT)).result
    rows = result.table("clean", -1)
    largest = rows.loc[rows["attribution"].abs().idxmax()]
    assert largest["name"] in headers(app)
    assert table(app)["node"].iloc[0] == largest["node"]
    assert table(app)["attribution"].iloc[0] == pytest.approx(largest["attribution"])
    assert f"{largest['name']} {largest['attribution']:+.2f}".replace("-", MINUS) in texts(app)


def test_a_difference_adds_up_to_the_difference_of_the_runs(visit: Visit):
    app = visit("direct_logit_attribution", run="clean_minus_corrupted")
    result = answer(NodeAttributionRequest(EXPERIMENT)).result
    clean, corrupted = result.logit_difference[:, -1]
    [own] = [metric.value for metric in app.metric if metric.label == "Model's logit difference"]
    assert own == f"{clean - corrupted:+.4f}".replace("-", MINUS)
    assert table(app)["attribution"].iloc[0] == pytest.approx(
        (result.attribution[0] - result.attribution[1])[result.node(table(app)["node"].iloc[0]), -1]
    )


@pytest.mark.parametrize("selected", ["L2H5", "L2H5 → L3H6.v"])
def test_what_another_page_selected_is_seen_from_near(visit: Visit, selected: str):
    app = visit("direct_logit_attribution", selected=selected)
    assert not app.exception and "L2H5" in headers(app)


def test_a_heads_page_shows_its_strongest_path_from_near_or_the_one_that_is_selected(visit: Visit):
    app = visit("path_patching", source_layer="1", source_head="0")
    assert not app.exception
    paths = answer(HeadPathsRequest(EXPERIMENT, 1, 0)).result.table()
    first = paths.iloc[0]
    assert f"{first['source']} → {first['destination']}.{first['component']}" in headers(app)
    assert {"Whom L1H0 tells", "Who tells L1H0"} <= set(headers(app))
    assert f"Number 1 of the {len(paths)} paths of L1H0." in texts(app)

    chosen = paths.iloc[3]
    label = f"{chosen['source']} → {chosen['destination']}.{chosen['component']}"
    app = visit("path_patching", source_layer="1", source_head="0", selected=label)
    assert not app.exception and label in headers(app)
    assert f"{chosen['effect']:+.4f} logits".replace("-", MINUS) in texts(app)
    assert f"Number 4 of the {len(paths)} paths" in texts(app)


def test_a_button_leads_to_all_paths_of_the_other_end(visit: Visit):
    app = visit("path_patching", source_layer="1", source_head="0", selected="L1H0 → L2H5.v")
    app.button(key=f"{Key.PATHS_OF}_destination").click().run()
    assert not app.exception
    assert (app.session_state[Key.SOURCE_LAYER], app.session_state[Key.SOURCE_HEAD]) == (2, 5)
    assert "Who tells L2H5" in headers(app) and "L1H0 → L2H5.v" in headers(app)


@pytest.mark.parametrize(("layer", "said"), [("0", "no earlier head"), ("3", "no later head")])
def test_a_head_at_either_end_of_the_model_says_that_nobody_is_there(visit: Visit, layer: str, said: str):
    app = visit("path_patching", source_layer=layer, source_head="1")
    assert not app.exception
    assert any(said in caption.value for caption in app.main.caption)
    assert ("Who tells L3H1" if layer == "3" else "Whom L0H1 tells") in headers(app)
    assert f"paths of L{layer}H1." in texts(app)


@pytest.mark.parametrize(
    ("page", "asked"),
    [
        ("direct_logit_attribution", "Direct logit attribution of every node, as"),
        ("path_patching", "Direct path patching from one head, as"),
        ("all_sources", "StrongestPathsRequest("),
    ],
)
def test_a_page_is_copied_as_the_python_that_asks_its_question(visit: Visit, page: str, asked: str):
    app = visit(page)
    assert not app.exception
    codes = [script for script in scripts(app) if asked in script]
    assert codes and all(repr(EXPERIMENT.clean) in code for code in codes)


@pytest.mark.parametrize(("run", "position"), [("clean", "last"), ("clean_minus_corrupted", "11")])
def test_the_neurons_of_an_mlp_are_those_of_the_run_and_position(visit: Visit, run: str, position: str):
    app = visit("direct_logit_attribution", selected="MLP3", run=run, position=position)
    assert not app.exception and {"L3 MLP", "Its neurons"} <= set(headers(app))
    at = 14 if position == "last" else int(position)
    result = answer(NeuronsRequest(EXPERIMENT, "MLP3", at)).result
    nodes = answer(NodeAttributionRequest(EXPERIMENT)).result
    shown = table(app, "promotes")
    strongest = result.table(run, 20)
    columns = ["neuron", *RUNS_SHOWN, "activation_clean", "activation_corrupted"]
    assert shown[columns].equals(strongest[columns])
    first = result.strongest(run)[0]
    assert shown["promotes"].iloc[0].split(" ") == [shown_token(text) for text in result.promoted(first)[0]]
    assert shown["suppresses"].iloc[0].split(" ") == [shown_token(text) for text in result.promoted(first)[1]]
    told = texts(app)
    whole = f"{nodes.shown(run)[nodes.node('MLP3'), at]:+.3f}".replace("-", MINUS)
    assert f"At position {at} ({shown_token(result.clean_tokens[at])}) its 12 strongest neurons write" in told
    assert "756 others" in told and f": {whole} in all." in told
    read = written(app, "promotes")
    assert read[run].iloc[0] == f"{strongest[run].iloc[0]:+.3f}".replace("-", MINUS)
    (code,) = {script for script in scripts(app) if "NeuronsRequest(" in script}
    assert f"position={at}" in code and f"result.table({run!r})" in code


def test_a_head_has_no_neurons(visit: Visit):
    app = visit("direct_logit_attribution", selected="L2H5")
    assert not app.exception and "Its neurons" not in headers(app)


def test_of_an_mlp_that_writes_nothing_that_is_said(visit: Visit):
    app = visit("direct_logit_attribution", model="induction", selected="MLP0")
    assert not app.exception
    assert "None of its 4 neurons writes anything to answer minus foil here." in texts(app)


def test_of_a_model_that_is_not_replayed_that_is_said(visit: Visit, family_directory):
    model = str(family_directory("bloom"))
    asked = {"clean": " a b c d e f", "corrupted": " a b x d y f", "answer": " g", "foil": " h"}
    app = visit("direct_logit_attribution", model=model, selected="MLP1", **asked)
    assert not app.exception
    assert "The neurons of this model cannot be seen: the replay does not know its MLPs." in texts(app)


def test_what_a_write_promotes_and_suppresses_stands_in_order_with_its_logits(visit: Visit):
    app = visit("direct_logit_attribution", selected="L2H5")
    assert not app.exception
    told = answer(NodeRequest(EXPERIMENT, "L2H5")).result.promoted(-1, "clean_minus_corrupted")
    most = told[told["logits"] > 0].head(8), told[told["logits"] < 0].iloc[::-1].head(8)
    titles = [f"{what}, clean rather than corrupted, in logits" for what in ("Promoted", "Suppressed")]
    bodies = {
        title: element.proto.body
        for element in app.get("html")
        for title in titles
        if f'aria-label="{title}"' in element.proto.body
    }
    for title, rows in zip(titles, most, strict=True):
        shown = [unescape(text) for text in re.findall(r"<span[^>]*>([^<]*)</span>", bodies[title])]
        numbers = [f"{logits:+.3f}".replace("-", MINUS) for logits in rows["logits"]]
        assert shown[::2] == [shown_token(token) for token in rows["token"]] and len(rows) == 8
        assert shown[1::2] == numbers
    assert most[0]["logits"].is_monotonic_decreasing and most[1]["logits"].is_monotonic_increasing


def test_a_token_is_text_whatever_it_holds():
    def shown() -> None:
        from pages.shared.tokens import weighted_chips

        weighted_chips("a <b>", ["<img src=x onerror=alert(1)>", "**b**"], ["+1.0", "below resolution"])

    [drawn] = AppTest.from_function(shown).run().get("html")
    assert "<img" not in drawn.proto.body and "&lt;img·src=x·onerror=alert(1)&gt;" in drawn.proto.body
    assert "<span>**b**</span>" in drawn.proto.body and 'aria-label="a &lt;b&gt;"' in drawn.proto.body
