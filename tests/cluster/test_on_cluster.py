"""The workers of a cluster bring what this process would compute, to the last bit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pandas as pd
import pytest
from distributed import LocalCluster

from analysis.answers import ahead, answer, executor, stored
from analysis.cluster import Crew, Task, Wanted, connected, connection, done_by, opened, sealed
from analysis.demo_model.examples import EXAMPLES
from analysis.errors import PromptError
from analysis.jobs import resume, submit
from analysis.requests import Experiment
from analysis.results import (
    AllSourcesRequest,
    AllSourcesResult,
    CircuitRequest,
    DraftRequest,
    GraphRequest,
    LongRequest,
    NodeAttributionRequest,
    OverviewRequest,
    Request,
    Result,
    StrongestPathsRequest,
)
from analysis.store import open_store
from tests.cluster import deeds
from tests.cluster.serving import ROOT
from tests.jobs.watching import ended, until


def content(result: Result) -> tuple[dict[str, bytes], dict[str, Any]]:
    """All of a result but when it was made."""
    arrays, values = result.parts()
    values["provenance"] |= {"created": "", "seconds": 0.0}
    return {name: array.dtype.str.encode() + array.tobytes() for name, array in arrays.items()}, values


def asked(request: Request[Any]) -> Result:
    if not isinstance(request, LongRequest):
        return answer(request).result
    done = ended(submit(request))
    assert (done.state, done.error, done.note) == ("done", None, None)
    assert done.result is not None
    return done.result


def no_model(*_: Any) -> Any:
    raise AssertionError("the model was loaded here")


@pytest.mark.parametrize(
    "request_",
    [
        lambda experiment: AllSourcesRequest(experiment, "k"),
        GraphRequest,
        CircuitRequest,
        OverviewRequest,
        DraftRequest,
        StrongestPathsRequest,
        NodeAttributionRequest,
    ],
    ids=["sweep", "graph", "search", "overview", "draft", "strongest paths", "attribution"],
)
def test_it_brings_the_same_bits_and_the_model_is_not_loaded_here(
    monkeypatch, experiment, on_cluster, request_
):
    request = request_(experiment)
    here = asked(request)
    on_cluster()
    monkeypatch.setattr("analysis.models.catalogue.load", no_model)
    assert stored(request) is None
    there = asked(request)
    assert content(there) == content(here)
    found = stored(request)
    assert found is not None and content(found.result) == content(here)
    assert {key.split("/")[0] for key in open_store().keys("")} == {"result"}


def test_a_sweep_grows_piece_by_piece_and_what_was_begun_here_goes_on_there(
    experiment, on_cluster, monkeypatch
):
    request = AllSourcesRequest(experiment, "v")
    whole = asked(request)
    place = str(open_store().directory.parent.with_name("begun"))
    monkeypatch.setenv("PATHSCOPE_STORE_DIR", place)
    here = resume.steps(request, lambda: False)
    first, second, third = (next(here) for _ in range(3))
    assert first.result.n_done == 0 < second.result.n_done < third.result.n_done < first.result.n_total
    on_cluster()
    monkeypatch.setenv("PATHSCOPE_STORE_DIR", place)
    begun, *rest = resume.steps(request, lambda: False)
    assert begun.note is not None and begun.note.startswith("2 of ")
    assert begun.result.n_done == third.result.n_done
    counts = [step.result.n_done for step in rest]
    assert counts == sorted(counts) and len(set(counts)) > 5
    assert content(rest[-1].result) == content(whole)


def test_who_is_refused_is_told_with_the_first_numbers(monkeypatch, experiment, on_cluster):
    on_cluster()
    monkeypatch.setattr(Crew, "told", lambda _: "One of the workers is refused.")
    first = next(resume.steps(AllSourcesRequest(experiment, "q"), lambda: False))
    assert first.note == "One of the workers is refused."


def test_each_worker_loads_the_model_once_within_its_memory_and_stores_nothing(
    experiment, on_cluster, cluster
):
    on_cluster()
    asked(AllSourcesRequest(experiment, "q"))
    for address, limit in [(each.address, each.memory_limit) for each in cluster.scheduler.workers.values()]:
        said = about(cluster, address)
        assert said["memory"] == str(limit) and limit > 0
        assert len(said["loaded"]) == 1 and not said["store"]


def about(cluster: LocalCluster, address: str) -> dict[str, Any]:
    there = connected(cluster.scheduler_address)
    future = there.submit(deeds.about_itself, b"", key=f"about {uuid4()}", workers=[address])
    return opened(future.result())[0]


def test_a_piece_is_computed_by_as_many_threads_as_are_set(monkeypatch, experiment, on_cluster, cluster):
    on_cluster()
    monkeypatch.setenv("PATHSCOPE_CLUSTER_THREADS", "3")
    answer(OverviewRequest(experiment))
    assert 3 in [about(cluster, address)["threads"] for address in cluster.scheduler.workers]
    assert executor().threads() == 3


def test_what_is_wrong_comes_back_as_it_was_said(experiment, on_cluster):
    broken = OverviewRequest(replace(experiment, corrupted=experiment.corrupted + " and"))
    with pytest.raises(PromptError) as here:
        answer(broken)
    on_cluster()
    with pytest.raises(PromptError) as there:
        answer(broken)
    assert str(there.value) == str(here.value)
    assert there.value.remedies == here.value.remedies != ()


def tasks_left(cluster: LocalCluster) -> list[str]:
    assert cluster.scheduler is not None
    return [key for key in cluster.scheduler.tasks if str(key).startswith("pathscope-")]


def test_a_cancelled_job_leaves_nothing_at_the_scheduler_and_goes_on_from_there(
    monkeypatch, experiment, on_cluster, cluster
):
    on_cluster()
    request = AllSourcesRequest(experiment, "q", "exact")
    job = submit(request)
    until(lambda: job.snapshot().n_done > 0)
    job.cancel()
    until(job.idle.is_set)
    assert job.snapshot().state == "cancelled" and job.snapshot().result is not None
    until(lambda: not tasks_left(cluster))
    kept = len(open_store().keys("piece/"))
    assert kept > 0
    again = ended(submit(request))
    assert again.state == "done" and again.note is None
    until(lambda: not tasks_left(cluster))


def test_two_clients_that_ask_for_the_same_have_it_done_once(cluster, tmp_path):
    tally, gate, keys = tmp_path / "tally", tmp_path / "gate", [f"pathscope-same-{n}" for n in range(3)]
    clients = [
        connection.Connection("twice", connection._client(cluster.scheduler_address)) for _ in range(2)
    ]
    tasks = [
        Task(key, (sealed({"number": number, "tally": str(tally), "gate": str(gate)}),))
        for number, key in enumerate(keys)
    ]
    brought: list[list[int]] = [[], []]

    def ask(mine: int) -> None:
        crew = Crew(clients[mine], Wanted(deeds.fits, b"", {}))
        brought[mine] += [
            words["number"] for _, words, _ in done_by(crew, deeds.tallied, tasks, lambda: False)
        ]

    asking = [threading.Thread(target=ask, args=(mine,)) for mine in range(2)]
    for thread in asking:
        thread.start()
    known = cluster.scheduler.tasks
    until(lambda: all(key in known and len(known[key].who_wants) == 2 for key in keys))
    gate.touch()
    for thread in asking:
        thread.join(60)
    for client in clients:
        client.close()
    assert sorted(brought[0]) == sorted(brought[1]) == [0, 1, 2]
    assert sorted(tally.read_text().split()) == ["0", "1", "2"]


def test_two_servers_with_stores_of_their_own_get_the_same_from_the_shell_too(
    experiment, on_cluster, cluster, tmp_path
):
    table, file = tmp_path / "prompts.jsonl", tmp_path / "effects.parquet"
    words = {name: getattr(experiment, name) for name in ("clean", "corrupted", "answer", "foil")}
    table.write_text(json.dumps(words) + "\n")
    place = tmp_path / "of the shell"
    command = [
        sys.executable,
        "-m",
        "analysis.sweep_many",
        str(table),
        "--component",
        "q",
        "--into",
        str(file),
    ]
    on_cluster()
    with subprocess.Popen(
        [*command, "--cluster", cluster.scheduler_address],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PATHSCOPE_CLUSTER": "", "PATHSCOPE_STORE_DIR": str(place)},
    ) as shell:
        mine = asked(AllSourcesRequest(experiment, "q"))
        _, told = shell.communicate(timeout=120)
    assert shell.returncode == 0, told
    rows = pd.read_parquet(file)
    assert isinstance(mine, AllSourcesResult)
    assert rows["effect"].tolist() == mine.table()["effect"].tolist()


def test_a_prompt_set_is_asked_all_at_once(monkeypatch, on_cluster):
    pairs = [Experiment("demo", one.clean, one.corrupted, one.answer, one.foil) for one in EXAMPLES[:3]]
    broken = replace(pairs[0], answer="no such word at all")
    requests = [OverviewRequest(each) for each in (*pairs, broken)]
    assert [*ahead(requests)] == []
    on_cluster()
    assert [*ahead(requests)] == [(number, 4) for number in (1, 2, 3, 4)]
    assert [stored(request) is not None for request in requests] == [True, True, True, False]
    assert [*ahead(requests[:3])] == []
