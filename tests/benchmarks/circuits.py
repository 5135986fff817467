"""``python -m tests.benchmarks.circuits``: which ranking of edges makes the better circuits.

Prints for each pair of prompts and each ranking the area CMD (0 is best), the faithfulness at .1, .2, .5 and
1 % of all edges, and the seconds that the ranking took; then the circuit that the search finds. Rankings: the
first-order estimate at every reader (attribution patching of edges), the estimate that is exact at the
destination into either run, once and integrated over 5 points, and the larger of both directions, which is
the default. ``--real`` names the folder of a real model; otherwise the bundled one is asked its examples.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from analysis.circuit.curve import curve_of
from analysis.circuit.pair import Pair
from analysis.circuit.search import search
from analysis.demo_model.examples import EXAMPLES
from analysis.edges import Exchange, JointReplay, estimated_effects
from analysis.metrics import LogitDifference
from analysis.models import DEMO, catalogue

REAL = (
    ("When Mary and John went to the store, John gave a drink to", "John", "Mary", " Mary", " John"),
    ("The capital of France is", "France", "Italy", " Paris", " Rome"),
)


def first_order(exchange: Exchange) -> np.ndarray:
    """The metric's gradient at what every reader sees, times the patch: nothing is exact but the patch."""
    return JointReplay.of(exchange).gradient(np.zeros_like(exchange.graph.exists), lambda: None)


def rankings(pair: Pair) -> Iterator[tuple[str, Callable[[], np.ndarray]]]:
    """The name of each ranking, and how its scores are made."""
    towards, away = pair.into_corrupted, pair.into_clean

    yield "first order, into the corrupted run", lambda: first_order(towards)
    yield "exact at the destination, into the corrupted run", lambda: estimated_effects(towards)
    yield "exact at the destination, into the clean run", lambda: -estimated_effects(away)
    yield "the same, integrated over 5 points", lambda: -estimated_effects(away, points=5)
    yield "larger of both directions (default)", lambda: pair.estimates() * pair.difference


def prompts(model: Any, real: bool) -> Iterator[tuple[str, Pair]]:
    """The pairs of runs to judge on."""
    examples = [(e.clean, e.corrupted, e.answer, e.foil) for e in EXAMPLES]
    if real:
        examples = []
        for clean, word, other, answer, foil in REAL:
            where = clean.rindex(word)
            examples.append((clean, clean[:where] + other + clean[where + len(word) :], answer, foil))
    for clean, corrupted, answer, foil in examples:
        metric = LogitDifference(model.to_single_token(answer), model.to_single_token(foil))
        yield f"{clean}{answer}", Pair.of(model, model.to_tokens(clean), model.to_tokens(corrupted), metric)


def main() -> None:
    """Parse the arguments and print a table for each pair of prompts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--real", type=Path, help="folder of a real model")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    name = str(arguments.real) if arguments.real else DEMO
    for title, pair in prompts(catalogue.load(name).bridge, bool(arguments.real)):
        print(f"\n{title} ({len(pair.graph):,} edges)\n")
        print("| ranking | CMD | f at .1 .2 .5 1 % | seconds |\n|---|---|---|---|")
        for ranking, scores in rankings(pair):
            started = time.perf_counter()
            with torch.no_grad():
                of_edges = scores()
            taken = time.perf_counter() - started
            curve = curve_of(pair, of_edges)
            shown = " ".join(f"{value:.2f}" for value in curve.by_size[:4])
            print(f"| {ranking} | {curve.cmd:.4f} | {shown} | {taken:.1f} |", flush=True)
        started = time.perf_counter()
        *_, circuit = search(pair)
        taken = time.perf_counter() - started
        share = len(circuit) / len(pair.graph)
        found = f"{len(circuit)} edges ({share:.3%}), faithfulness {circuit.faithfulness:.3f}"
        print(f"Found: {found}, {taken:.1f} s", flush=True)


if __name__ == "__main__":
    main()
