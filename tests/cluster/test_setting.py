"""A cluster is used where one is named, and only there: else nothing of it is loaded. Strangers have none."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from analysis.answers import executor
from analysis.cluster import connected, connection
from analysis.errors import PathscopeError
from analysis.policy import policy
from analysis.settings import settings, settings_of
from pages.shared.door import check_settings
from tests.cluster.serving import ROOT

#: pyarrow loads cloudpickle, too, where it is installed.
OF_A_CLUSTER = ("distributed", "dask", "tornado", "zict")

_ASKED = """
import sys
from analysis import answers, jobs, sweep_many
from analysis.cluster import Crew, connected
from analysis.demo_model.examples import EXAMPLES
from analysis.requests import Experiment
from analysis.results import AllSourcesRequest, OverviewRequest
from analysis.warm import warm

one = EXAMPLES[0]
experiment = Experiment("demo", one.clean, one.corrupted, one.answer, one.foil)
answers.answer(OverviewRequest(experiment))
warm(AllSourcesRequest(experiment))
assert answers.stored(AllSourcesRequest(experiment))
print(*{name.partition(".")[0] for name in sys.modules})
"""


def test_without_the_setting_nothing_of_it_is_loaded():
    unset = {name: value for name, value in os.environ.items() if name != "PATHSCOPE_CLUSTER"}
    run = subprocess.run(
        [sys.executable, "-c", _ASKED],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        check=True,
        env={**unset, "PATHSCOPE_SWEEP_BYTES": ""},
    )
    loaded = set(run.stdout.split())
    assert "torch" in loaded and loaded.isdisjoint(OF_A_CLUSTER)


def test_the_setting_decides_who_computes(monkeypatch):
    assert executor().__name__ == "analysis.answers.compute"  # type: ignore[attr-defined]
    monkeypatch.setenv("PATHSCOPE_CLUSTER", "tcp://scheduler:8786")
    assert executor().__name__ == "analysis.answers.on_cluster"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "address",
    [
        "scheduler:8786",
        "http://scheduler:8786",
        "tcp://scheduler",
        "tcp://a b:1",
        "tcp://x:1/../../etc",
        "inproc://x:1",
    ],
)
def test_an_address_that_is_none_is_refused_in_a_sentence(monkeypatch, address):
    monkeypatch.setenv("PATHSCOPE_CLUSTER", address)
    with pytest.raises(
        PathscopeError, match=r"PATHSCOPE_CLUSTER is '.*', and must be written as tcp://sched"
    ):
        settings()


@pytest.mark.parametrize("address", ["tcp://scheduler:8786", "tls://10.0.0.7:8786", "tcp://[::1]:8786"])
def test_addresses_of_schedulers_are_taken(monkeypatch, address):
    monkeypatch.setenv("PATHSCOPE_CLUSTER", address)
    assert settings().cluster == address


@pytest.mark.parametrize(("value", "fits"), [("GPU=1", True), ("GPU=1, MEM=2.5", True), ("GPU", False)])
def test_resources_are_names_and_numbers(monkeypatch, value, fits):
    monkeypatch.setenv("PATHSCOPE_CLUSTER_RESOURCES", value)
    if fits:
        assert settings().cluster_resources == value
        return
    with pytest.raises(PathscopeError, match="must be written as GPU=1"):
        settings()


def test_a_server_for_strangers_has_none_and_does_not_start(monkeypatch):
    monkeypatch.setenv("PATHSCOPE_CLUSTER", "tcp://scheduler:8786")
    monkeypatch.setenv("PATHSCOPE_HOSTED", "1")
    told = "a server for strangers gives no work to other machines. Unset one of them."
    with pytest.raises(PathscopeError, match=told):
        policy()
    with pytest.raises(PathscopeError, match=told):
        executor()
    with pytest.raises(SystemExit, match=told):
        check_settings()


def test_without_its_libraries_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(
        PathscopeError, match=r"Run `pip install -r tests/requirements-cluster\.txt`, or unset it"
    ):
        connected("tcp://scheduler:8786")
    assert not connection._open


def test_the_file_that_it_names_holds_them():
    named = (ROOT / "tests" / "requirements-cluster.txt").read_text().splitlines()
    assert {line.partition("==")[0] for line in named if "==" in line} == {"dask", "distributed"}
    assert "-r requirements-cluster.txt" in (ROOT / "tests" / "requirements.txt").read_text().splitlines()


def test_what_a_thread_is_told_is_set_there_alone(monkeypatch):
    monkeypatch.setenv("PATHSCOPE_CLUSTER", "tcp://scheduler:8786")
    with settings_of({"PATHSCOPE_CLUSTER": "", "PATHSCOPE_WORKERS": "3"}):
        assert (settings().cluster, settings().workers) == ("", 3)
        with (
            pytest.raises(PathscopeError, match="PATHSCOPE_WORKERS is 'no'"),
            settings_of({"PATHSCOPE_WORKERS": "no"}),
        ):
            settings()
    assert (settings().cluster, settings().workers) == ("tcp://scheduler:8786", 1)
