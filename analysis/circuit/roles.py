"""Circuits that are known, published or set by hand, with the roles of their heads and their models.

Nothing here loads torch: a stored result is drawn with its badges before any model is there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from analysis import attention_model, induction_model
from analysis.labels import head_label
from analysis.models import ATTENTION, BUNDLED, GPT2_SMALL, INDUCTION, is_from_hub
from analysis.nodes import Graph


class RolePath(NamedTuple):
    """Heads of the role `writer` write what those of the role `reader` read by `inputs`.

    A `reader` of "logits" has no inputs.
    """

    writer: str
    reader: str
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Agreement:
    """How many there are in a set that was `found`, in the `known` one, and in `both`."""

    found: int
    known: int
    both: int

    @property
    def precision(self) -> float:
        """The share of what was found that is known; NaN where nothing was found."""
        return self.both / self.found if self.found else math.nan

    @property
    def recall(self) -> float:
        """The share of what is known that was found; NaN where nothing is known."""
        return self.both / self.known if self.known else math.nan


@dataclass(frozen=True)
class KnownCircuit:
    """A known circuit: which heads have which role, and which roles tell which others.

    `models` are names of the one model that it was found or set in, Hub ids or a bundled one's, and `shape`
    is that model's graph.
    `heads` maps a role to (layer, head). What it leaves out was not part of what was published: MLPs,
    the embedding, and whatever the heads do on other prompts than those of `task`.
    """

    task: str
    source: str
    models: tuple[str, ...]
    shape: Graph
    heads: Mapping[str, tuple[tuple[int, int], ...]]
    paths: tuple[RolePath, ...]

    def roles_of(self, node: str) -> tuple[str, ...]:
        """The roles of a head by its label, or by that of one of its inputs: ``"L9H9"``, ``"L9H9.q"``."""
        return self._roles.get(node.partition(".")[0], ())

    def heads_agreement(self, edges: Iterable[Sequence[str]]) -> Agreement:
        """The heads at either end of `edges` (pairs of labels) beside the known ones."""
        found = {end.partition(".")[0] for edge in edges for end in edge if end.startswith("L")}
        return Agreement(len(found), len(self._roles), len(found & self._roles.keys()))

    def edges_agreement(self, edges: Iterable[Sequence[str]]) -> Agreement:
        """Those of `edges` that lead from a head to a head or to the logits beside the known ones.

        Of all others nothing is known.
        """
        found = {
            (writer, reader)
            for writer, reader in edges
            if writer.startswith("L") and (reader.startswith("L") or reader == "logits")
        }
        return Agreement(len(found), len(self.edges), len(found & self.edges))

    @cached_property
    def edges(self) -> frozenset[tuple[str, str]]:
        """Every edge that `paths` speak of, as labels; none into a head of the same or an earlier layer."""
        return frozenset(
            (head_label(*source), f"{head_label(*target)}.{component}")
            for writer, reader, inputs in self.paths
            for source in self.heads[writer]
            for target in self.heads.get(reader, ())
            for component in inputs
            if source[0] < target[0]
        ) | {
            (head_label(*source), reader)
            for writer, reader, _ in self.paths
            if reader == "logits"
            for source in self.heads[writer]
        }

    @cached_property
    def _roles(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for role, heads in self.heads.items():
            for head in heads:
                label = head_label(*head)
                found[label] = (*found.get(label, ()), role)
        return found


#: Roles and paths as Wang et al. (2022) found them; name movers of every kind by what they write straight to
#: the logits (section 3.1).
INDIRECT_OBJECTS = KnownCircuit(
    task="indirect object identification",
    source="Wang et al. 2022, arXiv 2211.00593",
    models=GPT2_SMALL,
    shape=Graph(12, 12),
    heads={
        "name mover": ((9, 9), (10, 0), (9, 6)),
        "backup name mover": (
            *((10, 10), (10, 6), (10, 2), (10, 1)),
            *((11, 2), (9, 7), (9, 0), (11, 9)),
        ),
        "negative name mover": ((10, 7), (11, 10)),
        "S-inhibition": ((7, 3), (7, 9), (8, 6), (8, 10)),
        "induction": ((5, 5), (5, 8), (5, 9), (6, 9)),
        "duplicate token": ((0, 1), (0, 10), (3, 0)),
        "previous token": ((2, 2), (4, 11)),
    },
    paths=(
        RolePath("previous token", "induction", ("k",)),
        RolePath("induction", "S-inhibition", ("k", "v")),
        RolePath("duplicate token", "S-inhibition", ("k", "v")),
        RolePath("S-inhibition", "name mover", ("q",)),
        RolePath("name mover", "logits"),
        RolePath("backup name mover", "logits"),
        RolePath("negative name mover", "logits"),
    ),
)

#: K-composition, as Elhage et al. (2021) found it in models of two layers.
SET_BY_HAND = KnownCircuit(
    task="induction",
    source="set by hand in this model after Elhage et al. 2021",
    models=(INDUCTION,),
    shape=Graph(2, 4),
    heads={"previous token": (induction_model.PREVIOUS,), "induction": (induction_model.INDUCTION,)},
    paths=(RolePath("previous token", "induction", ("k",)), RolePath("induction", "logits")),
)

#: What training led to where there are no MLPs; the names are those of the papers above.
TRAINED_WITHOUT_MLPS = KnownCircuit(
    task="indirect object identification and induction",
    source="measured in this model, whose card says how",
    models=(ATTENTION,),
    shape=Graph(4, 8),
    heads={
        "previous token": (attention_model.PREVIOUS,),
        "S-inhibition": attention_model.INHIBITING,
        "name mover": (attention_model.MOVER,),
        "induction": (attention_model.MOVER,),
    },
    paths=(
        RolePath("previous token", "induction", ("k",)),
        RolePath("S-inhibition", "name mover", ("q",)),
        RolePath("name mover", "logits"),
    ),
)

KNOWN_CIRCUITS: tuple[KnownCircuit, ...] = (INDIRECT_OBJECTS, SET_BY_HAND, TRAINED_WITHOUT_MLPS)


def known_circuit(model: str, graph: Graph) -> KnownCircuit | None:
    """What is known of the model called `model`, whose graph is `graph`; None for any other.

    A model is known by its id on the Hub, or its name if it is bundled, and by its graph. A folder here that
    has the same name is another model.
    """
    return next(
        (
            known
            for known in KNOWN_CIRCUITS
            if model.strip() in known.models
            and graph == known.shape
            and (model.strip() in BUNDLED or is_from_hub(model))
        ),
        None,
    )
