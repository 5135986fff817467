"""What an answer was computed with is gone with it, and need not wait for Python to look for circles."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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


@contextmanager
def circles() -> Iterator[list[object]]:
    """What only a collection would free of all that is let go meanwhile, once the block has ended."""
    found: list[object] = []
    gc.collect()
    gc.disable()
    # What was there before is held: of it nothing may count, even if it is let go meanwhile (as models are).
    # By their types, as some of torch's objects warn when they are asked what they are.
    before = [known for known in gc.get_objects() if issubclass(type(known), torch.Tensor)]
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield found
        gc.collect()
        found.extend(gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        before.clear()
        gc.collect()
        gc.enable()


@pytest.mark.parametrize("request_", QUESTIONS, ids=lambda request: type(request).__name__)
def test_no_tensor_is_kept_by_a_circle(request_: Request, tmp_path: Path):
    load(request_.experiment.model)
    with circles() as found:
        compute.compute(request_, Store.open(tmp_path))
    # A number, and no tensor, is what a failure keeps: the next test must not find it again.
    left = sum(kept.nbytes for kept in found if isinstance(kept, torch.Tensor))
    found.clear()
    assert left == 0


def test_a_circle_counts_unless_it_was_there_before():
    earlier = [_circle(1.0)]
    with circles() as found:
        earlier.clear()
        _circle(2.0)
    assert [kept.item() for kept in found if isinstance(kept, torch.Tensor)] == [2.0]


def _circle(value: float) -> list[object]:
    ring: list[object] = [torch.tensor(value)]
    ring.append(ring)
    return ring
