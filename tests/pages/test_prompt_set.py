"""The page of a prompt set: its numbers are those of the single prompts, and any set is in its address."""

from __future__ import annotations

import json
from collections import Counter, OrderedDict
from collections.abc import Callable

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from analysis.answers import answer, compute
from analysis.errors import UnsupportedModelError
from analysis.labels import node_name
from analysis.requests import Experiment
from analysis.results import (
    ChosenPathsRequest,
    NodeAttributionRequest,
    OverviewRequest,
    PromptSet,
    PromptSetRequest,
    StrongestPathsRequest,
    TextPair,
)
from analysis.sets import READY_KINDS, Agreement, node_table
from pages.shared.keys import PROMPT_KEYS, Key
from pages.shared.set_results import SetResults
from pages.shared.set_state import ALONE, word_of
from pages.shared.set_words import few_prompts, finding, paths_finding, rule_caption
from tests.charts.drawn import as_number
from tests.pages.looking import captions, chart, table, texts

Visit = Callable[..., AppTest]
FIRST = READY_KINDS["drinks"].first
HEADING = "clean,corrupted,answer,foil\n"
DAYS = (
    TextPair("The day after Monday is", "The day after Friday is", " Tuesday", " Saturday"),
    TextPair("The day after Sunday is", "The day after Friday is", " Monday", " Saturday"),
)
PAIRS, PATHS, NODES = range(3)


def shown(visit: Visit, **parameters: str) -> AppTest:
    app = visit("prompt_set", **parameters)
    assert not app.exception
    return app


def as_csv(*pairs: TextPair) -> str:
    return HEADING + "".join(",".join(pair) + "\n" for pair in pairs)


def experiments(size: int) -> list[Experiment]:
    request = PromptSetRequest(FIRST.on("demo"), None, size)
    return list(answer(request).result.prompt_set.experiments("demo"))


def test_the_page_begins_with_five_of_the_examples_kind_each_with_its_own_metric(visit: Visit):
    app = shown(visit)
    pairs = table(app, PAIRS)
    assert pairs["prompt"].tolist() == [1, 2, 3, 4, 5] and pairs["clean"][0] == repr(FIRST.clean)
    for row, asked in enumerate(experiments(5)):
        overview = answer(OverviewRequest(asked)).result
        assert pairs["tokens"][row] == len(overview.clean_tokens) == 15
        metrics = tuple(pairs.loc[row, ["clean_metric", "corrupted_metric"]])
        assert metrics == overview.metrics["logit_difference"]
    assert "set" not in app.query_params and "in the same direction in 5 of 5" in texts(app)


def test_the_agreement_of_paths_is_counted_over_the_single_prompts(visit: Visit):
    paths = table(shown(visit), PATHS).set_index("path")
    asked = experiments(5)
    own = [answer(StrongestPathsRequest(experiment)).result for experiment in asked]
    tops = []
    for result in own:
        best = result.table().head(10)
        tops.append((best["source"] + " → " + best["destination"] + "." + best["component"]).tolist())
    assert set(paths.index) == {path for top in tops for path in top}
    seen: Counter[tuple[str, int]] = Counter()
    for path, row in paths.iterrows():
        ends = tuple(str(path).split(" → "))
        effects = [
            float(answer(ChosenPathsRequest(experiment, (ends,))).result.effect[0]) for experiment in asked
        ]
        assert row["mean"] == pytest.approx(np.mean(effects), abs=1e-4)
        assert row["error"] == pytest.approx(np.std(effects, ddof=1) / 5**0.5, abs=1e-4)
        signs = sum((effect > 0) == (np.mean(effects) > 0) for effect in effects)
        leading = sum(path in top for top in tops)
        assert (row["sign"], row["strongest"]) == (f"{signs} of 5", f"{leading} of 5")
        assert (row["robust"] == "robust") == (signs == 5 and leading >= 3)
        seen[row["robust"], leading] += 1
        wholes = [result.clean_metric - result.corrupted_metric for result in own]
        assert row["share"] == pytest.approx(sum(effects) / sum(wholes), abs=1e-5)
    assert seen["robust", 5] and seen["", 1], "a path that always leads and one that changes look different"


@pytest.mark.parametrize("run", ["clean", "corrupted", "clean_minus_corrupted"])
def test_nodes_are_those_of_the_run_that_is_shown(visit: Visit, run: str):
    nodes = table(shown(visit, run=run, set="drinks-3"), NODES).set_index("node")
    results = [answer(NodeAttributionRequest(experiment)).result for experiment in experiments(3)]
    values = [result.shown(run)[result.labels.index("L2H5"), -1] for result in results]
    assert nodes.loc["L2H5", "mean"] == pytest.approx(np.mean(values))


def test_the_controls_choose_what_is_asked_of_each_prompt(visit: Visit):
    app = shown(visit, set="drinks-3", metric="answer_probability", layer_norm="exact")
    asked = [StrongestPathsRequest(one, "exact", "answer_probability") for one in experiments(3)]
    effects = [answer(request).result for request in asked]
    first = table(app, PATHS).iloc[0]
    ends = tuple(first["path"].split(" → "))
    own = [result.effect[result.labels.index(ends)] for result in effects]
    assert first["mean"] == pytest.approx(np.mean(own), abs=1e-6)
    assert "Probability of the answer, probability:" in texts(app)


def test_a_larger_set_computes_the_new_prompt_and_what_it_alone_leads_with(
    visit: Visit, monkeypatch, own_store
):
    assert "Computed just now." in captions(shown(visit, set="drinks-3"))
    computed = []
    genuine = compute.compute

    def counting(request, store):
        computed.append(request)
        return genuine(request, store)

    monkeypatch.setattr("analysis.answers.compute.compute", counting)
    assert "Read from the store." in captions(shown(visit, set="drinks-3"))
    assert computed == []
    shown(visit, set="drinks-4")
    assert isinstance(computed.pop(0), PromptSetRequest)
    new = experiments(4)[3]
    for request in computed:
        assert request.experiment == new or isinstance(request, ChosenPathsRequest)
    kinds = [type(request) for request in computed if request.experiment == new]
    assert kinds[:3] == [OverviewRequest, NodeAttributionRequest, StrongestPathsRequest]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (ALONE, "This is one prompt: whether anything here holds for others is not known."),
        ("days-2", "These are 2 prompts: with fewer than 3 nothing is called robust."),
    ],
)
def test_one_prompt_and_two_are_called_what_they_are(visit: Visit, word: str, said: str):
    app = shown(visit, set=word)
    assert said in texts(app)
    assert not (table(app, PATHS)["robust"] == "robust").any()
    assert set(table(app, PATHS)["interval"]) == {""}


def test_a_pair_of_the_persons_own_has_no_ready_set_and_stands_alone(visit: Visit):
    app = shown(visit, foil=" Helen")
    assert "This is one prompt" in texts(app) and app.selectbox(key=Key.SET_KIND).value == ALONE


def test_a_pair_that_the_model_does_not_take_is_named_and_left_out(visit: Visit):
    wrong = DAYS[0]._replace(corrupted="The day after Good Friday is")
    app = shown(visit, set=word_of(PromptSet((DAYS[0], wrong, DAYS[1]))))
    assert "Prompt 2 is left out: The clean prompt has 6 tokens and the corrupted prompt 8" in texts(app)
    assert table(app, PAIRS)["prompt"].tolist() == [1, 3]
    app = shown(visit, set=word_of(PromptSet((wrong,))))
    assert "The model takes none of these pairs." in texts(app) and not app.dataframe


def test_a_model_that_there_is_not_is_a_card(visit: Visit):
    for word in (ALONE, "drinks-5", word_of(PromptSet(DAYS))):
        app = shown(visit, model="/no/such/model", set=word)
        assert "/no/such/model" in texts(app) and not app.dataframe


def test_where_the_model_has_no_estimate_of_paths_the_nodes_are_shown(visit: Visit, monkeypatch, own_store):
    def refuse(*_, **__):
        raise UnsupportedModelError("There is no estimate here.")

    monkeypatch.setattr("analysis.edges.exchange.Exchange.required_replay", refuse)
    app = shown(visit, set="days-3")
    assert texts(app).count("There is no estimate here.") == 1 and len(app.dataframe) == 2
    assert "L2H5" in set(table(app, PATHS)["node"])


def test_the_provenance_names_the_pairs_that_were_taken_and_how_they_were_brought_together():
    asked = answer(OverviewRequest(DAYS[1].on("demo"))).result
    origin = SetResults(PromptSet(DAYS), numbers=[2], overviews=[asked]).origin()
    assert json.loads(origin["prompts"]) == [list(DAYS[1])]
    assert origin["prompt set"] == PromptSet(DAYS).digest
    assert "seed 0" in origin["statistics"] and origin["weights fingerprint"] == asked.provenance.fingerprint


def agreement(effect: list[list[float]], strongest: list[list[bool]]) -> Agreement:
    values = np.array(effect)
    names = tuple("abc"[: values.shape[1]])
    return Agreement(
        names, values, np.zeros(values.shape, bool), np.array(strongest), np.full(len(values), 4.0)
    )


def test_the_sentence_is_made_from_the_numbers():
    found = agreement([[1, 3], [2, -1], [3, 1]], [[True, True], [True, False], [True, False]])
    assert paths_finding(found) == (
        "Of 2 paths among the 10 strongest of any prompt, 1 is robust, first a with 50 % of the difference, "
        "among the strongest in 3 of 3; 1 path leads in one prompt alone."
    )
    nothing = agreement([[1, 3], [-2, -1], [3, 1]], [[True, True]] * 3)
    assert paths_finding(nothing) == (
        "Of 2 paths among the 10 strongest of any prompt none is robust; 0 paths lead in one prompt alone."
    )
    metrics = np.array([[4.0, -1.0], [2.0, -3.0], [0.0, 1.0]])
    assert finding(metrics, "logit_difference", None) == (
        "Logit difference, logits: +2.00 ± 1.15 on the clean and \N{MINUS SIGN}1.00 ± 1.15 on the corrupted "
        "run. It differs in the same direction in 2 of 3."
    )
    assert few_prompts(3) == "" and "agree in all 5 once in 16 times" in rule_caption(5)


def test_the_rule_stands_on_the_page(visit: Visit):
    app = shown(visit, set="days-3")
    assert "Robust: Over at least 3 prompts the same sign in all of them" in captions(app)
    assert "a 95 % interval of the mean that excludes zero" in captions(app)


def test_a_prompt_of_the_set_is_taken_into_the_sidebar_and_the_set_stays(visit: Visit):
    app = shown(visit)
    app.session_state[Key.SET_PAIRS] = {"selection": {"rows": [2], "columns": [], "cells": []}}
    app.run()
    app.button(key=Key.SET_OPEN).click().run()
    third = experiments(5)[2]
    assert [app.session_state[key] for key in PROMPT_KEYS] == [getattr(third, key) for key in PROMPT_KEYS]
    assert len(table(app, PAIRS)) == 5


def test_strangers_send_no_file_and_what_they_have_computed_is_counted(visit: Visit, monkeypatch, own_store):
    monkeypatch.setenv("PATHSCOPE_HOSTED", "1")
    monkeypatch.setattr("analysis.policy._RESULTS", 10)
    # AppTest gives every session the same name, so that what other tests computed counts, too.
    monkeypatch.setattr("analysis.answers.visits._computed", OrderedDict())
    app = shown(visit, set="days-2")
    assert not app.file_uploader and len(table(app, PAIRS)) == 2
    assert "This visit has had 10 results computed" in texts(shown(visit, set="days-3"))


def test_each_prompt_has_a_small_map_of_its_own_attribution(visit: Visit):
    app = shown(visit, run="corrupted")
    drawn = chart(app, "cell")
    found = {(mark.told["map"], mark.told["item"]): mark.told["logits"] for mark in drawn.of("rect", "item")}
    for number, experiment in enumerate(experiments(5), start=1):
        result = answer(NodeAttributionRequest(experiment)).result
        for label, value in zip(result.labels, result.shown("corrupted")[:, -1], strict=True):
            told = found[f"prompt {number}", node_name(label)]
            assert told == "below resolution" or as_number(told) == pytest.approx(value, abs=1e-4)
    assert "on one colour scale for all prompts" in captions(app) and "The first" not in captions(app)


def test_the_maps_are_not_more_than_a_browser_bears_and_the_table_has_all(visit: Visit, monkeypatch):
    monkeypatch.setattr("analysis.charts.prompt_maps._MOST_CELLS", 90)
    app = shown(visit)
    assert "The first 2 of 5 are drawn." in captions(app)
    results = [answer(NodeAttributionRequest(experiment)).result for experiment in experiments(5)]
    rows = node_table(results, [1, 2, 3, 4, 5], "clean")
    assert set(rows["prompt"]) == {1, 2, 3, 4, 5}
    third = rows[rows["prompt"] == 3].set_index("node")["attribution"]
    assert third["MLP3"] == results[2].shown("clean")[results[2].node("MLP3"), -1]
