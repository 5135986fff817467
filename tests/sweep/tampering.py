"""A table of what people do to a model before they ask what a path does.

Each entry changes a fresh small model, whose run of both prompts as it was is at hand, and holds
while it is asked; the caches that it is asked with are made while it holds. Most leave the
corrupted run as it was, so that nothing which only looks at that run can see them.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook
from torch.nn.utils import parametrize
from transformer_lens.model_bridge import TransformerBridge

from tests.families import FAMILIES, VOCABULARY_SIZE, write_family
from tests.runs import KeepFloat64, Runs, run_pair

_LLAMA: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "max_position_embeddings": 16,
    "tie_word_embeddings": False,
}
_SHARED = _LLAMA | {"num_key_value_heads": 1}
_FEW_EXPERTS = {"num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2}
#: Two heads a layer, so that every path of a model is a dozen.
_SMALL: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("gpt2", {"n_embd": 32, "n_layer": 3, "n_head": 2, "n_positions": 16}),
    "pythia": ("gpt_neox", _LLAMA | {"rotary_pct": 0.5}),
    "llama": ("llama", _LLAMA),
    "llama-grouped": ("llama", _SHARED),
    "gemma2": ("gemma2", FAMILIES["gemma2"][1] | _SHARED | {"head_dim": 16, "tie_word_embeddings": True}),
    "bitnet": ("bitnet", _SHARED),
    "minimax-m2": ("minimax_m2", _SHARED | _FEW_EXPERTS | {"head_dim": 16}),
    "olmo": ("olmo", _LLAMA),
    "olmoe": ("olmoe", _LLAMA | _FEW_EXPERTS),
    # Four heads on two keys: patching one key leaves the other, which shares its norm.
    "olmoe-grouped": (
        "olmoe",
        _LLAMA | _FEW_EXPERTS | {"num_attention_heads": 4, "num_key_value_heads": 2},
    ),
}
#: Tokens that no metric of the table reads.
_BANNED = slice(100, 140)

Deed = Callable[[Runs, ExitStack], None]


@dataclass(frozen=True)
class Tampering:
    """One thing done to one family; `refused` where no right answer exists."""

    name: str
    family: str
    deed: Deed
    refused: bool = False


TABLE: dict[str, Tampering] = {}


def _done_to(*families: str, refused: bool = False) -> Callable[[Deed], Deed]:
    def enter(deed: Deed) -> Deed:
        name = deed.__name__.strip("_").replace("_", " ")
        for family in families:
            TABLE[f"{name}, {family}"] = Tampering(name, family, deed, refused)
        return deed

    return enter


@contextmanager
def tampered(tampering: Tampering) -> Iterator[Runs]:
    """Runs of a fresh model to which `tampering` has been done, while it holds.

    Norms and softmax that would drop to float32 keep float64, so that no noise hides a difference.
    """
    generator = torch.Generator().manual_seed(1)
    clean = torch.randint(1, 100, (2, 7), generator=generator)
    corrupted = clean.clone()
    corrupted[:, [3, 4]] = 1 + (clean[:, [3, 4]] + 50) % 99
    with ExitStack() as stack, warnings.catch_warnings():
        # That an edited scale is rebuilt outside the family's own code is what the edit asks for.
        warnings.filterwarnings("ignore", "A forward hook edited hook_scale")
        if tampering.family != "gpt2":  # which keeps it by itself
            stack.enter_context(KeepFloat64())
        runs = run_pair(fresh_model(tampering.family), clean, corrupted)
        tampering.deed(runs, stack)
        yield run_pair(runs.model, clean, corrupted)


@cache
def _folder(family: str) -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory()
    with mock.patch.dict(FAMILIES, _SMALL):
        write_family(family, Path(folder.name))
    return folder


def fresh_model(family: str) -> TransformerBridge:
    """A model of the table's size of `family`, always with the same weights, as it is loaded."""
    model = TransformerBridge.boot_transformers(_folder(family).name, device="cpu", dtype=torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of these cannot be folded, and their adapters say so
        model.enable_compatibility_mode(disable_warnings=True)
    if "Experts" in {type(module).__name__[-7:] for module in model.original_model.modules()}:
        model.original_model.set_experts_implementation("eager")  # grouped products know no float64
    return model.requires_grad_(False).eval()


# The model as it is


@_done_to("gpt2", "pythia", "llama-grouped", "gemma2", "bitnet", "minimax-m2", "olmoe", "olmoe-grouped")
def _nothing(runs: Runs, stack: ExitStack) -> None:
    """Norms over several heads, and one before W_O, among them."""


@_done_to("gpt2")
def _weights_edited_in_place(runs: Runs, stack: ExitStack) -> None:
    for parameter in runs.model.blocks[1].mlp.parameters():
        parameter.mul_(1.5)


@_done_to("olmo")
def _a_clip_that_patched_rows_alone_reach(runs: Runs, stack: ExitStack) -> None:
    model = runs.model
    for block in model.blocks:  # so that a patch moves what is clipped about as much as all else does
        block.attn.o.original_component.weight.mul_(4.0)
    loud = run_pair(model, runs.clean_tokens, runs.corrupted_tokens).corrupted_cache
    made = [loud[f"blocks.{layer}.attn.hook_{c}"].flatten() for layer in range(3) for c in "qkv"]
    model.original_model.config.clip_qkv = float(torch.cat(made).abs().max())


@_done_to("gpt2", "llama")
def _a_head_whose_z_dwarfs_the_others(runs: Runs, stack: ExitStack) -> None:
    """What it writes is as before: eight ulps of its z are more than the other head's z changes."""
    for layer in (0, 1):
        attn = runs.model.blocks[layer].attn
        head = slice(0, runs.model.cfg.d_head)
        attn.v.original_component.weight[head] *= 1e15
        if attn.v.original_component.bias is not None:
            attn.v.original_component.bias[head] *= 1e15
        out = attn.o.original_component
        (out.weight[head] if type(out).__name__ == "Conv1D" else out.weight[:, head]).mul_(1e-15)


@_done_to("gpt2", refused=True)
def _one_block_in_training_mode(runs: Runs, stack: ExitStack) -> None:
    runs.model.blocks[1].train()


@_done_to("gpt2", refused=True)
def _one_dropout_in_training_mode(runs: Runs, stack: ExitStack) -> None:
    for module in runs.model.blocks[2].modules():
        if isinstance(module, nn.Dropout):
            module.train()


# Parts held at what they were in the corrupted run


def _held(runs: Runs, *names: str) -> list[tuple[str, Callable[..., Tensor]]]:
    def hold(value: Tensor) -> Callable[..., Tensor]:
        return lambda activation, hook: value

    return [(name, hold(runs.corrupted_cache[name])) for name in names]


def _in_layers(name: str, *layers: int) -> list[str]:
    return [f"blocks.{layer}.{name}" for layer in layers or range(3)]


def _add(runs: Runs, hooks: list[tuple[str, Callable[..., Any]]]) -> None:
    for name, hook in hooks:
        runs.model.add_hook(name, hook)


@_done_to("gpt2", "pythia", "llama-grouped", "gemma2")
def _mlp_outputs_held_by_add_hook(runs: Runs, stack: ExitStack) -> None:
    _add(runs, _held(runs, *_in_layers("hook_mlp_out")))


@_done_to("gpt2", "llama-grouped")
def _patterns_held_by_add_hook(runs: Runs, stack: ExitStack) -> None:
    _add(runs, _held(runs, *_in_layers("attn.hook_pattern")))


@_done_to("pythia")
def _patterns_held_in_a_context(runs: Runs, stack: ExitStack) -> None:
    stack.enter_context(runs.model.hooks(fwd_hooks=_held(runs, *_in_layers("attn.hook_pattern"))))


@_done_to("gpt2", "llama")
def _norm_scales_held_by_add_hook(runs: Runs, stack: ExitStack) -> None:
    names = [*_in_layers("ln1.hook_scale"), *_in_layers("ln2.hook_scale"), "ln_final.hook_scale"]
    _add(runs, _held(runs, *names))


@_done_to("gemma2")
def _the_output_of_a_layer_held_in_a_context(runs: Runs, stack: ExitStack) -> None:
    stack.enter_context(runs.model.hooks(fwd_hooks=_held(runs, "blocks.1.hook_resid_post")))


@_done_to("llama")
def _an_attention_output_held_by_a_permanent_hook(runs: Runs, stack: ExitStack) -> None:
    [(name, hook)] = _held(runs, "blocks.1.hook_attn_out")
    runs.model.add_hook(name, hook, is_permanent=True)


@_done_to("gpt2", "llama-grouped")
def _parts_held_by_a_forward_hook_on_the_wrapped_module(runs: Runs, stack: ExitStack) -> None:
    """Of GPT-2 the MLPs run, and their norms do not; of Llama it is the other way round."""
    part = "mlp" if "GPT2" in type(runs.model.original_model).__name__ else "ln2"
    for layer in (1, 2):
        value = runs.corrupted_cache[f"blocks.{layer}.{part}.hook_out"]
        module = getattr(runs.model.blocks[layer], part).original_component
        module.register_forward_hook(lambda module, args, output, value=value: value)


@_done_to("pythia", "gemma2")
def _a_norm_held_by_a_forward_hook_on_a_component(runs: Runs, stack: ExitStack) -> None:
    value = runs.corrupted_cache["blocks.2.ln2.hook_out"]
    runs.model.blocks[2].ln2.register_forward_hook(lambda module, args, output: value)


@_done_to("gpt2")
def _an_mlp_held_by_a_forward_pre_hook(runs: Runs, stack: ExitStack) -> None:
    value = runs.corrupted_cache["blocks.2.ln2.hook_out"]
    runs.model.blocks[2].mlp.register_forward_pre_hook(lambda module, args: (value, *args[1:]))


def _mlp(runs: Runs, layer: int) -> Any:
    """The module that computes a layer's MLP: the wrapped one, or a bridge that does without it."""
    mlp = runs.model.blocks[layer].mlp
    return mlp.original_component if type(mlp).__name__ == "MLPBridge" else mlp


def _put_forward(module: nn.Module, forward: Callable[..., Tensor]) -> None:
    """Bridges hand an attribute that is set on them to what they wrap."""
    vars(module)["forward"] = forward


@_done_to("gpt2", "llama")
def _mlps_held_by_another_forward(runs: Runs, stack: ExitStack) -> None:
    for layer in range(3):
        value = runs.corrupted_cache[f"blocks.{layer}.hook_mlp_out"]
        _put_forward(_mlp(runs, layer), lambda *args, value=value, **options: value)


@_done_to("gpt2")
def _mlps_held_by_a_hook_on_every_module(runs: Runs, stack: ExitStack) -> None:
    values = {
        runs.model.blocks[layer].mlp: runs.corrupted_cache[f"blocks.{layer}.hook_mlp_out"]
        for layer in range(3)
    }
    handle = register_module_forward_hook(lambda module, args, output: values.get(module))
    stack.callback(handle.remove)


@_done_to("gpt2")
def _a_bound_that_patched_rows_alone_reach(runs: Runs, stack: ExitStack) -> None:
    for name in _in_layers("hook_mlp_out", 1, 2):
        bound = runs.corrupted_cache[name].abs().amax(dim=(0, 1))
        runs.model.add_hook(name, lambda value, hook, bound=bound: value.clamp(-bound, bound))


# Logits that dwarf the others


def _off_by_half(runs: Runs) -> None:
    module = _mlp(runs, 1)
    own = module.forward
    _put_forward(module, lambda *args, **options: 1.5 * own(*args, **options))


def _forbid(value: Tensor, hook: Any) -> Tensor:
    value = value.clone()
    value[..., _BANNED] = float("-inf")
    return value


@_done_to("gpt2")
def _tokens_banned_by_a_hook(runs: Runs, stack: ExitStack) -> None:
    runs.model.add_hook("unembed.hook_out", _forbid)


@_done_to("llama-grouped", "gpt2")
def _tokens_banned_by_a_hook_and_an_mlp_off_by_half(runs: Runs, stack: ExitStack) -> None:
    runs.model.add_hook("unembed.hook_out", _forbid)
    _off_by_half(runs)


@_done_to("pythia")
def _tokens_banned_by_the_bias(runs: Runs, stack: ExitStack) -> None:
    runs.model.unembed.original_component.bias[_BANNED] = float("-inf")


@_done_to("gpt2")
def _tokens_banned_by_the_bias_and_an_mlp_off_by_half(runs: Runs, stack: ExitStack) -> None:
    runs.model.unembed.original_component.bias[_BANNED] = float("-inf")
    _off_by_half(runs)


@_done_to("gpt2", "pythia")
def _a_padded_vocabulary_and_an_mlp_off_by_half(runs: Runs, stack: ExitStack) -> None:
    runs.model.unembed.original_component.bias[VOCABULARY_SIZE - 20 :] = -1e4
    _off_by_half(runs)


# Hooks written for one prompt, and hooks that steer


@_done_to("gpt2", "llama-grouped")
def _an_ablation_of_the_first_prompt(runs: Runs, stack: ExitStack) -> None:
    def ablate(value: Tensor, hook: Any) -> Tensor:
        value[0, :, value.shape[2] - 1] = 0
        return value

    runs.model.add_hook("blocks.2.attn.hook_v", ablate)


@_done_to("gpt2", "llama-grouped")
def _a_hook_that_gives_back_a_cached_activation(runs: Runs, stack: ExitStack) -> None:
    value = runs.clean_cache["blocks.1.hook_mlp_out"]
    runs.model.add_hook("blocks.1.hook_mlp_out", lambda activation, hook: value)


@_done_to("pythia")
def _half_a_head_taken_away_in_place(runs: Runs, stack: ExitStack) -> None:
    def halve(value: Tensor, hook: Any) -> None:
        value[:, :, 0] *= 0.5

    runs.model.add_hook("blocks.1.attn.hook_z", halve)


def _hook_on_qkv(runs: Runs, change: Callable[[Tensor], Tensor]) -> None:
    for name in [name for c in "qkv" for name in _in_layers(f"attn.hook_{c}")]:
        runs.model.add_hook(name, lambda value, hook: change(value))


@_done_to("gpt2", "llama-grouped")
def _q_k_and_v_steered(runs: Runs, stack: ExitStack) -> None:
    steer = torch.linspace(-0.3, 0.5, runs.model.cfg.d_head, dtype=torch.float64)
    _hook_on_qkv(runs, lambda value: value + steer)


@_done_to("pythia")
def _q_k_and_v_stretched(runs: Runs, stack: ExitStack) -> None:
    _hook_on_qkv(runs, lambda value: 1.5 * value)


@_done_to("llama-grouped")
def _rotated_q_and_k_steered(runs: Runs, stack: ExitStack) -> None:
    for name in [*_in_layers("attn.hook_rot_q"), *_in_layers("attn.hook_rot_k")]:
        runs.model.add_hook(name, lambda value, hook: value + 0.2)


# Adapters and parametrizations


class LowRank(nn.Module):
    """A low-rank adapter around a linear layer, which it shows as its own weight and bias."""

    def __init__(self, inside: nn.Linear, rank: int = 2) -> None:
        super().__init__()
        self.inside = inside
        generator = torch.Generator().manual_seed(3)
        wide, narrow = inside.weight.shape if isinstance(inside, nn.Linear) else inside.weight.shape[::-1]
        self.down = 0.3 * torch.randn(rank, narrow, generator=generator, dtype=torch.float64)
        self.up = 0.3 * torch.randn(wide, rank, generator=generator, dtype=torch.float64)

    @property
    def weight(self) -> Tensor:
        return self.inside.weight

    @property
    def bias(self) -> Tensor | None:
        return self.inside.bias

    def forward(self, read: Tensor) -> Tensor:
        return self.inside(read) + read @ self.down.T @ self.up.T


def _adapt(runs: Runs, *projections: str) -> None:
    for block in runs.model.blocks:
        for name in projections:
            linear = getattr(block.attn, name)
            linear.add_module("_original_component", LowRank(linear.original_component).eval())


@_done_to("gpt2", "llama-grouped", "gemma2")
def _adapters_on_q_k_and_v(runs: Runs, stack: ExitStack) -> None:
    _adapt(runs, "q", "k", "v")


@_done_to("llama")
def _adapters_on_o(runs: Runs, stack: ExitStack) -> None:
    _adapt(runs, "o")


class Stretched(nn.Module):
    """A parametrization: half as much again of whatever weight it stands on."""

    def forward(self, weight: Tensor) -> Tensor:
        return 1.5 * weight


@_done_to("llama-grouped")
def _parametrizations_on_q_k_and_v(runs: Runs, stack: ExitStack) -> None:
    for block in runs.model.blocks:
        for linear in (block.attn.q, block.attn.k, block.attn.v):
            parametrize.register_parametrization(linear.original_component, "weight", Stretched())
