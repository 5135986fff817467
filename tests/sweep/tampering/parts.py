"""Parts that are held at what they were in the corrupted run, the standard way to isolate a path."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from tests.runs import Runs
from tests.sweep.tampering.table import done_to, in_layers


def _held(runs: Runs, *names: str) -> list[tuple[str, Callable[..., Tensor]]]:
    def hold(value: Tensor) -> Callable[..., Tensor]:
        return lambda activation, hook: value

    return [(name, hold(runs.corrupted_cache[name])) for name in names]


def _add(runs: Runs, hooks: list[tuple[str, Callable[..., Any]]]) -> None:
    for name, hook in hooks:
        runs.model.add_hook(name, hook)


@done_to("gpt2", "pythia", "llama-grouped", "gemma2")
def _mlp_outputs_held_by_add_hook(runs: Runs, stack: ExitStack) -> None:
    _add(runs, _held(runs, *in_layers("hook_mlp_out")))


@done_to("gpt2", "llama-grouped")
def _patterns_held_by_add_hook(runs: Runs, stack: ExitStack) -> None:
    _add(runs, _held(runs, *in_layers("attn.hook_pattern")))


@done_to("pythia")
def _patterns_held_in_a_context(runs: Runs, stack: ExitStack) -> None:
    stack.enter_context(runs.model.hooks(fwd_hooks=_held(runs, *in_layers("attn.hook_pattern"))))


@done_to("gpt2", "llama")
def _norm_scales_held_by_add_hook(runs: Runs, stack: ExitStack) -> None:
    names = [*in_layers("ln1.hook_scale"), *in_layers("ln2.hook_scale"), "ln_final.hook_scale"]
    _add(runs, _held(runs, *names))


@done_to("gemma2")
def _the_output_of_a_layer_held_in_a_context(runs: Runs, stack: ExitStack) -> None:
    stack.enter_context(runs.model.hooks(fwd_hooks=_held(runs, "blocks.1.hook_resid_post")))


@done_to("llama")
def _an_attention_output_held_by_a_permanent_hook(runs: Runs, stack: ExitStack) -> None:
    [(name, hook)] = _held(runs, "blocks.1.hook_attn_out")
    runs.model.add_hook(name, hook, is_permanent=True)


@done_to("gpt2", "llama-grouped")
def _parts_held_by_a_forward_hook_on_the_wrapped_module(runs: Runs, stack: ExitStack) -> None:
    """Of GPT-2 the MLPs run, and their norms do not; of Llama it is the other way round."""
    part = "mlp" if "GPT2" in type(runs.model.original_model).__name__ else "ln2"
    for layer in (1, 2):
        value = runs.corrupted_cache[f"blocks.{layer}.{part}.hook_out"]
        module = getattr(runs.model.blocks[layer], part).original_component
        module.register_forward_hook(lambda module, args, output, value=value: value)


@done_to("pythia", "gemma2")
def _a_norm_held_by_a_forward_hook_on_a_component(runs: Runs, stack: ExitStack) -> None:
    value = runs.corrupted_cache["blocks.2.ln2.hook_out"]
    runs.model.blocks[2].ln2.register_forward_hook(lambda module, args, output: value)


@done_to("gpt2")
def _an_mlp_held_by_a_forward_pre_hook(runs: Runs, stack: ExitStack) -> None:
    value = runs.corrupted_cache["blocks.2.ln2.hook_out"]
    runs.model.blocks[2].mlp.register_forward_pre_hook(lambda module, args: (value, *args[1:]))


def mlp_module(runs: Runs, layer: int) -> Any:
    """The module that computes a layer's MLP: the wrapped one, or a bridge that does without it."""
    mlp = runs.model.blocks[layer].mlp
    return mlp.original_component if type(mlp).__name__ == "MLPBridge" else mlp


def put_forward(module: nn.Module, forward: Callable[..., Tensor]) -> None:
    """Bridges hand an attribute that is set on them to what they wrap."""
    vars(module)["forward"] = forward


@done_to("gpt2", "llama")
def _mlps_held_by_another_forward(runs: Runs, stack: ExitStack) -> None:
    for layer in range(3):
        value = runs.corrupted_cache[f"blocks.{layer}.hook_mlp_out"]
        put_forward(mlp_module(runs, layer), lambda *args, value=value, **options: value)


@done_to("gpt2", "llama")
def _an_mlp_held_by_a_forward_that_says_it_is_the_library_s(runs: Runs, stack: ExitStack) -> None:
    module, value = mlp_module(runs, 1), runs.corrupted_cache["blocks.1.hook_mlp_out"]
    put_forward(module, wraps(module.forward)(lambda *args, **options: value))


class Held(nn.Module):
    """Gives back what was computed once, and shows no weights."""

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.value = value

    def forward(self, *args: Any, **options: Any) -> Tensor:
        return self.value


@done_to("gpt2", "pythia")
def _a_module_put_in_that_holds_an_mlp(runs: Runs, stack: ExitStack) -> None:
    held = Held(runs.corrupted_cache["blocks.1.hook_mlp_out"]).eval()
    runs.model.blocks[1].mlp.add_module("_original_component", held)


@done_to("gpt2", "llama")
def _an_mlp_of_a_class_that_halves_the_first_prompt(runs: Runs, stack: ExitStack) -> None:
    module = mlp_module(runs, 1)
    own = type(module)

    def forward(self: Any, *args: Any, **options: Any) -> Tensor:
        output = own.forward(self, *args, **options).clone()
        output[0] *= 0.5
        return output

    module.__class__ = type(own.__name__, (own,), {"forward": forward})


@done_to("gpt2")
def _mlps_held_by_a_hook_on_every_module(runs: Runs, stack: ExitStack) -> None:
    values = {
        runs.model.blocks[layer].mlp: runs.corrupted_cache[f"blocks.{layer}.hook_mlp_out"]
        for layer in range(3)
    }
    handle = register_module_forward_hook(lambda module, args, output: values.get(module))
    stack.callback(handle.remove)


@done_to("gpt2")
def _a_bound_that_patched_rows_alone_reach(runs: Runs, stack: ExitStack) -> None:
    for name in in_layers("hook_mlp_out", 1, 2):
        bound = runs.corrupted_cache[name].abs().amax(dim=(0, 1))
        runs.model.add_hook(name, lambda value, hook, bound=bound: value.clamp(-bound, bound))
