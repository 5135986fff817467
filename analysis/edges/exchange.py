"""Two runs of a model on prompts of equal length, of which one's writes are put into the other."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from analysis.decoder import Decoder, check_kind, check_model
from analysis.errors import PromptError, UnsupportedModelError
from analysis.metrics import PatchingMetric
from analysis.nodes import Graph
from analysis.requests import LAYER_NORM_MODES, LayerNormMode, RunName
from analysis.sweep import (
    CorruptedRun,
    EdgeReplay,
    Gate,
    RunCache,
    Writes,
    activations_read,
    as_tokens,
    check_choice,
    check_metric,
    checked_bytes,
    layer_norm_notes,
    measure_logits,
    open_gate,
)


def residual_graph(model: Any) -> Graph:
    """The writers, readers and edges of `model`, a language model of TransformerLens.

    Raises `PathscopeError` for anything else.
    """
    check_kind(model)
    cfg = model.cfg
    has_mlps = not getattr(cfg, "attn_only", False)
    return Graph(cfg.n_layers, cfg.n_heads, has_mlps, bool(getattr(cfg, "parallel_attn_mlp", False)))


@dataclass(frozen=True, eq=False)
class Exchange:
    """The run on `gate.tokens`, in which edges carry what their writers wrote in the run on `other.tokens`.

    Both runs have been held against the model's own; `layer_norm` says whether the norm before a
    reader keeps this run's scale or is recomputed, `memory_bytes` what patched rows may take.
    """

    gate: Gate
    other: Gate
    metric: PatchingMetric
    layer_norm: LayerNormMode
    memory_bytes: int

    @classmethod
    def of(
        cls,
        model: Any,
        tokens: Int[Tensor, "batch pos"],
        other_tokens: Int[Tensor, "batch pos"],
        metric: PatchingMetric,
        *,
        layer_norm: LayerNormMode = "exact",
        memory_bytes: int | None = None,
    ) -> Exchange:
        """Check every argument, and run and replay the model on both batches of prompts.

        Raises `PathscopeError` or one of its kinds; warns where the frozen norm leaves a weight out.
        `memory_bytes` is the setting if None.
        """
        check_model(model)
        check_choice("layer_norm", layer_norm, LAYER_NORM_MODES)
        here, there = as_tokens(model, tokens), as_tokens(model, other_tokens)
        if here.shape != there.shape:
            raise PromptError(
                f"The prompts are {list(here.shape)} and the others {list(there.shape)} [batch, pos]. Edges "
                "carry writes from token to token: use as many prompts, of equal length."
            )
        check_metric(metric, here, model.cfg.d_vocab)
        for sentence in layer_norm_notes(model, layer_norm):
            warnings.warn(sentence, UserWarning, stacklevel=3)
        with torch.no_grad():
            return cls(
                open_gate(model, here),
                open_gate(model, there),
                metric,
                layer_norm,
                checked_bytes(memory_bytes),
            )

    @cached_property
    def reversed(self) -> Exchange:
        """The same two runs the other way round: this one's writes in the other run."""
        return replace(self, gate=self.other, other=self.gate)

    def by_prompt(self, metrics: Iterable[PatchingMetric]) -> list[Exchange]:
        """Each prompt of the batch by itself, with its own metric; no model runs once more."""
        return [
            replace(self, gate=self.gate.of_prompt(row), other=self.other.of_prompt(row), metric=metric)
            for row, metric in enumerate(metrics)
        ]

    @property
    def model(self) -> Any:
        """The model that runs."""
        return self.gate.model

    @cached_property
    def graph(self) -> Graph:
        """The writers, readers and edges of the model."""
        return residual_graph(self.model)

    @property
    def first_difference(self) -> int:
        """The first position at which any prompt has another token; nothing differs before it."""
        differs = (self.gate.tokens != self.other.tokens).any(dim=0)
        return int(differs.int().argmax()) if bool(differs.any()) else len(differs)

    @cached_property
    def replay(self) -> EdgeReplay | None:
        """The engine, None where the model itself has to compute."""
        decoder, run, other = self.gate.decoder, self.gate.run, self.other.run
        if decoder is None or run is None or other is None:
            return None
        with torch.no_grad():
            start = self.first_difference
            replay = EdgeReplay(
                decoder,
                run,
                Writes.between(decoder, run, other, start),
                self.metric,
                start=start,
                ln1_scale=_frozen_scales(decoder, run) if self.layer_norm == "frozen" else None,
                memory_bytes=self.memory_bytes,
            )
            own, _ = measure_logits(self.metric, self.gate.logits[None])
        return replay if self.gate.agrees(self.metric, replay.baseline, float(own[0])) else None

    def required_replay(self, what: str) -> EdgeReplay:
        """The engine; raises `UnsupportedModelError`, which names `what` there cannot be, without it."""
        if self.replay is not None:
            return self.replay
        hooked = self.gate.hooked or self.other.hooked
        raise UnsupportedModelError(
            f"There is no {what} beside hooks, which the replay would leave out: {hooked[0]} carries one. "
            "Remove it, with model.reset_hooks() for example. Paths between heads can be measured as it is."
            if hooked
            else f"There is no {what} for this model: the replay does not reproduce its forward pass. Paths "
            "between heads can be measured all the same, each by forward passes of its own."
        )

    @cached_property
    def own_caches(self) -> tuple[RunCache, RunCache]:
        """What the general path reads of the model's own runs: the other one's, then this one's."""
        names = activations_read(self.model)

        def cache(run: RunName, gate: Gate) -> RunCache:
            _, found = self.model.run_with_cache(gate.tokens, names_filter=lambda name: name in names)
            return RunCache(run, found, gate.tokens, self.model)

        return cache("clean", self.other), cache("corrupted", self.gate)


def _frozen_scales(decoder: Decoder, run: CorruptedRun) -> Callable[[int], Tensor]:
    return lambda layer: decoder.blocks[layer].attention_norm.scale(run.layers[layer].resid_pre)
