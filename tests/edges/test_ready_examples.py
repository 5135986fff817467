"""How good the estimate is on the bundled model's examples, whose exact values are known."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from analysis import models
from analysis.demo_model.examples import EXAMPLES, Example
from analysis.edges import edge_effects, edge_estimates, residual_graph
from analysis.metrics import LogitDifference
from analysis.requests import LAYER_NORM_MODES


@lru_cache(maxsize=1)
def bundled() -> Any:
    return models.load("demo").bridge


def into_queries(example: Example, layer_norm: Any) -> tuple[np.ndarray, np.ndarray]:
    """Effects of all paths from a head into a later head's query, and their estimates."""
    model = bundled()
    graph = residual_graph(model)
    metric = LogitDifference(model.to_single_token(example.answer), model.to_single_token(example.foil))
    arguments = model, model.to_tokens(example.corrupted), model.to_tokens(example.clean)
    edges = np.argwhere(graph.heads_into("q"))
    true = edge_effects(*arguments, graph.labels(edges), metric, layer_norm=layer_norm)
    estimates = edge_estimates(*arguments, metric, layer_norm=layer_norm)
    return true.numpy(), estimates.numpy()[tuple(edges.T)]


@pytest.mark.parametrize("layer_norm", LAYER_NORM_MODES)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_paths_into_queries_are_estimated_within_a_few_percent(example, layer_norm):
    true, estimated = into_queries(example, layer_norm)
    assert np.corrcoef(true, estimated)[0, 1] >= 0.99
    top = np.argsort(-np.abs(true))[:20]
    assert np.median(np.abs(estimated - true)[top] / np.abs(true)[top]) <= 0.05
