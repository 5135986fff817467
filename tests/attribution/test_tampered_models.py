"""Direct logit attribution of a tampered model: each part what the model's own readout makes of it.

The oracle takes a part out of the last residual stream, holds the final norm's scale, and lets the
whole model read on, in float64: what the logits lose is what the part wrote.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from unittest import mock

import pytest
import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from analysis import DirectLogitAttribution, direct_logit_attribution
from analysis.errors import PathscopeError
from analysis.requests import UNITS, Unit
from tests.families import FAMILIES, write_family
from tests.runs import KeepFloat64

TOKENS = torch.tensor([[5, 66, 7, 81, 9], [50, 61, 72, 8, 19]])
ANSWER, FOIL = 40, 50
_BANNED = slice(100, 140)
#: Largest difference from the oracle, as a share of the largest part.
TOLERANCE = 1e-6


def _nothing(model: Any) -> None:
    pass


def _logits_are_scaled(model: Any) -> None:
    """As the model is loaded."""


def _forbid(value: Tensor, hook: Any) -> Tensor:
    value = value.clone()
    value[..., _BANNED] = float("-inf")
    return value


def _banned_by_a_hook(model: Any) -> None:
    model.add_hook("unembed.hook_out", _forbid)


def _banned_by_the_bias(model: Any) -> None:
    model.unembed.original_component.bias[_BANNED] = float("-inf")


def _louder(model: Any) -> None:
    own = model.unembed.original_component
    own.register_forward_hook(lambda module, args, logits: 1.5 * (logits - own.bias) + own.bias)


def _banned_by_a_hook_and_louder(model: Any) -> None:
    _banned_by_a_hook(model)
    _louder(model)


def _banned_by_the_bias_and_louder(model: Any) -> None:
    model.unembed.original_component.bias[_BANNED] = float("-inf")
    model.ln_final.register_forward_hook(lambda module, args, normed: 1.5 * normed)


def _padded_and_louder(model: Any) -> None:
    model.unembed.original_component.bias[_BANNED] = -1e4
    model.ln_final.register_forward_hook(lambda module, args, normed: 1.5 * normed)


def _outlier_and_steering(model: Any) -> None:
    """A dimension that nothing reads outweighs the stream; a little steering turns the answer's sign.

    The steering is no component's, and is nothing beside the stream.
    """
    model.embed.original_component.weight[:, 3] = 1e4
    # ... not even through the mean of the stream, which a norm may take away.
    unembedding = model.unembed.original_component.weight
    others = [i for i in range(model.cfg.d_model) if i != 3]
    unembedding[:, others] -= unembedding[:, others].mean(dim=1, keepdim=True)
    unembedding[:, 3] = 0.0
    with torch.no_grad():
        logits, cache = model.run_with_cache(TOKENS)
    logits = (logits - model.b_U)[0, -1]
    apart = (logits[ANSWER] - logits[FOIL]) * cache["ln_final.hook_scale"][0, -1]
    towards = model.W_U[:, ANSWER] - model.W_U[:, FOIL]
    steer = -2.0 * apart * towards / towards.square().sum()
    assert steer.norm() < 1e-3 * cache["blocks.2.hook_in"][0, -1].norm()
    model.add_hook("blocks.2.hook_in", lambda value, hook: value + steer)


def _attention_outputs_held(model: Any) -> None:
    with torch.no_grad():
        _, kept = model.run_with_cache(TOKENS.flip(1))
    for layer in (1, 2):
        name = f"blocks.{layer}.hook_attn_out"
        value = kept[name]
        model.add_hook(name, lambda activation, hook, value=value: value)


Deed = Callable[[Any], None]
_FAMILIES = {
    "gpt2": FAMILIES["gpt2"],
    "llama": FAMILIES["llama-grouped"],
    "granite": ("granite", FAMILIES["llama-grouped"][1] | {"logits_scaling": 3.0}),
}
_TAMPERINGS: list[tuple[str, Deed]] = [
    ("gpt2", _nothing),
    ("llama", _nothing),
    ("granite", _logits_are_scaled),
    ("gpt2", _banned_by_a_hook),
    ("llama", _banned_by_a_hook),
    ("gpt2", _banned_by_the_bias),
    ("gpt2", _banned_by_a_hook_and_louder),
    ("llama", _banned_by_a_hook_and_louder),
    ("gpt2", _banned_by_the_bias_and_louder),
    ("llama", _padded_and_louder),
    ("gpt2", _outlier_and_steering),
    ("llama", _outlier_and_steering),
    ("gpt2", _attention_outputs_held),
]


def _model(family: str, folder: Any) -> TransformerBridge:
    with mock.patch.dict(FAMILIES, _FAMILIES):
        write_family(family, folder)
    model = TransformerBridge.boot_transformers(str(folder), device="cpu", dtype=torch.float64)
    model.enable_compatibility_mode(disable_warnings=True)
    return model.requires_grad_(False).eval()


@pytest.fixture(
    scope="module", params=_TAMPERINGS, ids=lambda item: f"{item[0]}, {item[1].__name__.strip('_')}"
)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    family, deed = request.param
    with ExitStack() as stack:
        if family != "gpt2":
            stack.enter_context(KeepFloat64())
        model = _model(family, tmp_path_factory.mktemp(family))
        deed(model)
        yield model, deed


def what_the_logits_lose(
    model: Any, part: Float[Tensor, "batch pos d_model"], scale: Tensor
) -> Float[Tensor, " batch"]:
    """The logit difference at the last position, with `part` in the last stream and without it."""

    def read(taken: Tensor | float) -> Tensor:
        last = f"blocks.{model.cfg.n_layers - 1}.hook_resid_post"
        fired: list[str] = []

        def take(value: Tensor, hook: Any) -> Tensor | None:
            # A hook on a name with aliases is called once for each of them.
            fired.append(hook.name)
            return value - taken if len(fired) == 1 else None

        hooks = [(last, take), ("ln_final.hook_scale", lambda value, hook: scale.clone())]
        with torch.no_grad(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "A forward hook edited hook_scale")
            logits = model.run_with_hooks(TOKENS, fwd_hooks=hooks)
        return logits[:, -1, ANSWER] - logits[:, -1, FOIL]

    return read(0.0) - read(part)


def parts_by_label(model: Any, cache: Any, result: DirectLogitAttribution) -> dict[str, Tensor]:
    """The write behind every label that names one activation, and of all of them together."""
    last = f"blocks.{model.cfg.n_layers - 1}.hook_resid_post"
    named = {"embed": "hook_embed", "pos_embed": "hook_pos_embed", "final_post": last}
    for layer in range(model.cfg.n_layers):
        for kind in ("attn_out", "mlp_out"):
            named[f"{layer}_{kind}"] = f"blocks.{layer}.hook_{kind}"
        for kind in ("pre", "mid"):
            named[f"{layer}_{kind}"] = f"blocks.{layer}.hook_resid_{kind}"
        for head in range(model.cfg.n_heads):
            named[f"L{layer}H{head}"] = f"{layer} {head}"
    parts = {}
    for label in result.labels:
        if label not in named:
            assert "remainder" in label, label
        elif result.unit == "head":
            layer, head = map(int, named[label].split())
            z = cache[f"blocks.{layer}.attn.hook_z"][:, :, head]
            parts[label] = z @ model.blocks[layer].attn.W_O[head]
        else:
            parts[label] = cache[named[label]]
    return parts


@pytest.mark.parametrize("given", ["input", "cache"])
@pytest.mark.parametrize("unit", UNITS)
def test_every_part_is_what_the_logits_lose_without_it_or_the_question_is_refused(
    case, unit: Unit, given: str
):
    model, deed = case
    with torch.no_grad():
        _, cache = model.run_with_cache(TOKENS)
    tokens, run = (TOKENS, None) if given == "input" else (None, cache)
    try:
        result = direct_logit_attribution(model, tokens, ANSWER, FOIL, unit=unit, cache=run)
    except PathscopeError:
        if deed is _nothing:
            raise
        return
    scale = cache["ln_final.hook_scale"]
    stream = cache[f"blocks.{model.cfg.n_layers - 1}.hook_resid_post"]
    whole = what_the_logits_lose(model, stream, scale)
    found = dict(zip(result.labels, result.attribution.double(), strict=True))
    limit = TOLERANCE * float(result.attribution.abs().max())
    for label, part in parts_by_label(model, cache, result).items():
        difference = (found[label] - what_the_logits_lose(model, part, scale)).abs().max()
        assert difference <= limit, label
    total = result.attribution[-1] if unit == "layer" else result.attribution.sum(dim=0)
    assert (total.double() - whole).abs().max() <= limit


def test_a_block_in_training_mode_is_refused(tmp_path: Any):
    model = _model("gpt2", tmp_path)
    model.blocks[1].train()
    for unit in UNITS:
        with pytest.raises(PathscopeError, match=r"training mode.*eval\(\)"):
            direct_logit_attribution(model, TOKENS, ANSWER, FOIL, unit=unit)
