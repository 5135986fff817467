"""What is run and what is asked for, from whatever form a caller has them in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from analysis.errors import AnswerError, PromptError
from analysis.experiment import AnswerRole, single_token, tokenize

Prompts: TypeAlias = str | Sequence[str] | Sequence[int] | np.ndarray | Int[Tensor, "*batch pos"]
Tokens: TypeAlias = (
    str | int | np.integer | Sequence[str] | Sequence[int] | np.ndarray | Int[Tensor, "*tokens"]
)


def input_ids(model: Any, input: Prompts) -> Int[Tensor, "batch pos"]:
    """Token ids to run; prompts of unequal length are refused, since `pos` would meet the padding.

    Raises `PromptError` for anything that is not a batch of prompts that this model can read.
    """
    texts = _texts(input)
    ids: Tensor | None = _whole_numbers(input) if texts is None else _tokenized(model, texts)
    if ids is None:
        raise PromptError(f"The input is {input!r}. Give text, a list of texts, or token ids [batch, pos].")
    if ids.ndim == 1:
        ids = ids[None]
    if ids.ndim != 2 or not ids.numel():
        raise PromptError(f"input has the shape {list(ids.shape)}, and must be [batch, pos] and not empty.")
    if ids.shape[1] > model.cfg.n_ctx:
        raise PromptError(f"input has {ids.shape[1]} tokens, and the model reads at most {model.cfg.n_ctx}.")
    outside = ids[(ids < 0) | (ids >= model.cfg.d_vocab)]
    if outside.numel():
        raise PromptError(
            f"input has the token id {int(outside[0])}; ids go from 0 to {model.cfg.d_vocab - 1}. Make them "
            "with the model's own tokenizer: model.to_tokens."
        )
    return ids.to(model.W_U.device)


def _tokenized(model: Any, texts: Sequence[str]) -> Int[Tensor, "batch pos"]:
    rows = [tokenize(model, text) for text in texts]
    lengths = sorted({row.shape[1] for row in rows})
    if len(lengths) > 1:
        raise PromptError(
            f"The prompts have between {lengths[0]} and {lengths[-1]} tokens; a batch needs one length, "
            "or positions of the shorter ones would be padding. Run them one by one."
        )
    return torch.cat(rows)


def target_ids(model: Any, tokens: Tokens, role: AnswerRole) -> Int[Tensor, "*tokens"]:
    """The ids of an answer or foil, on the model's device; raises `AnswerError` where there are none."""
    texts = _texts(tokens)
    if texts is None:
        ids: Tensor | None = _whole_numbers(tokens)
    else:
        ids = torch.tensor([single_token(model, text, role) for text in texts])
        ids = ids[0] if isinstance(tokens, str) else ids
    if ids is None or not ids.numel():
        raise AnswerError(
            f"The {role} is {tokens!r}. Give a string that is one token, an id or a tensor of ids."
        )
    d_vocab = model.W_U.shape[-1]
    outside = ids[(ids < 0) | (ids >= d_vocab)]
    if outside.numel():
        raise AnswerError(f"The {role} has the id {int(outside[0])}; ids go from 0 to {d_vocab - 1}.")
    return ids.to(model.W_U.device)


def _texts(values: Any) -> list[str] | None:
    """The texts of a text or a list of them, None for all else."""
    texts = [values] if isinstance(values, str) else values
    if isinstance(texts, list | tuple) and texts and all(isinstance(text, str) for text in texts):
        return list(texts)
    return None


def _whole_numbers(values: Any) -> Tensor | None:
    """Ids in a tensor, an array, a (nested) list or alone, as int64; None for all else, booleans included."""
    if not isinstance(values, Tensor):
        try:
            array = np.asarray(values)
        except ValueError:  # rows of unequal length
            return None
        if array.dtype.kind not in "iu" and array.size:
            return None
        values = torch.from_numpy(array.astype(np.int64))
    assert isinstance(values, Tensor)
    kept = not (values.is_floating_point() or values.is_complex() or values.dtype == torch.bool)
    return values.long() if kept else None


def aligned(targets: list[Tensor], shape: torch.Size) -> list[Tensor]:
    """`targets` with axes that broadcast against ``[*batch pos]``, and all of one shape.

    Raises `AnswerError` where one does not.
    """
    found = []
    for ids in targets:
        batched = len(shape) == 2 and ids.ndim == 1 and len(ids) == shape[0]
        ids = ids[:, None] if batched else ids
        try:
            fits = ids.ndim <= len(shape) and torch.broadcast_shapes(ids.shape, shape) == shape
        except RuntimeError:
            fits = False
        if not fits:
            raise AnswerError(
                f"The tokens have the shape {list(ids.shape)} and the run has {list(shape)} (batch and "
                "positions). Give one id, one per prompt, one per position or one for each."
            )
        found.append(ids)
    return list(torch.broadcast_tensors(*found))
