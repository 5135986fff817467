"""What is ready to be looked at: the first page of a server for strangers. It needs no model."""

from __future__ import annotations

from dataclasses import asdict

import streamlit as st

from analysis.answers import stored
from analysis.demo_model.examples import Example
from analysis.labels import counted
from analysis.models import BUNDLED, entries, offered, ready_examples
from analysis.requests import Experiment
from analysis.results import (
    GraphRequest,
    NodeAttributionRequest,
    OverviewRequest,
    PromptSetRequest,
    StrongestPathsRequest,
)
from analysis.sets import READY_SIZE, kind_of
from pages.shared.findings import largest_nodes, strongest_path
from pages.shared.navigation import ATTRIBUTION, CIRCUIT, PATH_PATCHING, PROMPT_SET, RESULT, Leaf, page_link
from pages.shared.set_results import known_paths
from pages.shared.set_state import pair_of
from pages.shared.set_words import paths_finding


def findings(experiment: Experiment) -> dict[Leaf, str]:
    """What is known of `experiment` without computing, a sentence for each page that shows it."""
    found = {}
    if (overview := stored(OverviewRequest(experiment))) is not None:
        clean, corrupted = overview.result.metrics["logit_difference"]
        found[RESULT] = (
            f"Answer minus foil: {clean:+.2f} logits on the clean prompt, {corrupted:+.2f} on the other."
        )
    if (nodes := stored(NodeAttributionRequest(experiment))) is not None:
        found[ATTRIBUTION] = largest_nodes(nodes.result, "clean", -1)
    if (paths := stored(StrongestPathsRequest(experiment))) is not None and len(paths.result.effect):
        found[PATH_PATCHING] = strongest_path(paths.result)
    if (graph := stored(GraphRequest(experiment))) is not None:
        writer, reader = graph.result.graph.labels(graph.result.ranking[:1])[0]
        found[CIRCUIT] = f"Of {len(graph.result.graph):,} paths, {writer} to {reader} is worth most."
    if kind_of(pair_of(experiment)) is not None:
        over = known_paths(PromptSetRequest(experiment, None, READY_SIZE))
        if over is not None:
            found[PROMPT_SET] = f"{counted(over.n_prompts, 'prompt')} of this kind. {paths_finding(over)}"
    return found


def card(example: Example, experiment: Experiment, found: dict[Leaf, str]) -> None:
    """One pair of prompts: what it is about, what was found, and the ways there."""
    with st.container(border=True):
        st.subheader(example.title)
        st.caption(example.explanation)
        st.text(f"Clean: {example.clean}\nCorrupted: {example.corrupted}")
        for leaf, sentence in found.items():
            st.text(sentence)
            page_link(leaf, leaf.title, **asdict(experiment))


st.title("Gallery")
st.caption("Pairs of prompts whose answers are ready. Everything here is stored and shown at once.")
n_shown = 0
for model in offered():
    ready = {}
    for example in ready_examples(model):
        experiment = Experiment(model, example.clean, example.corrupted, example.answer, example.foil)
        if found := findings(experiment):
            ready[example] = experiment, found
    if ready:
        st.header(f"Bundled model {model}" if model in BUNDLED else model)
        st.caption(next((entry.description for entry in entries() if entry.name == model), ""))
    for example, (experiment, found) in ready.items():
        card(example, experiment, found)
    n_shown += len(ready)
if not n_shown:
    st.text("Nothing is ready here yet. Open the page Result, which computes the first example.")
