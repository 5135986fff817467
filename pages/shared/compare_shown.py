"""What a comparison shows, as it leaves."""

from __future__ import annotations

from dataclasses import replace

from analysis.compare import Comparison
from analysis.exports import Code, comparison_code
from analysis.results import NodeAttributionResult
from pages.shared.compare_results import Found
from pages.shared.compare_sides import Side
from pages.shared.shown import Naming, Shown


def of_comparison(found: Found, comparison: Comparison, sentence: str, a: Side, b: Side) -> Shown:
    """Both sides and their difference, item by item."""
    from analysis.charts import comparison_maps_chart, comparison_scatter_chart

    has_map = comparison.places is not None and bool(comparison.labels)
    return Shown(
        name="comparison",
        title=f"A, B and B minus A of every {found.called[0]}",
        told=found,
        experiment=found.a.request.experiment,
        sentence=sentence,
        measured="Both sides as on their own pages; the difference is B minus A.",
        table=comparison.table(),
        draw=lambda theme, _: (
            comparison_maps_chart(comparison, *found.axes, theme)
            if has_map
            else comparison_scatter_chart(comparison, theme)
        ),
        codes=lambda named: (_code(found, a, b, named),),
    )


def _code(found: Found, a: Side, b: Side, named: Naming) -> Code:
    ours, theirs = (
        replace(result.request, experiment=named(result.request.experiment)) for result in (found.a, found.b)
    )
    if not isinstance(found.a, NodeAttributionResult) or not isinstance(found.b, NodeAttributionResult):
        return comparison_code(ours, theirs)
    one, other = (
        (side.run, side.at(len(result.clean_tokens))) for side, result in ((a, found.a), (b, found.b))
    )
    return comparison_code(ours, theirs, (one, other))
