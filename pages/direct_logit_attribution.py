"""Which part of the model wrote the answer: direct logit attribution."""

from __future__ import annotations

import streamlit as st

from pages.shared.attribution_map import attribution_map
from pages.shared.attribution_units import attribution_by_unit
from pages.shared.choices import RUN, UNIT
from pages.shared.experiment import experiment_at_hand
from pages.shared.keys import Key
from pages.shared.notes import note

experiment = experiment_at_hand()
st.title("Direct logit attribution")
with st.container(key=Key.CONTROLS):
    unit = UNIT.draw()
    row = st.container(horizontal=True, gap="medium")
with row:
    run = RUN.draw()
st.caption(f"{UNIT.meanings[unit]} In logits; positive pushes towards the answer, negative towards the foil.")
if unit == "node":
    attribution_map(experiment, run, row)
elif run == "clean_minus_corrupted":
    note("Clean minus corrupted is shown in the map alone; this is the clean run.")
    attribution_by_unit(experiment, unit, "clean", row)
else:
    attribution_by_unit(experiment, unit, run, row)
