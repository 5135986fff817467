"""What the circuit page says of the paths that it draws, made from the numbers."""

from __future__ import annotations

import numpy as np

from analysis.labels import percent, shown_token
from analysis.requests import Experiment, MetricName
from analysis.results import CircuitScoresResult, EdgeSetsResult, GraphResult
from pages.shared.choices import METRIC


def what_moves(experiment: Experiment, metric: MetricName) -> str:
    """What shares are shares of."""
    if metric == "logit_difference":
        return f"the difference between {shown_token(experiment.answer)} and {shown_token(experiment.foil)}"
    title = METRIC.options[metric]
    return f"the change in {title if title.startswith('KL') else title[0].lower() + title[1:]}"


def finding(graph: GraphResult, own: EdgeSetsResult, n_edges: int) -> str:
    """How much the paths that are drawn carry, each way."""
    request = graph.request
    these = (
        f"These {n_edges:,} of {len(graph.graph):,} paths bring" if n_edges > 1 else "This one path brings"
    )
    return (
        f"{these} back {percent(own.brings_back[0])} of {what_moves(request.experiment, request.metric)}. "
        f"Alone, with every other path as in the corrupted run, "
        f"{'they keep' if n_edges > 1 else 'it keeps'} {percent(own.faithfulness[0])} of it."
    )


def beside_random(scores: CircuitScoresResult) -> str:
    """How random sets of the same size and mix do."""
    n_random = len(scores.brings_back) - 1
    brings_back, faithful = (
        f"{percent(float(np.median(found[1:])))} (at most {percent(float(found[1:].max()))})"
        for found in (scores.brings_back, scores.faithfulness)
    )
    return (
        f"Of {n_random} random sets with as many paths of each kind, half bring back {brings_back} or less, "
        f"and half keep {faithful} or less."
    )


def hidden(graph: GraphResult, n_drawn: int, share_drawn: float) -> str:
    """What the picture leaves out."""
    left = len(graph.graph) - n_drawn
    return (
        f"Not drawn: {left:,} other paths, which hold {percent(1.0 - share_drawn)} of what all paths are "
        "worth one by one."
    )
