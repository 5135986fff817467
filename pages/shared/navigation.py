"""The pages, and the ways into one: by its link; from an edge to its source."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from analysis.policy import policy
from pages.shared import address
from pages.shared.keys import Key


@dataclass(frozen=True)
class Leaf:
    """One page of the app."""

    file: str
    title: str
    icon: str


RESULT = Leaf("pages/result.py", "Result", ":material/home:")
ATTRIBUTION = Leaf("pages/direct_logit_attribution.py", "Direct logit attribution", ":material/bar_chart:")
PATH_PATCHING = Leaf("pages/path_patching.py", "Path patching", ":material/conversion_path:")
ALL_SOURCES = Leaf("pages/all_sources.py", "All sources", ":material/grid_on:")
CIRCUIT = Leaf("pages/circuit.py", "Circuit", ":material/account_tree:")
PROMPT_SET = Leaf("pages/prompt_set.py", "Prompt set", ":material/library_books:")
COMPARE = Leaf("pages/compare.py", "Compare", ":material/compare:")
SANITY_CHECKS = Leaf("pages/sanity_checks.py", "Sanity checks", ":material/verified:")
#: The first page where strangers are served.
GALLERY = Leaf("pages/gallery.py", "Gallery", ":material/collections:")
#: What was looked at.
HISTORY = Leaf("pages/history.py", "History", ":material/history:")
#: Pages about no experiment of their own.
WITHOUT_EXPERIMENT = (GALLERY, HISTORY)
LEAVES = (RESULT, ATTRIBUTION, PATH_PATCHING, ALL_SOURCES, CIRCUIT, PROMPT_SET, COMPARE, SANITY_CHECKS)


def leaves() -> tuple[Leaf, ...]:
    """The pages that there are, the first one first."""
    return (GALLERY, *LEAVES, HISTORY) if policy().hosted else (*LEAVES, HISTORY)


def page_links() -> None:
    """A link to each page that takes the view along.

    The menu that `st.navigation` draws goes to the bare address of a page, and the view follows in a
    second step: Back would come through a page with another experiment.
    """
    view = address.query()
    with st.container(key="page_links", gap="xsmall"):
        for leaf in leaves():
            _link(leaf, leaf.title, view)


def page_link(leaf: Leaf, label: str, **changed: str) -> None:
    """A link to `leaf` that takes the view along, but for the parameters that are `changed`."""
    _link(leaf, label, address.held() | changed if changed else address.query())


def _link(leaf: Leaf, label: str, view: dict[str, str]) -> None:
    st.page_link(leaf.file, label=label, icon=leaf.icon, query_params=view, width="stretch")


def leaf_at_hand() -> Leaf | None:
    """The page whose run this is. Streamlit 1.67 tells it only in the run's context."""
    context = get_script_run_ctx()
    page = None if context is None else context.pages_manager.get_pages().get(context.page_script_hash)
    return leaf_of("" if page is None else str(page.get("page_name")))


def leaf_of(title: str) -> Leaf | None:
    """The page of that title; None where there is none."""
    return next((leaf for leaf in leaves() if leaf.title == title), None)


def source_button(label: str, key: str, layer: int, head: int, *, elsewhere: bool) -> None:
    """A button to the paths of another head; `elsewhere` than on their own page it leads there."""

    def take() -> None:
        st.session_state[Key.SOURCE_LAYER], st.session_state[Key.SOURCE_HEAD] = layer, head

    if st.button(label, key=key, icon=PATH_PATCHING.icon, on_click=take) and elsewhere:
        st.switch_page(PATH_PATCHING.file, query_params=address.query())
