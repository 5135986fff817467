"""Results made by hand and left in the store, where pages find them in place of computing anything.

They are of a model with fewer layers than heads, and no two numbers of them are alike: whatever is
exchanged on a page shows. Each question has its own numbers, so that a page that asks another one
shows others.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import Any

import numpy as np

from analysis.answers import remember
from analysis.demo_model.examples import EXAMPLES
from analysis.nodes import causal_edges
from analysis.requests import HEAD_INPUTS, Experiment
from analysis.results import (
    AllSourcesResult,
    AttributionResult,
    DraftRequest,
    DraftResult,
    HeadPathsRequest,
    OverviewResult,
    PathEstimatesRequest,
    PathEstimatesResult,
    PathResult,
    PathsResult,
    Result,
    SanityRequest,
    SanityResult,
    StrongestPathsRequest,
)
from tests.chart_samples import PROVENANCE, all_sources, attribution, overview, path

FIRST = EXAMPLES[0]
EXPERIMENT = Experiment("demo", FIRST.clean, FIRST.corrupted, FIRST.answer, FIRST.foil)
N_LAYERS, N_HEADS = 3, 4
CLEAN_TOKENS = ("<|endoftext|>", " Mary", " saw", " Tom", " and")
CORRUPTED_TOKENS = ("<|endoftext|>", " John", " saw", " Tim", " and")
DIFFER = (1, 3)
#: Metric -> its value on the clean and on the corrupted run.
METRICS = {
    "logit_difference": (3.25, -2.5),
    "answer_log_probability": (-0.75, -4.5),
    "answer_probability": (0.472, 0.011),
    "kl_from_clean": (0.0, 1.875),
}


def keep(*results: Result) -> None:
    """Leave `results` in the store."""
    for result in results:
        note = remember(result)
        assert note is None, note


def keep_defaults() -> None:
    """Leave in the store what every page shows to a visitor who has chosen nothing but the source L0H3."""
    keep(a_draft(), an_overview(), an_attribution(), a_path(), a_sweep(), a_sanity())
    keep(the_strongest(0, 3, "q"), the_estimates())


def an_overview(n_layers: int = N_LAYERS, n_heads: int = N_HEADS) -> OverviewResult:
    sample = overview()
    return replace(
        sample,
        request=replace(sample.request, experiment=EXPERIMENT),
        clean_tokens=CLEAN_TOKENS,
        corrupted_tokens=CORRUPTED_TOKENS,
        differences=DIFFER,
        metrics=METRICS,
        n_layers=n_layers,
        n_heads=n_heads,
    )


def a_draft() -> DraftResult:
    return DraftResult(
        request=DraftRequest(EXPERIMENT),
        provenance=PROVENANCE,
        clean_tokens=CLEAN_TOKENS,
        corrupted_tokens=CORRUPTED_TOKENS,
        beginning=CLEAN_TOKENS[0],
        differences=DIFFER,
        clean_next=((" Mary", 0.472), (" **Tom**", 0.25)),
        corrupted_next=((" John", 0.5), (" Tim", 0.001)),
        answer=(1, 1, 0.472),
        foil=(1, 1, 0.5),
        better_with_a_space=(),
        alternatives=(("random_words", "John sees Tim and", " John"),),
    )


def an_attribution(**asked: str) -> AttributionResult:
    sample = attribution(asked.get("unit", "component"))
    request = replace(sample.request, experiment=EXPERIMENT, **asked)
    tokens = CLEAN_TOKENS if request.run == "clean" else CORRUPTED_TOKENS
    values = _numbers(request, (len(sample.labels), len(tokens)))
    whole = values[-1] if request.unit == "layer" else values.sum(axis=0)
    return replace(
        sample,
        request=request,
        attribution=values,
        lens=values + 0.5 if request.unit == "layer" else np.empty((0, 0)),
        logit_difference=whole + 0.375,
        bias_difference=0.375,
        tokens=tokens,
    )


def a_sweep(**asked: str) -> AllSourcesResult:
    """A finished sweep, or with ``measured="some"`` one of which a part is estimated."""
    measured = asked.pop("measured", "all")
    sample = all_sources(N_LAYERS, N_HEADS)
    request = replace(sample.request, experiment=EXPERIMENT, **asked)
    causal = causal_edges(N_LAYERS, N_HEADS)
    _, corrupted = METRICS[request.metric]
    values = np.where(causal, corrupted + _numbers(request, causal.shape), np.nan)
    estimate = np.full_like(values, np.nan)
    if measured == "some":
        estimate = values - corrupted + 0.01
        values = np.where(np.arange(values.size).reshape(values.shape) % 3 == 0, values, np.nan)
    return replace(
        sample,
        request=request,
        **_of_both_runs(request.metric),
        values=values,
        estimate=estimate,
    )


def a_path(layer: int = 0, head: int = 3, engine: str = "hooks", **asked: str) -> PathResult:
    """The paths into one input, of a model whose other paths are not quick: no page asks for them."""
    sample = path()
    request = replace(sample.request, experiment=EXPERIMENT, source_layer=layer, source_head=head, **asked)
    _, corrupted = METRICS[request.metric]
    values = corrupted + _numbers(request, (N_LAYERS, N_HEADS))
    values[: layer + 1] = np.nan
    return replace(
        sample,
        request=request,
        provenance=replace(PROVENANCE, engine=engine),
        **_of_both_runs(request.metric),
        values=values,
    )


def the_estimates() -> PathEstimatesResult:
    """Every path estimated: what the map of sources is made of."""
    causal = causal_edges(N_LAYERS, N_HEADS)
    request = PathEstimatesRequest(EXPERIMENT)
    return PathEstimatesResult(
        request,
        PROVENANCE,
        **_of_both_runs("logit_difference"),
        estimate=np.where(causal, _numbers(request, (3, *causal.shape)), np.nan),
    )


def all_of_a_head(layer: int, head: int) -> PathsResult:
    """Every path out of one head and into it."""
    request = HeadPathsRequest(EXPERIMENT, layer, head)
    causal = np.argwhere(causal_edges(N_LAYERS, N_HEADS))
    place = np.array([layer, head])
    own = causal[(causal[:, :2] == place).all(axis=1) | (causal[:, 2:] == place).all(axis=1)]
    edges = np.concatenate([own] * len(HEAD_INPUTS))
    return PathsResult(
        request,
        PROVENANCE,
        **_of_both_runs("logit_difference"),
        edges=edges,
        components=np.repeat(np.arange(len(HEAD_INPUTS)), len(own)),
        effect=_numbers(request, (len(edges),)),
        n_layers=N_LAYERS,
        n_heads=N_HEADS,
    )


def the_strongest(layer: int, head: int, component: str) -> PathsResult:
    """The strongest path of all, from one source: what pages begin with."""
    return PathsResult(
        StrongestPathsRequest(EXPERIMENT),
        PROVENANCE,
        **_of_both_runs("logit_difference"),
        edges=np.array([[layer, head, N_LAYERS - 1, 1]]),
        components=np.array([HEAD_INPUTS.index(component)]),
        effect=np.array([2.0]),
        n_layers=N_LAYERS,
        n_heads=N_HEADS,
    )


def a_sanity() -> SanityResult:
    """One check that holds, one that holds barely, one that fails and one that measured no number."""
    checks = (
        ("Sum", "parts make the whole", 1e-7, 1e-5),
        ("Edge", "what is measured is the limit", 0.25, 0.25),
        ("Frozen", "frozen mode adds up", 0.5, 0.25),
        ("Finite", "every effect is a number", float("nan"), 1e-5),
    )
    return SanityResult(SanityRequest(EXPERIMENT), PROVENANCE, checks)


def _of_both_runs(metric: str) -> dict[str, Any]:
    clean, corrupted = METRICS[metric]
    return {
        "clean_metric": clean,
        "corrupted_metric": corrupted,
        "clean_tokens": CLEAN_TOKENS,
        "corrupted_tokens": CORRUPTED_TOKENS,
    }


def _numbers(request: object, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers of both signs, others for every request."""
    return np.random.default_rng(zlib.crc32(repr(request).encode())).normal(size=shape)
