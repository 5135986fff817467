"""The arrays of a result as NumPy and safetensors files, with their axes and what stands along them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from io import BytesIO
from typing import Any

import numpy as np

from analysis.exports.tables import ORIGIN
from analysis.requests import HEAD_INPUTS, RUN_NAMES
from analysis.results import DIRECTIONS, WRITES_READ, AttributionResult, Result
from analysis.sets import SET_SCORES, Agreement, CircuitOverPrompts

#: What stands along an axis, by its name in the fields' annotations: of a result, for an axis so long.
_ALONG: dict[str, Callable[[Any, int], Sequence[str]]] = {
    "layer": lambda result, length: [f"L{layer}" for layer in range(length)],
    "head": lambda result, length: [f"H{head}" for head in range(length)],
    "input": lambda result, length: HEAD_INPUTS,
    "component": lambda result, length: result.labels,
    "stage": lambda result, length: result.labels,
    "node": lambda result, length: result.labels,
    "neuron": lambda result, length: result.labels,
    "run": lambda result, length: getattr(result, "runs", RUN_NAMES)[:length],
    # Of results on both runs the tokens of each stand among the values.
    "pos": lambda result, length: result.tokens if isinstance(result, AttributionResult) else (),
    "direction": lambda result, length: DIRECTIONS,
    "writer": lambda result, length: result.graph.writers,
    "reader": lambda result, length: result.graph.readers,
    "edge": lambda result, length: [" → ".join(edge) for edge in result.request.edges],
    "path": lambda result, length: [" → ".join(ends) for ends in result.labels],
    "4": lambda result, length: ("sl", "sh", "dl", "dh"),
    "set": lambda result, length: ("own", *(f"random {number}" for number in range(1, length))),
    "read": lambda result, length: WRITES_READ,
    "area": lambda result, length: ("CPR", "CMD"),
}


@dataclass(frozen=True, eq=False)
class Tensors:
    """Arrays by name; `axes` names the axes of each, `labels` what stands along each axis: none, if empty.

    `values` are the numbers and texts that go with them, `origin` tells where they come from.
    """

    arrays: Mapping[str, np.ndarray]
    axes: Mapping[str, tuple[str, ...]]
    labels: Mapping[str, tuple[tuple[str, ...], ...]]
    values: Mapping[str, Any]
    origin: Mapping[str, str]

    def metadata(self) -> str:
        """Everything but the arrays, as JSON."""
        told = {name: getattr(self, name) for name in ("axes", "labels", "values", "origin")}
        return json.dumps(told)


def tensors_npz(tensors: Tensors) -> bytes:
    """A NumPy archive without pickles; the array `ORIGIN` is the metadata as one text."""
    file = BytesIO()
    np.savez_compressed(file, allow_pickle=False, **tensors.arrays, **{ORIGIN: np.array(tensors.metadata())})
    return file.getvalue()


def tensors_safetensors(tensors: Tensors) -> bytes:
    """A safetensors file; the metadata stands under `ORIGIN`."""
    from safetensors.numpy import save

    arrays = {name: np.ascontiguousarray(array) for name, array in tensors.arrays.items()}
    written: bytes = save(arrays, metadata={ORIGIN: tensors.metadata()})
    return written


def tensors_of(result: Result) -> Tensors | None:
    """The arrays of `result` that hold anything, under the names of its fields; None where it has none."""
    arrays, values = result.parts()
    arrays = {name: array for name, array in arrays.items() if array.size}
    if not arrays:
        return None
    axes = {name: _axes(type(result), name, array) for name, array in arrays.items()}
    labels = {
        name: tuple(map(partial(_labels, result), axes[name], array.shape)) for name, array in arrays.items()
    }
    values.pop("provenance")
    return Tensors(arrays, axes, labels, values, result.origin())


def tensors_of_agreement(agreement: Agreement, numbers: list[int], origin: Mapping[str, str]) -> Tensors:
    """The effects of every item in every prompt of a set, whose places in it are `numbers`."""
    names = ("effect", "below_resolution", "strongest")
    prompts = tuple(f"prompt {number}" for number in numbers)
    return Tensors(
        {name: getattr(agreement, name) for name in names} | {"whole": agreement.whole},
        dict.fromkeys(names, ("prompt", "item")) | {"whole": ("prompt",)},
        dict.fromkeys(names, (prompts, agreement.labels)) | {"whole": (prompts,)},
        {},
        origin,
    )


def tensors_of_circuit_set(
    scores: CircuitOverPrompts, numbers: list[int], origin: Mapping[str, str]
) -> Tensors:
    """The scores of a circuit in every prompt of a set, whose places in it are `numbers`, and over all."""
    prompts = tuple(f"prompt {number}" for number in numbers)
    return Tensors(
        {"share": scores.share, "difference": scores.difference, "ratio": scores.ratio},
        {"share": ("prompt", "score"), "difference": ("prompt",), "ratio": ("score",)},
        {"share": (prompts, SET_SCORES), "difference": (prompts,), "ratio": (SET_SCORES,)},
        {},
        origin,
    )


def _axes(kind: type[Result], name: str, array: np.ndarray) -> tuple[str, ...]:
    """The names of an array's axes, as the annotation of its field has them."""
    named = re.search(r"""['"](.*)['"]""", {field.name: str(field.type) for field in fields(kind)}[name])
    axes = named[1].split() if named else []
    return tuple(axes) if len(axes) == array.ndim else tuple(f"axis {at}" for at in range(array.ndim))


def _labels(result: Result, axis: str, length: int) -> tuple[str, ...]:
    along = _ALONG.get(axis)
    found = () if along is None else tuple(along(result, length))
    return found if len(found) == length else ()
