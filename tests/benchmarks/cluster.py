"""``python -m tests.benchmarks.cluster``: what a cluster costs, and on paper what it would bring.

Prints pieces per second of sweeps over random models: in this process, and by one and by two workers of a
`LocalCluster` on the same machine, one thread each; and what a piece costs more there, for being encoded,
scheduled and sent. Pieces of the first model are small, so that this shows. The models are loaded before.

Then, by the engine's own count of operations (`analysis.sweep.flops`), how long all sources into q, k and v
would take for the shapes of larger models on GPUs that each hold the model. `--rate` is what one GPU is
assumed to do: 40 % of the 67 TFLOP/s that an H100 has in float32 without tensor cores. Of those only the
operations are counted, and nothing is measured.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from analysis.answers import ahead
from analysis.jobs.resume import steps
from analysis.nodes import causal_edges
from analysis.requests import Experiment
from analysis.results import AllSourcesRequest, OverviewRequest
from analysis.store import open_store
from analysis.sweep.flops import piece_flops
from analysis.sweep.replay import Suffix
from tests.benchmarks.sweep import write_random_gpt2

#: 15 tokens for the byte-level tokenizer, which differ from token 10 on.
CLEAN, CORRUPTED = " a b c d e f g", " a b c d x f g"
TOKENS, FIRST_DIFFERENCE = 15, 10


@dataclass(frozen=True)
class Shape:
    """A model as its cost sees it."""

    name: str
    n_layers: int
    n_heads: int
    key_heads: int
    d_model: int
    d_head: int
    d_mlp: int


#: Llama 3.2 1B, Llama 3.1 8B and 70B.
LARGER = (
    Shape("1B", 16, 32, 8, 2048, 64, 8192),
    Shape("8B", 32, 32, 8, 4096, 128, 14336),
    Shape("70B", 80, 64, 8, 8192, 128, 28672),
)
GPUS = (1, 8, 64)


@contextmanager
def workers(number: int) -> Iterator[None]:
    """A cluster of so many workers computes in the block; none, this process."""
    if not number:
        yield
        return
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=number, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    ) as cluster:
        os.environ["PATHSCOPE_CLUSTER"] = cluster.scheduler_address
        try:
            yield
        finally:
            del os.environ["PATHSCOPE_CLUSTER"]


def pieces_per_second(model: str, rounds: int) -> tuple[int, float]:
    """Pieces of the sweep, and how many come in a second at best, once all workers are at it."""
    experiment = Experiment(model, CLEAN, CORRUPTED, " h", " i")
    best, n_pieces = 0.0, 0
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as store:
            os.environ["PATHSCOPE_STORE_DIR"] = store
            sweep = AllSourcesRequest(experiment, "q", "exact")
            came = [time.perf_counter() for _ in steps(sweep, lambda: False)]
            open_store().close()
        # The first step is the estimate, the last the stored whole; workers begin with the first pieces.
        n_pieces, steady = len(came) - 2, came[5:-1]
        best = max(best, (len(steady) - 1) / (steady[-1] - steady[0]))
    return n_pieces, best


def load_everywhere(model: str) -> None:
    """Have every worker load the model."""
    asked = [
        OverviewRequest(Experiment(model, f"{CLEAN} {letter}", f"{CORRUPTED} {letter}", " h", " i"))
        for letter in "abcdefghijklmnopqrst"
    ]
    for _ in ahead(asked):
        pass


def operations(shape: Shape) -> float:
    """Floating-point operations of all sources into q, k and v."""
    block: Any = SimpleNamespace(
        attention=SimpleNamespace(
            W_Q=_shaped(shape.n_heads, shape.d_model, shape.d_head),
            W_K=_shaped(shape.key_heads, shape.d_model, shape.d_head),
            W_O=_shaped(shape.n_heads, shape.d_head, shape.d_model),
        ),
        mlp=SimpleNamespace(W_in=_shaped(shape.d_model, shape.d_mlp), W_gate=True),
        parallel=False,
        attention_post_norm=None,
    )
    decoder: Any = SimpleNamespace(blocks=(block,) * shape.n_layers)
    suffix = Suffix(FIRST_DIFFERENCE, TOKENS, TOKENS - 1)
    total = 0.0
    for layer in range(1, shape.n_layers):
        one = np.array([[0, 0, layer, 0]])
        total += shape.n_heads**2 * layer * piece_flops(decoder, suffix, 1, one)
    return 3 * total


def _shaped(*shape: int) -> torch.Tensor:
    """A tensor without content."""
    return torch.empty(shape, device="meta")


def n_paths(shape: Shape) -> int:
    """Paths between heads into q, k and v."""
    return 3 * int(causal_edges(shape.n_layers, 1).sum()) * shape.n_heads**2


def told(seconds: float) -> str:
    """Seconds as one says them."""
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.2g} s"


def measured(size: str, sweep_bytes: str, rounds: int) -> None:
    """Print the table of what was measured on a model of `size`."""
    os.environ["PATHSCOPE_SWEEP_BYTES"] = sweep_bytes
    with tempfile.TemporaryDirectory() as directory:
        write_random_gpt2(size, Path(directory))
        print(f"{size}, {sweep_bytes} for a piece, one thread each: best of {rounds}")
        print("| by | pieces | pieces per second | more per piece |\n|---|---|---|---|")
        alone = 0.0
        for number, called in ((0, "this process"), (1, "1 worker"), (2, "2 workers")):
            with workers(number):
                load_everywhere(directory)
                n_pieces, rate = pieces_per_second(directory, rounds)
            alone = alone or rate
            more = 1000 * (max(1, number) / rate - 1 / alone)
            print(f"| {called} | {n_pieces} | {rate:.2f} | {more:.0f} ms |", flush=True)


def on_paper(rate: float) -> None:
    """Print the table of what is reckoned."""
    print(f"all sources into q, k and v, {TOKENS} tokens, at {rate / 1e12:g} TFLOP/s on each GPU")
    print(f"| model | paths | operations | {' | '.join(f'GPUs: {number}' for number in GPUS)} |")
    print(f"|{'---|' * (3 + len(GPUS))}")
    for shape in LARGER:
        needed = operations(shape)
        times = " | ".join(told(needed / rate / number) for number in GPUS)
        print(f"| {shape.name} | {n_paths(shape):,} | {needed:.2g} | {times} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rate", type=float, default=67e12 * 0.4, help="float32 operations per second")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--paper", action="store_true", help="only what is reckoned")
    options = parser.parse_args()
    if not options.paper:
        torch.set_num_threads(1)
        os.environ["PATHSCOPE_STORE_DIR"] = tempfile.mkdtemp()
        measured("6x8x512", "2MiB", options.rounds)
        measured("12x12x768", "1GiB", options.rounds)
    on_paper(options.rate)
