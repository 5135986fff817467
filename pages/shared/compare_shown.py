"""What a comparison shows, as it leaves."""

from __future__ import annotations

from analysis.compare import Comparison
from pages.shared.compare_results import Found
from pages.shared.compare_sides import Side
from pages.shared.shown import Shown, codes_of


def of_comparison(found: Found, comparison: Comparison, sentence: str, a: Side) -> Shown:
    """Both sides and their difference, item by item; the Python is that of A."""
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
        codes=lambda experiment: codes_of(found.a, experiment, run=a.run),
    )
