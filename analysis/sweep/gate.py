"""The gate: replay the corrupted run and compare its logits with the model's own.

Only when they agree does the fast path compute; a wrong fast number is never shown.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from analysis.decoder import Decoder, UnknownArchitecture, read_decoder
from analysis.errors import UnsupportedModelError
from analysis.settings import settings
from analysis.sweep.replay import CorruptedRun, replay_corrupted_run


@dataclass(frozen=True)
class Gate:
    """A model's own corrupted run, and its replay if that was close enough.

    `gap` is the largest absolute difference in logits between the two, None where the
    architecture has a part that the replay does not know. `last_z` is the model's own z of its
    last layer, on which all that comes before has left its mark.
    """

    model: Any
    tokens: Int[Tensor, "batch pos"]
    logits: Float[Tensor, "batch pos d_vocab"]
    last_z: Float[Tensor, "batch pos head d_head"]
    gap: float | None
    decoder: Decoder | None
    run: CorruptedRun | None

    @property
    def engine(self) -> Literal["replay", "hooks"]:
        """Which path may compute."""
        return "replay" if self.run is not None else "hooks"


@torch.no_grad()
def open_gate(model: Any, tokens: Int[Tensor, "batch pos"], tolerance: float | None = None) -> Gate:
    """Run `model` on `tokens`, replay it, and decide.

    The replay passes if its logits are within `tolerance` (a setting) times the largest absolute
    logit. Raises `UnsupportedModelError` where not even the hooks of the general path exist.
    """
    tolerance = settings().replay_tolerance if tolerance is None else tolerance
    logits, cache = model.run_with_cache(tokens, names_filter=_needed)
    cache = dict(cache.items())
    _require_hooks(model, cache)
    own = model, tokens, logits, cache[_last_z(model)]
    try:
        decoder = read_decoder(model, cache)
        run = replay_corrupted_run(decoder, cache["blocks.0.hook_resid_pre"])
    except (UnknownArchitecture, RuntimeError, IndexError):
        # A part with a name we know and a shape we do not shows as one of the last two.
        return Gate(*own, None, None, None)
    gap = float((decoder.logits(run.resid_final) - logits).abs().max())
    if not gap <= tolerance * float(logits.abs().max()):
        return Gate(*own, gap, None, None)
    return Gate(*own, gap, decoder, run)


def warn_of_another_run(gate: Gate, corrupted_cache: Mapping[str, Tensor]) -> None:
    """Warn if `corrupted_cache` was not made from the corrupted tokens, as when caches are exchanged."""
    name, own = _last_z(gate.model), gate.last_z
    if name not in corrupted_cache or corrupted_cache[name].shape != own.shape:
        return  # what reads the cache says what it needs
    off = float((corrupted_cache[name].to(own.device) - own).abs().max())
    if off > settings().replay_tolerance * float(own.abs().max()):
        warnings.warn(
            f"corrupted_cache is not the run of corrupted_tokens: in the last layer z differs by {off:.2g}. "
            "Effects are measured against the run of corrupted_tokens. Check that neither the caches nor "
            "the prompts are exchanged.",
            UserWarning,
            stacklevel=3,
        )


def _last_z(model: Any) -> str:
    return f"blocks.{model.cfg.n_layers - 1}.attn.hook_z"


def _needed(name: str) -> bool:
    return name == "blocks.0.hook_resid_pre" or name.endswith(
        ("attn.hook_cos", "attn.hook_sin", "attn.hook_q", "attn.hook_z", "ln1.hook_scale")
    )


def _require_hooks(model: Any, cache: Mapping[str, Tensor]) -> None:
    names = ("attn.hook_q", "attn.hook_z", "ln1.hook_scale")
    missing = [
        f"blocks.{layer}.{name}"
        for layer in range(model.cfg.n_layers)
        for name in names
        if f"blocks.{layer}.{name}" not in cache
    ]
    kind = getattr(model.cfg, "architecture", None) or "this model"
    if missing:
        raise UnsupportedModelError(
            f"Direct paths between heads are not defined for {kind}: it has no {missing[0]}. Choose a model "
            "whose every layer normalises its input (ln1) and attends to it."
        )
    for block in model.blocks:
        try:
            block.attn.W_Q  # noqa: B018 - multi-head latent attention has none, and says so when asked
        except NotImplementedError as error:
            raise UnsupportedModelError(
                f"Direct paths between heads are not defined for {kind}: its q, k and v come from a latent "
                "vector that all heads share. Choose a model whose heads project theirs themselves."
            ) from error
