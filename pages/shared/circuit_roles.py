"""The circuit that is known of the model at hand, beside what is drawn."""

from __future__ import annotations

import math

import streamlit as st

from analysis.circuit import Agreement, KnownCircuit, known_circuit
from analysis.labels import percent
from analysis.results import EdgeLabels, GraphResult


def known_of(graph: GraphResult) -> KnownCircuit | None:
    """The circuit that others found or set in this model; None where there is none."""
    return known_circuit(graph.request.experiment.model, graph.graph)


def roles_panel(known: KnownCircuit, edges: EdgeLabels) -> None:
    """How much of the known circuit is drawn, and how much of what is drawn is known."""
    st.caption(
        f"Heads with a known role ({known.task}, {known.source}) carry its name. "
        f"Heads: {_agreement(known.heads_agreement(edges))} "
        f"Paths between heads and into the logits: {_agreement(known.edges_agreement(edges))}"
    )


def _agreement(found: Agreement) -> str:
    precision = "" if math.isnan(found.precision) else f", {percent(found.precision)} of what is drawn"
    return f"{found.both} of the {found.known} known ones are drawn ({percent(found.recall)}){precision}."
