"""Hooks that somebody put on a model: what it computes is then more than its weights say.

A hook may ablate, freeze or steer, may be written for one prompt, and may leave the corrupted run as
it is: parts frozen to that run are the standard way to isolate a path. No comparison of unpatched
runs can see it, so the hooks themselves are looked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from torch import nn
from torch.nn.modules import module as torch_module

#: Where the hooks come from that a model has when it is loaded.
_OF_THE_LIBRARIES = (
    "transformer_lens.model_bridge.",
    "transformer_lens.hook_points",
    "transformers.",
    "accelerate.",
)

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_GLOBAL_HOOKS = ("_global_forward_hooks", "_global_forward_pre_hooks", "_global_backward_hooks")


def foreign_hooks(model: nn.Module) -> tuple[str, ...]:
    """Names of the modules of `model` that carry a hook, or a forward, that loading did not put there."""
    found = [name or type(model).__name__ for name, module in model.named_modules() if _is_hooked(module)]
    return (*found, *(name for name in _GLOBAL_HOOKS if getattr(torch_module, name, None)))


def _is_hooked(module: nn.Module) -> bool:
    return any(not _comes_with_a_library(function) for function in _functions_on(module))


def _functions_on(module: nn.Module) -> Iterator[Any]:
    """The functions that run beside, or in place of, the forward of the module's class."""
    if "forward" in vars(module):
        yield vars(module)["forward"]
    for name in _HOOKS:
        yield from (getattr(module, name, None) or {}).values()
    # TransformerLens wraps each of its hooks in a function of its own.
    wrapped = [*getattr(module, "fwd_hooks", ()), *getattr(module, "bwd_hooks", ())]
    yield from (handle.user_hook for handle in wrapped)


def _comes_with_a_library(function: Any) -> bool:
    while isinstance(function, partial):
        function = function.func
    function = getattr(function, "__func__", function)
    # Where it was written: functools.wraps gives a function the __module__ of the one that it replaces.
    written = getattr(function, "__globals__", {}).get("__name__", getattr(function, "__module__", None))
    return str(written).startswith(_OF_THE_LIBRARIES)
