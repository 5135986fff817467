"""What a page shows of one result, with everything by which it can leave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from analysis.exports import Code, Tensors, library_code, request_code, tensors_of
from analysis.requests import Experiment
from analysis.results import Result, RunShown

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

    from analysis.charts import Theme

#: Draws in the colours of a theme; the width in pixels matters only to what has angles.
Draw = Callable[["Theme", int], "alt.Chart | alt.LayerChart"]
#: How an experiment's model is named in code: as here, or as it may leave this machine.
Naming = Callable[[Experiment], Experiment]
#: The code that asks anew.
Codes = Callable[[Naming], tuple[Code, ...]]


class Told(Protocol):
    """What can tell where its numbers come from."""

    def origin(self) -> dict[str, str]:
        """Label -> text."""


class File(NamedTuple):
    """A file of its own kind, made when it is asked for."""

    label: str
    name: str
    mime: str
    data: Callable[[], str | bytes]


@dataclass(frozen=True, eq=False)
class Shown:
    """One result on a page. `name` begins the names of its files, `title` says what the picture shows.

    `sentence` is what was found, `measured` says how it is known. Of what is None there is none.
    """

    name: str
    title: str
    told: Told
    experiment: Experiment
    sentence: str
    measured: str
    table: pd.DataFrame
    draw: Draw | None
    codes: Codes
    tensors: Callable[[], Tensors | None] = lambda: None
    files: tuple[File, ...] = ()

    @classmethod
    def of(
        cls,
        result: Result,
        *,
        name: str,
        title: str,
        sentence: str,
        measured: str,
        table: pd.DataFrame,
        draw: Draw | None,
        asked: str | None = "table()",
        run: RunShown = "clean",
        position: int | None = -1,
    ) -> Shown:
        """Of a result; `asked` is how its table is asked for in Python, None where the library alone does."""
        return cls(
            name=name,
            title=title,
            told=result,
            experiment=result.request.experiment,
            sentence=sentence,
            measured=measured,
            table=table,
            draw=draw,
            codes=lambda named: codes_of(result, named(result.request.experiment), asked, run, position),
            tensors=lambda: tensors_of(result),
        )


def codes_of(
    result: Result,
    experiment: Experiment,
    asked: str | None = "table()",
    run: RunShown = "clean",
    position: int | None = -1,
) -> tuple[Code, ...]:
    """The code that asks for `result` on `experiment`: of the library where it can, then of `analysis`."""
    request: Any = replace(result.request, experiment=experiment)
    alone = library_code(replace(result, request=request), run, position)
    ours = None if asked is None else request_code(request, asked)
    return tuple(code for code in (alone, ours) if code is not None)


def rounding(result: Result) -> str:
    """The end of a sentence that says how `result` is known: what is rounding in it."""
    finest = result.provenance.resolution
    return "" if finest is None else f"; what is smaller than {finest:.1e} is rounding"
