"""The sweep: what is asked for, which path computes it, and the pieces as they finish."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from analysis.errors import Cancelled
from analysis.metrics import PatchingMetric
from analysis.requests import HeadInput, LayerNormMode
from analysis.sweep.checks import PRECISIONS, check_choice, checked_order, checked_sources
from analysis.sweep.fast import FastPath
from analysis.sweep.hooked import HookedPath
from analysis.sweep.patch import Patch
from analysis.sweep.pieces import EDGES_AT_FIRST, Edges, Piece, cut, edges_of, ordered
from analysis.sweep.readout import measure_logits


class Sweep:
    """Direct path patching over many edges, in pieces that can be stored, stopped and resumed.

    `sources` limits the source heads (all if None), `positions` the token positions at which the
    patch is applied, `order` [edge 4] names the edges (sl, sh, dl, dh) to take first. `precision` is
    that of matrix products, `memory_bytes` what patched rows may take (the setting if None). The caches
    are any mappings with ``blocks.{l}.attn.hook_z`` of both runs and, in frozen mode,
    ``blocks.{l}.ln1.hook_scale`` of the corrupted one (and ``blocks.{l}.ln1_post.hook_scale`` of both
    on post-norm blocks). `metric` costs the logits that it reads, as for `get_act_patch_direct_path`; an
    `analysis.metrics.Metric` is the quickest.

    `engine` tells what computes: "replay", or "hooks" where the replay of these very prompts fails the
    gate (`analysis.sweep.gate`), does not know the architecture or reads another metric, or somebody's
    hooks sit on the model. `replay_gap` is the largest difference on the corrupted run, in logits, None
    where there is no replay. `baseline` is the metric of the corrupted run with nothing patched.
    `notes` are sentences that belong to every number.

    Raises `PathscopeError`, or one of its kinds, for whatever does not fit together.
    """

    def __init__(
        self,
        model: Any,
        corrupted_tokens: Int[Tensor, "batch pos"],
        clean_cache: Mapping[str, Tensor],
        corrupted_cache: Mapping[str, Tensor],
        metric: PatchingMetric,
        *,
        component: HeadInput = "q",
        layer_norm: LayerNormMode = "frozen",
        sources: Sequence[tuple[int, int]] | None = None,
        order: Int[np.ndarray, "edge 4"] | None = None,
        positions: Sequence[int] | None = None,
        precision: Literal["float32"] = "float32",
        memory_bytes: int | None = None,
    ) -> None:
        check_choice("precision", precision, PRECISIONS)
        patch = Patch.of(
            model,
            corrupted_tokens,
            clean_cache,
            corrupted_cache,
            metric,
            component=component,
            layer_norm=layer_norm,
            positions=positions,
            memory_bytes=memory_bytes,
        )
        sources = None if sources is None else checked_sources(model, sources)
        with torch.no_grad():
            self._path = path_of(patch)
        self.engine: Literal["replay", "hooks"] = "replay" if isinstance(self._path, FastPath) else "hooks"
        self.replay_gap: float | None = patch.gate.gap
        self.notes: tuple[str, ...] = patch.notes
        self.baseline: float = self._path.baseline
        edges = edges_of(model.cfg.n_layers, model.cfg.n_heads, sources)
        n_first = 0
        if order is not None:
            edges, n_named = ordered(edges, checked_order(order))
            n_first = min(EDGES_AT_FIRST, n_named) if self._path.mixes_layers else 0
        self._pieces: tuple[Edges, ...] = cut(edges, self._path.edges_at_once(), n_first)

    @property
    def n_edges(self) -> int:
        """How many (source, destination) pairs the sweep measures."""
        return sum(len(piece) for piece in self._pieces)

    @property
    def n_pieces(self) -> int:
        """How many pieces `run` yields if none is skipped."""
        return len(self._pieces)

    def flops(self, index: int | None = None) -> float:
        """Operations of the matrix products that the plan needs, of one piece or of all; NaN under hooks."""
        pieces = self._pieces if index is None else (self._pieces[index],)
        return sum(self._path.flops(piece) for piece in pieces)

    def shares(self) -> Float[np.ndarray, " piece"]:
        """The share of each piece in the whole work: by operations, or by edges where those are unknown."""
        work = np.array([self.flops(index) for index in range(self.n_pieces)])
        if np.isnan(work).any():
            work = np.array([float(len(piece)) for piece in self._pieces])
        return work / work.sum()

    def run(self, skip: Collection[int] = (), stop: Callable[[], bool] | None = None) -> Iterator[Piece]:
        """Compute and yield the pieces, but for those whose index is in `skip`.

        `stop` is asked between blocks, or between forward passes under hooks; once it returns true
        `Cancelled` is raised and the piece in work is lost. `MetricError` is raised for a metric that
        is not one finite number.
        """

        def check_stop() -> None:
            if stop is not None and stop():
                raise Cancelled("The sweep was stopped; finished pieces are kept and are not computed again.")

        for index, edges in enumerate(self._pieces):
            if index in skip:
                continue
            check_stop()
            with torch.no_grad():
                values, per_prompt = self._path.measure(edges, check_stop)
            yield Piece(index, edges, values, per_prompt)


def path_of(patch: Patch) -> FastPath | HookedPath:
    """The replay where it may speak and reads the same metric as the model does; else the model itself."""
    if patch.gate.engine == "replay":
        fast = FastPath(patch)
        own, _ = measure_logits(patch.metric, patch.gate.logits[None])
        if patch.gate.agrees(patch.metric, fast.baseline, float(own[0])):
            return fast
    return HookedPath(patch)
