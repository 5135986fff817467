"""``python -m tests.benchmarks.sweep``: the sweep engine against TransformerLens, in one run.

Prints one row per model size, prompt length and component: pairs, seconds of the whole all-sources
sweep, ratio to TransformerLens's ``get_act_patch_direct_path_all_sources``, fraction of the
roofline, peak memory beyond the model, and the largest difference from TransformerLens.

TransformerLens runs one forward pass per pair; it is timed on the pairs of one source head and
scaled to all of them. A sweep that would take more than ``--seconds`` is timed on an even sample
of its pieces and scaled by their floating-point operations; the row then says so. The roofline is
a plain float32 product of [4096, 768] by [768, 3072] in the same run. Models have random weights.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformer_lens import patching
from transformers import GPT2Config, GPT2LMHeadModel

from analysis.metrics import LogitDifference
from analysis.models.catalogue import load
from analysis.sweep import Sweep
from tests.benchmarks.peak import peak_above_start
from tests.families import byte_tokenizer

SIZES = {
    "4x4x128": (4, 4, 128),
    "6x8x512": (6, 8, 512),
    "12x12x768": (12, 12, 768),
    "24x16x1024": (24, 16, 1024),
}


@dataclass(frozen=True)
class Case:
    """One row: a model size, a prompt length, where the prompts first differ, and a component."""

    size: str
    length: int
    first_difference: int
    component: str


def write_random_gpt2(size: str, directory: Path) -> None:
    """Save a GPT-2 of `size` with random weights and the full 50,257-token vocabulary."""
    n_layers, n_heads, d_model = SIZES[size]
    torch.manual_seed(0)
    config = GPT2Config(
        n_layer=n_layers, n_head=n_heads, n_embd=d_model, n_positions=1024, bos_token_id=0, eos_token_id=0
    )
    GPT2LMHeadModel(config).save_pretrained(directory)
    byte_tokenizer().save_pretrained(directory)


def roofline(repeats: int = 6) -> float:
    """Operations per second of the plain product, the best of `repeats`."""
    a, b, out = torch.randn(4096, 768), torch.randn(768, 3072), torch.empty(4096, 3072)
    return max(2.0 * 4096 * 768 * 3072 / _seconds(lambda: torch.mm(a, b, out=out)) for _ in range(repeats))


def _seconds(action: Any) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


@torch.no_grad()
def _runs(model: Any, case: Case) -> tuple[torch.Tensor, Any, Any, LogitDifference]:
    generator = torch.Generator().manual_seed(1)
    clean = torch.randint(1, model.cfg.d_vocab, (1, case.length), generator=generator)
    corrupted = clean.clone()
    corrupted[0, case.first_difference] = (int(clean[0, case.first_difference]) + 1) % model.cfg.d_vocab
    caches = [model.run_with_cache(tokens)[1] for tokens in (clean, corrupted)]
    return corrupted, *caches, LogitDifference(answer=11, foil=12)


def measure(model: Any, case: Case, seconds: float) -> str:
    """One row of the table, in Markdown."""
    corrupted, clean_cache, corrupted_cache, metric = _runs(model, case)
    arguments = (model, corrupted, clean_cache, corrupted_cache, metric)
    best = roofline()
    with peak_above_start() as memory:
        started = time.perf_counter()
        sweep = Sweep(*arguments, component=case.component, layer_norm="exact")
        planned = time.perf_counter() - started
        share, swept = _timed(sweep, seconds)
    best = max(best, roofline())
    whole = planned + swept / share
    rival, difference = _transformer_lens(arguments, case.component)
    rate = share * sweep.flops() / swept
    sampled = "" if share == 1 else f" ({share:.1%} timed)"
    return (
        f"| {case.size} | {case.length} | {case.first_difference} | {case.component} | {sweep.n_edges:,} "
        f"| {whole:.2f}{sampled} | {rival * sweep.n_edges / whole:.0f} | {rate / best:.2f} "
        f"| {rate / 1e9:.0f} | {memory.bytes / 2**20:.0f} | {difference:.1e} |"
    )


def _timed(sweep: Sweep, seconds: float) -> tuple[float, float]:
    """`(share of the operations that were run, seconds they took)`."""
    stride = max(1, round(sweep.flops() / (100e9 * seconds)))
    skipped = {index for index in range(sweep.n_pieces) if index % stride}
    operations, started = 0.0, time.perf_counter()
    for piece in sweep.run(skip=skipped):
        operations += sweep.flops(piece.index)
    return operations / sweep.flops(), time.perf_counter() - started


def _transformer_lens(arguments: tuple, component: str) -> tuple[float, float]:
    """Seconds per pair of TransformerLens, and the largest difference from it, on one source head."""
    n_layers = arguments[0].cfg.n_layers
    source = (max(0, n_layers - 3), 1)
    patching.get_act_patch_direct_path(*arguments, n_layers - 2, 0, component, verbose=False)
    started = time.perf_counter()
    theirs = patching.get_act_patch_direct_path(*arguments, *source, component, verbose=False)
    taken = time.perf_counter() - started
    ours = Sweep(*arguments, component=component, layer_norm="exact", sources=[source])
    difference, pairs = 0.0, 0
    for piece in ours.run():
        where = torch.as_tensor(piece.edges[:, 2:])
        found = torch.as_tensor(piece.values) - theirs[tuple(where.T)]
        difference, pairs = max(difference, float(found.abs().max())), pairs + len(where)
    return taken / pairs, difference


def single_sources(model: Any) -> str:
    """Seconds of a single-source sweep from an early and from a late head."""
    arguments = _runs(model, Case("", 15, 10, "q"))
    rows = []
    for layer in (0, model.cfg.n_layers - 3):
        taken = min(
            _seconds(lambda layer=layer: list(Sweep(model, *arguments, sources=[(layer, 0)]).run()))
            for _ in range(3)
        )
        rows.append(f"layer {layer}: {taken:.2f} s")
    return "Single source, 15 tokens, first difference 10: " + ", ".join(rows)


def main() -> None:
    """Parse the arguments and print the table row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=SIZES)
    parser.add_argument("--lengths", nargs="+", type=int, default=[15, 64, 256])
    parser.add_argument("--first", nargs="+", type=int, default=[10, 2])
    parser.add_argument("--components", nargs="+", default=["q", "k", "v"])
    parser.add_argument("--seconds", type=float, default=30.0, help="longest timed sweep before sampling")
    options = parser.parse_args()
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")
    columns = "model | tokens | first difference | c | pairs | seconds | x TransformerLens | roofline"
    print(f"| {columns} | GFLOP/s | MiB | largest difference |\n|{'---|' * 11}")
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as directory:
            write_random_gpt2(size, Path(directory))
            model = load(directory).bridge
            for length in options.lengths:
                for first in options.first:
                    for component in options.components:
                        row = measure(model, Case(size, length, first, component), options.seconds)
                        print(row, flush=True)
            print(f"{size}. {single_sources(model)}", flush=True)


if __name__ == "__main__":
    main()
