"""What follows a reader, to first order: the metric's gradient at every head's z and every block's output."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from analysis.sweep import CorruptedRun, EdgeReplay


@dataclass(frozen=True)
class Gradients:
    """Per layer, the metric's gradient at z and at the residual stream after the block.

    The second is the gradient at what the block's MLP writes. Both stand at the positions that are still
    needed after the layer, `Suffix.queries`; the metric is the mean over the batch.
    """

    z: tuple[Float[Tensor, "batch query head d_head"], ...]
    resid_post: tuple[Float[Tensor, "batch query d_model"], ...]


def metric_gradients(replay: EdgeReplay, other: CorruptedRun, points: int) -> Gradients:
    """The gradients, averaged over `points` runs on the way from this run to the `other`.

    One point is this run itself. More are runs on the embeddings ``this + a (other - this)`` with ``a = 1 /
    points, 2 / points, ... 1`` (EAP-IG of the inputs, Hanna et al. 2024). Raises `MetricError` for a
    metric without a gradient.
    """
    suffix, run = replay.suffix, replay.run
    here, there = (one.layers[0].resid_pre[:, None, suffix.positions] for one in (run, other))
    along = torch.arange(1, points + 1).to(here) / points if points > 1 else here.new_zeros(1)
    with torch.enable_grad():
        rows = (here + along[:, None, None] * (there - here)).requires_grad_()
        zs, outputs = [], []
        for layer in range(len(replay.decoder.blocks)):
            kept, z = replay.replay.attend(rows, layer)
            rows = replay.replay.after_attention(kept, z, layer)
            zs.append(z)
            outputs.append(rows)
        value = replay.readout.differentiable(replay.decoder.normed(rows), suffix)
        found = torch.autograd.grad(value, [*zs, *outputs])
    means = tuple(gradient.mean(dim=1) for gradient in found)
    return Gradients(means[: len(zs)], means[len(zs) :])
