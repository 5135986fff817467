"""``python -m tests.benchmarks.prompt_set [MODEL]``: a set of pairs together, beside the pairs one by one.

Prints for 1 to 32 pairs of one length the seconds of the estimate of every path between heads (both runs held
against the model's own, the gradient, the estimates), of all pairs together and as a multiple of one pair in
the same run, and of the whole question, the strongest paths measured and stored. The bar: 32 pairs of 15
tokens together cost at most 8 times what one costs, and their sweeps at most 1.1 times 32 single ones, which
they are.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

PAIRS = (1, 4, 8, 16, 32)
#: Times that each is measured; the median counts.
REPEATS = 5


def _seconds(action: Callable[[], Any]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def _median(action: Callable[[], Any], repeats: int) -> float:
    return statistics.median(_seconds(action) for _ in range(repeats))


def estimate(model: Any, pairs: Sequence[Any]) -> None:
    """The estimate of every path between heads of `pairs` together."""
    import torch

    from analysis.edges import Exchange, estimated_by_prompt
    from analysis.metrics import LogitDifference
    from analysis.patching.paths import paths_between_heads

    clean, corrupted = (torch.cat([getattr(pair, run) for pair in pairs]) for run in ("clean", "corrupted"))
    metric = LogitDifference([pair.answer for pair in pairs], [pair.foil for pair in pairs])
    with torch.inference_mode(False), torch.no_grad():
        exchange = Exchange.of(model, corrupted, clean, metric, layer_norm="frozen")
        estimated_by_prompt(exchange, wanted=paths_between_heads(exchange.graph))


def whole(requests: Sequence[Any], together: bool) -> None:
    """The strongest paths of every pair, computed anew and stored."""
    from analysis.answers import answer, answer_together

    with tempfile.TemporaryDirectory() as directory:
        os.environ["PATHSCOPE_STORE_DIR"] = directory
        if together:
            answer_together(requests)
        for request in requests:
            answer(request)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.prompt_set")
    parser.add_argument("model", nargs="?", default="demo")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        os.environ["PATHSCOPE_STORE_DIR"] = directory
        _print_table(asked.model, asked.repeats)


def _print_table(name: str, repeats: int) -> None:
    from analysis.answers import answer
    from analysis.errors import PathscopeError
    from analysis.experiment import prepare
    from analysis.models import load
    from analysis.results import PromptSetRequest, StrongestPathsRequest
    from analysis.sets import READY_KINDS

    first, model = READY_KINDS["drinks"].first.on(name), load(name).bridge
    experiments = answer(PromptSetRequest(first, None, max(PAIRS))).result.prompt_set.experiments(name)
    try:
        pairs = [prepare(model, one) for one in experiments]
    except PathscopeError as error:
        raise SystemExit(str(error)) from error
    requests = [StrongestPathsRequest(one) for one in experiments]
    estimate(model, pairs[:1])
    print(f"{name}, {len(pairs)} pairs of {pairs[0].clean.shape[1]} tokens")
    print("| pairs | estimate, s | times one pair | strongest paths together, s | one by one, s |")
    print("|---|---|---|---|---|")
    one = _median(lambda: estimate(model, pairs[:1]), repeats)
    for number in (count for count in PAIRS if count <= len(pairs)):
        found = _median(partial(estimate, model, pairs[:number]), repeats)
        together, alone = (_seconds(partial(whole, requests[:number], way)) for way in (True, False))
        print(f"| {number} | {found:.3f} | {found / one:.1f} | {together:.2f} | {alone:.2f} |")


if __name__ == "__main__":
    main()
