"""What every metric is: a callable from logits to one number, and one that declares what it reads."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from analysis.errors import MetricError

PatchingMetric = Callable[[Float[Tensor, "batch pos d_vocab"]], Tensor]
#: One id for all prompts, or one for each.
TokenIds: TypeAlias = int | np.integer | Sequence[int] | np.ndarray | Int[Tensor, "*batch"]


@dataclass(frozen=True, eq=False)
class Metric:
    """A metric of the next-token logits at one position.

    `position` counts from the end if negative. `tokens` names the vocabulary entries read, in
    the order in which `per_prompt` receives them: [token], or [batch token] where they differ
    between prompts; None reads the whole vocabulary. Raises `MetricError` for a position that is
    no whole number.
    """

    position: int = field(default=-1, kw_only=True)

    def __post_init__(self) -> None:
        if whole_number(self.position) is None:
            raise MetricError(
                f"The position is {self.position!r}, and must be a whole number, counted from the end if "
                "negative: -1 is the last token."
            )

    @property
    def tokens(self) -> Int[Tensor, "*batch token"] | None:
        """The vocabulary entries that are read, None for all."""
        return None

    def per_prompt(self, logits: Float[Tensor, "batch *edge token"]) -> Float[Tensor, " batch *edge"]:
        """The metric of each prompt (and edge) from the logits of `tokens` at `position`."""
        raise NotImplementedError

    def __call__(self, logits: Float[Tensor, "batch pos d_vocab"]) -> Float[Tensor, ""]:
        """Mean over the batch, from full logits.

        Raises `MetricError` for a missing position, and for ids that fit neither vocabulary nor batch.
        """
        self.check_position(logits.shape[1])
        self.check(len(logits), logits.shape[-1])
        read = logits[:, self.position]
        if self.tokens is not None:
            read = read.gather(-1, self.tokens.to(read.device).expand(len(read), -1))
        return self.per_prompt(read).mean()

    def check_position(self, n_positions: int) -> None:
        """Raise `MetricError` if `position` lies outside prompts of `n_positions` tokens."""
        if not -n_positions <= self.position < n_positions:
            raise MetricError(
                f"The metric reads position {self.position}, but the prompts have {n_positions} tokens; "
                f"choose a position from {-n_positions} to {n_positions - 1}."
            )

    def check(self, batch: int, d_vocab: int) -> None:
        """Raise `MetricError` if token ids fall outside the vocabulary or do not fit the batch."""
        for name in ("answer", "foil"):
            if not hasattr(self, name):
                continue
            ids = token_ids(name, getattr(self, name))
            outside = ids[ids >= d_vocab].tolist()
            if outside:
                raise MetricError(
                    f"The {name} has token ids {outside}, but the vocabulary has ids 0 to {d_vocab - 1}; "
                    "look the token up with model.to_single_token."
                )
            if len(ids) not in (1, batch):
                raise MetricError(
                    f"The {name} has {len(ids)} token ids for {batch} prompts; give one id for all "
                    "prompts or one for each."
                )


def token_ids(name: str, tokens: TokenIds) -> Int[Tensor, " batch"]:
    """`tokens` as one or more ids; raises `MetricError` for what is no id in any vocabulary."""
    items: Any = tokens.tolist() if isinstance(tokens, Tensor | np.ndarray) else tokens
    ids = [whole_number(item) for item in (items if isinstance(items, list | tuple) else [items])]
    known = [i for i in ids if i is not None and i >= 0]
    if not ids or len(known) < len(ids):
        raise MetricError(
            f"The {name} is {tokens!r}, and must be a token id (a whole number from 0), or one for each "
            "prompt. Look a token up with model.to_single_token."
        )
    return torch.tensor(known)


def whole_number(value: Any) -> int | None:
    """`value` as an int; None for anything but a whole number, booleans included."""
    if isinstance(value, bool | np.bool_) or (isinstance(value, Tensor) and value.dtype == torch.bool):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def is_finite_number(value: Any) -> bool:
    """Whether `value` is one finite real number, in a tensor or not; a boolean is none."""
    if isinstance(value, bool | np.bool_ | str):
        return False
    try:
        return math.isfinite(value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return False
