"""A circuit as it is kept outside: labels, scores and origin, without anything of the machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import PureWindowsPath
from typing import Any, Literal

from analysis.errors import PathscopeError
from analysis.labels import printable
from analysis.requests import METRIC_NAMES, Experiment, MetricName
from analysis.results import CircuitScoresResult, EdgeLabels, GraphResult

#: Characters of a group's name.
LONGEST_NAME = 40

#: A group's name and its nodes.
Groups = tuple[tuple[str, tuple[str, ...]], ...]

ScoreName = Literal["brings_back", "breaks", "faithfulness"]
SCORE_NAMES: tuple[ScoreName, ...] = ("brings_back", "breaks", "faithfulness")

_HEAD, _MLP = r"L\d{1,4}H\d{1,4}", r"MLP\d{1,4}"
_WRITER, _READER, _NODE = (
    re.compile(pattern, re.ASCII)
    for pattern in (
        rf"embed|{_HEAD}|{_MLP}",
        rf"{_HEAD}\.[qkv]|{_MLP}|logits",
        rf"embed|{_HEAD}|{_MLP}|logits",
    )
)
_HUB_ID = re.compile(r"(?!\.)[\w.-]+(/[\w.-]+)?", re.ASCII)


@dataclass(frozen=True)
class SavedScores:
    """Scores of a circuit as shares (`analysis.results.CircuitScoresResult`).

    `percentiles` has, by a score's name, the percent of `n_random` random sets that stay below; it is
    empty without any.
    """

    brings_back: float
    breaks: float
    faithfulness: float
    n_random: int = 0
    percentiles: Mapping[ScoreName, float] = field(default_factory=dict)

    @classmethod
    def of(cls, scores: CircuitScoresResult) -> SavedScores:
        """The set's own scores, and where they stand among the random sets."""
        own = {name: float(getattr(scores, name)[0]) for name in SCORE_NAMES}
        n_random = len(scores.brings_back) - 1
        percentiles = {name: scores.percentile(name) for name in SCORE_NAMES} if n_random else {}
        return cls(**own, n_random=n_random, percentiles=percentiles)


@dataclass(frozen=True)
class SavedCircuit:
    """A set of edges by their labels, the question that they answer, and where their scores come from.

    `experiment.model` is as `model_title` has it, so that no folder of the machine leaves; `fingerprint`
    tells the weights. `provenance` is label -> text. Raises `PathscopeError` for labels that no model has,
    a node in two groups, and a group without a name or nodes. Whether a given model has these edges,
    `analysis.nodes.Graph.index` tells.
    """

    experiment: Experiment
    metric: MetricName
    edges: EdgeLabels
    groups: Groups = ()
    scores: SavedScores | None = None
    fingerprint: str = ""
    provenance: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.metric not in METRIC_NAMES:
            raise PathscopeError(
                f"{quoted(self.metric)} is no metric of a circuit; there are {', '.join(METRIC_NAMES)}."
            )
        for writer, reader in self.edges:
            _check_label(writer, _WRITER, "writes: 'embed', a head such as 'L3H7', or an MLP such as 'MLP3'")
            _check_label(reader, _READER, "reads: a head's input such as 'L3H7.q', 'MLP3', or 'logits'")
        _check_groups(self.groups)

    @classmethod
    def of(
        cls,
        graph: GraphResult,
        edges: EdgeLabels,
        groups: Groups = (),
        scores: CircuitScoresResult | None = None,
    ) -> SavedCircuit:
        """`edges` of `graph`, and their `scores` once measured; `PathscopeError` for scores of others."""
        if scores is not None and set(scores.request.edges) != set(edges):
            raise PathscopeError("The scores are those of another set of edges; measure this one first.")
        provenance, experiment = (scores or graph).provenance, graph.request.experiment
        title = model_title(experiment.model)
        return cls(
            replace(experiment, model=title),
            graph.request.metric,
            tuple(dict.fromkeys(edges)),
            groups,
            SavedScores.of(scores) if scores is not None else None,
            provenance.fingerprint,
            provenance.rows() | {"model": title},
        )

    def experiment_on(self, model: str, fingerprint: str) -> Experiment:
        """The experiment; on `model`, whatever it is called here, if it has the weights of the circuit.

        `fingerprint` is that of `model` (`analysis.models.fingerprint`).
        """
        same = bool(fingerprint) and fingerprint == self.fingerprint
        return replace(self.experiment, model=model) if same else self.experiment


def model_title(name: str) -> str:
    """`name` of a model as it may leave the machine: of a folder, its own name alone.

    >>> model_title("openai-community/gpt2"), model_title("/home/ann/models/mine"), model_title("..")
    ('openai-community/gpt2', 'mine', 'a local folder')
    """
    name = name.strip()
    if _HUB_ID.fullmatch(name):
        return name
    last = PureWindowsPath(name).name
    return last if last.strip(".~ ") else "a local folder"


def quoted(value: Any) -> str:
    """`value` in a few characters; of what holds others only how many."""
    if isinstance(value, list | dict):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    return printable(repr(value), 60)


def _check_label(label: str, pattern: re.Pattern[str], role: str) -> None:
    if not pattern.fullmatch(label):
        raise PathscopeError(f"{quoted(label)} is no label of what {role}.")


def _check_groups(groups: Groups) -> None:
    group_of: dict[str, str] = {}
    if len(dict(groups)) < len(groups):
        raise PathscopeError("Two groups have the same name. Give each its own.")
    for name, nodes in groups:
        if not name.strip() or len(name) > LONGEST_NAME:
            raise PathscopeError(
                f"{quoted(name)} is no name of a group: it has {len(name)} characters, and must have 1 to "
                f"{LONGEST_NAME}, not all of them spaces."
            )
        if not nodes:
            raise PathscopeError(f"The group {quoted(name)} has no nodes. Give it some, or leave it out.")
        for node in nodes:
            _check_label(node, _NODE, "is a node: 'embed', 'L3H7', 'MLP3' or 'logits'")
            if group_of.setdefault(node, name) != name or nodes.count(node) > 1:
                raise PathscopeError(
                    f"{node} is in the group {quoted(name)} and in {quoted(group_of[node])}, and is drawn "
                    "once. Leave it in one of them, once."
                )
