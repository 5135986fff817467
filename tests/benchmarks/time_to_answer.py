"""``python -m tests.benchmarks.time_to_answer``: how soon the strongest paths are known.

Prints one row per model and prompt length, in seconds from both runs being there: to the estimate of the
whole graph, to its proved top 20, to the proved top 20 of all paths between heads into q, k and v, to the
full sweep of those into q, and what TransformerLens's ``get_act_patch_direct_path_all_sources`` needs for
that same sweep. The ratio is TransformerLens's sweep over the proved top 20 of the whole graph.

TransformerLens and the full sweep are timed on a sample of their edges in the same run, and scaled. The
prompts differ from token 10 on. GPT-2 small's shape has random weights; ``--real`` names the folder of a
real model, whose prompts are an indirect object identification with filler in the middle.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformer_lens import patching

from analysis.edges import Exchange, StrongestEdges, estimated_effects, strongest_in_steps
from analysis.metrics import LogitDifference
from analysis.models.catalogue import load
from analysis.requests import HEAD_INPUTS
from analysis.sweep import Sweep
from tests.benchmarks.sweep import write_random_gpt2

FIRST_DIFFERENCE = 10
CLEAN = "When Mary and John went to the store, John gave a drink to"
CORRUPTED = "When Mary and John went to the store, Mary gave a drink to"
FILLER = " took a long walk along the river and, after a while, sat down on a bench in the shade. Then he"

HEADER = (
    "| model | tokens | edges | runs | estimate | proved top 20 | measured | proved top 20 of heads "
    "| full sweep into q | TransformerLens | ratio |\n|" + "---|" * 11
)


def random_prompts(model: Any, length: int) -> tuple[torch.Tensor, torch.Tensor, LogitDifference]:
    """Random tokens that differ in one."""
    generator = torch.Generator().manual_seed(1)
    clean = torch.randint(1, model.cfg.d_vocab, (1, length), generator=generator)
    corrupted = clean.clone()
    corrupted[0, FIRST_DIFFERENCE] = (int(clean[0, FIRST_DIFFERENCE]) + 1) % model.cfg.d_vocab
    return clean, corrupted, LogitDifference(answer=11, foil=12)


def real_prompts(model: Any, length: int) -> tuple[torch.Tensor, torch.Tensor, LogitDifference]:
    """Indirect object identification, filled up behind the word in which the prompts differ."""
    clean, corrupted = model.to_tokens(CLEAN), model.to_tokens(CORRUPTED)
    metric = LogitDifference(model.to_single_token(" Mary"), model.to_single_token(" John"))
    missing, filler = length - clean.shape[1], model.to_tokens(FILLER, prepend_bos=False)
    between = filler.repeat(1, -(-max(missing, 1) // filler.shape[1]))[:, : max(missing, 0)]
    first = int((clean != corrupted)[0].int().argmax()) + 1
    whole = [
        torch.cat([tokens[:, :first], between, tokens[:, first:]], dim=1) for tokens in (clean, corrupted)
    ]
    return whole[0], whole[1], metric


@torch.no_grad()
def row(
    name: str, model: Any, prompts: tuple[torch.Tensor, torch.Tensor, LogitDifference], sample: int
) -> str:
    """One row of the table, in Markdown."""
    clean, corrupted, metric = prompts
    taken: dict[str, float] = {}
    exchange, taken["runs"] = timed(lambda: ready(model, corrupted, clean, metric))
    _, taken["estimate"] = timed(lambda: estimated_effects(exchange))
    whole, taken["whole"] = timed(lambda: proved(exchange, None))
    between_heads = np.logical_or.reduce([exchange.graph.heads_into(component) for component in HEAD_INPUTS])
    heads, taken["heads"] = timed(lambda: proved(exchange, between_heads))
    caches = [model.run_with_cache(tokens)[1] for tokens in (clean, corrupted)]
    arguments = (model, corrupted, *caches, metric)
    taken["sweep"] = full_sweep(arguments, sample)
    taken["rival"] = transformer_lens(arguments, sample)
    shown = [
        name,
        str(clean.shape[1]),
        f"{len(exchange.graph):,}",
        f"{taken['runs']:.1f}",
        f"{taken['estimate']:.1f}",
        f"{taken['whole']:.1f}{'' if whole.proved else ' (not proved)'}",
        f"{whole.n_measured:,}",
        f"{taken['heads']:.1f}{'' if heads.proved else ' (not proved)'}",
        f"{taken['sweep']:.0f}",
        f"{taken['rival']:,.0f}",
        f"{taken['rival'] / taken['whole']:,.0f}",
    ]
    return f"| {' | '.join(shown)} |"


def timed(action: Any) -> tuple[Any, float]:
    """What `action` returns, and the seconds that it took."""
    started = time.perf_counter()
    found = action()
    return found, time.perf_counter() - started


def ready(model: Any, tokens: torch.Tensor, other: torch.Tensor, metric: LogitDifference) -> Exchange:
    """Both runs, held against the model's own."""
    exchange = Exchange.of(model, tokens, other, metric)
    assert exchange.replay is not None
    return exchange


def proved(exchange: Exchange, among: np.ndarray | None) -> StrongestEdges:
    """The last state of the search for the 20 strongest."""
    *_, last = strongest_in_steps(exchange, 20, among=among)
    return last


def full_sweep(arguments: tuple, sample: int) -> float:
    """Seconds of the sweep of all paths between heads into q, scaled from every `sample`-th piece."""
    sweep, planned = timed(lambda: Sweep(*arguments, component="q", layer_norm="exact"))
    skipped = {index for index in range(sweep.n_pieces) if index % sample}
    share = sum(sweep.flops(index) for index in range(0, sweep.n_pieces, sample)) / sweep.flops()
    return planned + timed(lambda: list(sweep.run(skip=skipped)))[1] / share


def transformer_lens(arguments: tuple, sample: int) -> float:
    """Seconds of the same sweep in TransformerLens, scaled from the paths of one late source head."""
    n_layers, n_heads = arguments[0].cfg.n_layers, arguments[0].cfg.n_heads
    source = max(0, n_layers - 2 - max(1, 20 // sample))
    call = patching.get_act_patch_direct_path
    call(*arguments, n_layers - 2, 0, "q", verbose=False)
    taken = timed(lambda: call(*arguments, source, 0, "q", verbose=False))[1]
    paths = (n_layers - 1 - source) * n_heads
    return taken / paths * n_heads * n_heads * n_layers * (n_layers - 1) / 2


def main() -> None:
    """Parse the arguments and print the table row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--lengths", nargs="+", type=int, default=[15, 64, 256])
    parser.add_argument("--real", type=Path, help="folder of a real model")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sample", type=int, default=20, help="time every so many pieces of the sweep")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(HEADER)
    with tempfile.TemporaryDirectory() as directory:
        write_random_gpt2("12x12x768", Path(directory))
        models = [("GPT-2 small's shape", directory, random_prompts)]
        if arguments.real:
            models.append((arguments.real.name, str(arguments.real), real_prompts))
        for name, folder, prompts in models:
            model = load(folder).bridge
            for length in arguments.lengths:
                print(row(name, model, prompts(model, length), arguments.sample), flush=True)


if __name__ == "__main__":
    main()
