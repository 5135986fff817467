"""The runs that a patch compares, in whatever form a person has them: tokens and caches made alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from analysis.errors import PathscopeError, PromptError
from analysis.requests import RunName

#: Axes of an activation of a batch of prompts, by the end of its name.
_AXES = {"hook_z": 4, "hook_scale": 3}
_FINE = (torch.float32, torch.float64)


def as_tokens(model: Any, tokens: Any) -> Int[Tensor, "batch pos"]:
    """`tokens` (tensor, array or list; one prompt or a batch) as ids on the model's device.

    Raises `PromptError` for anything that is not a batch of prompts that this model can read.
    """
    try:
        ids = torch.as_tensor(np.asarray(tokens) if isinstance(tokens, list | tuple) else tokens)
    except (TypeError, ValueError, RuntimeError) as error:
        raise PromptError(
            f"corrupted_tokens is {type(tokens).__name__} and no array of token ids. Give "
            "model.to_tokens(...)."
        ) from error
    if ids.dtype == torch.bool or ids.is_floating_point() or ids.is_complex():
        raise PromptError(f"corrupted_tokens holds {ids.dtype}, and token ids are integers.")
    ids = ids[None] if ids.ndim == 1 else ids
    if ids.ndim != 2 or not ids.numel():
        raise PromptError(
            f"corrupted_tokens has the shape {list(ids.shape)}, and must be [batch, pos] and not empty."
        )
    n_ctx, d_vocab = model.cfg.n_ctx, model.cfg.d_vocab
    if ids.shape[1] > n_ctx:
        raise PromptError(f"corrupted_tokens has {ids.shape[1]} tokens, and the model reads at most {n_ctx}.")
    if int(ids.min()) < 0 or int(ids.max()) >= d_vocab:
        worst = int(ids.min()) if int(ids.min()) < 0 else int(ids.max())
        raise PromptError(
            f"corrupted_tokens holds the id {worst}; the model's ids go from 0 to {d_vocab - 1}."
        )
    return ids.long().to(model.W_U.device)


class RunCache(Mapping[str, Tensor]):
    """The activations of one run, checked against the tokens that they should be the run of.

    A missing batch axis is put back, and float32 and float64 become the model's own dtype. Reading
    an entry raises `PathscopeError` where it is missing, of half precision, or of other prompts.
    """

    def __init__(self, run: RunName, cache: Any, tokens: Int[Tensor, "batch pos"], model: Any) -> None:
        self._run, self._cache, self._like = run, cache, model.W_U
        self._shape = tuple(tokens.shape)
        self._of_a_head = model.cfg.n_heads, model.cfg.d_head
        if not callable(getattr(cache, "__getitem__", None)) or isinstance(
            cache, str | list | tuple | Tensor
        ):
            raise PathscopeError(
                f"The {run} cache is {type(cache).__name__} and no mapping of activations. Give the second "
                "of what model.run_with_cache(tokens) returns."
            )

    def __getitem__(self, name: str) -> Tensor:
        if name not in self:
            raise PathscopeError(
                f"The {self._run} cache has no {name}; make it with model.run_with_cache(tokens), without a "
                "names_filter that leaves it out."
            )
        value = torch.as_tensor(self._cache[name])
        if value.dtype not in _FINE:
            raise PathscopeError(
                f"The {self._run} cache holds {name} in {str(value.dtype).removeprefix('torch.')}, in which "
                "most path effects are smaller than the rounding. Run the model in float32 and cache again."
            )
        axes = _AXES.get(name.rpartition(".")[2], value.ndim)
        value = value[None] if value.ndim == axes - 1 else value
        if value.ndim != axes or tuple(value.shape[:2]) != self._shape:
            raise PathscopeError(
                f"The {self._run} cache holds {name} of shape {list(value.shape)}, and corrupted_tokens are "
                f"{self._shape[0]} prompts of {self._shape[1]} tokens. Path patching compares the runs token "
                "by token: use prompts of equal length, and the cache of the same batch."
            )
        if axes == _AXES["hook_z"] and tuple(value.shape[2:]) != self._of_a_head:
            raise PathscopeError(
                f"The {self._run} cache holds {name} of {value.shape[2]} heads by {value.shape[3]}, and "
                f"this model has {self._of_a_head[0]} by {self._of_a_head[1]}. Give a run of this very model."
            )
        if not bool(torch.isfinite(value).all()):
            raise PathscopeError(
                f"The {self._run} cache holds {name} with values that are not finite, of which no effect can "
                "be made. Run the model again and look for the division or overflow in it."
            )
        return value.to(self._like)

    def __contains__(self, name: object) -> bool:
        try:
            return name in self._cache
        except TypeError:
            return False

    def __iter__(self) -> Iterator[str]:
        return iter(self._cache)

    def __len__(self) -> int:
        return len(self._cache)
