"""What the analyses refuse before any work is done: path patching both, attribution training mode alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from analysis.errors import PathscopeError

#: What answers at random, or by its batch, in training mode. A `HookedTransformer` is in training mode
#: as it is made, and has none of these.
_RANDOM = (torch.nn.modules.dropout._DropoutNd, torch.nn.modules.batchnorm._BatchNorm)


def check_model(model: Any) -> None:
    """Raise `PathscopeError` for what is no model to analyse, half-precision weights, or training mode."""
    check_kind(model)
    dtype = model.W_U.dtype
    if dtype not in (torch.float32, torch.float64):
        raise PathscopeError(
            f"The model's weights are {str(dtype).removeprefix('torch.')}, in which most path effects are "
            "smaller than the rounding. Convert it first: model.to(torch.float32)."
        )
    check_evaluation_mode(model)


def check_kind(model: Any) -> None:
    """Raise `PathscopeError` unless `model` has a `cfg` and `W_U`, as TransformerLens's models have."""
    if not (hasattr(model, "cfg") and isinstance(getattr(model, "W_U", None), torch.Tensor)):
        raise PathscopeError(
            f"The model is {type(model).__name__}, and must be a language model of TransformerLens. Make one "
            "with TransformerBridge.boot_transformers(...) and call its enable_compatibility_mode()."
        )


def check_evaluation_mode(model: Any) -> None:
    """Raise `PathscopeError` where any part of `model` is in training mode, so that its runs differ."""
    training = next(_training(model), None)
    if training is not None:
        where = f" (at {training})" if training else ""
        raise PathscopeError(
            f"The model is in training mode{where} and not in evaluation mode, so its dropout would change "
            "every run. Call model.eval() first."
        )


def _training(model: Any) -> Iterator[str]:
    """Names of the modules in training mode, those of a bridge's own Hugging Face model included.

    A bridge lists only the modules that it has names for: a dropout on the embeddings is none of them.
    """
    inner = getattr(model, "original_model", None)
    for root in (model, inner):
        if isinstance(root, torch.nn.Module):
            for name, module in root.named_modules():
                if module.training and (inner is not None or isinstance(module, _RANDOM)):
                    yield name
