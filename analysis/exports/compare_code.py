"""A comparison as Python that asks for both of its sides anew and subtracts them."""

from __future__ import annotations

from typing import Any

from analysis.exports.code import Code, arguments, filled
from analysis.requests import Request
from analysis.results import (
    AllSourcesRequest,
    NodeAttributionRequest,
    PathRequest,
    RunShown,
    StrongestPathsRequest,
)

_IMPORTS = """\
from analysis.answers import answer
from analysis.compare import $function
from analysis.requests import Experiment
from analysis.results import $kinds"""

_SIDE = """\
$side = answer(
    $kind(
        Experiment(
$experiment
        ),
$asked    )
).result
print($side.provenance.rows())"""

_MISSING = """\
from analysis.sets import paths_left, paths_to_compare

compared = paths_to_compare([a, b])
missing = [paths_left(result, compared) for result in (a, b)]
left = [
    answer(ChosenPathsRequest(result.request.experiment, paths, result.request.layer_norm, $metric)).result
    if paths
    else None
    for result, paths in zip((a, b), missing)
]"""

_TABLE = """\
table = $function($sides).table()
print(table.to_string())"""

#: What compares two results of a kind.
_FUNCTIONS: dict[type[Request], str] = {
    NodeAttributionRequest: "attribution_comparison",
    PathRequest: "path_comparison",
    StrongestPathsRequest: "strongest_comparison",
    AllSourcesRequest: "sweep_comparison",
}

#: The run of an attribution that is shown, and the position.
Shown = tuple[RunShown, int]


def comparison_code(a: Request[Any], b: Request[Any], shown: tuple[Shown, Shown] | None = None) -> Code:
    """Code that compares the results of two requests of one kind.

    `shown` is what of two attributions is compared, and is given for those alone.
    """
    function, kinds, sides = _FUNCTIONS[type(a)], [type(a).__name__], "a, b"
    between: tuple[tuple[str, str], ...] = ()
    if shown is not None:
        sides = ", ".join(f"({name}, {run!r}, {at})" for name, (run, at) in zip("ab", shown, strict=True))
    elif isinstance(a, StrongestPathsRequest):
        kinds.insert(0, "ChosenPathsRequest")
        sides = "a, b, tuple(left)"
        missing = filled(_MISSING, {"metric": a.metric})
        between = (("The paths that lead on the other side, measured as well.", missing),)
    imports = filled(_IMPORTS, {}, function=function, kinds=", ".join(kinds))
    return Code(
        "A comparison of two results, A and B",
        "Pathscope",
        (
            ("What is asked, and what compares.", imports),
            ("A.", _side("a", a)),
            ("B.", _side("b", b)),
            *between,
            ("Item by item: A, B, and B minus A.", filled(_TABLE, {}, function=function, sides=sides)),
        ),
    )


def _side(side: str, request: Request[Any]) -> str:
    asked = arguments(request, "        ")
    return filled(
        _SIDE,
        {},
        side=side,
        kind=type(request).__name__,
        experiment=arguments(request.experiment, "            "),
        asked=f"{asked}\n" if asked else "",
    )
