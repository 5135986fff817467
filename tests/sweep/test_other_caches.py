"""Caches that are not the runs of these prompts: refused where no answer exists, told of elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from analysis import (
    edge_attribution,
    get_act_patch_direct_path,
    get_act_patch_direct_path_all_sources,
)
from analysis.errors import PathscopeError
from analysis.requests import HEAD_INPUTS, LAYER_NORM_MODES
from analysis.sweep import Sweep
from tests.runs import Runs, family_runs, last_logit_difference

Cache = Mapping[str, Tensor]


def _one_source(
    model: Any, tokens: Any, clean: Any, corrupted: Any, metric: Any, *, component: str, layer_norm: str
) -> Any:
    return get_act_patch_direct_path(
        model, tokens, clean, corrupted, metric, 0, 1, component, verbose=False, layer_norm=layer_norm
    )


def _all_sources(
    model: Any, tokens: Any, clean: Any, corrupted: Any, metric: Any, *, component: str, layer_norm: str
) -> Any:
    return get_act_patch_direct_path_all_sources(
        model, tokens, clean, corrupted, metric, component, verbose=False, layer_norm=layer_norm
    )


def _sweep(*arguments: Any, component: str, layer_norm: str) -> Any:
    return list(Sweep(*arguments, component=component, layer_norm=layer_norm).run())


ENTRIES: dict[str, Callable[..., Any]] = {
    "one source": _one_source,
    "all sources": _all_sources,
    "sweep": _sweep,
    "estimate": edge_attribution,
}


def _of(runs: Runs, tokens: Tensor) -> Cache:
    with torch.no_grad():
        return dict(runs.model.run_with_cache(tokens)[1].items())


#: What is wrong with a cache of prompts [2 9], by how it is made from the prompts.
OTHERS: dict[str, Callable[[Tensor], Tensor]] = {
    "one prompt of two": lambda tokens: tokens[:1],
    "three prompts for two": lambda tokens: torch.cat([tokens, tokens[:1]]),
    "one token less": lambda tokens: tokens[:, :-1],
    "one token more": lambda tokens: torch.cat([tokens, tokens[:, :1]], dim=1),
    "one token": lambda tokens: tokens[:, :1],
}


@pytest.mark.parametrize("layer_norm", LAYER_NORM_MODES)
@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("which", ["clean_cache", "corrupted_cache", "both"])
@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("family", ["gpt2", "gemma2"])
def test_a_cache_of_another_batch_or_length_is_refused_by_its_name(family, other, which, entry, layer_norm):
    runs = family_runs(family, torch.float64)
    clean, corrupted = runs.clean_cache, runs.corrupted_cache
    if which != "corrupted_cache":
        clean = _of(runs, OTHERS[other](runs.clean_tokens))
    if which != "clean_cache":
        corrupted = _of(runs, OTHERS[other](runs.corrupted_tokens))
    named = "cache" if which == "both" else which.replace("_", ".")
    with pytest.raises(PathscopeError, match=named):
        ENTRIES[entry](
            runs.model,
            runs.corrupted_tokens,
            clean,
            corrupted,
            last_logit_difference,
            component="k",
            layer_norm=layer_norm,
        )


@pytest.mark.parametrize("component", HEAD_INPUTS)
@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("family", ["gpt2", "gemma2"])
def test_exchanged_caches_are_told_of(family, entry, component):
    model, tokens, clean, corrupted = family_runs(family, torch.float64).arguments
    with pytest.warns(UserWarning, match=r"corrupted_cache is not the run of corrupted_tokens.*exchanged"):
        ENTRIES[entry](
            model, tokens, corrupted, clean, last_logit_difference, component=component, layer_norm="frozen"
        )
