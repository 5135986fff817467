"""Everything that pages show and let leave, of the bundled model: one of each kind."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from analysis.answers import answer
from analysis.charts import drawing_of, layer_map_chart, lines_of
from analysis.demo_model.examples import EXAMPLES
from analysis.requests import Experiment
from analysis.results import (
    AllSourcesRequest,
    AttributionRequest,
    ChosenPathsRequest,
    EdgeSetsRequest,
    GraphRequest,
    HeadPathsRequest,
    KnownPaths,
    NeuronsRequest,
    NodeAttributionRequest,
    NodeRequest,
    OverviewRequest,
    PathEstimatesRequest,
    PathRequest,
    PromptSet,
    Request,
    SanityRequest,
    StrongestPathsRequest,
    TextPair,
)
from analysis.sets import (
    CircuitOverPrompts,
    checks_over_prompts,
    node_agreement,
    path_agreement,
    paths_left,
    paths_to_compare,
)
from pages.shared import shown_paths as paths
from pages.shared import shown_results as of
from pages.shared.circuit_leave import of_circuit
from pages.shared.circuit_set import of_circuit_over_prompts
from pages.shared.set_answers import OverPrompts
from pages.shared.set_checks import of_checks
from pages.shared.set_results import SetResults
from pages.shared.set_shown import Asked, of_agreement, of_prompts
from pages.shared.shown import Shown

FIRST = EXAMPLES[0]
EXPERIMENT = Experiment("demo", FIRST.clean, FIRST.corrupted, FIRST.answer, FIRST.foil)


def ask(request: Request[Any]) -> Any:
    return answer(request).result


def a_set() -> SetResults:
    """Two prompts, of which the second has another place."""
    pairs = [TextPair(*(getattr(FIRST, key) for key in TextPair._fields))]
    pairs.append(TextPair(*(text.replace("store", "park") for text in pairs[0])))
    experiments = [pair.on("demo") for pair in pairs]
    return SetResults(
        PromptSet(tuple(pairs)),
        [1, 2],
        [ask(OverviewRequest(one)) for one in experiments],
        [ask(NodeAttributionRequest(one)) for one in experiments],
    )


def _over_prompts() -> Shown:
    found, asked = a_set(), Asked("logit_difference", "exact", "corrupted")
    return of_agreement(found, node_agreement(found.nodes, asked.run), "node", "logits", asked)


def _paths_over_prompts() -> Shown:
    found, asked = a_set(), Asked("logit_difference", "exact", "clean")
    experiments = [overview.request.experiment for overview in found.overviews]
    strongest = [ask(StrongestPathsRequest(one, "exact")) for one in experiments]
    missing = [paths_left(result, paths_to_compare(strongest)) for result in strongest]
    left = [
        ask(ChosenPathsRequest(one, paths, "exact")) if paths else None
        for one, paths in zip(experiments, missing, strict=True)
    ]
    return of_agreement(found, path_agreement(strongest, left), "path", "logits", asked)


def _circuit() -> Shown:
    graph = ask(GraphRequest(EXPERIMENT))
    edges = tuple(graph.graph.labels(graph.ranking[:12]))
    own = ask(EdgeSetsRequest(EXPERIMENT, (edges,)))
    shares = graph.share[tuple(graph.ranking[:12].T)].tolist()
    drawing = drawing_of(graph.graph, lines_of(edges, {}), shares, [True] * len(edges), {})
    return of_circuit(graph, own, edges, drawing, (("¿who?", ("L0H7",)),))


def _attention() -> Shown:
    shown = of.of_attention(ask(NodeRequest(EXPERIMENT, "L2H5")))
    assert shown is not None
    return shown


def _path_estimates() -> Shown:
    known = KnownPaths.of(ask(PathEstimatesRequest(EXPERIMENT)), ask(StrongestPathsRequest(EXPERIMENT)))
    drawn = known.together
    return paths.of_path_estimates(
        known, drawn, lambda theme, _: layer_map_chart(drawn, "effect", theme, known.largest)
    )


def _unit(unit: Any, position: int | None) -> Shown:
    return of.of_unit(ask(AttributionRequest(EXPERIMENT, unit, "corrupted")), position)


def _over(request: Callable[[Experiment], Request[Any]]) -> OverPrompts[Any]:
    """What two prompts say, of which the second has another place."""
    found = a_set()
    experiments = [overview.request.experiment for overview in found.overviews]
    results = [ask(request(one)) for one in experiments]
    return OverPrompts(found.prompts, [1, 2], experiments, results, [], results[0])


def _circuit_over_prompts() -> Shown:
    graph = ask(GraphRequest(EXPERIMENT))
    edges = tuple(graph.graph.labels(graph.ranking[:12]))
    found = _over(lambda one: EdgeSetsRequest(one, (edges,)))
    return of_circuit_over_prompts(found, CircuitOverPrompts.of(found.found), graph, edges)


def _checks_over_prompts() -> Shown:
    found = _over(SanityRequest)
    return of_checks(found, checks_over_prompts(found.found, found.numbers), SanityRequest(EXPERIMENT))


SHOWN: dict[str, Callable[[], Shown]] = {
    "overview": lambda: of.of_overview(ask(OverviewRequest(EXPERIMENT))),
    "nodes": lambda: of.of_nodes(ask(NodeAttributionRequest(EXPERIMENT)), "clean_minus_corrupted", 14),
    "nodes everywhere": lambda: of.of_nodes(ask(NodeAttributionRequest(EXPERIMENT)), "clean", None),
    "component": partial(_unit, "component", 3),
    "layer": partial(_unit, "layer", 14),
    "head everywhere": partial(_unit, "head", None),
    "path": lambda: paths.of_path(ask(PathRequest(EXPERIMENT, 0, 7, "v")), "recovery"),
    "all sources": lambda: paths.of_all_sources(ask(AllSourcesRequest(EXPERIMENT, "v")), "effect"),
    "strongest paths": lambda: paths.of_strongest_paths(ask(StrongestPathsRequest(EXPERIMENT))),
    "paths of a head": lambda: paths.of_head_paths(ask(HeadPathsRequest(EXPERIMENT, 1, 2)), "effect"),
    "path estimates": _path_estimates,
    "attention": _attention,
    "neurons": lambda: of.of_neurons(
        ask(NeuronsRequest(EXPERIMENT, "MLP3", 14)), "clean_minus_corrupted", "These neurons write most."
    ),
    "sanity checks": lambda: of.of_sanity(ask(SanityRequest(EXPERIMENT))),
    "prompts": lambda: of_prompts(a_set(), Asked("answer_probability", "exact", "clean")),
    "nodes over prompts": _over_prompts,
    "paths over prompts": _paths_over_prompts,
    "circuit": _circuit,
    "circuit over prompts": _circuit_over_prompts,
    "checks over prompts": _checks_over_prompts,
}
