"""The page Compare: the numbers of both sides are those of the single results, and the address says B."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file, save_file
from streamlit.testing.v1 import AppTest

from analysis.answers import answer
from analysis.demo_model import DIRECTORY
from analysis.demo_model.examples import EXAMPLES
from analysis.labels import node_name
from analysis.requests import Experiment
from analysis.results import (
    AllSourcesRequest,
    NodeAttributionRequest,
    NodeAttributionResult,
    PathRequest,
    RunShown,
    StrongestPathsRequest,
)
from pages.shared.keys import B_PROMPT_KEYS, PROMPT_KEYS, Key
from tests.models.prepared import WEIGHTS
from tests.pages.looking import captions, frame, table, texts

Visit = Callable[..., AppTest]
FIRST, THIRD = EXAMPLES[0], EXAMPLES[2]
OF_A = Experiment("demo", FIRST.clean, FIRST.corrupted, FIRST.answer, FIRST.foil)
OF_B = Experiment("demo", THIRD.clean, THIRD.corrupted, THIRD.answer, THIRD.foil)
PAIR_OF_B = {str(key): getattr(THIRD, of_a) for key, of_a in zip(B_PROMPT_KEYS, PROMPT_KEYS, strict=True)}
MINUS = "\N{MINUS SIGN}"


def without_its_last_mlp(folder: Path) -> Path:
    """The bundled model in `folder`, without what its last MLP writes."""
    shutil.copytree(DIRECTORY, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    weights = load_file(folder / WEIGHTS)
    last = {name: 0 * weights[name] for name in weights if "h.3.mlp.c_proj" in name}
    assert len(last) == 2
    save_file(weights | last, folder / WEIGHTS, {"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return without_its_last_mlp(tmp_path_factory.mktemp("checkpoint") / "model")


def shown(visit: Visit, **parameters: str) -> AppTest:
    app = visit("compare", **parameters)
    assert not app.exception
    return app


def attribution(experiment: Experiment) -> NodeAttributionResult:
    return answer(NodeAttributionRequest(experiment)).result


def values(result: NodeAttributionResult, run: RunShown, position: int) -> dict[str, float]:
    names = map(node_name, result.labels)
    return dict(zip(names, result.shown(run)[:, position].tolist(), strict=True))


def agrees(app: AppTest, a: dict[str, float], b: dict[str, float]) -> pd.DataFrame:
    """The page's table, which has to hold every item of either with both values."""
    rows = table(app, "difference")
    item = rows.columns[0]
    found = rows.set_index(item)
    assert set(found.index) == {name for name in a if a[name] or b[name]}
    for name, row in found.iterrows():
        assert (row["A"], row["B"]) == (a[name], b[name])
        assert row["difference"] == pytest.approx(b[name] - a[name], abs=1e-12)
    assert rows["difference"].abs().is_monotonic_decreasing
    return rows


def test_it_begins_with_the_other_run_and_says_so(visit: Visit):
    app = shown(visit)
    result = attribution(OF_A)
    rows = agrees(app, values(result, "clean", -1), values(result, "corrupted", -1))
    assert "B: as A, but for the run: corrupted." in texts(app)
    first = rows.iloc[0]
    goes = "falls" if first["difference"] < 0 else "rises"
    assert f"{first['node']}'s attribution {goes} from" in texts(app)
    correlation = np.corrcoef(rows["A"], rows["B"])[0, 1]
    assert f"the correlation of A and B is {correlation:.2f}".replace("-", MINUS) in texts(app)
    clean, corrupted = (f"{result.whole(run)[-1]:+.2f}".replace("-", MINUS) for run in ("clean", "corrupted"))
    assert f"The model's own logit difference, logits: {clean} in A and {corrupted} in B." in texts(app)
    assert not [key for key in app.query_params if key.startswith("b_")]


def test_another_pair_stands_in_the_address(visit: Visit):
    app = shown(visit, **PAIR_OF_B)
    agrees(app, values(attribution(OF_A), "clean", -1), values(attribution(OF_B), "clean", -1))
    assert app.selectbox(key=Key.B_EXAMPLE).value == 2
    assert "B: as A, but for another pair" in texts(app)
    app.selectbox(key=Key.B_EXAMPLE).set_value(None).run()
    assert app.query_params == {} and "the run: corrupted" in texts(app)
    app.selectbox(key=Key.B_EXAMPLE).set_value(2).run()
    assert app.query_params == {str(key): [word] for key, word in PAIR_OF_B.items()} or (
        app.query_params == PAIR_OF_B
    )


def test_run_and_position_of_b_are_its_own(visit: Visit):
    app = shown(visit, b_run="clean_minus_corrupted", b_position="10", position="12")
    result = attribution(OF_A)
    agrees(app, values(result, "clean", 12), values(result, "clean_minus_corrupted", 10))
    assert "the run: clean minus corrupted and position 10" in texts(app)


def test_the_first_position_against_the_last(visit: Visit):
    app = shown(visit, b_position="0")
    result = attribution(OF_A)
    agrees(app, values(result, "clean", -1), values(result, "clean", 0))


def test_a_position_that_the_other_prompt_has_not_is_said(visit: Visit):
    short = len(attribution(OF_B).clean_tokens)
    assert short < 14
    app = shown(visit, position="13", **PAIR_OF_B)
    assert "B has no position 13: its last one is compared." in texts(app)
    agrees(app, values(attribution(OF_A), "clean", 13), values(attribution(OF_B), "clean", -1))
    app = shown(visit, b_position="99")
    assert "b_position" not in app.query_params
    assert "it is the last one where all are chosen" in texts(shown(visit, position="all"))


def test_another_checkpoint_is_compared_head_by_head_and_what_that_supposes_is_said(
    visit: Visit, checkpoint: Path
):
    app = shown(visit, b_model=str(checkpoint))
    theirs = attribution(replace(OF_A, model=str(checkpoint)))
    rows = agrees(app, values(attribution(OF_A), "clean", -1), values(theirs, "clean", -1))
    assert rows.set_index("node").loc["L3 MLP", "B"] == 0.0
    assert "only where both models are checkpoints of one training" in texts(app)
    assert "B: as A, but for the model model." in texts(app), "a folder's own name alone"
    assert "only where both models" not in texts(shown(visit))


def test_models_of_different_shape_stand_side_by_side_on_one_scale(visit: Visit, family_directory):
    folder = family_directory("gpt2")
    pair = {"clean": " a b c d", "corrupted": " a x c d", "answer": " e", "foil": " f"}
    theirs = {str(key): getattr(FIRST, of_a) for key, of_a in zip(B_PROMPT_KEYS, PROMPT_KEYS, strict=True)}
    app = shown(visit, model=str(folder), b_model="demo", **pair, **theirs)
    assert "a head of one is no head of the other, so nothing can be subtracted" in texts(app)
    assert len(app.get("vega_lite_chart")) == 2 and not any(
        "difference" in one.value for one in app.dataframe
    )
    legends = [_colour_domain(chart.proto.spec) for chart in app.get("vega_lite_chart")]
    assert legends[0] == legends[1]


def _colour_domain(spec: str) -> list[float]:
    colours = [layer["encoding"].get("color", {}) for layer in json.loads(spec)["layer"]]
    domain: list[float] = next(colour["scale"]["domain"] for colour in colours if "scale" in colour)
    return domain


def test_frozen_against_exact_for_the_paths_of_a_head(visit: Visit):
    app = shown(visit, compared="path", source_layer="0", source_head="7", component="v")
    frozen, exact = (
        answer(PathRequest(OF_A, 0, 7, "v", norm)).result.table().set_index("destination")["effect"]
        for norm in ("frozen", "exact")
    )
    assert "B: as A, but for the LayerNorm: exact." in texts(app)
    agrees(app, *({f"L0H7 → {end}.v": effect for end, effect in one.items()} for one in (frozen, exact)))
    assert "The effect of L0H7 → " in texts(app)


def test_the_strongest_paths_of_both_sides_are_measured_on_both(visit: Visit):
    app = shown(visit, compared="strongest_paths", **PAIR_OF_B)
    both = [answer(StrongestPathsRequest(experiment)).result for experiment in (OF_A, OF_B)]
    leading: set[str] = set()
    for result in both:
        best = result.table().head(10)
        leading |= set(best["source"] + " → " + best["destination"] + "." + best["component"])
    rows = table(app, "difference").set_index("path")
    assert set(rows.index) == leading
    for side, result in zip("AB", both, strict=True):
        known = result.table()
        known.index = known["source"] + " → " + known["destination"] + "." + known["component"]
        for path in leading & set(known.index):
            assert rows.loc[path, side] == pytest.approx(known.loc[path, "effect"], abs=1e-9)


def test_sweeps_are_compared_once_both_are_there(visit: Visit, own_store):
    app = shown(visit, compared="all_sources", component="v")
    links = [link.proto for link in app.main.get("page_link")]
    assert [link.label for link in links] == ["All sources of A", "All sources of B"]
    assert "layer_norm=exact" in links[1].query_string and "layer_norm=frozen" in links[0].query_string
    sweeps = [answer(AllSourcesRequest(OF_A, "v", norm)).result for norm in ("frozen", "exact")]
    app = shown(visit, compared="all_sources", component="v")
    rows = table(app, "difference")
    assert "of 384 paths" in texts(app)
    for side, sweep in zip("AB", sweeps, strict=True):
        effects = sweep.table().set_index(["source", "destination"])["effect"]
        for path, effect in rows.set_index("path")[side].items():
            source, _, destination = str(path).partition(" → ")
            assert effect == effects[source, destination.partition(".")[0]]


def test_both_sides_exchanged_turn_the_numbers_round(visit: Visit):
    app = shown(visit, b_run="corrupted", position="5", **PAIR_OF_B)
    before = table(app, "difference").set_index("node")
    app.button(key=Key.EXCHANGE).click().run()
    assert not app.exception
    after = table(app, "difference").set_index("node").loc[before.index]
    assert (after["A"] == before["B"]).all() and (after["B"] == before["A"]).all()
    assert app.session_state[Key.CLEAN] == THIRD.clean and app.session_state[Key.B_CLEAN] == FIRST.clean
    assert (app.session_state[Key.RUN], app.session_state[Key.B_RUN]) == ("corrupted", "clean")
    app.button(key=Key.EXCHANGE).click().run()
    assert app.session_state[Key.CLEAN] == FIRST.clean and app.session_state[Key.B_RUN] == "corrupted"


def test_a_pair_of_ones_own_is_asked_for_in_one_step(visit: Visit):
    app = shown(visit)
    for key, text in zip(B_PROMPT_KEYS, (FIRST.clean, FIRST.corrupted, FIRST.answer, " Helen"), strict=True):
        app.text_input(key=f"{key}_text").set_value(text)
    next(button for button in app.button if button.label == "Compare with this pair").click().run()
    assert app.query_params == {"b_foil": " Helen"}, "what is as in A is left out"
    theirs = attribution(replace(OF_A, foil=" Helen"))
    agrees(app, values(attribution(OF_A), "clean", -1), values(theirs, "clean", -1))
    assert app.text_input(key=f"{Key.B_FOIL}_text").value == " Helen"


def test_what_is_wrong_with_b_is_said_of_b_and_its_button_mends_b(visit: Visit):
    app = shown(visit, b_answer=" MARY")
    assert "Of B: " in texts(app) and "' MARY'" in texts(app)
    [remedy] = [button for button in app.button if "' Mary'" in button.label]
    remedy.click().run()
    assert app.session_state[Key.ANSWER] == FIRST.answer == app.session_state[Key.B_ANSWER]
    assert "Of B" not in texts(app)


def test_what_is_wrong_with_a_is_said_of_a(visit: Visit):
    app = shown(visit, answer=" MARY")
    assert "' MARY'" in texts(app) and "Of B" not in texts(app)


def test_text_of_b_is_never_markdown(visit: Visit):
    app = shown(visit, b_model="![x](https://example.org/x.png)")
    assert "example.org" in texts(app)
    assert not any("example.org" in element.value for element in (*app.markdown, *app.caption))


@pytest.mark.parametrize("word", [{"b_run": "banana"}, {"b_position": "all"}, {"b_layer_norm": "x"}])
def test_a_word_that_is_none_is_told_and_b_is_as_a(visit: Visit, word: dict[str, str]):
    app = shown(visit, **word)
    assert "which there is not; shown is that of A." in texts(app)
    assert app.query_params == {}


def test_strangers_choose_no_other_model(visit: Visit, monkeypatch, own_store):
    monkeypatch.setenv("PATHSCOPE_HOSTED", "1")
    app = shown(visit, b_model="/etc/passwd")
    assert "The address asks for a model that is not offered here" in texts(app) and "passwd" not in texts(
        app
    )
    assert not app.selectbox(key=Key.B_MODEL).proto.accept_new_options


def test_both_provenances_stand_side_by_side(visit: Visit):
    app = shown(visit, **PAIR_OF_B)
    app.session_state[Key.PROVENANCE] = True
    app.run()
    told = frame(app, "what").value.set_index("what")
    for side, experiment in (("A", OF_A), ("B", OF_B)):
        assert dict(told[side]) == attribution(experiment).provenance.rows()
    assert captions(app).endswith("Read from the store.")
