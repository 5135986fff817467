"""What pages begin with where nobody has chosen: the strongest path between two heads."""

from __future__ import annotations

import streamlit as st

from analysis.answers import answer
from analysis.errors import UnsupportedModelError
from analysis.requests import Experiment
from analysis.results import PathsResult, StrongestPathsRequest
from pages.shared import address
from pages.shared.cards import answer_or_stop
from pages.shared.choices import COMPONENT
from pages.shared.keys import SOURCE_KEYS, Key


def begin_with_the_strongest(experiment: Experiment) -> PathsResult | None:
    """Where nobody has chosen component and source, take those of the strongest path.

    To be called before their controls are drawn. Returns the strongest paths, None where this model has
    no estimate. What is taken so stays out of the address: it follows from the experiment alone, in
    every browser and on every server.
    """
    request, found = StrongestPathsRequest(experiment), None
    if st.session_state.get(Key.WITHOUT_LEAD) != experiment:
        try:
            found = answer_or_stop(
                lambda: answer(request), "Looking for the strongest paths", kept=(UnsupportedModelError,)
            ).result
        except UnsupportedModelError:
            st.session_state[Key.WITHOUT_LEAD] = experiment
    lead = {**dict.fromkeys(SOURCE_KEYS, 0), Key.COMPONENT: COMPONENT.default}
    if found is not None and len(found.effect):
        path = found.table().iloc[0]
        places = int(path["sl"]), int(path["sh"])
        lead = {**dict(zip(SOURCE_KEYS, places, strict=True)), Key.COMPONENT: path["component"]}
    address.take_lead(lead)
    return found
