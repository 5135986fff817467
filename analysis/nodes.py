"""The places of a transformer between which a path may run."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool


def causal_edges(n_layers: int, n_heads: int) -> Bool[np.ndarray, "layer head layer head"]:
    """Which (source, destination) pairs of heads have a causal path: True at [sl, sh, dl, dh] where dl > sl.

    >>> int(causal_edges(12, 12).sum())
    9504
    """
    layers = np.arange(n_layers)
    later = layers[:, None, None, None] < layers[None, None, :, None]
    return np.broadcast_to(later, (n_layers, n_heads, n_layers, n_heads))
