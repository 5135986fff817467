"""Questions as Python that needs TransformerLens alone: the library's own steps, spelt out.

The model is loaded as Pathscope loads it: through a bridge, in compatibility mode. Written for whoever
has nothing of Pathscope, except for the bundled model, which is a folder of a clone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from analysis import attention_model, demo_model, induction_model
from analysis.exports import library_cells as cells
from analysis.exports.code import Code, filled
from analysis.requests import METRIC_NAMES, Experiment
from analysis.results import (
    AttributionRequest,
    NodeAttributionRequest,
    NodeRequest,
    OverviewRequest,
    PathRequest,
    Request,
    Result,
    RunShown,
)

#: The folder of each bundled model, from the root of a clone.
FOLDERS = {
    model.NAME: "/".join(model.DIRECTORY.parts[-2:])
    for model in (demo_model, induction_model, attention_model)
}

_OF_A_BUNDLED_MODEL = (
    "The model is the folder {} of a clone of Pathscope: run it in the clone's root, or\n"
    "set the path of that folder below.\n"
)


def library_code(result: Result, run: RunShown = "clean", position: int | None = -1) -> Code | None:
    """What `result` holds, asked of TransformerLens alone; None where the library has no such answer.

    Of an attribution by node `run` is shown, of an attribution the table is that at `position`, None for
    every one.
    """
    request = result.request
    made: Callable[[Any, Any], list[tuple[str, str]]] | None = _CELLS.get(type(request))
    if made is None or (isinstance(request, NodeRequest) and not request.node.startswith("L")):
        return None
    shown = {"run": run, "position": position}
    first = [
        (
            "The model, as Pathscope loads it: LayerNorm folded, writes and unembedding centred.",
            _loaded(result),
        ),
        ("Both prompts, and the two answers.", _prompts(request.experiment)),
    ]
    return Code(_TITLES[type(request)], "TransformerLens", (*first, *made(request, shown)), _note(result))


def _note(result: Result) -> str:
    folder = FOLDERS.get(result.request.experiment.model)
    own = "" if folder is None else _OF_A_BUNDLED_MODEL.format(folder)
    return f"{own}The numbers are those of weights with the fingerprint {result.provenance.fingerprint}."


def _loaded(result: Result) -> str:
    model = result.request.experiment.model
    return filled(cells.LOAD, {"model": FOLDERS.get(model, model), "dtype": result.provenance.dtype})


def _prompts(experiment: Experiment) -> str:
    return filled(cells.PROMPTS, {name: getattr(experiment, name) for name in _PROMPT_FIELDS})


_PROMPT_FIELDS = ("clean", "corrupted", "answer", "foil")


def _overview(request: OverviewRequest, shown: dict[str, Any]) -> list[tuple[str, str]]:
    lines = [f'    "{name}": lambda row: {cells.METRICS[name]},' for name in METRIC_NAMES]
    metrics = "\n".join(["metrics = {", *lines, "}"])
    return [
        ("The metrics, read off the logits at the last position.", metrics),
        ("Each metric on both runs.", cells.OVERVIEW),
        ("The most probable next tokens.", cells.TOP),
    ]


def _attribution(request: AttributionRequest, shown: dict[str, Any]) -> list[tuple[str, str]]:
    split = filled(cells.ATTRIBUTION, {"run": request.run}) + cells.STACKS[request.unit] + cells.OF_PARTS
    guard = [("Heads add what they write as it is.", cells.PLAIN_WRITES)] if request.unit == "head" else []
    return [
        *guard,
        (
            "What each part writes straight to answer minus foil, in logits.",
            split + (cells.LENS if request.unit == "layer" else ""),
        ),
        ("The table.", filled(cells.PARTS_TABLE, {"position": shown["position"]})),
    ]


def _nodes(request: NodeAttributionRequest, shown: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("Heads add what they write as it is.", cells.PLAIN_WRITES),
        ("What each node writes straight to answer minus foil, in logits.", cells.NODES),
        ("The table.", filled(cells.NODES_TABLE, shown)),
    ]


def _path(request: PathRequest, shown: dict[str, Any]) -> list[tuple[str, str]]:
    source = {"source_layer": request.source_layer, "source_head": request.source_head}
    return [
        ("Heads add what they write as it is.", cells.PLAIN_WRITES),
        ("Both runs, and the metric.", cells.METRIC.replace("{expression}", cells.METRICS[request.metric])),
        (
            "What the source head writes on the clean run rather than on the corrupted one.",
            filled(cells.WRITE, source),
        ),
        ("Who sees it.", cells.SEES[request.layer_norm]),
        ("Each path: one later head alone sees the write.", _paths(request)),
    ]


def _paths(request: PathRequest) -> str:
    return filled(cells.PATHS, {"component": request.component})


def _attention(request: NodeRequest, shown: dict[str, Any]) -> list[tuple[str, str]]:
    layer, head = (int(number) for number in request.node[1:].split("H"))
    return [
        ("Attention probabilities on both runs.", filled(cells.ATTENTION, {"layer": layer, "head": head}))
    ]


_CELLS: dict[type[Request[Any]], Callable[[Any, Any], list[tuple[str, str]]]] = {
    OverviewRequest: _overview,
    AttributionRequest: _attribution,
    NodeAttributionRequest: _nodes,
    PathRequest: _path,
    NodeRequest: _attention,
}
_TITLES: dict[type[Request[Any]], str] = {
    OverviewRequest: "The metrics and the next tokens of both prompts",
    AttributionRequest: "Direct logit attribution",
    NodeAttributionRequest: "Direct logit attribution of every node",
    PathRequest: "Direct path patching from one head",
    NodeRequest: "The attention of one head",
}
