"""Live proof that the numbers can be trusted: identities and parity checks, each one measured.

Every check gives its name, what it states, the largest violation found, and the limit up to which
rounding explains it. Limits are zero or shares of the largest logit, since that is what rounding scales
with; those of published figures allow for what was printed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int

from analysis.attribution import attribution_result
from analysis.errors import UnsupportedModelError
from analysis.experiment import Origin, Runs, alone_with
from analysis.labels import head_label
from analysis.metrics import LogitDifference
from analysis.nodes import causal_edges
from analysis.requests import HEAD_INPUTS, LAYER_NORM_MODES, UNITS, Experiment, HeadInput, LayerNormMode, Unit
from analysis.results import AttributionRequest, EdgeLabels
from analysis.sanity.circuit_checks import CircuitChecks
from analysis.sanity.known_results import known_results
from analysis.sweep import Gate, HookedPath, Patch, Sweep, open_gate

#: The share of the largest logit that rounding may explain in float32.
ROUNDING = 1e-5
#: Forward passes that TransformerLens's own sweep may take per component.
ORACLE_FORWARDS = 12
#: Edges that are measured once more with the model's own forward, per component and mode.
SAMPLED_EDGES = 6


class Check(NamedTuple):
    """One identity: passed if ``measured <= limit``."""

    name: str
    statement: str
    measured: float
    limit: float


@torch.no_grad()
def checked(experiment: Experiment, runs: Runs, edges: EdgeLabels = ()) -> tuple[Check, ...]:
    """Every identity, parity check and published figure that is defined for this experiment's model.

    Attribution is checked on the clean run at every position, patching with the logit difference, and
    circuits with `edges`, or else with the strongest. A check that has no meaning for an architecture,
    or would take too long, is left out rather than passed. Raises `PathscopeError` for what is no edge.
    """
    largest = max(float(run.logits.abs().max()) for run in (runs.clean, runs.corrupted))
    limit = ROUNDING * largest
    found = list(_attribution(experiment, runs, limit))
    with alone_with(runs.model):
        with suppress(UnsupportedModelError):
            found += PathChecks(runs, limit)
        found += (Check(*circuit, limit) for circuit in CircuitChecks(runs, edges))
        found += (Check(*known) for known in known_results(runs.model))
    return tuple(found)


def _attribution(experiment: Experiment, runs: Runs, limit: float) -> Iterator[Check]:
    """The parts of each unit add up to the logit difference that the model itself gives."""
    parts: dict[Unit, str] = {
        "component": "Embeddings, attention and MLP outputs",
        "layer": "What the stream holds after the last layer and the unembedding bias",
        "head": "All heads and the remainder",
    }
    for unit in UNITS:
        try:
            result = attribution_result(AttributionRequest(experiment, unit), Origin(runs))
        except UnsupportedModelError:
            continue
        statement = f"{parts[unit]} add up to the model's own logit difference at every position."
        yield Check(f"Attribution by {unit}", statement, float(np.abs(result.gap).max()), limit)


class PathChecks:
    """Identities of direct path patching, and its agreement with slower ways to the same numbers."""

    def __init__(self, runs: Runs, limit: float) -> None:
        self._runs, self._limit = runs, limit
        self._bridge, self._pair = runs.model.bridge, runs.pair
        self._metric = LogitDifference(answer=runs.pair.answer, foil=runs.pair.foil)
        self._n_layers, self._n_heads = self._bridge.cfg.n_layers, self._bridge.cfg.n_heads

    def __iter__(self) -> Iterator[Check]:
        if self._gate.gap is not None:
            yield self._replay()
        yield self._nothing_to_patch()
        yield self._row_of_a_sweep()
        yield self._no_path_from_the_last_layer()
        yield from self._against_the_models_own_forward()
        yield from self._against_transformer_lens()

    @cached_property
    def _gate(self) -> Gate:
        return open_gate(self._bridge, self._pair.corrupted)

    def _sweep(self, **options: Any) -> Sweep:
        runs = self._runs
        caches = runs.clean.activations, runs.corrupted.activations
        return Sweep(self._bridge, self._pair.corrupted, *caches, self._metric, **options)

    def _patch(self, **options: Any) -> Patch:
        runs = self._runs
        caches = runs.clean.activations, runs.corrupted.activations
        return Patch.of(self._bridge, self._pair.corrupted, *caches, self._metric, **options)

    def _replay(self) -> Check:
        gap = self._gate.gap
        assert gap is not None
        return Check(
            "Replay of the forward pass",
            "The engine's logits of the corrupted prompt are the model's own. Where they are not, or not "
            "those of a run pushed far off it, patching runs through the model's own forward pass instead.",
            gap,
            self._gate.limit,
        )

    def _nothing_to_patch(self) -> Check:
        cache = self._runs.corrupted.activations
        sweep = Sweep(self._bridge, self._pair.corrupted, cache, cache, self._metric)
        gap = max((float(np.abs(piece.values - sweep.baseline).max()) for piece in sweep.run()), default=0.0)
        return Check(
            "Clean equal to corrupted",
            "With the same prompt on both sides, every path gives the baseline: to the last bit where the "
            "engine replays the model, within rounding where a batch goes through the model itself.",
            gap,
            0.0 if sweep.engine == "replay" else self._limit,
        )

    def _row_of_a_sweep(self) -> Check:
        layer, head = source = self._strongest_source(0)
        alone = _values(self._sweep(sources=[source]))
        many = _values(self._sweep(sources=list(product((layer,), range(self._n_heads)))))
        gap = max((abs(many[edge] - value) for edge, value in alone.items()), default=0.0)
        return Check(
            "A row of the whole",
            f"{head_label(layer, head)} has the same effects in a sweep over many sources as alone.",
            gap,
            self._limit,
        )

    def _no_path_from_the_last_layer(self) -> Check:
        last = self._n_layers - 1
        sweep = self._sweep(sources=list(product((last,), range(self._n_heads))))
        causal = causal_edges(self._n_layers, self._n_heads)[last]
        return Check(
            "Nothing after the last layer",
            "A head of the last layer has no later head to write to, so no cell is measured for it.",
            float(sweep.n_edges + causal.sum()),
            0.0,
        )

    def _against_the_models_own_forward(self) -> Iterator[Check]:
        """The replay against whole forward passes with hooks; both modes, also where no oracle answers."""
        if self._gate.engine != "replay":
            return
        edges = self._sampled_edges()
        if not len(edges):
            return
        for component in HEAD_INPUTS:
            gap = max(self._gap_to_hooks(component, mode, edges) for mode in LAYER_NORM_MODES)
            yield Check(
                f"Engine against hooks, {component}",
                f"{len(edges)} paths into the last layer, LayerNorm frozen and exact, have the same effects "
                "through the model's own forward pass with hooks.",
                gap,
                self._limit,
            )

    def _sampled_edges(self) -> Int[np.ndarray, "edge 4"]:
        """Paths into the last layer, from the loudest head of each of some earlier layers."""
        last = self._n_layers - 1
        layers = np.unique(np.linspace(0, max(last - 1, 0), SAMPLED_EDGES).astype(int))
        sources = [self._strongest_source(layer) for layer in layers] if last else []
        return np.array(
            [(*source, last, index % self._n_heads) for index, source in enumerate(sources)], dtype=np.int64
        ).reshape(-1, 4)

    def _gap_to_hooks(
        self, component: HeadInput, mode: LayerNormMode, edges: Int[np.ndarray, "edge 4"]
    ) -> float:
        slow, _ = HookedPath(self._patch(component=component, layer_norm=mode)).measure(edges, lambda: None)
        sources = sorted({(int(edge[0]), int(edge[1])) for edge in edges})
        fast = _values(self._sweep(component=component, layer_norm=mode, sources=sources))
        return float(
            max(abs(fast[tuple(edge)] - value) for edge, value in zip(edges.tolist(), slow, strict=True))
        )

    def _against_transformer_lens(self) -> Iterator[Check]:
        """TransformerLens's own direct path patching, in which the LayerNorm is exact, where it answers."""
        try:
            from transformer_lens.patching import get_act_patch_direct_path
        except ImportError:
            return
        later = max(1, ORACLE_FORWARDS // self._n_heads)
        layer, head = self._strongest_source(max(0, self._n_layers - 1 - later))
        runs = self._runs
        caches = runs.clean.activations, runs.corrupted.activations
        for component in HEAD_INPUTS:
            try:
                oracle: Float[torch.Tensor, "layer head"] = get_act_patch_direct_path(
                    self._bridge, self._pair.corrupted, *caches, self._metric, layer, head, component, False
                )
            except (NotImplementedError, ValueError):
                continue
            own = _values(self._sweep(component=component, layer_norm="exact", sources=[(layer, head)]))
            gap = max((abs(value - float(oracle[edge[2:]])) for edge, value in own.items()), default=0.0)
            yield Check(
                f"Engine against TransformerLens, {component}",
                f"All {len(own)} paths from {head_label(layer, head)} have the effects that TransformerLens "
                "itself measures for direct paths (exact LayerNorm).",
                gap,
                self._limit,
            )

    def _strongest_source(self, layer: int) -> tuple[int, int]:
        """The head of `layer` whose write differs most between the two runs."""
        name = f"blocks.{layer}.attn.hook_z"
        runs = self._runs
        delta = (runs.clean.activations[name] - runs.corrupted.activations[name])[0]
        writes = torch.einsum("phd,hdm->hpm", delta, self._bridge.blocks[layer].attn.W_O)
        return layer, int(torch.linalg.matrix_norm(writes).argmax())


def _values(sweep: Sweep) -> dict[tuple[int, ...], float]:
    return {
        tuple(edge): float(value)
        for piece in sweep.run()
        for edge, value in zip(piece.edges.tolist(), piece.values, strict=True)
    }
