"""A circuit as a Python script that measures it anew."""

from __future__ import annotations

from dataclasses import fields
from string import Template

from analysis.exports.saved_circuit import Groups
from analysis.release import __version__
from analysis.requests import Experiment, MetricName
from analysis.results import EdgeLabels

_SCRIPT = Template('''\
"""A circuit from Pathscope $version: what its paths bring back, break and keep.

Save it in the root of a clone of Pathscope and run it there, with the packages of requirements.txt.
"""

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
]

model = load(experiment.model).bridge  # a TransformerBridge
pair = prepare(model, experiment)
with torch.no_grad():
    metric = named_metric($metric, pair, model(pair.clean))
scores = circuit_scores(model, pair.clean, pair.corrupted, metric, edges, n_random=0)
# Shares of the clean metric minus the corrupted one.
print(f"brings back   {scores.brings_back:.6f}")
print(f"breaks        {scores.breaks:.6f}")
print(f"faithfulness  {scores.faithfulness:.6f}")
$groups''')

_GROUPS = Template("""
groups = {
$groups
}
for writer, writers in groups.items():
    for reader, readers in groups.items():
        paths = [edge for edge in edges if edge[0] in writers and edge[1].partition(".")[0] in readers]
        if paths and writer != reader:
            scores = circuit_scores(model, pair.clean, pair.corrupted, metric, paths, n_random=0)
            print(f"{writer!r} to {reader!r}: brings back {scores.brings_back:.6f}")
""")


def circuit_python(experiment: Experiment, edges: EdgeLabels, metric: MetricName, groups: Groups = ()) -> str:
    """A script that prints what `edges`, patched as a whole, bring back and break, and their faithfulness.

    Of `groups` it prints what the paths from one to another bring back. The model stands in it as
    `experiment` names it, a local folder by its path: the script is for whoever copies it.
    """
    asked = [f"{each.name}={getattr(experiment, each.name)!r}" for each in fields(Experiment)]
    named = [f"{name!r}: {nodes!r}" for name, nodes in groups]
    return _SCRIPT.substitute(
        version=__version__,
        experiment=_lines(asked),
        edges=_lines([repr(edge) for edge in edges]),
        metric=repr(metric),
        groups=_GROUPS.substitute(groups=_lines(named)) if groups else "",
    )


def _lines(items: list[str]) -> str:
    return "\n".join(f"    {item}," for item in items)
