"""What a comparison says, in sentences made from its numbers."""

from __future__ import annotations

import numpy as np

from analysis.compare import Comparison
from analysis.labels import counted, number
from analysis.results import Result

#: What an item and its value are called, by the kind of comparison.
ATTRIBUTED, PATCHED = ("node", "attribution"), ("path", "effect")


def finding(comparison: Comparison, called: tuple[str, str]) -> str:
    """The largest difference and how alike both sides are; so where rounding explains all of it."""
    item, value = called
    if not comparison.labels:
        return f"There is no {item} in both A and B."
    few = f"{counted(len(comparison.labels), item)}"
    if comparison.below_resolution.all():
        return (
            f"A and B do not differ: of {few} no {value} changes by more than rounding alone can explain "
            f"({comparison.resolution:.0e} {comparison.unit})."
        )
    if not comparison.difference.any():
        return f"A and B do not differ: of {few} no {value} changes."
    first = comparison.order[0]
    before, after = (number(float(side[first]), "+.2f") for side in (comparison.a, comparison.b))
    label = comparison.labels[first]
    goes = "falls" if comparison.difference[first] < 0 else "rises"
    largest = f", the largest change of {few}" if len(comparison.labels) > 1 else ""
    subject = f"{label}'s {value}" if item == "node" else f"The {value} of {label}"
    return f"{subject} {goes} from {before} to {after} {comparison.unit}{largest}; {alike(comparison)}."


def alike(comparison: Comparison) -> str:
    """The correlation of both sides in words."""
    found = comparison.correlation
    if np.isnan(found):
        return "a correlation of A and B is not defined"
    return f"the correlation of A and B is {number(found, '.2f')}"


def wholes(called: str, unit: str, a: float, b: float) -> str:
    """What both sides are parts of."""
    return f"{called}, {unit}: {number(a, '+.2f')} in A and {number(b, '+.2f')} in B."


def rounding(comparison: Comparison) -> str:
    """How many differences rounding alone can explain; nothing where there is none."""
    few = int(comparison.below_resolution.sum())
    if not few:
        return ""
    return (
        f"{few:,} of {counted(len(comparison.labels), 'difference')} are below {comparison.resolution:.0e} "
        f"{comparison.unit}, the resolutions of A and B together: rounding alone can explain them."
    )


def other_weights(a: Result, b: Result) -> str | None:
    """What a comparison of two models by place supposes; nothing of one and the same model."""
    if a.provenance.fingerprint == b.provenance.fingerprint:
        return None
    return (
        "A and B have other weights. Heads are compared by their place, layer and number: of like and "
        "like that tells only where both models are checkpoints of one training."
    )
