"""What a head attends to: token by token, of one run or as the difference of two."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from analysis.charts.scales import PERCENT, diverging, reach, rounded
from analysis.charts.themes import PALETTES, Palette, Theme, drawn
from analysis.labels import shown_token
from analysis.results import NodeResult, PatternShown

#: How each pattern is called.
CALLED: dict[PatternShown, str] = {
    "clean": "clean run",
    "corrupted": "corrupted run",
    "patched": "corrupted run, path patched",
    "clean_minus_corrupted": "clean minus corrupted",
    "patched_minus_corrupted": "patched minus corrupted",
}
#: Height of a token's row in pixels.
_ROW = 20
#: No scale of a difference ends below this share of a token's attention: small differences look pale.
_LEAST_END = 0.01


def attention_chart(result: NodeResult, shown: PatternShown, theme: Theme = "light") -> alt.LayerChart:
    """Rows are the tokens that read, columns those that are read; later tokens, in grey, cannot be read.

    Raises `PathscopeError` for a pattern that `result` does not have.
    """
    palette, pattern = PALETTES[theme], result.pattern(shown)
    names = [f"{index}: {shown_token(token)}" for index, token in enumerate(result.tokens(shown))]
    rows = _cells(names, np.tril_indices(len(pattern)))
    rows["attention"] = rounded(pattern[np.tril_indices(len(pattern))])
    is_difference = "_minus_" in shown
    end = max(reach(pattern), _LEAST_END) if is_difference else 1.0
    place = {
        "x": alt.X("read:N", sort=names, title="token read", axis=alt.Axis(labelAngle=-60, labelLimit=90)),
        "y": alt.Y("reading:N", sort=names, title="token that reads", axis=alt.Axis(labelLimit=110)),
    }
    later = alt.Chart(_cells(names, np.triu_indices(len(pattern), 1)))
    cells = (
        alt.Chart(rows)
        .mark_rect()
        .encode(
            **place,
            color=diverging("attention", CALLED[shown], end, palette, PERCENT)
            if is_difference
            else _strength(CALLED[shown], palette),
            tooltip=[
                alt.Tooltip("reading:N", title="reads"),
                alt.Tooltip("read:N", title="is read"),
                alt.Tooltip("attention:Q", format="+.1%" if is_difference else ".1%"),
            ],
        )
    )
    masked = later.mark_rect(color=palette.masked, tooltip=None).encode(**place)
    return drawn([cells, masked], theme, _ROW * len(names), _description(result, shown, names))


def _cells(names: list[str], places: tuple[np.ndarray, np.ndarray]) -> pd.DataFrame:
    """The tokens at `places`, of those that read and of those that are read."""
    reading, read = places
    return pd.DataFrame(
        {"reading": [names[index] for index in reading], "read": [names[index] for index in read]}
    )


def _strength(title: str, palette: Palette) -> alt.Color:
    """From nothing to all of a token's attention."""
    return alt.Color(
        "attention:Q",
        scale=alt.Scale(domain=[0, 1], range=[palette.neutral, palette.clean]),
        legend=alt.Legend(
            title=title,
            values=[0, 0.5, 1],
            format=".0%",
            orient="top",
            direction="horizontal",
            gradientLength=160,
        ),
    )


def _description(result: NodeResult, shown: PatternShown, names: list[str]) -> str:
    last = np.abs(result.pattern(shown)[-1])
    return (
        f"Attention of {result.request.node}, {CALLED[shown]}. "
        f"The last token reads most from {names[int(last.argmax())]}."
    )
