"""Circuits as JSON: written with their labels, and read again with nothing taken on trust."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, TypeVar

from analysis.errors import PathscopeError
from analysis.exports.saved_circuit import SCORE_NAMES, SavedCircuit, SavedScores, quoted
from analysis.labels import printable
from analysis.requests import Experiment

#: What a file of this kind calls itself, and which layout this release writes and reads.
FORMAT, VERSION = "pathscope circuit", 1
#: Characters (or bytes) of a file that is looked at: every edge of a model of 30 layers takes 5 million.
LONGEST_FILE = 20_000_000

_CALLED: dict[type[Any], str] = {str: "a text", dict: "an object", list: "a list"}

T = TypeVar("T")


def circuit_json(circuit: SavedCircuit) -> str:
    """`circuit` as JSON that `circuit_from_json` loads again; edges are pairs of labels."""
    held = {"format": FORMAT, "version": VERSION} | asdict(circuit) | {"groups": dict(circuit.groups)}
    return json.dumps(held, indent=1, allow_nan=False) + "\n"


def circuit_from_json(text: str | bytes) -> SavedCircuit:
    """The inverse of `circuit_json`. Raises `PathscopeError`, which names what is wrong, for anything else.

    Fields that it does not know are left out.
    """
    if len(text) > LONGEST_FILE:
        raise PathscopeError(
            f"The file has {len(text):,} characters, and a circuit's at most {LONGEST_FILE:,}. "
            "Choose one that was saved on the circuit page."
        )
    try:
        held = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = printable(str(error), 120)
        raise PathscopeError(
            f"The file is no readable JSON ({reason}): it is cut off, or of another kind. Save it again."
        ) from error
    if not isinstance(held, dict) or held.get("format") != FORMAT:
        raise PathscopeError(
            f"The file is no circuit: it does not say format {FORMAT!r}. Choose one that was saved as "
            "JSON on the circuit page."
        )
    version = _whole(held, "version")
    if version != VERSION:
        raise PathscopeError(
            f"The circuit was saved in layout {printable(str(version), 20)}, and this release reads layout "
            f"{VERSION}. Load it with the release that saved it, or save it again."
        )
    experiment = _read(held, "experiment", dict)
    return SavedCircuit(
        experiment=Experiment(
            **{each.name: _read(experiment, each.name, str, "experiment.") for each in fields(Experiment)}
        ),
        metric=_read(held, "metric", str),  # type: ignore[arg-type]  # SavedCircuit checks it
        edges=tuple(dict.fromkeys(_edge(edge, at) for at, edge in enumerate(_read(held, "edges", list)))),
        groups=tuple((name, _labels(nodes, name)) for name, nodes in _read(held, "groups", dict).items()),
        scores=_scores(held),
        fingerprint=_read(held, "fingerprint", str),
        provenance=_texts(_read(held, "provenance", dict)),
    )


def _read(held: Mapping[str, Any], name: str, kind: type[T], within: str = "") -> T:
    value = held.get(name)
    if not isinstance(value, kind):
        raise _fault(f"{within}{name}", value, _CALLED[kind])
    return value


def _whole(held: Mapping[str, Any], name: str, within: str = "") -> int:
    value = held.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _fault(f"{within}{name}", value, "a whole number from 0")
    return value


def _number(held: Mapping[str, Any], name: str, within: str) -> float:
    value: Any = held.get(name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # Not `isfinite`, which a whole number of 400 digits overflows.
    if not (is_number and abs(value) <= sys.float_info.max):
        raise _fault(f"{within}{name}", value, "a finite number")
    return float(value)


def _edge(edge: Any, at: int) -> tuple[str, str]:
    if not (isinstance(edge, list) and len(edge) == 2 and all(isinstance(end, str) for end in edge)):
        raise _fault(f"edges[{at}]", edge, "a pair of labels such as ['L0H7', 'L2H5.v']")
    return edge[0], edge[1]


def _labels(nodes: Any, name: str) -> tuple[str, ...]:
    if not (isinstance(nodes, list) and all(isinstance(node, str) for node in nodes)):
        raise _fault(f"group {quoted(name)}", nodes, "a list of nodes such as ['L9H9', 'MLP3']")
    return tuple(nodes)


def _texts(held: dict[str, Any]) -> dict[str, str]:
    return {label: _read(held, label, str, "provenance, ") for label in held}


def _scores(held: Mapping[str, Any]) -> SavedScores | None:
    if held.get("scores") is None:
        return None
    scores = _read(held, "scores", dict)
    own = {name: _number(scores, name, "scores.") for name in SCORE_NAMES}
    percentiles = _read(scores, "percentiles", dict, "scores.")
    known = {
        name: _number(percentiles, name, "scores.percentiles.") for name in SCORE_NAMES if name in percentiles
    }
    return SavedScores(**own, n_random=_whole(scores, "n_random", "scores."), percentiles=known)


def _fault(place: str, value: Any, wanted: str) -> PathscopeError:
    return PathscopeError(
        f"In the file, {printable(place, 80)} is {quoted(value)}, and must be {wanted}. Choose a file that "
        "was saved as JSON on the circuit page, or save it again."
    )
