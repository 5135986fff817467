"""What the model expects next, on both prompts."""

from __future__ import annotations

import altair as alt
import pandas as pd

from analysis.charts.once import drawn_once
from analysis.charts.scales import rounded
from analysis.charts.themes import PALETTES, Theme, drawn
from analysis.labels import shown_token
from analysis.results import OverviewResult

#: Tokens taken from each prompt's list.
MOST_TOKENS = 6
#: Written out, a smaller probability would round to zero.
_LEAST_SHOWN = 0.001


@drawn_once
def predictions_chart(result: OverviewResult, theme: Theme = "light") -> alt.LayerChart:
    """Most probable next tokens of both prompts, two bars to a token on one scale.

    A token that is in only one of the lists has one bar; the other is below the end of its list,
    and the chart says so rather than draw a zero.
    """
    palette = PALETTES[theme]
    rows = _rows(result)
    base = alt.Chart(rows).encode(
        y=alt.Y("label:N", sort=None, title=None, axis=alt.Axis(labelLimit=220)),
        yOffset=alt.YOffset("prompt:N", sort=["clean", "corrupted"], scale=alt.Scale(paddingInner=0.1)),
        tooltip=[
            alt.Tooltip("token:N"),
            alt.Tooltip("prompt:N"),
            alt.Tooltip("probability:Q", format=".4%"),
            alt.Tooltip("logit:Q", format="+.3f"),
        ],
    )
    colour = alt.Color(
        "prompt:N",
        scale=alt.Scale(domain=["clean", "corrupted"], range=[palette.clean, palette.corrupted]),
        legend=alt.Legend(title=None, orient="top"),
    )
    top = max(1e-6, float(rows["probability"].max()))
    x = alt.X(
        "probability:Q",
        title="probability of the next token",
        scale=alt.Scale(domain=[0, min(1.15, top * 1.15)], nice=False),
        axis=alt.Axis(format="~%", tickCount=5),
    )
    bars = base.mark_bar().encode(x=x, color=colour).transform_filter("isValid(datum.probability)")
    numbers = base.mark_text(align="left", dx=5, color=palette.muted, fontSize=11).encode(
        x=alt.X("at:Q"), text=alt.Text("shown:N")
    )
    height = max(120, 34 * rows["label"].nunique())
    return drawn([bars, numbers], theme, height, _description(result))


def _rows(result: OverviewResult) -> pd.DataFrame:
    """One row for each token and prompt, the most probable token first."""
    tops = {"clean": result.clean_top, "corrupted": result.corrupted_top}
    known = {run: {token: (logit, chance) for token, logit, chance in top} for run, top in tops.items()}
    tokens = dict.fromkeys(token for top in tops.values() for token, _, _ in top[:MOST_TOKENS])
    chances = {token: max(found[token][1] for found in known.values() if token in found) for token in tokens}
    ranked = sorted(tokens, key=chances.__getitem__, reverse=True)
    labels = _labels(ranked, result)
    rows = []
    for token in ranked:
        for run, found in known.items():
            logit, chance = rounded(found[token]) if token in found else (None, None)
            least = min(chance for _, chance in found.values())
            rows.append(
                {
                    "label": labels[token],
                    "token": shown_token(token),
                    "prompt": run,
                    "probability": chance,
                    "logit": logit,
                    "at": chance or 0.0,
                    "shown": _below(least) if chance is None else _percent(chance),
                }
            )
    return pd.DataFrame(rows)


def _percent(chance: float) -> str:
    return f"{chance:.1%}" if chance >= _LEAST_SHOWN else _below(_LEAST_SHOWN)


def _below(chance: float) -> str:
    return f"< {max(chance, _LEAST_SHOWN):.1%}"


def _labels(tokens: list[str], result: OverviewResult) -> dict[str, str]:
    """What stands beside each token's bars, different for different tokens."""
    roles = {result.request.experiment.answer: " (answer)", result.request.experiment.foil: " (foil)"}
    labels: dict[str, str] = {}
    for token in tokens:
        label = shown_token(token) + roles.get(token, "")
        labels[token] = f"{label} {shown_token(repr(token))}" if label in labels.values() else label
    return labels


def _description(result: OverviewResult) -> str:
    (clean, _, p_clean), (corrupted, _, p_corrupted) = result.clean_top[0], result.corrupted_top[0]
    return (
        f"Most probable next tokens. Clean prompt: {shown_token(clean)} at {p_clean:.1%}. "
        f"Corrupted prompt: {shown_token(corrupted)} at {p_corrupted:.1%}."
    )
