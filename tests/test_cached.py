"""Keys come from content, and nothing is computed twice."""

from __future__ import annotations

import inspect
import json
import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from analysis import cached, keys, memo
from analysis.errors import ModelError, PromptError
from analysis.requests import (
    AllSourcesRequest,
    AttributionRequest,
    Experiment,
    OverviewRequest,
    PathRequest,
    Request,
    SanityRequest,
)
from analysis.results import AllSourcesResult, OverviewResult, Provenance, causal_edges
from tests.experiments import on

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _own_store(monkeypatch, tmp_path):
    monkeypatch.setenv("PATHSCOPE_CACHE_DIR", str(tmp_path / "store"))


@pytest.fixture
def experiment(folder) -> Experiment:
    return on(folder)


def provenance() -> Provenance:
    return Provenance("m", "f", {}, "cpu", "float32", "forward", "2000-01-01T00:00:00+00:00", 0.1)


def overview(request: OverviewRequest) -> OverviewResult:
    """A result made of nothing but the request, so that no model is needed."""
    top = ((" g", 1.0, 0.5),)
    return OverviewResult(
        request, provenance(), (" a",), (" b",), top, top, {"kl_from_clean": (0.0, 1.0)}, 3, 4
    )


class Computing:
    """Stands in for `analysis.compute.compute`: counts, and takes its time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *failures: Exception) -> None:
        self.requests: list[Request] = []
        self._failures = list(failures)
        self._pause = threading.Event()
        monkeypatch.setattr("analysis.compute.compute", self)

    def __call__(self, request: OverviewRequest, store: object) -> OverviewResult:
        self.requests.append(request)
        self._pause.wait(0.2)
        if self._failures:
            raise self._failures.pop(0)
        return overview(request)


def key(request: Request) -> str:
    return cached.result_key(request, cached.open_store())


def all_kinds(experiment: Experiment) -> tuple[Request, ...]:
    return (
        OverviewRequest(experiment),
        AttributionRequest(experiment),
        PathRequest(experiment, 0, 1),
        AllSourcesRequest(experiment),
        SanityRequest(experiment),
    )


def test_kinds_of_request_have_keys_of_their_own(experiment):
    assert len({key(request) for request in all_kinds(experiment)}) == 5


@pytest.mark.parametrize("field", ["clean", "corrupted", "answer", "foil"])
def test_every_text_changes_every_key(experiment, field):
    other = replace(experiment, **{field: " z"})
    for one, another in zip(all_kinds(experiment), all_kinds(other), strict=True):
        assert key(one) != key(another)


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (AttributionRequest, "unit", "head"),
        (AttributionRequest, "run", "corrupted"),
        (PathRequest, "source_layer", 1),
        (PathRequest, "source_head", 2),
        (PathRequest, "component", "v"),
        (PathRequest, "layer_norm", "exact"),
        (PathRequest, "metric", "kl_from_clean"),
        (AllSourcesRequest, "component", "k"),
        (AllSourcesRequest, "layer_norm", "exact"),
        (AllSourcesRequest, "metric", "answer_probability"),
    ],
)
def test_every_field_of_a_request_changes_its_key(experiment, kind, field, value):
    request = next(request for request in all_kinds(experiment) if isinstance(request, kind))
    assert key(request) != key(replace(request, **{field: value}))


def test_a_single_weight_changes_the_key(experiment, folder):
    before = key(OverviewRequest(experiment))
    path = folder / "model.safetensors"
    weights = load_file(path)
    weights["transformer.ln_f.bias"][0] += 1
    save_file(weights, path, metadata={"format": "pt"})
    assert key(OverviewRequest(experiment)) != before


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "tokenizer_config.json"])
def test_configuration_and_tokenizer_change_the_key(experiment, folder, file):
    before = key(OverviewRequest(experiment))
    fields = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps(fields | {"note": "another"}))
    assert key(OverviewRequest(experiment)) != before


@pytest.mark.parametrize("library", keys.LIBRARIES)
def test_an_upgrade_never_serves_an_old_number(monkeypatch, experiment, library):
    computing = Computing(monkeypatch)
    request = OverviewRequest(experiment)
    cached.answer(request)
    version = keys.importlib.metadata.version
    monkeypatch.setattr(
        keys.importlib.metadata, "version", lambda name: "99" if name == library else version(name)
    )
    assert cached.stored(request) is None
    assert not cached.answer(request).from_store
    assert len(computing.requests) == 2


@pytest.mark.parametrize("name", ["SCHEMA_VERSION", "PROCESSING"])
def test_schema_and_processing_change_the_key(monkeypatch, experiment, name):
    before = key(OverviewRequest(experiment))
    monkeypatch.setattr(keys, name, {"SCHEMA_VERSION": 10**6, "PROCESSING": {"fold_ln": False}}[name])
    assert key(OverviewRequest(experiment)) != before


@pytest.mark.parametrize(
    "change",
    [{"fingerprint": "g"}, {"dtype": "float64"}, {"token_ids": [1, 2, 4]}],
    ids=lambda c: next(iter(c)),
)
def test_runs_of_other_weights_dtypes_and_tokens_have_other_keys(change):
    content = {"fingerprint": "f", "dtype": "float32", "token_ids": [1, 2, 3]}
    assert keys.run_content(**content) != keys.run_content(**content | change)


def test_the_processing_in_the_key_is_what_transformer_lens_does():
    from transformer_lens.model_bridge import TransformerBridge

    signature = inspect.signature(TransformerBridge.enable_compatibility_mode)
    defaults = {name: parameter.default for name, parameter in signature.parameters.items()}
    flags = dict(keys.PROCESSING)
    assert flags.pop("compatibility_mode") is True
    assert flags == {name: defaults[name] for name in flags}
    assert set(defaults) - set(flags) == {"self", "disable_warnings", "no_processing"}


@pytest.mark.parametrize("stated", ["float32", "float64", "bfloat16"])
def test_the_dtype_in_the_key_is_the_one_that_is_computed_in(folder, stated):
    from analysis import models

    fields = json.loads((folder / "config.json").read_text())
    fields.pop("torch_dtype", None)
    (folder / "config.json").write_text(json.dumps(fields | {"dtype": stated}))
    assert keys.model_content(str(folder))["dtype"] == models.load(str(folder)).dtype


def test_two_processes_give_the_same_key(experiment, folder):
    script = (
        "from analysis import cached; from analysis.requests import *; from tests.experiments import on; "
        f"print(cached.result_key(PathRequest(on({str(folder)!r}), 1, 2), cached.open_store()))"
    )
    own = key(PathRequest(experiment, 1, 2))
    for seed in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=True,
            timeout=120,
        )
        assert run.stdout.strip() == own


def test_two_names_of_the_same_files_share_a_result(monkeypatch, experiment, folder, tmp_path):
    computing = Computing(monkeypatch)
    alias = replace(experiment, model=str(shutil.copytree(folder, tmp_path / "alias")))
    cached.answer(OverviewRequest(experiment))
    shared = cached.answer(OverviewRequest(alias))
    assert shared.from_store and len(computing.requests) == 1
    assert shared.result.request == OverviewRequest(alias)


def test_what_is_computed_is_stored_and_then_found(monkeypatch, experiment):
    computing = Computing(monkeypatch)
    request = OverviewRequest(experiment)
    assert cached.stored(request) is None
    first = cached.answer(request)
    assert (first.from_store, first.note) == (False, None)
    for again in (cached.answer(request), cached.stored(request)):
        assert again is not None and again.from_store
        assert again.result.parts()[1] == first.result.parts()[1]
    assert computing.requests == [request]


def test_a_model_that_is_not_here_has_nothing_stored(experiment):
    assert cached.stored(OverviewRequest(replace(experiment, model="nobody/no-such-model"))) is None
    with pytest.raises(ModelError, match="no-such-model"):
        cached.answer(OverviewRequest(replace(experiment, model="nobody/no-such-model")))


def test_sixteen_simultaneous_requests_are_one_computation(monkeypatch, experiment):
    computing = Computing(monkeypatch)
    with ThreadPoolExecutor(16) as visitors:
        answers = list(visitors.map(cached.answer, [OverviewRequest(experiment)] * 16))
    assert len(computing.requests) == 1
    assert {answer.result.clean_top for answer in answers} == {((" g", 1.0, 0.5),)}


def test_they_are_one_computation_also_where_nothing_can_be_stored(monkeypatch, experiment):
    monkeypatch.setattr("analysis.cache.Store.put", lambda *_: "Shown but not stored: no room.")
    looked = threading.Semaphore(0)
    recall = memo.recall
    requests = []

    def look(*arguments):
        looked.release()
        return recall(*arguments)

    def compute(request, store):
        requests.append(request)
        for _ in range(17):  # all sixteen have found nothing, and one of them has looked again
            assert looked.acquire(timeout=30)
        threading.Event().wait(0.2)
        return overview(request)

    monkeypatch.setattr(memo, "recall", look)
    monkeypatch.setattr("analysis.compute.compute", compute)
    with ThreadPoolExecutor(16) as visitors:
        answers = list(visitors.map(cached.answer, [OverviewRequest(experiment)] * 16))
    assert len(requests) == 1
    assert {answer.note for answer in answers} == {"Shown but not stored: no room."}
    assert cached.stored(OverviewRequest(experiment)) is None


def test_different_requests_do_not_wait_for_each_other(monkeypatch, experiment):
    both = threading.Barrier(2, timeout=20)

    def compute(request, store):
        both.wait()
        return overview(request)

    monkeypatch.setattr("analysis.compute.compute", compute)
    requests = [OverviewRequest(experiment), OverviewRequest(replace(experiment, answer=" z"))]
    with ThreadPoolExecutor(2) as visitors:
        assert [a.result.request for a in visitors.map(cached.answer, requests)] == requests


def test_a_failure_reaches_everyone_and_is_not_remembered(monkeypatch, experiment):
    computing = Computing(monkeypatch, PromptError("The clean prompt is empty."))

    def ask(request: OverviewRequest) -> object:
        try:
            return cached.answer(request)
        except PromptError as error:
            return str(error)

    with ThreadPoolExecutor(4) as visitors:
        told = list(visitors.map(ask, [OverviewRequest(experiment)] * 4))
    assert "The clean prompt is empty." in told
    assert cached.answer(OverviewRequest(experiment)).result.n_layers == 3
    assert len(computing.requests) == 2


_COMPUTE_WITHOUT_TORCH = """
import sys, time, types
from pathlib import Path
from analysis import cached
from analysis.requests import OverviewRequest
from tests.experiments import on
from tests.test_cached import overview

folder, ready, other = sys.argv[1:]

def compute(request, store):
    print("computed", flush=True)
    time.sleep(0.5)
    return overview(request)

module = types.ModuleType("analysis.compute")
module.compute = compute
sys.modules["analysis.compute"] = module
request = OverviewRequest(on(folder))
cached.result_key(request, cached.open_store())
Path(ready).touch()
while not Path(other).exists():
    time.sleep(0.005)
print(cached.answer(request).result.n_heads)
"""


def test_two_processes_are_one_computation(folder, tmp_path):
    ready = [str(tmp_path / "one"), str(tmp_path / "two")]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _COMPUTE_WITHOUT_TORCH, str(folder), mine, other],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for mine, other in (ready, ready[::-1])
    ]
    told = [process.communicate(timeout=120)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert [words[-1] for words in told] == ["4", "4"]
    assert sum(words.count("computed") for words in told) == 1


def sweep(request: AllSourcesRequest) -> AllSourcesResult:
    values = np.arange(144.0).reshape(3, 4, 3, 4)
    values[~causal_edges(3, 4)] = np.nan
    ends = {
        "corrupted_metric": 0.5,
        "clean_metric": 2.0,
        "clean_tokens": (" a",),
        "corrupted_tokens": (" b",),
    }
    return AllSourcesResult(request, provenance(), values=values, estimate=values * np.nan, **ends)


def test_a_single_source_is_read_from_a_stored_sweep(monkeypatch, experiment):
    computing = Computing(monkeypatch)
    whole = sweep(AllSourcesRequest(experiment, component="k", metric="kl_from_clean"))
    assert cached.remember(whole) is None
    row = cached.stored(PathRequest(experiment, 1, 2, component="k", metric="kl_from_clean"))
    assert row is not None and row.from_store
    np.testing.assert_array_equal(row.result.values, whole.values[1, 2])
    assert row.result.request == PathRequest(experiment, 1, 2, component="k", metric="kl_from_clean")
    assert computing.requests == []


@pytest.mark.parametrize("other", [{"component": "v"}, {"layer_norm": "exact"}, {"metric": "kl_from_clean"}])
def test_but_from_no_other_sweep(experiment, other):
    cached.remember(sweep(AllSourcesRequest(experiment)))
    assert cached.stored(PathRequest(experiment, 1, 2)) is not None
    assert cached.stored(PathRequest(experiment, 1, 2, **other)) is None


@pytest.mark.parametrize("source", [(3, 0), (0, 4), (-1, 0), (0, -1)])
def test_and_not_for_a_head_that_does_not_exist(experiment, source):
    cached.remember(sweep(AllSourcesRequest(experiment)))
    assert cached.stored(PathRequest(experiment, *source)) is None
