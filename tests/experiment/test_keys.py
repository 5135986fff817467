"""Keys come from content: whatever changes a number changes its key, in every process."""

from __future__ import annotations

import inspect
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file

from analysis import answers
from analysis.experiment import keys
from analysis.requests import Experiment
from analysis.results import (
    AllSourcesRequest,
    AttributionRequest,
    OverviewRequest,
    PathRequest,
    Request,
    SanityRequest,
)
from analysis.store import open_store
from tests.computing import Computing
from tests.experiments import on

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("own_store")


@pytest.fixture
def experiment(folder) -> Experiment:
    return on(folder)


def key(request: Request[Any]) -> str:
    return answers.result_key(request, open_store())


def all_kinds(experiment: Experiment) -> tuple[Request[Any], ...]:
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
    answers.answer(request)
    version = keys.importlib.metadata.version
    monkeypatch.setattr(
        keys.importlib.metadata, "version", lambda name: "99" if name == library else version(name)
    )
    assert answers.stored(request) is None
    assert not answers.answer(request).from_store
    assert len(computing.requests) == 2


def test_another_release_of_pathscope_reaches_no_old_number(monkeypatch, experiment):
    computing = Computing(monkeypatch)
    request = OverviewRequest(experiment)
    answers.answer(request)
    monkeypatch.setattr("analysis.experiment.keys.__version__", "99")
    assert answers.stored(request) is None
    assert not answers.answer(request).from_store
    assert len(computing.requests) == 2


def test_another_definition_changes_the_keys_of_its_own_kind_only(monkeypatch, experiment):
    before = [key(request) for request in all_kinds(experiment)]
    for index, request in enumerate(all_kinds(experiment)):
        with monkeypatch.context() as raised:
            raised.setattr(type(request), "version", request.version + 1)
            after = [key(request) for request in all_kinds(experiment)]
        assert [one != another for one, another in zip(before, after, strict=True)] == [
            other == index for other in range(len(before))
        ]


@pytest.mark.parametrize("name", ["SCHEMA_VERSION", "PROCESSING"])
def test_schema_and_processing_change_the_key(monkeypatch, experiment, name):
    before = key(OverviewRequest(experiment))
    monkeypatch.setattr(keys, name, {"SCHEMA_VERSION": 10**6, "PROCESSING": {"fold_ln": False}}[name])
    assert key(OverviewRequest(experiment)) != before


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
        "from analysis import answers; from analysis.results import *; "
        "from analysis.store import open_store; from tests.experiments import on; "
        f"print(answers.result_key(PathRequest(on({str(folder)!r}), 1, 2), open_store()))"
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
    answers.answer(OverviewRequest(experiment))
    shared = answers.answer(OverviewRequest(alias))
    assert shared.from_store and len(computing.requests) == 1
    assert shared.result.request == OverviewRequest(alias)
