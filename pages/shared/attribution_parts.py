"""What every view of an attribution says in numbers: that the parts are the whole, and which are largest."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from analysis.labels import number
from pages.shared.heights import grid_height
from pages.shared.keys import Key
from pages.shared.resolution import written
from pages.shared.terms import meaning_of

if TYPE_CHECKING:
    import pandas as pd

#: Rows of the list beside a chart; the download has all.
_MOST_LISTED = 20


def sum_of_parts(parts: float, bias: float, own: float) -> None:
    """The sum of the parts beside the model's own logit difference `own`, and the gap between them."""
    with st.container(horizontal=True, gap="large", key=Key.METRICS):
        st.metric("Sum of the parts", number(parts, "+.4f"), width="content", help=meaning_of("attribution"))
        st.metric(
            "Unembedding bias",
            number(bias, "+.4f"),
            width="content",
            help="What the unembedding gives to the answer more than to the foil, whatever the stream holds.",
        )
        st.metric(
            "Model's logit difference",
            number(own, "+.4f"),
            width="content",
            help=meaning_of("logit difference"),
        )
        st.metric(
            "Gap",
            number(parts + bias - own, "+.1e"),
            width="content",
            help="Parts plus bias, minus the model's own logit difference: only rounding may be left.",
        )


def largest_first(table: pd.DataFrame) -> pd.DataFrame:
    """Parts by absolute attribution, one row for each position shown; no mean over positions is taken."""
    order = np.argsort(-table["attribution"].abs().to_numpy(), kind="stable")
    return table.iloc[order].reset_index(drop=True)


def largest_list(table: pd.DataFrame, *names: str) -> None:
    """The first rows of `table`: the columns `names`, and the attribution."""
    largest = table.head(_MOST_LISTED)
    formats = {"attribution": partial(number, form="+.3f")}
    st.dataframe(
        written(largest[[*names, "attribution"]], formats, largest["below_resolution"]),
        hide_index=True,
        width="stretch",
        height=grid_height(len(largest)),
        column_config={"attribution": st.column_config.NumberColumn("logits")},
    )
