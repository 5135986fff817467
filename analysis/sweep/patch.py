"""What is to be patched: one frozen description, made and checked once, that every path works from."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import index
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from analysis.decoder import check_model
from analysis.errors import PathscopeError
from analysis.metrics import PatchingMetric
from analysis.requests import HEAD_INPUTS, LAYER_NORM_MODES, HeadInput, LayerNormMode
from analysis.sweep.caches import RunCache, as_tokens
from analysis.sweep.checks import check_choice, check_metric, checked_bytes
from analysis.sweep.gate import Gate, open_gate


@dataclass(frozen=True, eq=False)
class Patch:
    """The clean write of a head in the corrupted run, for one input of a later head.

    `gate` holds the model, its corrupted run and whether the replay may speak. `component` is the
    destination's input that sees the patch, `layer_norm` what becomes of the norm before it,
    `positions` where the patch is made (everywhere if None), `memory_bytes` what patched rows may take.
    """

    gate: Gate
    clean_cache: RunCache
    corrupted_cache: RunCache
    metric: PatchingMetric
    component: HeadInput
    layer_norm: LayerNormMode
    positions: tuple[int, ...] | None
    memory_bytes: int

    @classmethod
    def of(
        cls,
        model: Any,
        corrupted_tokens: Int[Tensor, "batch pos"],
        clean_cache: Mapping[str, Tensor],
        corrupted_cache: Mapping[str, Tensor],
        metric: PatchingMetric,
        *,
        component: HeadInput = "q",
        layer_norm: LayerNormMode = "frozen",
        positions: Sequence[int] | None = None,
        memory_bytes: int | None = None,
    ) -> Patch:
        """Check every argument, run the model on the corrupted tokens, and replay that run.

        Raises `PathscopeError` or one of its kinds; warns where the corrupted cache is another run,
        or the frozen norm leaves a weight out. `memory_bytes` is the setting if None.
        """
        check_model(model)
        check_choice("component", component, HEAD_INPUTS)
        check_choice("layer_norm", layer_norm, LAYER_NORM_MODES)
        tokens = as_tokens(model, corrupted_tokens)
        check_metric(metric, tokens, model.cfg.d_vocab)
        chosen = None if positions is None else _checked_positions(positions, tokens.shape[1])
        patch = cls(
            gate=open_gate(model, tokens),
            clean_cache=RunCache("clean", clean_cache, tokens, model),
            corrupted_cache=RunCache("corrupted", corrupted_cache, tokens, model),
            metric=metric,
            component=component,
            layer_norm=layer_norm,
            positions=chosen,
            memory_bytes=checked_bytes(memory_bytes),
        )
        for sentence in (*patch.gate.another_run(patch.corrupted_cache), *patch.notes):
            warnings.warn(sentence, UserWarning, stacklevel=4)
        return patch

    @property
    def model(self) -> Any:
        """The model that is patched."""
        return self.gate.model

    @property
    def tokens(self) -> Int[Tensor, "batch pos"]:
        """The corrupted prompts."""
        return self.gate.tokens

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences that belong to every number of this patch."""
        return layer_norm_notes(self.model, self.layer_norm)

    def ln1_scale(self, layer: int) -> Tensor:
        """The divisor of frozen mode: the corrupted run's ``ln1.hook_scale`` [batch pos 1]."""
        return self.corrupted_cache[f"blocks.{layer}.ln1.hook_scale"]


def layer_norm_notes(model: Any, layer_norm: LayerNormMode) -> tuple[str, ...]:
    """What has to be said of every number of `model` that is measured in this mode."""
    if layer_norm == "exact":
        return ()
    unfolded = [i for i, block in enumerate(model.blocks) if _has_own_weight(block.ln1, model.cfg)]
    if not unfolded:
        return ()
    return (
        f"Block {unfolded[0]} scales what its norm gives out by weights that are not folded into W_Q, "
        'W_K and W_V. layer_norm="frozen" leaves them out of the patch, so its numbers may be far off. '
        'Use layer_norm="exact"' + _way_to_fold(model),
    )


def _way_to_fold(model: Any) -> str:
    """What a person can still do about it, which is nothing where the norms cannot be folded."""
    if not hasattr(model, "enable_compatibility_mode"):
        return ", or load the model with fold_ln=True."
    if getattr(model, "compatibility_mode", False):
        return "; TransformerLens cannot fold the norms of this model."
    return ", or call model.enable_compatibility_mode() first."


def _has_own_weight(norm: Any, cfg: Any) -> bool:
    weight = getattr(norm, "w", None)
    weight = getattr(norm, "weight", None) if weight is None else weight
    neutral = 0.0 if getattr(cfg, "rmsnorm_uses_offset", False) else 1.0
    return weight is not None and not torch.allclose(weight, torch.full_like(weight, neutral), atol=1e-3)


def _checked_positions(positions: Any, n_positions: int) -> tuple[int, ...]:
    try:
        chosen = tuple(index(position) for position in positions)
    except (TypeError, ValueError) as error:
        raise PathscopeError(
            f"positions is {positions!r}, and must be a sequence of token positions."
        ) from error
    outside = [position for position in chosen if not -n_positions <= position < n_positions]
    if outside:
        raise PathscopeError(
            f"positions {outside} lie outside the prompts of {n_positions} tokens; choose from "
            f"{-n_positions} to {n_positions - 1}."
        )
    return chosen
