"""A circuit as Python that measures it anew."""

from __future__ import annotations

from analysis.exports.code import Code, arguments, filled, lines
from analysis.exports.saved_circuit import Groups
from analysis.requests import Experiment, MetricName
from analysis.results import EdgeLabels

_ASKED = """\
import pandas as pd
import torch

from analysis import circuit_scores
from analysis.experiment import prepare
from analysis.metrics import named_metric
from analysis.models import load
from analysis.requests import Experiment

experiment = Experiment(
$experiment
)
# Each path from a writer to the reader that it reaches.
edges = [
$edges
]"""

_MEASURED = """\
model = load(experiment.model).bridge  # a TransformerBridge
pair = prepare(model, experiment)
with torch.no_grad():
    metric = named_metric($metric, pair, model(pair.clean))


def measured(paths):
    scores = circuit_scores(model, pair.clean, pair.corrupted, metric, paths, n_random=0)
    return scores.brings_back, scores.breaks, scores.faithfulness


# Shares of the clean metric minus the corrupted one.
table = pd.DataFrame([("all", *measured(edges))], columns=["paths", "brings_back", "breaks", "faithfulness"])
print(table.to_string(index=False))"""

_GROUPS = """\
groups = {
$groups
}
for writer, writers in groups.items():
    for reader, readers in groups.items():
        paths = [edge for edge in edges if edge[0] in writers and edge[1].partition(".")[0] in readers]
        if paths and writer != reader:
            table.loc[len(table)] = (f"{writer!r} to {reader!r}", *measured(paths))
print(table.to_string(index=False))"""


def circuit_code(experiment: Experiment, edges: EdgeLabels, metric: MetricName, groups: Groups = ()) -> Code:
    """Code that tells what `edges`, patched as a whole, bring back and break, and their faithfulness.

    Of `groups` it tells the same of the paths from one to another. The model stands in it as `experiment`
    names it, a local folder by its path.
    """
    asked = filled(_ASKED, {}, experiment=arguments(experiment), edges=lines(edges))
    named = "\n".join(f"    {name!r}: {nodes!r}," for name, nodes in groups)
    between = (("What the paths from one group to another do.", filled(_GROUPS, {}, groups=named)),)
    return Code(
        "A circuit: what its paths bring back, break and keep",
        "Pathscope",
        (
            ("The model, the prompts, the answers, and the paths.", asked),
            ("All paths together.", filled(_MEASURED, {"metric": metric})),
            *(between if groups else ()),
        ),
    )
