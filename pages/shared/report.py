"""The current experiment as one HTML file: what a page shows, the pair, answers, paths, nodes, code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.answers import answer, on_behalf_of, stored
from analysis.errors import PathscopeError, PictureError
from analysis.exports import Report, Section, origin_rows, report_html, without_places
from analysis.requests import Experiment
from analysis.results import (
    NodeAttributionRequest,
    OverviewRequest,
    OverviewResult,
    SanityRequest,
    StrongestPathsRequest,
)
from pages.shared.disclosure import without_places as without_paths
from pages.shared.shown import Shown
from pages.shared.shown_paths import of_strongest_paths
from pages.shared.shown_results import of_nodes, of_overview, of_sanity

if TYPE_CHECKING:
    import pandas as pd


def report_of(shown: Shown, link: str, who: str | None) -> str:
    """The report of `shown` and of its experiment, as HTML.

    What it holds beside `shown` is computed on behalf of `who` where it is not there yet, but for the
    sanity checks. To be called outside of any run: a file is made when it is asked for.
    """
    parts = {shown.name: shown}
    sections = []
    with on_behalf_of(who):
        for ask in (_overview, _strongest_paths, _nodes, _sanity):
            try:
                found = ask(shown.experiment)
            except PathscopeError as error:
                sections.append(Section(ask.__name__, "Not to be had", (without_paths(str(error)),)))
            else:
                parts |= {} if found is None or found.name in parts else {found.name: found}
    pairs = [part.told for part in parts.values() if isinstance(part.told, OverviewResult)]
    return report_html(
        Report(
            shown.title,
            (shown.sentence, _asked(without_places(shown.experiment))),
            (
                *(Section("pair", "The pair", frame=aligned(pair)) for pair in pairs),
                *(_section(part, first=part is shown) for part in parts.values()),
                *sections,
                *map(_origin, parts.values()),
                _python(shown),
            ),
            link,
        )
    )


def _overview(experiment: Experiment) -> Shown:
    return of_overview(answer(OverviewRequest(experiment)).result)


def _strongest_paths(experiment: Experiment) -> Shown:
    return of_strongest_paths(answer(StrongestPathsRequest(experiment)).result)


def _nodes(experiment: Experiment) -> Shown:
    result = answer(NodeAttributionRequest(experiment)).result
    return of_nodes(result, "clean", len(result.clean_tokens) - 1)


def _sanity(experiment: Experiment) -> Shown | None:
    found = stored(SanityRequest(experiment))
    return None if found is None else of_sanity(found.result)


def aligned(result: OverviewResult) -> pd.DataFrame:
    """Both prompts token by token, and where they differ."""
    import pandas as pd

    return pd.DataFrame(
        {
            "position": range(len(result.clean_tokens)),
            "clean": list(map(_text, result.clean_tokens)),
            "corrupted": list(map(_text, result.corrupted_tokens)),
            "differs": ["≠" * (at in result.differences) for at in range(len(result.clean_tokens))],
        }
    )


def _text(token: str) -> str:
    # Half of a surrogate pair is no text to a table.
    return token.encode("utf-8", "backslashreplace").decode()


def _asked(experiment: Experiment) -> str:
    return (
        f"Model {experiment.model}. Clean prompt {experiment.clean!r}, answer {experiment.answer!r}. "
        f"Corrupted prompt {experiment.corrupted!r}, foil {experiment.foil!r}."
    )


def _section(shown: Shown, first: bool = False) -> Section:
    from analysis.charts import Layout, chart_svg

    # The report begins with what the page says.
    said = [shown.measured] if first else [shown.sentence, shown.measured]
    svg = ""
    if shown.draw is not None:
        layout = Layout(caption=False)
        try:
            svg = chart_svg(shown.draw("light", layout.pixels), "light", {}, layout)
        except PictureError as error:
            said.append(str(error))
    return Section(shown.name, shown.title, tuple(filter(None, said)), svg, shown.table)


def _origin(shown: Shown) -> Section:
    rows = origin_rows(shown.told.origin())
    return Section(f"{shown.name}_origin", f"Where it comes from: {shown.title}", frame=rows)


def _python(shown: Shown) -> Section:
    named = without_places(shown.experiment)
    said = (
        ()
        if named == shown.experiment
        else ("The model was read from a folder of one machine; set its path where its name stands.",)
    )
    return Section("python", "The same in Python", said, script=shown.codes(without_places)[0].script())
