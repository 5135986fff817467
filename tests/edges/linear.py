"""The estimate of an edge by the model's own forward, autograd and `tests.edges.reference`.

What the reader gives out, z of a head or what an MLP adds to the stream, is read off a run in which it
sees the patch; the metric's slope at that output is the model's own gradient. After logits nothing follows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, partial

import torch
from jaxtyping import Float
from torch import Tensor

from tests.edges.reference import Hook, Labels, mlp_input_with, true_effects, written_difference
from tests.reference import z_with
from tests.runs import KeepFloat64, Metric, Runs


def linear_effects(
    runs: Runs, edges: Sequence[Labels], metric: Metric, layer_norm: str, points: int = 1
) -> Float[Tensor, " edge"]:
    """``<d metric / d output, patched output - output>`` of each edge's reader."""
    with KeepFloat64():
        return torch.stack([_linear(runs, edge, metric, layer_norm, points) for edge in edges])


def _linear(runs: Runs, edge: Labels, metric: Metric, layer_norm: str, points: int) -> Tensor:
    writer, reader = edge
    if reader == "logits":
        return true_effects(runs, [edge], metric, layer_norm)[0]
    delta = written_difference(runs, writer)
    slopes = _slopes(runs, metric, points)
    if found := re.fullmatch(r"MLP(\d+)", reader):
        place = _mlp_write(runs, int(found[1]))
        patched = _activation(runs, place, mlp_input_with(runs, int(found[1]), delta, layer_norm))
        return (slopes[place] * (patched - _activation(runs, place))).sum()
    layer, head, component = re.fullmatch(r"L(\d+)H(\d+)\.([qkv])", reader).groups()  # type: ignore[union-attr]
    patched = z_with(runs, delta, int(layer), int(head), component, layer_norm)
    place = f"blocks.{layer}.attn.hook_z"
    return (slopes[place] * (patched - _activation(runs, place)))[:, :, int(head)].sum()


def _mlp_write(runs: Runs, layer: int) -> str:
    """Where the model adds what the MLP of `layer` gives out."""
    last = "ln2_post" if hasattr(runs.model.blocks[layer], "ln2_post") else "mlp"
    return f"blocks.{layer}.{last}.hook_out"


def _activation(runs: Runs, place: str, *hooks: Hook) -> Tensor:
    found: list[Tensor] = []
    keep = (place, lambda value, hook: found.append(value.clone()))
    with torch.no_grad():
        runs.model.run_with_hooks(runs.corrupted_tokens, fwd_hooks=[*hooks, keep])
    return found[0]


@cache
def _slopes(runs: Runs, metric: Metric, points: int) -> dict[str, Tensor]:
    """The metric's gradient at every output, averaged over `points` runs on the way to the clean one.

    One point is the corrupted run; more are runs on its embeddings and a share of their difference from the
    clean ones: 1/points, 2/points, ... 1.
    """
    layers = range(runs.model.cfg.n_layers)
    places = [f"blocks.{layer}.attn.hook_z" for layer in layers] + [_mlp_write(runs, i) for i in layers]
    here, there = (run["blocks.0.hook_in"] for run in (runs.corrupted_cache, runs.clean_cache))
    shares = [0.0] if points == 1 else [step / points for step in range(1, points + 1)]
    summed = dict.fromkeys(places, torch.zeros(()))
    for share in shares:
        start = (here + share * (there - here)).requires_grad_()
        found: dict[str, Tensor] = {}
        hooks = [(place, partial(_keep, found, place)) for place in places]
        with torch.enable_grad():
            logits = runs.model.run_with_hooks(
                runs.corrupted_tokens,
                fwd_hooks=[("blocks.0.hook_in", lambda value, hook, start=start: start), *hooks],
            )
            gradients = torch.autograd.grad(metric(logits), [found[place] for place in places])
        summed = {
            place: summed[place] + gradient / len(shares)
            for place, gradient in zip(places, gradients, strict=True)
        }
    return summed


def _keep(found: dict[str, Tensor], place: str, value: Tensor, hook: object) -> Tensor:
    # A copy, put in its place: what a hook is handed need not be what the model goes on with.
    found[place] = value.clone()
    return found[place]
