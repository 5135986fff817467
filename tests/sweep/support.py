"""Which families the sweep supports, as measured: ``python -m tests.sweep.support`` prints the table.

Every family's random model is swept for q, k and v in both LayerNorm modes and compared with the
slow reference on sampled edges. Differences are shares of the largest effect, on a model that
computes in float64 throughout. Under TransformerLens 3.9 the models are `HookedTransformer`s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

import transformer_lens
from transformer_lens.tools.analysis import get_act_patch_direct_path

from analysis.requests import COMPONENTS, LAYER_NORM_MODES, Component, LayerNormMode
from analysis.sweep import Sweep
from tests.families import FAMILIES
from tests.reference import FLOAT64_TOLERANCE, patched_logits
from tests.runs import Runs, computed_in_float64, last_logit_difference, sampled_edges


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


def measure(runs: Runs, component: Component, layer_norm: LayerNormMode, *, edges: int = 6) -> Support:
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


def transformer_lens_answers(runs: Runs, component: Component) -> bool:
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


def table(models: Mapping[str, Callable[[], Runs]]) -> str:
    """The support table of `models` (name -> runs in float64) in Markdown."""
    release = f"TransformerLens {version('transformer_lens')}"
    lines = [
        f"| Family | q | k | v | Engine | Largest difference | {release} answers |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, make in models.items():
        runs = make()
        measured = {c: [measure(runs, c, mode) for mode in LAYER_NORM_MODES] for c in COMPONENTS}
        largest = {c: max(support.share for support in measured[c]) for c in COMPONENTS}
        marks = ["yes" if largest[c] <= FLOAT64_TOLERANCE else "**no**" for c in COMPONENTS]
        engines = sorted({support.engine for supports in measured.values() for support in supports})
        own = [c for c in COMPONENTS if transformer_lens_answers(runs, c)]
        lines.append(
            f"| {name} | {' | '.join(marks)} | {', '.join(engines)} "
            f"| {max(largest.values()):.0e} | {', '.join(own) or 'no'} |"
        )
    return "\n".join(lines)


def models_of_this_release() -> dict[str, Callable[[], Runs]]:
    """Every family in a bridge or, where the release has it, every shape of `HookedTransformer`."""
    if "HookedTransformer" not in dir(transformer_lens):
        return {family: partial(computed_in_float64, family) for family in FAMILIES}
    from tests.compat.hooked_transformers import HOOKED, hooked_runs

    return {f"HookedTransformer, {name}": partial(hooked_runs, name) for name in HOOKED}


if __name__ == "__main__":
    print(table(models_of_this_release()))
