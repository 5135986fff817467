"""The general path: every edge as a row of a full forward pass under TransformerLens hooks.

Slow, but it asks nothing of the architecture beyond ``hook_q``/``hook_k``/``hook_v``, ``hook_z``
and ``ln1``; used where the replay does not know a model or fails the gate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from analysis.decoder import read_post_norms
from analysis.errors import UnsupportedModelError
from analysis.metrics import PatchingMetric
from analysis.requests import Component, LayerNormMode
from analysis.sweep.gate import Gate
from analysis.sweep.patches import source_writes
from analysis.sweep.pieces import Edges, edges_at_once, weights_per_block
from analysis.sweep.readout import Values, measure_logits
from analysis.sweep.replay import Check, Suffix


class HookedPath:
    """Measures pieces of a sweep with the model's own forward."""

    def __init__(
        self,
        gate: Gate,
        clean_cache: Mapping[str, Tensor],
        corrupted_cache: Mapping[str, Tensor],
        metric: PatchingMetric,
        component: Component,
        layer_norm: LayerNormMode,
        positions: Sequence[int] | None,
        memory_bytes: int,
    ) -> None:
        self._model, self._tokens, self._metric = gate.model, gate.tokens, metric
        self._component, self._layer_norm, self._memory_bytes = component, layer_norm, memory_bytes
        self._corrupted_cache = corrupted_cache
        W_O = tuple(block.attn.W_O.detach() for block in gate.model.blocks)
        self._writes = source_writes(
            W_O, read_post_norms(gate.model), clean_cache, corrupted_cache, positions
        )
        _require_plain_writes(gate, W_O)
        self._everywhere = Suffix(0, gate.tokens.shape[1], None)
        baseline, _ = measure_logits(metric, gate.logits[None])
        self.baseline = float(baseline[0])

    def edges_at_once(self) -> dict[int, int]:
        """Destination layer -> how many edges fit in one forward."""
        cfg, (batch, n_positions) = self._model.cfg, self._tokens.shape
        hidden = 3 * (getattr(cfg, "d_mlp", None) or 0) + 12 * cfg.d_model + 3 * cfg.n_heads * n_positions
        per_edge = 4 * batch * n_positions * (hidden + 2 * cfg.d_vocab)
        weights = weights_per_block(cfg.d_model, cfg.n_heads * cfg.d_head, getattr(cfg, "d_mlp", None) or 0)
        limit = edges_at_once(self._memory_bytes, per_edge, batch * n_positions, weights, cfg.n_layers)
        return dict.fromkeys(range(1, cfg.n_layers), limit)

    def flops(self, edges: Edges) -> float:
        """Unknown for a model whose forward is not read; the roofline is the replay's claim only."""
        return float("nan")

    def measure(self, edges: Edges, check: Check) -> Values:
        """The metric of every edge of one piece, mean and per prompt pair."""
        layer = int(edges[0, 2])
        n_edges, batch = len(edges), len(self._tokens)
        device = self._tokens.device
        heads = torch.as_tensor(edges[:, 3], device=device).repeat_interleave(batch)
        patched = self._patched_inputs(edges, layer, heads)
        rows = torch.arange(n_edges * batch, device=device)
        tokens = self._tokens.repeat(n_edges, 1)

        def put_component(value: Tensor, hook: object) -> Tensor:
            value = value.clone()
            own = heads // (self._model.cfg.n_heads // value.shape[2])
            value[rows, :, own] = patched if self._layer_norm == "exact" else value[rows, :, own] + patched
            return value

        hooks = [(f"blocks.{layer}.attn.hook_{self._component}", put_component)]
        check()
        if self._shares_keys():
            hooks = [self._only_own_z(tokens, layer, heads, rows, hooks)]
            check()
        logits = self._model.run_with_hooks(tokens, fwd_hooks=hooks)
        check()
        return measure_logits(self._metric, logits.unflatten(0, (n_edges, batch)))

    def _shares_keys(self) -> bool:
        shared = getattr(self._model.cfg, "n_key_value_heads", None)
        return self._component != "q" and shared not in (None, self._model.cfg.n_heads)

    def _only_own_z(
        self,
        tokens: Tensor,
        layer: int,
        heads: Int[Tensor, "row"],
        rows: Int[Tensor, "row"],
        hooks: list,
    ) -> tuple:
        """Where query heads share a key or value: a hook that puts back only the destination's own z.

        Patching the shared tensor changes every head of its group; one forward finds the z of the
        destination under the patch, and the hook made here carries that head's alone.
        """
        name, found = f"blocks.{layer}.attn.hook_z", []
        self._model.run_with_hooks(
            tokens, fwd_hooks=[*hooks, (name, lambda value, hook: found.append(value[rows, :, heads]))]
        )

        def put_z(value: Tensor, hook: object) -> Tensor:
            value = value.clone()
            value[rows, :, heads] = found[0]
            return value

        return name, put_z

    def _patched_inputs(
        self, edges: Edges, layer: int, heads: Int[Tensor, "row"]
    ) -> Float[Tensor, "row pos d_head"]:
        """What to add to (frozen) or put in place of (exact) each row's own q, k or v."""
        block, device = self._model.blocks[layer], self._tokens.device
        sources, source_of_edge = np.unique(edges[:, :2], axis=0, return_inverse=True)
        delta = self._writes.delta(torch.as_tensor(sources, device=device), self._everywhere)
        name = self._component.upper()
        weight, bias = getattr(block.attn, f"W_{name}").detach(), getattr(block.attn, f"b_{name}", None)
        own = heads // (self._model.cfg.n_heads // weight.shape[0])
        if self._layer_norm == "frozen":
            inputs = delta / self._corrupted_cache[f"blocks.{layer}.ln1.hook_scale"][:, None]
        else:
            inputs = block.ln1((self._resid_pre(layer)[:, None] + delta).flatten(0, 1))
            inputs = inputs.unflatten(0, delta.shape[:2])
        index = torch.as_tensor(source_of_edge.reshape(-1), device=device)
        per_row = inputs[:, index].transpose(0, 1).flatten(0, 1)
        product = torch.stack([row @ weight[head] for row, head in zip(per_row, own.tolist(), strict=True)])
        if self._layer_norm == "frozen" or bias is None:
            return product
        return product + bias.detach()[own][:, None]

    def _resid_pre(self, layer: int) -> Float[Tensor, "batch pos d_model"]:
        name = f"blocks.{layer}.hook_resid_pre"
        _, cache = self._model.run_with_cache(self._tokens, names_filter=name)
        return cache[name]


def _require_plain_writes(gate: Gate, W_O: tuple[Tensor, ...]) -> None:
    """Refuse models that add something other than their heads' writes, such as a scaled share.

    Compared on the corrupted run: ``sum over heads of z @ W_O + b_O``, through the post-norm where
    there is one, against what the attention layer adds to the residual stream.
    """
    model, blocks = gate.model, range(len(W_O))
    _, cache = model.run_with_cache(gate.tokens)
    for layer in blocks:
        prefix = f"blocks.{layer}"
        write = cache[f"{prefix}.attn.hook_z"].flatten(2) @ W_O[layer].flatten(0, 1)
        bias = getattr(model.blocks[layer].attn, "b_O", None)
        write = write if bias is None else write + bias
        if (post_norm := getattr(model.blocks[layer], "ln1_post", None)) is not None:
            write = post_norm(write)
        added = cache[f"{prefix}.hook_attn_out"]
        if f"{prefix}.hook_resid_mid" in cache and not getattr(model.cfg, "parallel_attn_mlp", False):
            added = cache[f"{prefix}.hook_resid_mid"] - cache[f"{prefix}.hook_resid_pre"]
        gap, size = float((write - added).abs().max()), float(added.abs().max())
        if gap > 1e-3 * size:
            raise UnsupportedModelError(
                f"Block {layer} does not add its heads' writes as they are (off by {gap:.2g} of {size:.2g}), "
                "so the patch of a path is not defined. Choose a model without scaled residual streams."
            )
