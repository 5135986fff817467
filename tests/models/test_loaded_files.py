"""What is fingerprinted is what is loaded: no file more, and none that is not safetensors."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from analysis import models
from analysis.answers import answer, stored
from analysis.errors import ModelError
from analysis.models import catalogue, loading
from analysis.models.files import find
from analysis.results import AttributionRequest
from tests.experiments import on
from tests.models.prepared import (
    LOADED,
    REFUSED,
    TOKENIZER,
    WEIGHTS,
    as_in_the_hubs_cache,
    scaled,
)
from tests.models.test_catalogue import change_config
from tests.opens import opens


@pytest.mark.parametrize("case", LOADED)
def test_exactly_the_fingerprinted_files_are_opened(case: str, folder: Path):
    prepare, weights = LOADED[case]
    prepare(folder)
    change_config(folder, note=f"{case}, loaded by no other test")
    files = find(str(folder))
    assert {path.name for path in files.weights} == weights
    assert files.fingerprint
    with opens(folder) as opened:
        models.load(str(folder))
    assert weights <= opened <= weights | TOKENIZER | {"config.json"}


@pytest.mark.parametrize("case", LOADED)
def test_the_fingerprint_follows_each_file_that_is_loaded_and_no_other(case: str, folder: Path):
    prepare, weights = LOADED[case]
    prepare(folder)
    before = models.fingerprint(str(folder))
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        path.write_bytes(content[:-1] + b"?" if path.suffix == ".safetensors" else content + b" ")
        changed = models.fingerprint(str(folder)) != before
        assert changed == (path.name in weights | TOKENIZER | {"config.json"}), path.name
        path.write_bytes(content)
        assert models.fingerprint(str(folder)) == before


def test_links_into_the_hubs_cache_are_followed(folder: Path):
    change_config(folder, note="linked")
    expected = models.load(str(folder))
    as_in_the_hubs_cache(folder)
    assert models.fingerprint(str(folder)) == expected.fingerprint
    catalogue._loaded.clear()
    with opens(folder.parent / "blobs") as opened:
        linked = models.load(str(folder)).bridge
    assert f"digest-of-{WEIGHTS}" in opened
    torch.testing.assert_close(linked("a b"), expected.bridge("a b"))


@pytest.mark.parametrize("case", REFUSED)
def test_what_would_load_something_else_is_refused_in_a_sentence(case: str, folder: Path):
    prepare, message = REFUSED[case]
    prepare(folder)
    with opens(folder, folder.parent) as opened, pytest.raises(ModelError, match=message) as caught:
        models.load(str(folder))
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)
    assert "pathscope-" not in str(caught.value)
    assert not {name for name in opened if name.endswith((".bin", ".4.0.0.json"))}
    assert not opened & {"x.safetensors", "other.safetensors"}


def test_what_changes_while_it_is_loaded_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch):
    change_config(folder, note="changes while it is loaded")
    load = loading.load

    def load_and_change(*arguments: Any) -> Any:
        bridge = load(*arguments)
        scaled(folder, WEIGHTS, 2.0)
        return bridge

    monkeypatch.setattr(loading, "load", load_and_change)
    with pytest.raises(ModelError, match="changed while it was being loaded"):
        models.load(str(folder))
    monkeypatch.undo()
    assert models.load(str(folder)).fingerprint == models.fingerprint(str(folder))


def test_a_file_that_got_its_old_size_and_date_back_has_another_fingerprint(folder: Path):
    before, state = models.fingerprint(str(folder)), (folder / WEIGHTS).stat()
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (folder / WEIGHTS).write_bytes(content)
    os.utime(folder / WEIGHTS, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert models.fingerprint(str(folder)) != before


@pytest.mark.usefixtures("own_store")
def test_a_stored_number_is_not_served_for_other_weights(folder: Path):
    request = AttributionRequest(on(folder))
    first = answer(request)
    assert not first.from_store and answer(request).from_store
    scaled(folder, WEIGHTS, 3.0)
    assert stored(request) is None
    second = answer(request)
    assert not second.from_store
    assert abs(second.result.logit_difference - first.result.logit_difference).max() > 1e-3


def test_the_watch_sees_native_code_open_a_file_through_a_link(folder: Path, tmp_path: Path):
    (tmp_path / "link").symlink_to(folder / WEIGHTS)
    with opens(folder) as opened:
        load_file(tmp_path / "link")
    assert opened == {WEIGHTS}
    with opens(folder) as opened:
        pass
    assert opened == set()
