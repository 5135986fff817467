"""Which families the sweep supports, as measured: ``python -m tests.sweep.support`` prints the tables.

Every family's random model is swept for q, k and v in both LayerNorm modes and compared with the
slow reference on sampled edges. Differences are shares of the largest effect, on a model that
computes in float64 throughout. Under TransformerLens 3.9 the models are `HookedTransformer`s.
"""

from __future__ import annotations

import re
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import transformer_lens
from transformer_lens.tools.analysis import get_act_patch_direct_path

from analysis.errors import PathscopeError
from analysis.requests import HEAD_INPUTS, LAYER_NORM_MODES, HeadInput, LayerNormMode
from analysis.sweep import Sweep
from tests.configurations import EVERY_FAMILY, NOT_IN_FLOAT64
from tests.families import write_family
from tests.reference import FLOAT64_TOLERANCE, patched_logits
from tests.runs import (
    KeepFloat64,
    Runs,
    computed_in_float64,
    family_model,
    family_runs,
    last_logit_difference,
    own_model,
    sampled_edges,
)

#: The same for a model that computes in float32 only: the effects here are some thousandths of a logit.
FLOAT32_SHARE = 1e-3


@dataclass(frozen=True)
class Support:
    """What one sweep measured: the engine that ran, its difference from the reference, the effect."""

    engine: str
    difference: float
    effect: float

    @property
    def share(self) -> float:
        """Largest difference from the slow reference as a share of the largest sampled effect."""
        return self.difference / self.effect


def measure(runs: Runs, component: HeadInput, layer_norm: LayerNormMode, *, edges: int = 6) -> Support:
    """Sweep the sampled edges' sources and compare each sampled edge with the slow reference."""
    sampled = sampled_edges(runs, component + layer_norm, edges)
    sweep = Sweep(
        *runs.arguments,
        last_logit_difference,
        component=component,
        layer_norm=layer_norm,
        sources=sorted({(edge.sl, edge.sh) for edge in sampled}),
    )
    found = {
        tuple(edge): value
        for piece in sweep.run()
        for edge, value in zip(piece.edges.tolist(), piece.values, strict=True)
    }
    reference = {
        edge: float(last_logit_difference(patched_logits(runs, edge, component, layer_norm)))
        for edge in sampled
    }
    return Support(
        engine=sweep.engine,
        difference=max(abs(found[tuple(edge)] - value) for edge, value in reference.items()),
        effect=max(abs(value - sweep.baseline) for value in reference.values()),
    )


def transformer_lens_answers(runs: Runs, component: HeadInput) -> bool:
    """Whether TransformerLens's own direct path patching takes this model and component."""
    try:
        get_act_patch_direct_path(
            *runs.arguments,
            last_logit_difference,
            runs.model.cfg.n_layers - 2,
            0,
            component,
            verbose=False,
        )
    except (IndexError, NotImplementedError, ValueError):
        return False
    return True


@dataclass(frozen=True)
class Row:
    """What was measured of one family: all of it, or the sentence that refuses it."""

    engine: str
    shares: dict[HeadInput, float]
    answered: tuple[HeadInput, ...] = ()
    limit: float = FLOAT64_TOLERANCE
    refusal: str = ""

    @property
    def alike(self) -> tuple[str, ...]:
        """What families that stand in one line of a table have in common."""
        if self.refusal:
            return (without_names(self.refusal),)
        marks = ("yes" if share <= self.limit else "**no**" for share in self.shares.values())
        return (*marks, self.engine, ", ".join(self.answered) or "no")


def limit_of(runs: Runs) -> float:
    """Largest share of the effect by which a sweep of `runs` may differ from the slow reference."""
    return FLOAT64_TOLERANCE if runs.model.W_U.dtype == torch.float64 else FLOAT32_SHARE


def row(runs: Runs, *, edges: int = 4) -> Row:
    """Measure every component in both modes, or take down the sentence that refuses the model."""
    try:
        Sweep(*runs.arguments, last_logit_difference)
    except PathscopeError as error:
        return Row("refused", {}, refusal=str(error))
    with KeepFloat64():
        measured = {
            c: [measure(runs, c, mode, edges=edges) for mode in LAYER_NORM_MODES] for c in HEAD_INPUTS
        }
    engines = sorted({support.engine for supports in measured.values() for support in supports})
    in_float32 = "" if runs.model.W_U.dtype == torch.float64 else " (in float32)"
    return Row(
        engine=" and ".join(engines) + in_float32,
        limit=limit_of(runs),
        shares={c: max(support.share for support in supports) for c, supports in measured.items()},
        answered=tuple(c for c in HEAD_INPUTS if transformer_lens_answers(runs, c)),
    )


def table(models: Mapping[str, Callable[[], Runs]]) -> str:
    """The support tables of `models` (name -> runs, in float64 where they can be) in Markdown.

    Families that were measured alike stand in one line, with the largest difference of them all.
    """
    release = f"TransformerLens {version('transformer_lens')}"
    rows = {name: row(make()) for name, make in models.items()}
    measured = [
        f"| Families | q | k | v | Engine | Largest difference | {release} answers |",
        "|---|---|---|---|---|---|---|",
    ]
    refused = ["| Refused | Why |", "|---|---|"]
    for names in _alike(rows):
        first, families = rows[names[0]], ", ".join(names)
        if first.refusal:
            refused.append(f"| {families} | {first.alike[0]} |")
            continue
        *marks, engine, answered = first.alike
        largest = max(share for name in names for share in rows[name].shares.values())
        measured.append(f"| {families} | {' | '.join(marks)} | {engine} | {largest:.0e} | {answered} |")
    return "\n".join(measured if len(refused) == 2 else [*measured, "", *refused])


def _alike(rows: Mapping[str, Row]) -> list[list[str]]:
    """The names of `rows` in groups that were measured alike, in the order of their first."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, found in rows.items():
        groups.setdefault(found.alike, []).append(name)
    return list(groups.values())


def without_names(refusal: str) -> str:
    """A refusal without the class and the numbers of the one model that it was said of."""
    refusal = re.sub(r" for \w+(?=:)", "", refusal.split(". Choose")[0])
    return re.sub(r" \(off by [^)]*\)", "", re.sub(r"\bBlock \d+ does", "A block does", refusal)) + "."


def is_the_model(bridge: Any, family: str) -> bool:
    """Whether `bridge` predicts what the Hugging Face model of `family` predicts, which it wraps."""
    tokens = torch.randint(1, 300, (2, 9), generator=torch.Generator().manual_seed(0))
    with tempfile.TemporaryDirectory() as directory, torch.no_grad():
        own = own_model(write_family(family, Path(directory)), bridge.W_U.dtype)
        expected = own(tokens).logits.log_softmax(-1)
    return bool((bridge(tokens).log_softmax(-1) - expected).abs().max() <= 1e-3)


def models_of_this_release() -> dict[str, Callable[[], Runs]]:
    """Every family in a bridge or, where the release has it, every shape of `HookedTransformer`."""
    if "HookedTransformer" not in dir(transformer_lens):
        return {
            family: partial(family_runs, family, torch.float32)
            if family in NOT_IN_FLOAT64
            else partial(computed_in_float64, family)
            for family in EVERY_FAMILY
        }
    from tests.compat.hooked_transformers import HOOKED, hooked_runs

    return {f"HookedTransformer, {name}": partial(hooked_runs, name) for name in HOOKED}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(table(models_of_this_release()))
    if "HookedTransformer" not in dir(transformer_lens):
        bridges = {name: family_model(name, torch.float32) for name in EVERY_FAMILY}
        print(
            "\nNot the model:", ", ".join(n for n, bridge in bridges.items() if not is_the_model(bridge, n))
        )
