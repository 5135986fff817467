"""A question asked of every prompt of a set, as Python that asks it anew and brings the answers together."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.exports.code import Code, filled, lines
from analysis.requests import Experiment, LayerNormMode, MetricName
from analysis.results import EdgeLabels, RunShown

_SET = """\
import pandas as pd

from analysis.answers import answer
from analysis.requests import Experiment
$imports

pairs = [
$pairs
]
experiments = [Experiment($model, *pair) for pair in pairs]"""

_SET_METRICS = """\
metrics = pd.DataFrame(
    [answer(OverviewRequest(one)).result.metrics[$metric] for one in experiments],
    columns=["clean", "corrupted"],
)
print(metrics.to_string())"""

_SET_PATHS = """\
strongest = [answer(StrongestPathsRequest(one, $layer_norm, $metric)).result for one in experiments]
compared = paths_to_compare(strongest)
missing = [paths_left(result, compared) for result in strongest]
left = [
    answer(ChosenPathsRequest(one, paths, $layer_norm, $metric)).result if paths else None
    for one, paths in zip(experiments, missing)
]
table = path_agreement(strongest, left).table()
print(table.to_string())"""

_SET_NODES = """\
nodes = node_agreement([answer(NodeAttributionRequest(one)).result for one in experiments], $run).table()
print(nodes.to_string())"""

_SET_IMPORTS = """\
from analysis.results import ChosenPathsRequest, NodeAttributionRequest
from analysis.results import OverviewRequest, StrongestPathsRequest
from analysis.sets import node_agreement, path_agreement, paths_left, paths_to_compare"""

_CIRCUIT_IMPORTS = """\
from analysis.results import EdgeSetsRequest
from analysis.sets import CircuitOverPrompts"""

_CIRCUIT = """\
# Each path from a writer to the reader that it reaches.
edges = (
$edges
)
results = [answer(EdgeSetsRequest(one, (edges,), $metric)).result for one in experiments]
table = CircuitOverPrompts.of(results).table()
print(table.to_string())"""

_CHECKS_IMPORTS = """\
from analysis.results import SanityRequest
from analysis.sets import checks_over_prompts"""

_CHECKS = """\
results = [answer(SanityRequest(one, $edges)).result for one in experiments]
table = checks_over_prompts(results, range(1, len(results) + 1))
print(table.to_string())"""


def prompt_set_code(
    experiments: Sequence[Experiment], metric: MetricName, layer_norm: LayerNormMode, run: RunShown
) -> Code:
    """Code that asks the same of every prompt of a set, and brings the answers together."""
    asked = {"metric": metric, "layer_norm": layer_norm, "run": run}
    return Code(
        "A prompt set",
        "Pathscope",
        (
            ("The prompts.", _setting(experiments, _SET_IMPORTS)),
            ("The metric of each prompt on both runs.", filled(_SET_METRICS, asked)),
            (
                "What each node writes straight to answer minus foil at the last position.",
                filled(_SET_NODES, asked),
            ),
            (
                "The paths that are among the strongest in any prompt, measured in all.",
                filled(_SET_PATHS, asked),
            ),
        ),
    )


def circuit_set_code(experiments: Sequence[Experiment], edges: EdgeLabels, metric: MetricName) -> Code:
    """Code that tells what `edges`, patched as a whole, do in every prompt of a set, and over all of them."""
    measured = filled(_CIRCUIT, {"metric": metric}, edges=lines(edges))
    return Code(
        "A circuit over a prompt set: what its paths bring back, break and keep",
        "Pathscope",
        (
            ("The prompts.", _setting(experiments, _CIRCUIT_IMPORTS)),
            ("All paths together, prompt by prompt; of all prompts the ratio of means.", measured),
        ),
    )


def checks_set_code(experiments: Sequence[Experiment], edges: EdgeLabels) -> Code:
    """Code that measures the identities in every prompt of a set, those of circuits on `edges`."""
    return Code(
        "The identities over a prompt set",
        "Pathscope",
        (
            ("The prompts.", _setting(experiments, _CHECKS_IMPORTS)),
            ("In how many prompts each identity holds.", filled(_CHECKS, {"edges": edges})),
        ),
    )


def _setting(experiments: Sequence[Experiment], imports: str) -> str:
    pairs = [(one.clean, one.corrupted, one.answer, one.foil) for one in experiments]
    return filled(_SET, {"model": experiments[0].model}, pairs=lines(pairs), imports=imports)
