"""What a page shows is the result: every word, number and mark against a result made by hand."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from streamlit.dataframe_util import convert_arrow_bytes_to_pandas_df
from streamlit.runtime.context import ContextProxy

from analysis.charts import Theme
from analysis.charts.themes import PALETTES
from analysis.labels import number
from analysis.results import AllSourcesResult, PathResult, SanityResult
from tests.chart_samples import THEMES
from tests.charts.drawn import as_number, colour
from tests.pages.looking import See, captions, chart, headings, metrics, table, texts, written
from tests.pages.stored_results import (
    CLEAN_TOKENS,
    CORRUPTED_TOKENS,
    DIFFER,
    METRICS,
    a_path,
    a_sanity,
    a_sweep,
    an_attribution,
    an_overview,
    keep,
)

TITLES = {
    "logit_difference": "Logit difference (logits)",
    "answer_log_probability": "Log-probability of the answer (nats)",
    "answer_probability": "Probability of the answer (probability)",
    "kl_from_clean": "KL divergence from the clean run (nats)",
}
UNITS = {metric: title.split("(")[1].rstrip(")") for metric, title in TITLES.items()}
PATCHING: dict[str, Callable[..., PathResult | AllSourcesResult]] = {
    "path_patching": a_path,
    "all_sources": a_sweep,
}
#: Which of a page's tables lists the paths that the chosen component is read by.
PATHS: dict[str, int | str] = {"path_patching": 0, "all_sources": "how"}


def test_the_overview_marks_the_tokens_that_differ_and_no_others(see: See):
    app = see("result")
    chips = re.findall(
        r'<div role="listitem" style="([^"]*)" [^>]*><span [^>]*>(\d+)</span>((?:<span>[^<]*</span>)+)</div>',
        app.main.get("html")[0].proto.body,
    )
    texts_at = [
        [unescape(text) for text in re.findall(r"<span>([^<]*)</span>", each)] for _, _, each in chips
    ]
    pairs = zip(CLEAN_TOKENS, CORRUPTED_TOKENS, strict=True)
    assert texts_at == [
        [token.replace(" ", "·") for token in (pair if position in DIFFER else pair[:1])]
        for position, pair in enumerate(pairs)
    ]
    assert [int(number) for _, number, _ in chips] == [*range(len(CLEAN_TOKENS))]
    assert [position for position, (style, *_) in enumerate(chips) if "background" in style] == [*DIFFER]


@pytest.mark.parametrize("page", ["result", "path_patching"])
def test_identical_prompts_are_called_identical_and_others_are_not(see: See, page: str):
    assert "identical" not in texts(see(page))
    keep(replace(an_overview(), corrupted_tokens=CLEAN_TOKENS, differences=()))
    assert "identical" in texts(see(page))


def test_the_overview_lists_every_metric_of_both_runs_in_its_unit(see: See):
    app = see("result")
    [drawn] = app.table
    shown = pd.DataFrame(drawn.value)
    read = convert_arrow_bytes_to_pandas_df(drawn.proto.arrow_data.styler.display_values)
    both = zip(shown["clean"], shown["corrupted"], strict=True)
    assert dict(zip(shown["metric"], both, strict=True)) == {
        TITLES[metric]: values for metric, values in METRICS.items()
    }
    for run in ("clean", "corrupted"):
        for value, text in zip(shown[run], read[run], strict=True):
            assert as_number(text) == pytest.approx(value, abs=5e-4) and "-" not in text


def test_the_overview_draws_the_predictions_of_both_prompts(see: See):
    bars = chart(see("result")).of("rect", "token", "prompt", "probability")
    shown = {(bar.told["token"], bar.told["prompt"]): as_number(bar.told["probability"]) for bar in bars}
    assert shown["·Mary", "clean"] == pytest.approx(0.7)
    assert shown["·John", "corrupted"] == pytest.approx(0.6)


@pytest.mark.parametrize("unit", ["component", "layer", "head"])
@pytest.mark.parametrize(("position", "at"), [("last", 4), ("1", 1)])
def test_attribution_shows_the_numbers_of_its_position(see: See, unit: str, position: str, at: int):
    result = an_attribution(unit=unit)
    keep(result)
    app = see("direct_logit_attribution", unit=unit, position=position)
    values = dict(zip(result.labels, result.attribution[:, at].tolist(), strict=True))
    whole = values["final_post"] if unit == "layer" else sum(values.values())
    said = {label: as_number(text) for label, text in metrics(app).items()}
    assert said["Sum of the parts"] == pytest.approx(whole, abs=6e-5)
    assert said["Unembedding bias"] == result.bias_difference
    assert said["Model's logit difference"] == pytest.approx(result.logit_difference[at], abs=6e-5)
    assert said["Gap"] == pytest.approx(0, abs=1e-9)

    shown, order = table(app), sorted(values, key=lambda component: -abs(values[component]))
    assert shown["component"].tolist() == order
    assert shown["attribution"].tolist() == pytest.approx([values[component] for component in order])
    assert headings(app)["attribution"] == "logits"
    assert "In logits; positive pushes towards the answer" in captions(app)

    kind = "symbol" if unit == "layer" else "rect"
    drawn = {
        mark.told["component"]: as_number(mark.told["logits"]) for mark in chart(app).of(kind, "component")
    }
    values.pop("remainder", None)
    assert drawn == pytest.approx(values, abs=1e-4)


def test_the_gap_is_what_the_parts_miss_with_its_sign(see: See):
    result = an_attribution()
    keep(replace(result, logit_difference=result.logit_difference - 0.25))
    assert float(metrics(see("direct_logit_attribution"))["Gap"]) == pytest.approx(0.25)


def test_all_positions_are_drawn_and_listed_with_their_position(see: See):
    result = an_attribution()
    app = see("direct_logit_attribution", position="all")
    shown = table(app)[["component", "position", "attribution"]]
    assert shown["attribution"].abs().is_monotonic_decreasing
    for component, position, value in shown.itertuples(index=False):
        assert result.attribution[result.labels.index(component), position] == pytest.approx(value)
    assert {mark.told["at"] for mark in chart(app).of("rect", "at")} == {
        f"{i} {token.replace(' ', '·')}" for i, token in enumerate(CLEAN_TOKENS)
    }


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("page", PATCHING)
def test_patching_names_each_run_and_gives_effects_in_the_unit_of_the_metric(
    see: See, page: str, metric: str
):
    keep(PATCHING[page](metric=metric))
    app = see(page, metric=metric)
    clean, corrupted = METRICS[metric]
    assert metrics(app) == {
        f"{TITLES[metric]}, clean run": number(clean, "+.3f"),
        f"{TITLES[metric]}, corrupted run": number(corrupted, "+.3f"),
    }
    assert headings(app, PATHS[page]) == {"effect": UNITS[metric], "recovery": "recovery"}
    assert chart(app, "edge").legend(f"effect ({UNITS[metric]})")


@pytest.mark.parametrize("metric", ["logit_difference", "kl_from_clean"])
def test_path_patching_lists_and_draws_every_destination_with_its_own_numbers(see: See, metric: str):
    """For KL the clean run reads less than the corrupted one, and recovery has the other sign."""
    result = a_path(metric=metric)
    keep(result)
    app = see("path_patching", metric=metric)
    clean, corrupted = METRICS[metric]
    effects = {
        f"L{layer}H{head}": float(result.values[layer, head]) - corrupted
        for layer in range(1, 3)
        for head in range(4)
    }
    strongest = sorted(effects, key=lambda label: -abs(effects[label]))
    assert list(written(app).itertuples(index=False, name=None)) == [
        (
            label,
            number(effects[label], "+.4f"),
            f"{number(100 * effects[label] / (clean - corrupted), '+.2f')} %",
        )
        for label in strongest
    ]
    assert "Strongest destinations of L0H3" in [heading.value for heading in app.header]
    marks = chart(app, "edge").of("rect", "source", "destination")
    assert {mark.told["source"] for mark in marks} == {"L0H3"}
    drawn = {mark.told["destination"]: as_number(mark.told["recovery"]) for mark in marks}
    expected = {label: effect / (clean - corrupted) for label, effect in effects.items()}
    assert drawn == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("metric", ["logit_difference", "kl_from_clean"])
def test_all_sources_lists_every_path_with_its_own_numbers(see: See, metric: str):
    result = a_sweep(metric=metric)
    keep(result)
    app = see("all_sources", metric=metric)
    clean, corrupted = METRICS[metric]
    shown = written(app, "how")
    assert len(shown) == 48 and table(app, "how")["effect"].abs().is_monotonic_decreasing
    for source, destination, _, effect, recovery in shown.itertuples(index=False):
        edge = tuple(int(number) for number in re.findall(r"\d+", source + destination))
        expected = result.values[edge] - corrupted
        assert effect == number(expected, "+.4f")
        assert recovery == f"{number(100 * expected / (clean - corrupted), '+.2f')} %"
    assert len({*zip(shown["source"], shown["destination"], strict=True)}) == 48
    assert len(chart(app, "edge").of("rect", "source", "destination")) == 48


def test_an_estimate_is_called_one_in_the_table_and_in_the_chart(see: See):
    result = a_sweep(measured="some")
    keep(result)
    app = see("all_sources")
    shown = table(app, "how")
    assert set(shown["how"] == "estimate") == {True, False}
    for source, destination, how, *_ in shown.itertuples(index=False):
        edge = tuple(int(number) for number in re.findall(r"\d+", source + destination))
        assert (how == "estimate") == math.isnan(result.values[edge])
    kinds = [mark.told["kind"] for mark in chart(app, "edge").of("rect", "source", "kind")]
    assert kinds.count("estimated") == (shown["how"] == "estimate").sum()


@pytest.mark.parametrize("page", PATCHING)
def test_the_table_and_the_chart_agree_on_what_is_below_the_resolution(see: See, page: str):
    result = PATCHING[page]()
    keep(replace(result, provenance=replace(result.provenance, resolution=0.7)))
    app = see(page)
    shown = {
        (*head,): (effect, recovery)
        for *head, effect, recovery in written(app, PATHS[page])
        .drop(columns="how", errors="ignore")
        .itertuples(index=False)
    }
    quiet = {head for head, numbers in shown.items() if "below resolution" in numbers}
    sizes = np.abs(result.values - result.corrupted_metric)
    assert 0 < len(quiet) == (sizes < 0.7).sum() < len(shown)
    assert all(shown[head] == ("below resolution",) * 2 for head in quiet)
    marks = chart(app, "edge").of("rect", "source", "destination")
    named = ("destination",) if page == "path_patching" else ("source", "destination")
    drawn = {
        tuple(mark.told[name] for name in named)
        for mark in marks
        if mark.told["effect (logits)"] == mark.told["recovery"] == "below resolution"
    }
    assert drawn == quiet


def test_recovery_that_is_not_defined_is_a_sentence(see: See):
    result = a_path()
    keep(replace(result, clean_metric=result.corrupted_metric))
    assert "recovery is not defined" in texts(see("path_patching", scale="recovery"))


def test_a_check_that_fails_is_counted_and_named(see: See):
    app = see("sanity_checks")
    assert metrics(app) == {"Checks that hold": "2 of 4"}
    shown = app.table[0].value
    said = [text.split("**")[1] for text in shown["what must hold"]]
    assert list(zip(said, ["FAIL" in verdict for verdict in shown.index], strict=True)) == [
        ("Sum", False),
        ("Edge", False),
        ("Frozen", True),
        ("Finite", True),
    ]
    assert ["pass" in verdict for verdict in shown.index] == [True, True, False, False]
    assert shown["measured, limit"].tolist() == [
        "1.00e-07 ≤ 1.00e-05",
        "2.50e-01 ≤ 2.50e-01",
        "5.00e-01 not ≤ 2.50e-01",
        "nan not ≤ 1.00e-05",
    ]


@pytest.mark.parametrize(
    ("measured", "passed"), [(0.0, True), (0.25, True), (math.nextafter(0.25, 1), False), (math.nan, False)]
)
def test_a_result_passes_if_every_check_of_it_holds(measured: float, passed: bool):
    sample = a_sanity()
    result = SanityResult(
        sample.request, sample.provenance, (("a", "b", 0.0, 1.0), ("c", "d", measured, 0.25))
    )
    assert result.passed is passed


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("page", ["result", "direct_logit_attribution", "path_patching", "all_sources"])
def test_a_chart_is_drawn_in_the_theme_that_the_visitor_sees(see: See, monkeypatch, page: str, theme: Theme):
    monkeypatch.setattr(ContextProxy, "theme", SimpleNamespace(type=theme))
    palette = PALETTES[theme]
    own = palette.clean if page == "result" else palette.positive
    drawing = chart(see(page))
    fills = {mark.fill for mark in drawing.marks} | {
        fill for each in drawing.legends for fill in each.colours
    }
    assert colour(own) in fills
