"""What an answer was computed with is gone with it, and need not wait for Python to look for circles."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from weakref import ref

import pytest
import torch

from analysis.answers import compute
from analysis.models import load
from analysis.requests import Request
from analysis.results import (
    AllSourcesRequest,
    CircuitRequest,
    EdgeSetsRequest,
    GraphRequest,
    HeadPathsRequest,
    NodeRequest,
    SanityRequest,
    StrongestPathsRequest,
)
from analysis.sets import READY_KINDS
from analysis.store import Store

EXPERIMENT = READY_KINDS["drinks"].first.on("demo")
QUESTIONS: tuple[Request, ...] = (
    AllSourcesRequest(EXPERIMENT),
    CircuitRequest(EXPERIMENT, 0.8),
    EdgeSetsRequest(EXPERIMENT, ((("L0H7", "L2H5.v"),),)),
    GraphRequest(EXPERIMENT),
    HeadPathsRequest(EXPERIMENT, 0, 7),
    NodeRequest(EXPERIMENT, "L2H5"),
    SanityRequest(EXPERIMENT),
    StrongestPathsRequest(EXPERIMENT),
)


@pytest.fixture
def circles() -> Iterator[list[object]]:
    """Filled with what only a collection would free, from here to the next collection."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    yield gc.garbage
    gc.set_debug(0)
    gc.garbage.clear()
    gc.collect()
    gc.enable()


@pytest.mark.parametrize("request_", QUESTIONS, ids=lambda request: type(request).__name__)
def test_no_tensor_is_kept_by_a_circle(request_: Request, tmp_path: Path, circles: list[object]):
    load(request_.experiment.model)
    gc.collect()
    circles.clear()
    # What other tests have left may be let go at any time: a model of theirs gives way to this one.
    before = {id(found): ref(found) for found in gc.get_objects() if isinstance(found, torch.Tensor)}
    compute.compute(request_, Store.open(tmp_path))
    gc.collect()
    held = [found for found in circles if isinstance(found, torch.Tensor) and not _known(found, before)]
    assert sum(tensor.nbytes for tensor in held) == 0


def _known(tensor: torch.Tensor, before: dict[int, ref[torch.Tensor]]) -> bool:
    found = before.get(id(tensor))
    return found is not None and found() is tensor
