"""What a person has chosen on the circuit page: held in the session, written in the address."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote

import streamlit as st

from analysis.exports import LONGEST_NAME, Groups
from analysis.nodes import Graph
from analysis.results import EdgeLabels
from pages.shared.keys import Key

#: Edges that a drawing shows at most: beyond, it is a cloud.
MOST_DRAWN = 300
#: Edges that the page opens with.
DRAWN_AT_FIRST = 30
# Between edges, groups or nodes in the address: characters that no label has and no browser escapes.
_NEXT, _TO, _HOLDS = "~", "-", "!"


def read_edges(word: str) -> EdgeLabels:
    """Edges as the address writes them, each once; what is no pair of words is left out.

    >>> read_edges("embed-L0H7.v~MLP3-logits")
    (('embed', 'L0H7.v'), ('MLP3', 'logits'))
    """
    pairs = [tuple(edge.split(_TO)) for edge in word.split(_NEXT)]
    return tuple(dict.fromkeys((pair[0], pair[1]) for pair in pairs if len(pair) == 2))


def write_edges(edges: EdgeLabels) -> str:
    """The inverse of `read_edges`."""
    return _NEXT.join(_TO.join(edge) for edge in edges)


def read_groups(word: str) -> Groups:
    """Groups as the address writes them.

    >>> read_groups("name%20movers!L9H9-L9H6~S!L7H3")
    (('name movers', ('L9H9', 'L9H6')), ('S', ('L7H3',)))
    """
    parts = [group.partition(_HOLDS) for group in word.split(_NEXT)]
    return tuple(
        (unquote(name)[:LONGEST_NAME], tuple(nodes.split(_TO))) for name, _, nodes in parts if name and nodes
    )


def write_groups(groups: Groups) -> str:
    """The inverse of `read_groups`."""
    return _NEXT.join(f"{_quoted(name)}{_HOLDS}{_TO.join(nodes)}" for name, nodes in groups)


def _quoted(name: str) -> str:
    # quote() leaves "~" as it is, and here it stands between groups.
    return quote(name, safe="").replace(_NEXT, "%7E")


def read_count(word: str) -> int | None:
    """A number of edges to draw; None where it is none, or more than are drawn."""
    return int(word) if re.fullmatch(r"\d{1,3}", word) and int(word) <= MOST_DRAWN else None


def read_faithfulness(word: str) -> float | None:
    """A faithfulness to search for, in percent; None where it is none."""
    return int(word) / 100 if re.fullmatch(r"[5-9]\d|100", word) else None


def pins() -> EdgeLabels:
    """The edges of "my circuit"."""
    held: EdgeLabels = st.session_state[Key.PINS]
    return held


def pin(*edges: tuple[str, str]) -> None:
    """Keep `edges` in "my circuit"."""
    st.session_state[Key.PINS] = tuple(dict.fromkeys((*pins(), *edges)))


def unpin(*edges: tuple[str, str]) -> None:
    """Take `edges` out of "my circuit"."""
    st.session_state[Key.PINS] = tuple(edge for edge in pins() if edge not in edges)


def only_pins(edges: EdgeLabels) -> None:
    """Make `edges` "my circuit", and draw it alone."""
    st.session_state[Key.PINS], st.session_state[Key.EDGES] = edges, 0


def select(label: str | None) -> None:
    """Mark a node or a line, and show what is known of it."""
    st.session_state[Key.SELECTED] = label


def groups() -> dict[str, tuple[str, ...]]:
    """The groups by name."""
    return dict(st.session_state[Key.GROUPS])


def set_group(name: str, nodes: tuple[str, ...]) -> None:
    """Make `nodes` a group of that `name`; a node leaves the group it was in. Without nodes it is gone."""
    kept = {
        other: tuple(node for node in held if node not in nodes)
        for other, held in groups().items()
        if other != name
    }
    together = kept | {name: nodes}
    st.session_state[Key.GROUPS] = tuple((name, held) for name, held in together.items() if held)


def fault_of_name(name: str, graph: Graph) -> str | None:
    """Why a group cannot be called `name`, in a sentence; None if it can."""
    if not name.strip():
        return "Give the group a name."
    if len(name) > LONGEST_NAME:
        return f"The name has {len(name)} characters, and may have {LONGEST_NAME}."
    if name in (*graph.writers, "logits"):
        return f"{name} is the name of a node of the model; choose another."
    return None


def known_edges(edges: EdgeLabels, graph: Graph) -> tuple[EdgeLabels, str | None]:
    """Those of `edges` that the model has, and a sentence about the others."""
    writers, readers = ({label: i for i, label in enumerate(side)} for side in (graph.writers, graph.readers))
    known = tuple(
        (writer, reader)
        for writer, reader in edges
        if writer in writers and reader in readers and graph.exists[writers[writer], readers[reader]]
    )
    lost = len(edges) - len(known)
    if not lost:
        return known, None
    return known, (
        f"{lost} of the {len(edges)} paths in my circuit {'is no path' if lost == 1 else 'are no paths'} of "
        "this model, and left out."
    )


def known_groups(found: Mapping[str, tuple[str, ...]], graph: Graph) -> dict[str, tuple[str, ...]]:
    """The groups without nodes that the model does not have, and without names that it gives to nodes."""
    nodes = {*graph.writers, "logits"}
    kept = {
        name: tuple(node for node in held if node in nodes)
        for name, held in found.items()
        if fault_of_name(name, graph) is None
    }
    return {name: held for name, held in kept.items() if held}
