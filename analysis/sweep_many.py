"""Every path between heads for many prompts, from the shell: ``python -m analysis.sweep_many TABLE``.

TABLE has the columns clean, corrupted, answer and foil, as CSV, TSV or JSON lines. Each sweep is stored where
the page *All sources* looks for it; what is stored is not measured again, and an interrupted run goes on
from where it stood. ``--into FILE`` also writes one Parquet table of all effects. With ``--cluster ADDRESS``
(or `PATHSCOPE_CLUSTER`) the workers of a Dask cluster measure. `PATHSCOPE_WORKERS` sweeps go on at a time.
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm.auto import tqdm

from analysis import answers, jobs
from analysis.errors import PathscopeError
from analysis.exports import TableFile
from analysis.models import DEMO
from analysis.policy import policy
from analysis.requests import HEAD_INPUTS, LAYER_NORM_MODES, METRIC_NAMES
from analysis.results import AllSourcesRequest, AllSourcesResult, TextPair
from analysis.sets import read_table
from analysis.settings import settings
from analysis.warm import warm

if TYPE_CHECKING:
    import pandas as pd


def main(arguments: Sequence[str]) -> int:
    """Sweep over every pair of the table; 1 where a row or a sweep was left out, with a sentence for each."""
    chosen, problems = _parser().parse_args(arguments), list[str]()
    if chosen.cluster is not None:
        os.environ["PATHSCOPE_CLUSTER"] = chosen.cluster
    try:
        if policy().hosted:
            raise PathscopeError(
                "PATHSCOPE_HOSTED is 1, and a server for strangers sweeps no tables. Unset it."
            )
        read = read_table(_bytes(chosen.table), as_a_set=False)
        problems += read.left_out
        problems.extend(_swept([*_requests(chosen, read.pairs)], chosen.into))
    except PathscopeError as error:
        problems.append(str(error))
    print(*problems, sep="\n", end="\n" * bool(problems), file=sys.stderr)
    return 1 if problems else 0


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="python -m analysis.sweep_many")
    parser.add_argument("table", type=Path, help="prompt pairs as CSV, TSV or JSON lines")
    parser.add_argument("--model", default=DEMO, help="a Hugging Face id, a local folder or %(default)r")
    parser.add_argument("--component", nargs="+", choices=HEAD_INPUTS, default=HEAD_INPUTS)
    parser.add_argument("--layer-norm", nargs="+", choices=LAYER_NORM_MODES, default=LAYER_NORM_MODES[:1])
    parser.add_argument("--metric", choices=METRIC_NAMES, default=METRIC_NAMES[0])
    parser.add_argument("--cluster", metavar="ADDRESS", help="a Dask scheduler, such as tcp://scheduler:8786")
    parser.add_argument("--into", type=Path, metavar="FILE", help="a Parquet file of all effects to write")
    return parser


def _bytes(table: Path) -> bytes:
    try:
        return table.read_bytes()
    except OSError as error:
        raise PathscopeError(f"The table {str(table)!r} cannot be read: {error.strerror}.") from error


def _requests(chosen: Namespace, pairs: Sequence[TextPair]) -> Iterator[AllSourcesRequest]:
    for pair in pairs:
        for component in chosen.component:
            for layer_norm in chosen.layer_norm:
                yield AllSourcesRequest(pair.on(chosen.model), component, layer_norm, chosen.metric)


def _swept(requests: Sequence[AllSourcesRequest], into: Path | None) -> Iterator[str]:
    """Have every sweep measured and stored, and written `into` a file; a sentence for each problem."""
    with ExitStack() as stack:
        file = None if into is None else stack.enter_context(TableFile(into))
        # Whoever interrupts does not wait: what is measured by then is stored.
        pool = ThreadPoolExecutor(settings().workers)
        stack.callback(jobs.stop_all)
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        swept = tqdm(pool.map(_measured, requests), total=len(requests), unit="sweep")
        for request, (found, note) in zip(requests, swept, strict=True):
            if note is not None:
                yield f"{request.experiment.clean!r}, {request.component}, {request.layer_norm}: {note}"
            if file is not None and found is not None:
                file.add(_rows(found.result), found.result.origin())


def _measured(request: AllSourcesRequest) -> tuple[answers.Answer[AllSourcesResult] | None, str | None]:
    """What is stored of the sweep once it is measured, and a sentence if something went wrong."""
    try:
        note = warm(request)
        return answers.stored(request), note
    except PathscopeError as error:
        return None, str(error)


def _rows(result: AllSourcesResult) -> pd.DataFrame:
    """The sweep's table, each row with what was asked for."""
    request = result.request
    asked = asdict(request.experiment) | {
        "component": request.component,
        "layer_norm": request.layer_norm,
        "metric": request.metric,
    }
    return result.table().assign(**asked)[[*asked, *result.table(0).columns]]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
