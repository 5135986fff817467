"""The most probable next tokens of both prompts, on one scale."""

from __future__ import annotations

import altair as alt
import pandas as pd

from analysis.charts.style import PALETTES, Theme, shown_token
from analysis.results import OverviewResult

#: Tokens taken from each prompt's list; the chart shows both runs for every token of either.
MOST_TOKENS = 6


def predictions_chart(result: OverviewResult, theme: Theme = "light") -> alt.Chart:
    """Two bars a token: its probability after the clean and after the corrupted prompt."""
    table = _table(result)
    palette = PALETTES[theme]
    order = list(dict.fromkeys(table["token"]))
    runs = alt.Scale(domain=["clean", "corrupted"], range=[palette.positive, palette.negative])
    return (
        alt.Chart(table)
        .mark_bar(cornerRadiusEnd=2)
        .encode(
            y=alt.Y("token:N", sort=order, title=None, axis=alt.Axis(labelFontSize=13, labelLimit=160)),
            yOffset=alt.YOffset("prompt:N", sort=["clean", "corrupted"]),
            x=alt.X(
                "probability:Q",
                title="probability",
                axis=alt.Axis(format=".0%"),
                scale=alt.Scale(domainMax=1),
            ),
            color=alt.Color(
                "prompt:N", scale=runs, title="after the prompt", legend=alt.Legend(orient="top")
            ),
            tooltip=[
                alt.Tooltip("token:N"),
                alt.Tooltip("prompt:N"),
                alt.Tooltip("probability:Q", format=".4f"),
                alt.Tooltip("logit:Q", format="+.3f"),
            ],
        )
        .properties(
            height=alt.Step(13),
            description="Probability of the likeliest next tokens after the clean and the corrupted prompt.",
        )
    )


def _table(result: OverviewResult) -> pd.DataFrame:
    rows = []
    for prompt, top in (("clean", result.clean_top), ("corrupted", result.corrupted_top)):
        for token, logit, probability in top[:MOST_TOKENS]:
            rows.append(
                {
                    "token": shown_token(token),
                    "prompt": prompt,
                    "probability": round(probability, 6),
                    "logit": round(logit, 4),
                }
            )
    return pd.DataFrame(rows)
