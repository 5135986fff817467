"""Questions as Python that asks them anew through the package `analysis`, and prints their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from analysis.exports.code import Code, arguments, filled, lines
from analysis.requests import Experiment, LayerNormMode, MetricName, Request
from analysis.results import RunShown, SanityRequest

_ASKED = """\
result = answer(
    {kind}(
        experiment,
{asked}
    )
).result
print(result.provenance.rows())"""

_CHECKS = """\
import pandas as pd

table = pd.DataFrame(result.checks, columns=["check", "what must hold", "measured", "limit"])
print(table.assign(passed=table["measured"] <= table["limit"]).to_string())"""

_SET = """\
import pandas as pd

from analysis.answers import answer
from analysis.requests import Experiment
from analysis.results import ChosenPathsRequest, NodeAttributionRequest
from analysis.results import OverviewRequest, StrongestPathsRequest
from analysis.sets import node_agreement, path_agreement, paths_left, paths_to_compare

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


def request_code(request: Request[Any], table: str = "table()") -> Code:
    """Code that answers `request` and prints its table, which the result has by the name `table`.

    The model stands in it as the experiment names it, a local folder by its path: `without_places` takes
    that out for what leaves the machine.
    """
    kind = type(request).__name__
    printed = f"table = result.{table}\nprint(table.to_string())"
    return Code(
        f"The question {kind}",
        "Pathscope",
        (
            ("The model, the prompts, the answers.", experiment_cell(request.experiment, kind)),
            ("The question.", _ASKED.format(kind=kind, asked=arguments(request, "        "))),
            ("Its table.", _CHECKS if isinstance(request, SanityRequest) else printed),
        ),
    )


def experiment_cell(experiment: Experiment, kind: str) -> str:
    """What asks a question of that `kind`, and the experiment."""
    imports = (
        "from analysis.answers import answer",
        "from analysis.requests import Experiment",
        f"from analysis.results import {kind}",
    )
    return "\n".join((*imports, "", "experiment = Experiment(", arguments(experiment), ")"))


def prompt_set_code(
    experiments: Sequence[Experiment], metric: MetricName, layer_norm: LayerNormMode, run: RunShown
) -> Code:
    """Code that asks the same of every prompt of a set, and brings the answers together."""
    first = experiments[0]
    pairs = [(one.clean, one.corrupted, one.answer, one.foil) for one in experiments]
    asked = {"metric": metric, "layer_norm": layer_norm, "run": run}
    setting = filled(_SET, {"model": first.model}, pairs=lines(pairs))
    return Code(
        "A prompt set",
        "Pathscope",
        (
            ("The prompts.", setting),
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
