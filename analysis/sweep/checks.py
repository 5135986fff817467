"""What a sweep or an estimate refuses before any work is done."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np
from jaxtyping import Int
from torch import Tensor

from analysis.errors import MetricError, PathscopeError
from analysis.metrics import Metric
from analysis.settings import settings

#: How matrix products are computed; float32 stands for the model's own dtype, without shortcuts.
PRECISIONS = ("float32",)


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise `PathscopeError` unless `value` is one of `choices`."""
    if value not in choices:
        raise PathscopeError(f"{name} {value!r} is not known; it must be one of {', '.join(choices)}.")


def checked_sources(model: Any, sources: Any) -> list[tuple[int, int]]:
    """`sources` as (layer, head); raises `PathscopeError` for a head that the model does not have."""
    n_layers, n_heads = model.cfg.n_layers, model.cfg.n_heads
    try:
        heads = [(index(layer), index(head)) for layer, head in sources]
    except (TypeError, ValueError) as error:
        raise PathscopeError(
            f"sources is {sources!r}, and must be pairs (layer, head) of integers."
        ) from error
    for layer, head in heads:
        if not (0 <= layer < n_layers and 0 <= head < n_heads):
            raise PathscopeError(
                f"There is no source head L{layer}H{head}: the model has layers 0 to {n_layers - 1} "
                f"with heads 0 to {n_heads - 1}."
            )
    return heads


def checked_order(order: Any) -> Int[np.ndarray, "edge 4"]:
    """`order` as edges (sl, sh, dl, dh); raises `PathscopeError` for anything else."""
    edges = np.asarray(order)
    if edges.ndim != 2 or edges.shape[1] != 4 or edges.dtype.kind not in "iu":
        raise PathscopeError(
            f"order is {order!r}, and must be edges (source layer, source head, layer, head) of integers. "
            "Give an array [edge, 4], or leave it out."
        )
    return edges


def check_metric(metric: Any, tokens: Int[Tensor, "batch pos"], d_vocab: int) -> None:
    """Raise `MetricError` unless `metric` is callable and, if it declares what it reads, fits the prompts."""
    if not callable(metric):
        raise MetricError(
            f"The patching metric is {metric!r}, and must be a callable from logits [batch pos d_vocab] to "
            "one number, such as those of analysis.metrics."
        )
    if isinstance(metric, Metric):
        metric.check_position(tokens.shape[1])
        metric.check(len(tokens), d_vocab)


def checked_bytes(memory_bytes: Any) -> int:
    """`memory_bytes` as a number, the setting if None; raises `PathscopeError` for anything else."""
    if memory_bytes is None:
        return settings().sweep_bytes
    try:
        if isinstance(memory_bytes, bool):
            raise TypeError("a truth value is no size")
        return index(memory_bytes)
    except TypeError as error:
        raise PathscopeError(
            f"memory_bytes is {memory_bytes!r}, and must be a whole number of bytes, or None for the setting."
        ) from error
