"""The neurons of one MLP: what each of them writes straight to answer minus foil."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from analysis.circuit.node import extremes, texts_of
from analysis.decoder import Decoder
from analysis.edges import residual_graph
from analysis.errors import PathscopeError, UnsupportedModelError
from analysis.experiment import Origin, alone_with
from analysis.metrics import logit_resolution
from analysis.results import NeuronsRequest, NeuronsResult, position_from_start
from analysis.sweep import CorruptedRun, open_gate

#: Neurons whose promoted tokens are told, by each run and by the difference.
MOST_TOLD = 20


def neurons_result(request: NeuronsRequest, origin: Origin) -> NeuronsResult:
    """What `NeuronsResult` says of one MLP. Raises what `NeuronsRequest` says."""
    runs, bridge = origin.runs, origin.runs.model.bridge
    pair, layer = runs.pair, mlp_layer(bridge, request.node)
    position = position_from_start(request.position, pair.clean.shape[1])
    with torch.inference_mode(False), torch.no_grad(), alone_with(runs.model):
        decoder, clean, gap = _replayed(bridge, pair.clean)
        _, corrupted, other_gap = _replayed(bridge, pair.corrupted)
        seen = [MlpAt.of(decoder, run, layer, position) for run in (clean, corrupted)]
        direction = decoder.W_U[:, pair.answer] - decoder.W_U[:, pair.foil]
        attribution = _array(torch.stack([one.attribution(direction) for one in seen]))
        told = strongest_by_any(attribution)
        ids, promotion = extremes(seen[0].per_activation(torch.from_numpy(told)), decoder.W_U)
        return NeuronsResult(
            request=request,
            position=position,
            activation=_array(torch.stack([one.hidden for one in seen])),
            attribution=attribution,
            bias=_array(torch.stack([one.bias @ direction for one in seen])),
            whole=_array(torch.stack([one.whole @ direction for one in seen])),
            told=told,
            promotion=promotion,
            promoted_ids=ids,
            promoted_tokens=texts_of(bridge, ids),
            clean_tokens=pair.clean_tokens,
            corrupted_tokens=pair.corrupted_tokens,
            provenance=origin.provenance(
                "replay",
                max(gap, other_gap),
                2 * max(logit_resolution(run.logits) for run in (runs.clean, runs.corrupted)),
            ),
        )


@dataclass(frozen=True, eq=False)
class MlpAt:
    """An MLP's hidden layer at one position of a run, and what the final norm makes of what it writes.

    `share` takes vectors of the MLP's own output to what they are before ``W_U``, under the run's scales; it
    is linear. `bias` and `whole` are what it makes of the output bias and of the MLP's write.
    """

    hidden: Float[Tensor, " neuron"]
    W_out: Float[Tensor, "neuron d_model"]
    share: Callable[[Tensor], Tensor]
    bias: Float[Tensor, " d_model"]
    whole: Float[Tensor, " d_model"]

    @classmethod
    def of(cls, decoder: Decoder, run: CorruptedRun, layer: int, position: int) -> MlpAt:
        """Read off a replayed run of one prompt."""
        block, of_layer, resid = decoder.blocks[layer], run.layers[layer], run.resid_final[0, position]
        mlp, post, write = block.mlp, block.mlp_post_norm, of_layer.mlp_write
        assert mlp is not None and write is not None
        resid_pre = of_layer.resid_pre[0, position]
        resid_mid = resid_pre + block.attention_write(of_layer.attention_output[0, position])
        read = resid_pre if block.parallel else resid_mid
        hidden = mlp.hidden((block.mlp_norm or block.attention_norm)(read))
        output = mlp.write(hidden)
        b_out = torch.zeros_like(output) if mlp.b_out is None else mlp.multiplier * mlp.b_out

        def share(parts: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows d_model"]:
            added = parts if post is None else post.share(parts, post.scale(output))
            return decoder.direct_share(added, resid.expand_as(added))

        bias = share(b_out)
        if post is not None and post.bias is not None:
            bias = bias + decoder.direct_share(post.bias, resid)
        return cls(
            hidden, mlp.multiplier * mlp.W_out, share, bias, decoder.direct_share(write[0, position], resid)
        )

    def attribution(self, direction: Float[Tensor, " d_model"]) -> Float[Tensor, " neuron"]:
        """What each neuron writes along `direction` of the unembedding."""
        # Linear as it is, `share` comes down to one vector there, far smaller than all neurons' writes.
        along = self.share(torch.eye(len(direction)).to(direction)) @ direction
        return self.hidden * (self.W_out @ along)

    def per_activation(self, neurons: Int[Tensor, " told"]) -> Float[Tensor, "told d_model"]:
        """What an activation of 1 of each of `neurons` writes."""
        return self.share(self.W_out[neurons.to(self.W_out.device)])


def mlp_layer(bridge: Any, node: str) -> int:
    """The layer of an MLP by its label. Raises `PathscopeError` for any other node."""
    graph = residual_graph(bridge)
    layer, slot = graph.writer_places[graph.writer(node)].tolist()
    if layer < 0 or slot < graph.n_heads:
        raise PathscopeError(
            f"{node} is no MLP, and neurons are parts of MLPs. Choose one from 'MLP0' to "
            f"{graph.writers[-1]!r}."
        )
    return layer


def strongest_by_any(attribution: Float[np.ndarray, "run neuron"]) -> Int[np.ndarray, " told"]:
    """The neurons that write most on the clean run, on the corrupted one, or by their difference."""
    ranked = np.abs([*attribution, attribution[0] - attribution[1]])
    strongest = np.argsort(-ranked, axis=1, kind="stable")[:, :MOST_TOLD]
    return np.unique(strongest)


def _replayed(bridge: Any, tokens: Int[Tensor, "1 pos"]) -> tuple[Decoder, CorruptedRun, float]:
    gate = open_gate(bridge, tokens)
    if gate.decoder is None or gate.run is None:
        why = f"{gate.hooked[0]} carries a hook" if gate.hooked else "the replay does not know its MLPs"
        raise UnsupportedModelError(
            f"The neurons of this model cannot be seen: {why}. What its MLPs write as a whole is told all "
            "the same."
        )
    return gate.decoder, gate.run, gate.gap or 0.0


def _array(values: Tensor) -> np.ndarray:
    return values.cpu().double().numpy()
