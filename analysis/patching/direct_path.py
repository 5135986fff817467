"""Direct path patching (Wang et al. 2022) between attention heads, one source or all of them.

Both functions keep the signatures of TransformerLens's functions of the same names, add the keyword
`layer_norm`, and compute through `analysis.sweep`. For source head A = (sl, sh) and destination head
B = (dl, dh), dl > sl:

    delta = (z_clean - z_corrupted)[A] @ W_O[A]
    frozen:  c = c_corrupted + (delta / ln1_scale_corrupted) @ W_c[B]
    exact:   c = LN1(resid_pre_corrupted + delta) @ W_c[B] + b_c[B]

for c in q, k, v, before any clip, q/k norm and rotary. Where a block norms its attention output (Gemma
2), delta is the difference of the normed writes, each at its own run's scale. Only B's own input c sees
the patch; everything after B recomputes. Left out: A's effect on B through any head or MLP between
them, which is what makes the path direct.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm.auto import tqdm

from analysis.metrics import PatchingMetric
from analysis.requests import HeadInput, LayerNormMode
from analysis.sweep import Sweep


def get_act_patch_direct_path(
    model: Any,
    corrupted_tokens: Int[Tensor, "batch pos"],
    clean_cache: Mapping[str, Tensor],
    corrupted_cache: Mapping[str, Tensor],
    patching_metric: PatchingMetric,
    src_layer: int,
    src_head: int,
    component: HeadInput = "q",
    verbose: bool = True,
    *,
    layer_norm: LayerNormMode = "frozen",
) -> Float[Tensor, "n_layers n_heads"]:
    """Patch the direct path from one source head to every later head, one at a time.

    `result[dl, dh]` is `patching_metric` (a callable from logits [batch pos d_vocab] to a scalar)
    of the corrupted run with that one path patched, in the metric's unit and the model's dtype;
    0.0 where ``dl <= src_layer``, which is no measurement. `verbose` shows a progress bar.

    A callable costs the logits that it reads: one that selects first, ``logits[:, -1, token]``, is quick,
    one that reads all positions, writes into the logits or takes them as NumPy is not. The quickest is an
    `analysis.metrics.Metric`, which declares its `position` and `tokens` and computes `per_prompt`.

    Raises `PathscopeError` for an unknown component, mode or source head, for caches that do not fit
    the tokens, and for half-precision weights or a model in training mode; `PromptError` for tokens
    that the model cannot read; `MetricError` for a metric that is not one finite number;
    `UnsupportedModelError` where direct paths are not defined. Warns in frozen mode if LayerNorm is not
    folded, and where `corrupted_cache` is not the run of `corrupted_tokens`.
    """
    every = _sweep(
        model,
        corrupted_tokens,
        clean_cache,
        corrupted_cache,
        patching_metric,
        sources=[(src_layer, src_head)],
        component=component,
        layer_norm=layer_norm,
        progress=f"Direct paths from L{src_layer}H{src_head} [{component}]" if verbose else None,
    )
    return every[src_layer, src_head]


def get_act_patch_direct_path_all_sources(
    model: Any,
    corrupted_tokens: Int[Tensor, "batch pos"],
    clean_cache: Mapping[str, Tensor],
    corrupted_cache: Mapping[str, Tensor],
    patching_metric: PatchingMetric,
    component: HeadInput = "q",
    verbose: bool = True,
    *,
    layer_norm: LayerNormMode = "frozen",
) -> Float[Tensor, "n_layers n_heads n_layers n_heads"]:
    """Patch the direct path between every pair of heads with a causal path, one at a time.

    `result[sl, sh, dl, dh]` is what `get_act_patch_direct_path` of source (sl, sh) has at
    (dl, dh); 0.0 where ``dl <= sl``. Arguments, errors and warnings are the same.
    """
    return _sweep(
        model,
        corrupted_tokens,
        clean_cache,
        corrupted_cache,
        patching_metric,
        sources=None,
        component=component,
        layer_norm=layer_norm,
        progress=f"Direct paths from all sources [{component}]" if verbose else None,
    )


def _sweep(
    model: Any,
    corrupted_tokens: Tensor,
    clean_cache: Mapping[str, Tensor],
    corrupted_cache: Mapping[str, Tensor],
    metric: PatchingMetric,
    *,
    sources: list[tuple[int, int]] | None,
    component: HeadInput,
    layer_norm: LayerNormMode,
    progress: str | None,
) -> Float[Tensor, "n_layers n_heads n_layers n_heads"]:
    sweep = Sweep(
        model,
        corrupted_tokens,
        clean_cache,
        corrupted_cache,
        metric,
        component=component,
        layer_norm=layer_norm,
        sources=sources,
    )
    n_layers, n_heads = model.cfg.n_layers, model.cfg.n_heads
    found = torch.zeros(n_layers, n_heads, n_layers, n_heads, dtype=model.W_U.dtype, device=model.W_U.device)
    with tqdm(total=sweep.n_edges, desc=progress, unit="path", disable=progress is None) as bar:
        for piece in sweep.run():
            where = torch.as_tensor(piece.edges, device=found.device)
            found[tuple(where.T)] = torch.as_tensor(piece.values).to(found)
            bar.update(len(piece.edges))
    return found
