"""The general path: every path through the model's own forward pass under hooks.

Slow, but it asks nothing of the architecture beyond ``ln1``, ``hook_q``/``hook_k``/``hook_v`` and
``hook_z``: the model itself norms, projects, attends. Used where the replay does not know a model,
fails the gate, or somebody's hooks sit on the model. A path is patched in three steps:

1. ``ln1`` of the destination layer reads (exact) or gives out (frozen) the patch beside the corrupted
   run; of what the model then projects, the one component is kept.
2. The corrupted run with the destination head's own component put in gives that head's z.
3. The corrupted run with that z put in gives the logits of the path.

What step 2 does to other heads, through a shared key or value or a norm over several heads, is not
carried on: only the destination's own output is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from analysis.decoder import read_post_norms
from analysis.errors import UnsupportedModelError
from analysis.settings import settings
from analysis.sweep.gate import Gate, within
from analysis.sweep.patch import Patch
from analysis.sweep.pieces import Edges, check_room, edges_at_once, weights_per_block
from analysis.sweep.readout import Values, measure_logits
from analysis.sweep.replay import StopCheck, Suffix
from analysis.sweep.source import source_writes

Hooks = list[tuple[str, Callable[..., Any]]]


class HookedPath:
    """Measures pieces of a sweep with the model's own forward."""

    #: Whether a piece may hold edges of several destination layers.
    mixes_layers = False

    def __init__(self, patch: Patch) -> None:
        _require_one_input(patch.model)
        self._patch, self._model, self._tokens = patch, patch.model, patch.tokens
        W_O = tuple(block.attn.W_O.detach() for block in patch.model.blocks)
        self._writes = source_writes(
            patch.clean_cache, patch.corrupted_cache, W_O, read_post_norms(patch.model), patch.positions
        )
        _require_plain_writes(patch.gate, W_O)
        self._everywhere = Suffix(0, patch.tokens.shape[1], None)
        self._alone = patch.gate.alone or not _repeats(patch.gate)
        baseline, _ = measure_logits(patch.metric, patch.gate.logits[None])
        self.baseline = float(baseline[0])

    def edges_at_once(self) -> dict[int, int]:
        """Destination layer -> how many edges fit in one forward."""
        cfg, (batch, n_positions) = self._model.cfg, self._tokens.shape
        hidden = 3 * (getattr(cfg, "d_mlp", None) or 0) + 12 * cfg.d_model + 3 * cfg.n_heads * n_positions
        per_edge = 4 * batch * n_positions * (hidden + 2 * cfg.d_vocab)
        weights = weights_per_block(cfg.d_model, cfg.n_heads * cfg.d_head, getattr(cfg, "d_mlp", None) or 0)
        budget = self._patch.memory_bytes
        limit = edges_at_once(budget, per_edge, batch * n_positions, weights, cfg.n_layers)
        check_room(per_edge * limit, self._tokens.device)
        return dict.fromkeys(range(1, cfg.n_layers), limit)

    def flops(self, edges: Edges) -> float:
        """NaN: the operations of a forward pass that is not read are unknown."""
        return float("nan")

    def measure(self, edges: Edges, check_stop: StopCheck) -> Values:
        """The metric of every edge of one piece, mean and per prompt."""
        layer = int(edges[0, 2])
        sources, source_of_edge = np.unique(edges[:, :2], axis=0, return_inverse=True)
        projected = self._projected(layer, sources, check_stop)[source_of_edge.reshape(-1)]
        found = [
            measure_logits(
                self._patch.metric, self._logits(layer, edges[rows, 3], projected[rows], check_stop)
            )
            for rows in self._rows(len(edges))
        ]
        values = np.concatenate([of_rows for of_rows, _ in found])
        per_prompt = [of_rows for _, of_rows in found if of_rows is not None]
        return values, np.concatenate(per_prompt) if per_prompt else None

    def _rows(self, number: int) -> Iterator[slice]:
        """Which rows go through the model together: all, or each alone where nothing may join the prompts.

        A hook may be written for one prompt, ``value[0, :, 3] = 0``, and would miss the others.
        """
        step = 1 if self._alone else max(1, number)
        return (slice(first, min(first + step, number)) for first in range(0, number, step))

    def _projected(
        self, layer: int, sources: Int[np.ndarray, "source 2"], check_stop: StopCheck
    ) -> Float[Tensor, "source batch pos head d_head"]:
        """The one component of every head of `layer`, as the model projects it under each source's patch."""
        device = self._tokens.device
        deltas = self._writes.delta(torch.as_tensor(sources, device=device), self._everywhere).transpose(0, 1)
        found = []
        for rows in self._rows(len(sources)):
            check_stop()
            with self._norm_sees(layer, deltas[rows].flatten(0, 1)):
                component = self._read(rows.stop - rows.start, self._component(layer), [])
            found.append(component.unflatten(0, (-1, len(self._tokens))))
        return torch.cat(found)

    def _component(self, layer: int) -> str:
        return f"blocks.{layer}.attn.hook_{self._patch.component}"

    @contextmanager
    def _norm_sees(self, layer: int, delta: Float[Tensor, "row pos d_model"]) -> Iterator[None]:
        """Within this context the norm before attention reads, or gives out, the patch as well."""
        norm: nn.Module = self._model.blocks[layer].ln1
        if self._patch.layer_norm == "exact":
            handle = norm.register_forward_pre_hook(lambda module, args: (args[0] + delta, *args[1:]))
        else:
            scale = self._patch.ln1_scale(layer)
            change = (delta.unflatten(0, (-1, len(scale))) / scale).flatten(0, 1)
            handle = norm.register_forward_hook(lambda module, args, output: output + change)
        try:
            yield
        finally:
            handle.remove()

    def _logits(
        self,
        layer: int,
        heads: Int[np.ndarray, " edge"],
        projected: Float[Tensor, "edge batch pos head d_head"],
        check_stop: StopCheck,
    ) -> Float[Tensor, "edge batch pos d_vocab"]:
        """Logits of the corrupted run in which each edge's head, and no other, has its component patched."""
        n_edges, z_name = len(heads), f"blocks.{layer}.attn.hook_z"
        own = heads // (self._model.cfg.n_heads // projected.shape[3])
        check_stop()
        z = self._read(n_edges, z_name, [(self._component(layer), _one_head(own, projected))])
        check_stop()
        put = _one_head(heads, z.unflatten(0, (n_edges, -1)))
        logits = self._model.run_with_hooks(self._tokens.repeat(n_edges, 1), fwd_hooks=[(z_name, put)])
        return logits.unflatten(0, (n_edges, -1))

    def _read(self, n_rows: int, name: str, hooks: Hooks) -> Tensor:
        """The activation `name` of so many corrupted runs under `hooks`, as the rest of the run sees it."""
        kept: list[Tensor] = []
        self._model.run_with_hooks(
            self._tokens.repeat(n_rows, 1),
            fwd_hooks=[*hooks, (name, lambda value, hook: kept.append(value.detach().clone()))],
        )
        return kept[0]


def _one_head(
    heads: Int[np.ndarray, " row"], values: Float[Tensor, "row batch pos head d_head"]
) -> Callable[..., Tensor]:
    """A hook that puts of each row's `values` that row's one head in place, and leaves all others."""
    head = torch.as_tensor(heads, device=values.device).repeat_interleave(values.shape[1])
    flat = values.flatten(0, 1)
    rows = torch.arange(len(flat), device=flat.device)

    def put(value: Tensor, hook: object) -> Tensor:
        value = value.clone()
        value[rows, :, head] = flat[rows, :, head]
        return value

    return put


def _require_one_input(model: Any) -> None:
    """Refuse models that norm a copy of the stream for every head, where no patch of ``ln1`` is heard."""
    for switch in ("use_split_qkv_input", "use_attn_in"):
        if getattr(model.cfg, switch, False):
            raise UnsupportedModelError(
                f"The model's {switch} is on, so each head norms its own copy of the residual stream and the "
                "patch of a path through the model's own forward would go unheard. Turn it off: "
                f"model.set_{switch}(False)."
            )


def _repeats(gate: Gate) -> bool:
    """Whether the prompts bring the same logits when they stand in the batch twice."""
    logits = gate.model(gate.tokens.repeat(2, 1))
    return within(logits, gate.logits.repeat(2, 1, 1), settings().replay_tolerance)


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
