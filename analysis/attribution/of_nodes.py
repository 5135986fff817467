"""Direct logit attribution by node: what heads and components together say of each."""

from __future__ import annotations

import re

import numpy as np
from jaxtyping import Float

from analysis.attribution.of_run import whole_attribution
from analysis.experiment import Origin
from analysis.requests import RUN_NAMES
from analysis.results import (
    AttributionRequest,
    AttributionResult,
    NodeAttributionRequest,
    NodeAttributionResult,
)

#: TransformerLens's label of what one sublayer of a block writes.
_SUBLAYER = re.compile(r"(\d+)_(attn|mlp)_out")


def node_attribution_result(request: NodeAttributionRequest, origin: Origin) -> NodeAttributionResult:
    """Both runs by node. Raises what attribution by head and by component raises."""
    by_run = [
        [
            whole_attribution(AttributionRequest(request.experiment, unit, run), origin)
            for unit in ("head", "component")
        ]
        for run in RUN_NAMES
    ]
    (heads, _), *_ = by_run
    return NodeAttributionResult(
        request=request,
        attribution=np.stack([_by_node(*run) for run in by_run]),
        logit_difference=np.stack([of_heads.logit_difference for of_heads, _ in by_run]),
        bias_difference=heads.bias_difference,
        clean_tokens=by_run[0][0].tokens,
        corrupted_tokens=by_run[1][0].tokens,
        n_layers=heads.n_layers,
        n_heads=heads.n_heads,
        provenance=heads.provenance,
    )


def _by_node(heads: AttributionResult, components: AttributionResult) -> Float[np.ndarray, "node pos"]:
    """Embedding, then of each layer its heads, what its attention adds beside them, and its MLP."""
    n_layers, n_heads = heads.n_layers, heads.n_heads
    of_head = heads.attribution[: n_layers * n_heads].reshape(n_layers, n_heads, -1)
    embed = np.zeros(of_head.shape[2:])
    attention, mlp = np.zeros((2, n_layers, of_head.shape[2]))
    for label, values in zip(components.labels, components.attribution, strict=True):
        sublayer = _SUBLAYER.fullmatch(label)
        if sublayer is None:
            embed = embed + values
        else:
            into = attention if sublayer[2] == "attn" else mlp
            into[int(sublayer[1])] += values
    bias = attention - of_head.sum(axis=1)
    # A sum of heads differs by rounding from the layer's output; what is no more than that is no bias.
    bias[np.abs(bias) <= 1e-5 * max(1.0, float(np.abs(of_head).max()))] = 0.0
    layers = np.concatenate([of_head, bias[:, None], mlp[:, None]], axis=1)
    return np.concatenate([embed[None], layers.reshape(-1, layers.shape[2])])
