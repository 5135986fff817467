"""What the public functions say of a model, judged by the slow reference: right, refused or wrong."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from analysis import (
    edge_attribution,
    get_act_patch_direct_path,
    get_act_patch_direct_path_all_sources,
)
from analysis.errors import PathscopeError
from analysis.metrics import AnswerProbability
from analysis.requests import HeadInput, LayerNormMode
from analysis.sweep import Sweep
from tests.reference import patched_logits
from tests.runs import Edge, Metric, Runs, last_logit_difference

#: Largest difference from the reference, as a share of the largest true effect.
TOLERANCE = 1e-6
#: ... and where the true effect is nothing: the rounding of float64, some thousand operations deep.
NOTHING = 1e-10
#: How much of the write is patched where the estimate is judged, and how far from the effect of so
#: little a patch it may be: what is not of first order is a share of about `STEP` of that.
STEP = 1e-5
FIRST_ORDER_TOLERANCE = 1e-3

#: Paths that are judged: into the last layer and the one before, over a layer and from the next.
JUDGED = (Edge(0, 1, 1, 1), Edge(0, 1, 2, 0), Edge(0, 0, 2, 1), Edge(1, 1, 2, 0))
PROBABILITY = AnswerProbability(answer=7)
Effects = Mapping[Edge, float]


@dataclass(frozen=True)
class Verdict:
    """How an entry answered, and in numbers or words why that is said of it."""

    outcome: Literal["right", "refused", "wrong"]
    why: str


def verdict(entry: str, runs: Runs, component: HeadInput, layer_norm: LayerNormMode) -> Verdict:
    """What the public function `entry` says of the paths of `runs`, against the reference."""
    ask, asked = ENTRIES[entry]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is said beside the numbers is judged elsewhere
        try:
            found = ask(runs, component, layer_norm)
        except PathscopeError as refusal:
            return _of_refusal(str(refusal))
        return _of_numbers(found, asked(runs, component, layer_norm, found), entry)


def _of_refusal(sentence: str) -> Verdict:
    """A refusal must say what to do, or what can be done instead."""
    ways = (
        "Ask|Call|Choose|Clear|Give|Load|Make|Pass|Put|Remove|Reset|Run|Set|Take|Turn|Unload|Use|runs without"
    )
    told = re.search(rf"\b({ways})\b", sentence) is not None
    return Verdict("refused" if told else "wrong", sentence)


def _of_numbers(found: Effects, true: Effects, entry: str) -> Verdict:
    largest = max(abs(value) for value in true.values())
    difference = max(abs(found[edge] - value) for edge, value in true.items())
    if entry == "estimate":
        limit = max(FIRST_ORDER_TOLERANCE * largest, STEP * NOTHING)
    else:
        limit = max(TOLERANCE * largest, NOTHING)
    right = difference <= limit  # and so not where it is NaN
    return Verdict("right" if right else "wrong", f"off by {difference:.1e}, effect {largest:.1e}")


# What the entries say, as effects


def _one_source(runs: Runs, component: HeadInput, layer_norm: LayerNormMode) -> Effects:
    values = get_act_patch_direct_path(
        *runs.arguments, last_logit_difference, 0, 1, component, verbose=False, layer_norm=layer_norm
    )
    return {
        edge: float(values[edge.dl, edge.dh]) - unpatched(runs, last_logit_difference)
        for edge in JUDGED
        if (edge.sl, edge.sh) == (0, 1)
    }


def _all_sources(runs: Runs, component: HeadInput, layer_norm: LayerNormMode) -> Effects:
    values = get_act_patch_direct_path_all_sources(
        *runs.arguments, last_logit_difference, component, verbose=False, layer_norm=layer_norm
    )
    return {edge: float(values[edge]) - unpatched(runs, last_logit_difference) for edge in JUDGED}


def _sweep(runs: Runs, component: HeadInput, layer_norm: LayerNormMode) -> Effects:
    """With a named metric, of which it may read one row of logits alone, against its own baseline."""
    sweep = Sweep(*runs.arguments, PROBABILITY, component=component, layer_norm=layer_norm, sources=[(1, 1)])
    found = {
        Edge(*edge): float(value) - sweep.baseline
        for piece in sweep.run()
        for edge, value in zip(piece.edges.tolist(), piece.values, strict=True)
    }
    return {edge: found[edge] for edge in JUDGED if edge in found}


def _estimate(runs: Runs, component: HeadInput, layer_norm: LayerNormMode) -> Effects:
    values = edge_attribution(
        *nearly_corrupted(runs).arguments, last_logit_difference, component, layer_norm=layer_norm
    )
    return {edge: float(values[edge]) for edge in JUDGED}


def _effects(
    metric: Metric, runs: Runs, component: HeadInput, layer_norm: LayerNormMode, edges: Iterable[Edge]
) -> Effects:
    return {
        edge: float(metric(true_logits(runs, edge, component, layer_norm))) - unpatched(runs, metric)
        for edge in edges
    }


def _effects_of_a_small_patch(
    runs: Runs, component: HeadInput, layer_norm: LayerNormMode, edges: Iterable[Edge]
) -> Effects:
    return _effects(last_logit_difference, nearly_corrupted(runs), component, layer_norm, edges)


#: Public entry -> how it is asked, and what it must say.
ENTRIES: dict[str, tuple[Callable[..., Effects], Callable[..., Effects]]] = {
    "one source": (_one_source, partial(_effects, last_logit_difference)),
    "all sources": (_all_sources, partial(_effects, last_logit_difference)),
    "sweep": (_sweep, partial(_effects, PROBABILITY)),
    "estimate": (_estimate, _effects_of_a_small_patch),
}


# What is true


@cache
def true_logits(
    runs: Runs, edge: Edge, component: HeadInput, layer_norm: LayerNormMode
) -> Float[Tensor, "batch pos d_vocab"]:
    return patched_logits(runs, edge, component, layer_norm)


@cache
def unpatched(runs: Runs, metric: Metric) -> float:
    """The metric of the model's own corrupted run."""
    with torch.no_grad():
        return float(metric(runs.model(runs.corrupted_tokens)))


@cache
def nearly_corrupted(runs: Runs) -> Runs:
    """`runs` with head writes that are `STEP` of the way from the corrupted to the clean ones.

    A write under a post-norm is `z / scale`, so that the corrupted scale is kept for both and z
    moved by what both changes make of it.
    """
    near = {
        name: value for name, value in runs.corrupted_cache.items() if "hook_z" in name or "_scale" in name
    }
    for layer in range(runs.model.cfg.n_layers):
        name, scale = f"blocks.{layer}.attn.hook_z", f"blocks.{layer}.ln1_post.hook_scale"
        clean = runs.clean_cache[name]
        if scale in runs.corrupted_cache:
            clean = clean * (runs.corrupted_cache[scale] / runs.clean_cache[scale]).unsqueeze(-1)
        near[name] = near[name] + STEP * (clean - near[name])
    return replace(runs, clean_cache=near)
