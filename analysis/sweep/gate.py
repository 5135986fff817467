"""The gate decides whether the replay may speak for a model.

It may if nobody's hooks sit on the model, and if its logits are the model's own, for the corrupted run
and for a run that is pushed far off it. The second is what a patched row does, and where a frozen
part, a clip or an adapter shows that leaves the corrupted run as it is. Otherwise the model's own
forward computes: a wrong fast number is never shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from analysis.decoder import Decoder, UnknownArchitecture, read_decoder
from analysis.errors import PathscopeError, UnsupportedModelError
from analysis.metrics import PatchingMetric, logit_spread, metric_gradient
from analysis.settings import settings
from analysis.sweep.foreign import foreign_hooks
from analysis.sweep.replay import CorruptedRun, replay_corrupted_run

_EMBEDDED = "blocks.0.hook_resid_pre"

#: Rounding that a single logit may carry, in units of its own last place.
_ULPS = 64.0


@dataclass(frozen=True, eq=False)
class Gate:
    """A model's own corrupted run, and its replay if that may be trusted.

    `gap` is the largest absolute difference in logits between the two on the corrupted run, None
    where the architecture has a part that the replay does not know. `hooked` names the modules that
    carry somebody's hooks. `alone` tells whether nothing may join the prompts in their batch, as where a
    hook, or a part that was put in, is made for these very prompts. `last_z` is the model's own z of its
    last layer, on which all that comes before has left its mark.
    """

    model: Any
    tokens: Int[Tensor, "batch pos"]
    logits: Float[Tensor, "batch pos d_vocab"]
    last_z: Float[Tensor, "batch pos head d_head"]
    hooked: tuple[str, ...]
    alone: bool
    gap: float | None
    decoder: Decoder | None
    run: CorruptedRun | None

    def of_prompt(self, row: int) -> Gate:
        """The same of one prompt of the batch; the gap stays that of all."""
        here = slice(row, row + 1)
        return replace(
            self,
            tokens=self.tokens[here],
            logits=self.logits[here],
            last_z=self.last_z[here],
            run=None if self.run is None else self.run.of_prompts(here),
        )

    @property
    def engine(self) -> Literal["replay", "hooks"]:
        """Which path may compute."""
        return "replay" if self.run is not None else "hooks"

    @property
    def limit(self) -> float:
        """The largest difference that any logit may show; most may show less, see `allowed`."""
        return float(allowed(self.logits, settings().replay_tolerance).max())

    def agrees(self, metric: PatchingMetric, replayed: float, own: float) -> bool:
        """Whether the metric of the replayed logits is that of the model's own, rounding apart.

        Judged to first order, and by what the metric makes of logits that are off by as much as is allowed,
        up and down in turn: at its minimum, as KL from the run itself, it has no first order.
        """
        tolerance, gradient = settings().replay_tolerance, metric_gradient(metric, self.logits)
        if gradient is None:
            return abs(replayed - own) <= tolerance * abs(own)
        by_logit = allowed(self.logits, tolerance).expand_as(self.logits)
        in_turn = 1.0 - 2.0 * (torch.arange(self.logits.shape[-1], device=self.logits.device) % 2)
        bent = abs(float(metric(self.logits + in_turn * by_logit)) - own)
        off = float((gradient.abs() * by_logit).nan_to_num().sum()) + (bent if isfinite(bent) else 0.0)
        return abs(replayed - own) <= off

    def another_run(self, corrupted_cache: Mapping[str, Tensor]) -> Iterator[str]:
        """A sentence if `corrupted_cache` is not the run of `tokens`, as when caches are exchanged."""
        name = _last_z(self.model)
        if name not in corrupted_cache:
            return  # what reads the cache says what it needs
        off = float((corrupted_cache[name] - self.last_z).abs().max())
        if off > settings().replay_tolerance * float(self.last_z.abs().max()):
            yield (
                "corrupted_cache is not the run of corrupted_tokens: in the last layer z differs by "
                f"{off:.2g}. Effects are measured against the run of corrupted_tokens. Check that neither "
                "the caches nor the prompts are exchanged, and that no hook came or went meanwhile."
            )


@torch.no_grad()
def open_gate(model: Any, tokens: Int[Tensor, "batch pos"], tolerance: float | None = None) -> Gate:
    """Run `model` on `tokens`, replay it, and decide.

    The replay passes if nobody's hooks sit on the model and every logit is within `allowed` of the
    model's own; `tolerance` is the setting if None. Raises `UnsupportedModelError` where not even the
    hooks of the general path exist, `PathscopeError` where memory runs out.
    """
    tolerance = settings().replay_tolerance if tolerance is None else tolerance
    hooked = foreign_hooks(model)
    logits, cache, alone = _own_run(model, tokens, alone=bool(hooked))
    _require_hooks(model, cache)
    batch = len(tokens)
    own = model, tokens, logits[:batch], cache[_last_z(model)][:batch], hooked, alone
    try:
        decoder = read_decoder(model, cache)
        run = replay_corrupted_run(decoder, cache[_EMBEDDED])
        replayed = decoder.logits(run.resid_final)
    except (UnknownArchitecture, RuntimeError, IndexError) as error:
        # A part with a name we know and a shape we do not shows as one of the last two.
        _raise_if_out_of_memory(error)
        return Gate(*own, None, None, None)
    gap = largest_gap(replayed[:batch], logits[:batch])
    if alone or not within(replayed, logits, tolerance):
        return Gate(*own, gap, None, None)
    return Gate(*own, gap, decoder, run.of_prompts(slice(batch)))


def _own_run(
    model: Any, tokens: Int[Tensor, "batch pos"], alone: bool
) -> tuple[Tensor, dict[str, Tensor], bool]:
    """The model's own logits and activations of `tokens` and, unless `alone`, of the first pushed off course.

    Also whether they ran alone, which they do as well where the model takes no larger batch.
    """
    rows = tokens if alone else torch.cat([tokens, tokens[:1]])

    def push(value: Tensor, hook: object) -> Tensor:
        noise = torch.randn(value[len(tokens) :].shape, generator=torch.Generator().manual_seed(0))
        far = value[len(tokens) :] + noise.to(value) * value[len(tokens) :].std(-1, keepdim=True)
        return torch.cat([value[: len(tokens)], far])

    try:
        with model.hooks(fwd_hooks=[] if alone else [(_EMBEDDED, push)]):
            logits, cache = model.run_with_cache(rows, names_filter=_needed)
    except (KeyError, RuntimeError) as error:
        _raise_if_out_of_memory(error)
        if alone:
            raise
        # A part may give back what it made of these prompts, and fit no others. And a model without this
        # place has others missing too: `_require_hooks` says which.
        return _own_run(model, tokens, alone=True)
    return logits, dict(cache.items()), alone


def allowed(logits: Float[Tensor, "*rows d_vocab"], tolerance: float) -> Float[Tensor, "*rows d_vocab"]:
    """How far each replayed logit may be from the model's own.

    `tolerance` times the spread of its row, which one huge entry or a banned token does not widen,
    plus what rounding does to a logit of its own size.
    """
    rounding = _ULPS * torch.finfo(logits.dtype).eps * logits.abs()
    return tolerance * logit_spread(logits).nan_to_num()[..., None] + rounding.where(
        torch.isfinite(logits), 0.0
    )


def within(replayed: Tensor, own: Float[Tensor, "*rows d_vocab"], tolerance: float) -> bool:
    """Whether every replayed logit is the model's own: equal where infinite, within `allowed` elsewhere."""
    near = (replayed - own).abs() <= allowed(own, tolerance)
    return bool((near | (replayed == own)).all())


def largest_gap(replayed: Tensor, own: Tensor) -> float:
    """The largest difference where the two are not the same infinity; NaN or infinite where one alone is."""
    return float((replayed - own).where(replayed != own, 0.0).abs().max())


def _raise_if_out_of_memory(error: Exception) -> None:
    """Memory that ran out is no unknown architecture, and the slower path would need more of it."""
    if isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error):
        raise PathscopeError(
            "Memory ran out while the prompts were run. Use shorter prompts, fewer of them, or a smaller "
            "model."
        ) from error


def _last_z(model: Any) -> str:
    return f"blocks.{model.cfg.n_layers - 1}.attn.hook_z"


def _needed(name: str) -> bool:
    return name == _EMBEDDED or name.endswith(
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
