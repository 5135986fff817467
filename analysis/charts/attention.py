"""What a head attends to, and what it writes of each token: of one run or as the difference of two."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd
from jaxtyping import Float

from analysis.charts.once import drawn_once
from analysis.charts.scales import PERCENT, diverging, reach, rounded
from analysis.charts.themes import PALETTES, Palette, Theme, drawn
from analysis.labels import shown_token
from analysis.results import NodeResult, PatternShown, WriteRead

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


@drawn_once
def attention_chart(result: NodeResult, shown: PatternShown, theme: Theme = "light") -> alt.LayerChart:
    """Rows are the tokens that read, columns those that are read; later tokens, in grey, cannot be read.

    Raises `PathscopeError` for a pattern that `result` does not have.
    """
    palette, pattern = PALETTES[theme], result.pattern(shown)
    colour, form = _strength(CALLED[shown], palette), ".1%"
    if "_minus_" in shown:
        end = max(reach(pattern), _LEAST_END)
        colour, form = diverging("value", CALLED[shown], end, palette, PERCENT), "+.1%"
    names = _names(result.tokens(shown))
    last = np.abs(pattern[-1])
    description = (
        f"Attention of {result.request.node}, {CALLED[shown]}. "
        f"The last token reads most from {names[int(last.argmax())]}."
    )
    return _by_token(pattern, names, colour, ("attention", form), theme, description)


@drawn_once
def read_from_chart(result: NodeResult, shown: WriteRead, theme: Theme = "light") -> alt.LayerChart:
    """What a head writes straight to answer minus foil at each token, by the token that it reads; in logits.

    Raises `PathscopeError` where the head's write is no sum over tokens.
    """
    palette, split = PALETTES[theme], result.read_from(shown)
    names = _names(result.clean_tokens)
    called = f"written to answer minus foil, {CALLED[shown]} (logits)"
    colour = diverging("value", called, reach(split, result.provenance.resolution), palette)
    strongest = int(np.abs(split[-1]).argmax())
    description = (
        f"What {result.request.node} writes to answer minus foil by the token read, {CALLED[shown]}. "
        f"At the last token most is read from {names[strongest]}: {split[-1, strongest]:+.3g} logits."
    )
    return _by_token(split, names, colour, ("logits", "+.4f"), theme, description)


def _by_token(
    values: Float[np.ndarray, "query key"],
    names: list[str],
    colour: alt.Color,
    told: tuple[str, str],
    theme: Theme,
    description: str,
) -> alt.LayerChart:
    """A cell for each token that reads and each that it can read; `told` names and formats its number."""
    rows = _cells(names, np.tril_indices(len(values)))
    rows["value"] = rounded(values[np.tril_indices(len(values))])
    place = {
        "x": alt.X("read:N", sort=names, title="token read", axis=alt.Axis(labelAngle=-60, labelLimit=90)),
        "y": alt.Y("reading:N", sort=names, title="token that reads", axis=alt.Axis(labelLimit=110)),
    }
    tooltip = [
        alt.Tooltip("reading:N", title="reads"),
        alt.Tooltip("read:N", title="is read"),
        alt.Tooltip("value:Q", title=told[0], format=told[1]),
    ]
    cells = alt.Chart(rows).mark_rect().encode(**place, color=colour, tooltip=tooltip)
    later = alt.Chart(_cells(names, np.triu_indices(len(values), 1)))
    masked = later.mark_rect(color=PALETTES[theme].masked, tooltip=None).encode(**place)
    return drawn([cells, masked], theme, _ROW * len(names), description)


def _names(tokens: tuple[str, ...]) -> list[str]:
    return [f"{index}: {shown_token(token)}" for index, token in enumerate(tokens)]


def _cells(names: list[str], places: tuple[np.ndarray, np.ndarray]) -> pd.DataFrame:
    """The tokens at `places`, of those that read and of those that are read."""
    reading, read = places
    return pd.DataFrame(
        {"reading": [names[index] for index in reading], "read": [names[index] for index in read]}
    )


def _strength(title: str, palette: Palette) -> alt.Color:
    """From nothing to all of a token's attention."""
    return alt.Color(
        "value:Q",
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
