"""Help, a tour, what the app is and the link to the view, each a click away on every page."""

from __future__ import annotations

from dataclasses import dataclass, field

import streamlit as st

from analysis import __version__
from pages.shared import address
from pages.shared.explanations import EXPLANATIONS
from pages.shared.keys import Key
from pages.shared.link import copy_link
from pages.shared.navigation import (
    ALL_SOURCES,
    ATTRIBUTION,
    CIRCUIT,
    PATH_PATCHING,
    RESULT,
    Leaf,
    leaf_at_hand,
)
from pages.shared.papers import PAPERS, Paper
from pages.shared.terms import TERMS


@dataclass(frozen=True)
class Step:
    """One stop of the tour: a page, the parameters of the view there, and what to see."""

    leaf: Leaf
    sentence: str
    view: dict[str, str] = field(default_factory=dict)


#: The first ready example in the trained bundled model, which is what an address without an experiment means.
TOUR = (
    Step(
        RESULT,
        "One token differs, ·John or ·Mary at position 10, and the model's answer with it: ·Mary after the "
        "clean prompt, ·John after the corrupted one.",
    ),
    Step(
        ATTRIBUTION,
        "The MLPs of the last two layers write most of the answer. What they read has come from elsewhere.",
        {Key.UNIT: "component"},
    ),
    Step(
        ALL_SOURCES,
        "Every path between two heads, patched alone: through the value that L2H5 reads of L0H7 comes back "
        "a third of the difference, more than through any other.",
        {Key.COMPONENT: "v"},
    ),
    Step(
        PATH_PATCHING,
        "L0H7 tells L1H0 as well, and L1H0 tells L2H5: a chain.",
        {Key.SOURCE_LAYER: "0", Key.SOURCE_HEAD: "7", Key.COMPONENT: "v"},
    ),
    Step(
        CIRCUIT,
        "Paths from the embedding, heads and MLPs, patched together: how much of the answer a handful "
        "keeps, beside random sets of the same size.",
    ),
)


def guide() -> None:
    """Draw the four in one row."""
    with st.container(horizontal=True, gap="xsmall", key=Key.GUIDE):
        leaf = leaf_at_hand()
        if leaf is not None:
            with st.popover("Help", key=f"{Key.GUIDE}_help"):
                _help(leaf)
        # By another key on each page: else it would stay open over the page to which a step of it leads.
        with st.popover("Tour", key=f"{Key.GUIDE}_tour_{leaf and leaf.title}"):
            _tour()
        with st.popover("About", key=f"{Key.GUIDE}_about"):
            _about()
        with st.popover("Copy link", icon=":material/link:", key=f"{Key.GUIDE}_link"):
            copy_link()


def _help(leaf: Leaf) -> None:
    told = EXPLANATIONS[leaf]
    st.markdown(f"**{leaf.title}.** {told.question}")
    # In line, though alone: what KaTeX displays scrolls by a pixel, and no key reaches it.
    st.markdown(f"${told.formula}$")
    st.caption(told.where)
    st.markdown("\n".join(f"- **{term}**: {TERMS[term]}" for term in told.terms))
    st.markdown(_cited(told.papers))


def _tour() -> None:
    st.markdown("**One example in five steps**, in the bundled model demo. Each link opens its page with it.")
    for number, step in enumerate(TOUR, start=1):
        label = f"{number}. {step.leaf.title}"
        if step.leaf is leaf_at_hand():  # to which a link from itself would not lead
            key = f"{Key.GUIDE}_step"
            st.button(
                label, key=key, icon=step.leaf.icon, type="tertiary", on_click=address.hold, args=(step.view,)
            )
        else:
            st.page_link(step.leaf.file, label=label, icon=step.leaf.icon, query_params=dict(step.view))
        st.caption(step.sentence)


def _about() -> None:
    st.markdown(
        f"**Pathscope {__version__}**, MIT licence. Which component wrote an answer, which part told which "
        "later part, and which paths are the mechanism. Models are opened through TransformerLens. "
        "README.md beside the source says how to use it in notebooks and how it is measured."
    )
    st.markdown(_cited(PAPERS))


def _cited(papers: tuple[Paper, ...]) -> str:
    return "\n".join(f"- {paper.cited}, [{paper.title}]({paper.address}): {paper.gives}." for paper in papers)
