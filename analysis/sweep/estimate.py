"""The first-order estimate of every edge at once, from one forward and one backward pass.

The metric's gradient at a head's own q, k or v input, times the patch that a source head would
bring there. In exact mode the patch passes the LayerNorm's derivative, since its scale changes
to first order too. It is an estimate (attribution patching of edges, Syed et al. 2023): second-order
terms, which softmax and MLPs do have, are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from analysis.decoder import Attention, Block, Decoder
from analysis.errors import UnsupportedModelError
from analysis.metrics import PatchingMetric, differentiable
from analysis.requests import HEAD_INPUTS, HeadInput, LayerNormMode
from analysis.sweep.checks import check_choice
from analysis.sweep.patch import Patch
from analysis.sweep.replay import Suffix
from analysis.sweep.source import SourceWrites, decoder_writes

Gradients = dict[HeadInput, list[Float[Tensor, "batch pos head d_head"]]]
Edges4 = Float[Tensor, "n_layers n_heads n_layers n_heads"]


def edge_attribution(
    model: Any,
    corrupted_tokens: Int[Tensor, "batch pos"],
    clean_cache: Mapping[str, Tensor],
    corrupted_cache: Mapping[str, Tensor],
    patching_metric: PatchingMetric,
    component: HeadInput = "q",
    *,
    layer_norm: LayerNormMode = "frozen",
) -> Edges4:
    """Estimated effect (metric minus corrupted baseline) of every path, 0.0 where there is none.

    `result[sl, sh, dl, dh]` is ``<d metric / d c[dl, dh], patch of c from (sl, sh)>`` at the
    corrupted run, in the metric's unit. Raises `UnsupportedModelError` where the replay does not know or
    does not reproduce the model, and beside somebody's hooks; `MetricError` for a metric without a
    gradient; `PathscopeError`, or one of its kinds, for arguments that do not fit together.
    """
    return edge_attributions(
        model,
        corrupted_tokens,
        clean_cache,
        corrupted_cache,
        patching_metric,
        components=(component,),
        layer_norm=layer_norm,
    )[component]


def edge_attributions(
    model: Any,
    corrupted_tokens: Int[Tensor, "batch pos"],
    clean_cache: Mapping[str, Tensor],
    corrupted_cache: Mapping[str, Tensor],
    patching_metric: PatchingMetric,
    *,
    components: tuple[HeadInput, ...] = HEAD_INPUTS,
    layer_norm: LayerNormMode = "frozen",
) -> dict[HeadInput, Edges4]:
    """`edge_attribution` of several components from the same forward and backward pass."""
    for component in components:
        check_choice("component", component, HEAD_INPUTS)
    # Tensors made in inference mode have no gradient, now or later.
    with torch.inference_mode(False), torch.no_grad():
        patch = Patch.of(
            model, corrupted_tokens, clean_cache, corrupted_cache, patching_metric, layer_norm=layer_norm
        )
        return _edge_attributions(patch, components)


def _edge_attributions(patch: Patch, components: tuple[HeadInput, ...]) -> dict[HeadInput, Edges4]:
    decoder, run = patch.gate.decoder, patch.gate.run
    if decoder is None or run is None:
        hooked = patch.gate.hooked
        raise UnsupportedModelError(
            f"There is no estimate beside hooks, which it would leave out: {hooked[0]} carries one. Remove "
            "it, with model.reset_hooks() for example, or run the measured sweep."
            if hooked
            else "There is no estimate for this model: the replay, whose gradient it is, does not reproduce "
            "its forward pass. Run the measured sweep, which needs none."
        )
    gradients = _gradients(decoder, run.layers[0].resid_pre, patch.metric, components)
    n_layers, n_heads = len(decoder.blocks), decoder.blocks[0].attention.W_Q.shape[0]
    deltas = _all_deltas(decoder_writes(patch, decoder), n_layers, n_heads, patch.tokens.shape[1])
    found = {c: deltas.new_zeros(n_layers, n_heads, n_layers, n_heads) for c in components}
    for layer, block in enumerate(decoder.blocks[1:], start=1):
        scale = patch.ln1_scale(layer) if patch.layer_norm == "frozen" else None
        for component in components:
            wanted = _residual_gradient(
                block, gradients[component][layer], component, run.layers[layer].resid_pre, scale
            )
            earlier = deltas[: layer * n_heads] @ wanted.flatten(1).T
            found[component][:layer, :, layer] = earlier.view(layer, n_heads, n_heads)
    return found


def _all_deltas(
    writes: SourceWrites, n_layers: int, n_heads: int, n_positions: int
) -> Float[Tensor, "source flat"]:
    sources = torch.cartesian_prod(torch.arange(n_layers), torch.arange(n_heads)).to(writes.W_O[0].device)
    return writes.delta(sources, Suffix(0, n_positions, None)).transpose(0, 1).flatten(1)


def _gradients(
    decoder: Decoder, resid: Tensor, metric: PatchingMetric, components: tuple[HeadInput, ...]
) -> Gradients:
    """The metric's gradient at every query head's own copy of q, k and v, as projected."""
    probes: Gradients = {component: [] for component in components}
    with torch.enable_grad():
        for block in decoder.blocks:
            resid = _block_with_probes(block, resid, probes)
        value = differentiable(metric(decoder.logits(resid)))
        flat = [probe for of_component in probes.values() for probe in of_component]
        gradients = iter(torch.autograd.grad(value, flat))
    return {component: [next(gradients) for _ in of_layer] for component, of_layer in probes.items()}


def _block_with_probes(block: Block, resid: Tensor, probes: Gradients) -> Tensor:
    """A plain forward through one block, with a zero probe added to every head's q, k and v."""
    attention = block.attention
    normalized = block.attention_norm(resid)
    n_positions = resid.shape[1]
    own: dict[str, Tensor] = {}
    for component in HEAD_INPUTS:
        projected = attention.project(normalized, component)
        if component != "q":
            projected = projected.repeat_interleave(attention.queries_per_key, dim=2)
        if component in probes:
            probe = torch.zeros_like(projected, requires_grad=True)
            probes[component].append(probe)
            projected = projected + probe
        own[component] = projected
    z = _attention_of_copies(attention, own, n_positions)
    resid_mid = resid + block.attention_write(attention.output(z))
    write = block.mlp_write(resid, resid_mid)
    return resid_mid if write is None else resid_mid + write


def _attention_of_copies(attention: Attention, own: dict[str, Tensor], n_positions: int) -> Tensor:
    everywhere = slice(0, n_positions)
    q, k, v = (attention.attended(own[component], component, everywhere) for component in HEAD_INPUTS)
    scores = torch.einsum("bqhd,bkhd->bhqk", q, k)
    pattern = attention.pattern(scores, attention.visible(everywhere, n_positions))
    return torch.einsum("bhqk,bkhd->bqhd", pattern, v)


def _residual_gradient(
    block: Block,
    gradient: Float[Tensor, "batch pos head d_head"],
    component: HeadInput,
    resid_pre: Float[Tensor, "batch pos d_model"],
    scale: Float[Tensor, "batch pos 1"] | None,
) -> Float[Tensor, "head batch pos d_model"]:
    """The gradient pulled back from each head's q, k or v to what a source head writes.

    `scale` is the divisor of frozen mode, None in exact mode.
    """
    weight, _ = block.attention.weights(component)
    weight = weight.repeat_interleave(gradient.shape[2] // weight.shape[0], dim=0)
    pulled = torch.einsum("bphd,hmd->hbpm", gradient, weight)
    if scale is not None:
        return pulled / scale
    with torch.enable_grad():
        copies = resid_pre.expand_as(pulled).detach().requires_grad_()
        (through_norm,) = torch.autograd.grad(block.attention_norm(copies), copies, pulled)
    return through_norm
