"""Numbers that rounding alone can explain: tables say so in their place, a caption tells the way out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import streamlit as st

from analysis.results import Result

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from pandas.io.formats.style import Styler

BELOW = "below resolution"


def written(table: pd.DataFrame, formats: Mapping[str, Callable[[float], str]], below: pd.Series) -> Styler:
    """`table` with its numbers written by `formats`, and a word for them in the rows that are `below`.

    The numbers stay what they are, so that a table is sorted by them.
    """
    columns = list(formats)
    return table.style.format(dict(formats)).format(lambda _: BELOW, subset=(below.index[below], columns))


def resolution_caption(result: Result, below: pd.Series | np.ndarray, what: str) -> None:
    """How many numbers are `below` the result's resolution, and the way out."""
    few, provenance = int(below.sum()), result.provenance
    if not few or provenance.resolution is None:
        return
    sentence = (
        f"{few:,} of {len(below):,} {what} are below the resolution of {provenance.dtype} on this "
        f"experiment, {provenance.resolution:.0e}: rounding alone can explain what is measured there."
    )
    if provenance.dtype != "float64":
        sentence += (
            " A model folder that is saved in float64 (dtype: float64 in its config.json) is computed in "
            "float64."
        )
    st.caption(sentence)
