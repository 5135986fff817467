"""A store and jobs of one's own, and what is asked on the bundled model."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from distributed import LocalCluster

from analysis.demo_model.examples import EXAMPLES
from analysis.jobs import board as jobs
from analysis.requests import Experiment
from tests.cluster.serving import close_connections, collect_sockets

#: Small enough that a sweep of the bundled model is cut into a dozen pieces.
SMALL_PIECES = "2000000"


@pytest.fixture(autouse=True)
def _own_store_and_jobs(monkeypatch, own_store) -> Iterator[None]:
    monkeypatch.setenv("PATHSCOPE_SWEEP_BYTES", SMALL_PIECES)
    monkeypatch.setattr(jobs, "_board", jobs._Board())
    yield
    jobs._board.stop_all()
    jobs._board.close()


@pytest.fixture
def experiment() -> Experiment:
    one = EXAMPLES[0]
    return Experiment("demo", one.clean, one.corrupted, one.answer, one.foil)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[LocalCluster]:
    # A worker has no business with a store: its place must not even come into being.
    unused = tmp_path_factory.mktemp("worker") / "store"
    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address="127.0.0.1:0",  # any port: another file may have a cluster meanwhile
        resources={"lab": 2},
        env={"PATHSCOPE_STORE_DIR": str(unused)},
    ) as running:
        yield running
        close_connections()
    collect_sockets()


@pytest.fixture
def on_cluster(monkeypatch, tmp_path, cluster) -> Callable[[], None]:
    """From its call on the cluster computes, into a store of its own."""

    def begin() -> None:
        monkeypatch.setenv("PATHSCOPE_STORE_DIR", str(tmp_path / "of the cluster"))
        monkeypatch.setenv("PATHSCOPE_CLUSTER", cluster.scheduler_address)

    return begin
