"""A model's files: found in a folder, in the Hub's cache or on the Hub, and told apart by content."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest

from analysis import answers, demo_model, models
from analysis.errors import ModelError
from analysis.models import files as model_files
from analysis.models.reading import read_json
from analysis.requests import Experiment
from analysis.results import OverviewRequest
from analysis.store import open_store
from tests.models.hub import Hub

# The fingerprint


def test_the_fingerprint_follows_the_content_and_nothing_else(folder: Path, tmp_path: Path):
    copy = shutil.copytree(folder, tmp_path / "elsewhere")
    assert models.fingerprint(str(copy)) == models.fingerprint(str(folder))
    (copy / "README.md").write_text("A note.")
    assert models.fingerprint(str(copy)) == models.fingerprint(str(folder))


@pytest.mark.parametrize(
    "changed", ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
)
def test_a_change_of_one_byte_changes_the_fingerprint(changed: str, folder: Path):
    before = models.fingerprint(str(folder))
    content = bytearray((folder / changed).read_bytes())
    content[content.rindex(b" ")] = ord("\n")
    (folder / changed).write_bytes(content)
    assert models.fingerprint(str(folder)) != before


def test_content_is_hashed_once(folder: Path, monkeypatch: pytest.MonkeyPatch):
    before = models.fingerprint(str(folder))
    monkeypatch.setattr(model_files.hashlib, "file_digest", None)
    assert models.fingerprint(str(folder)) == before


def test_files_are_gone_through_again_only_when_one_of_them_has_changed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    read: list[str] = []

    def reading(path: Path, name: str) -> dict[str, Any]:
        read.append(path.name)
        return read_json(path, name)

    monkeypatch.setattr(model_files, "read_json", reading)
    found = model_files.find(str(folder))
    assert model_files.find(str(folder)) == found and read == ["config.json"]
    fields = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(fields | {"dtype": "float64"}))
    assert model_files.find(str(folder)).dtype == "float64" != found.dtype
    (folder / "tokenizer.json").unlink()
    for _ in range(2):
        with pytest.raises(ModelError, match="no tokenizer"):
            model_files.find(str(folder))


# Names that lead nowhere


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "No model is named. Give 'demo', a Hugging Face id"),
        ("  ", "No model is named"),
        ("/no/such/folder", "There is no folder '/no/such/folder', and it is no Hugging Face id either"),
        ("two words", "no folder 'two words'"),
        ("../..x", "no folder"),
        ("x" * 300, "cannot be read: .*too long"),
        ("nul\0byte", "no folder"),
        ("~nobody-of-that-name/model", "cannot be read"),
        (__file__, "is a file, and a model is a folder"),
        ("x/" * 5000, "at most 4,096 characters, and this one has 10,000"),
        ("gpt2\ud800", r"no folder 'gpt2\\ud800'"),
        ("/dev/null", "is a file, and a model is a folder"),
        ("/", "has no config.json"),
    ],
    ids="empty spaces path words dots long nul user file longer surrogate device root".split(),
)
def test_a_name_that_is_no_model_says_what_a_model_is(name: str, message: str):
    for ask in (models.fingerprint, models.load):
        with pytest.raises(ModelError, match=message):
            ask(name)


def test_the_bundled_model_is_found_by_its_folder_too():
    assert models.fingerprint(str(demo_model.DIRECTORY)) == models.fingerprint("demo")


# The Hugging Face Hub


def test_a_look_up_fetches_no_model_and_a_computation_does(hub: type[Hub], own_store: None):
    """Whoever turns to a page downloads nothing until they ask for numbers."""
    request = OverviewRequest(Experiment("pathscope/tiny", "a b c", "a d c", " e", " f"))
    assert answers.stored(request) is None
    assert not hub.downloads
    with pytest.raises(ModelError):
        answers.result_key(request, open_store(), download=False)
    assert not hub.downloads
    answers.result_key(request, open_store())
    assert hub.downloads


def test_a_hub_model_is_downloaded_once_and_then_needs_no_network(
    hub: type[Hub], folder: Path, monkeypatch: pytest.MonkeyPatch
):
    pickle = folder / "pytorch_model.bin"
    pickle.write_bytes(b"never to be fetched")
    with pytest.raises(ModelError):
        model_files.find("pathscope/tiny", download=False)
    assert models.fingerprint("pathscope/tiny") == models.fingerprint(str(folder))
    model_files.find("pathscope/tiny", download=False)
    downloads = hub.downloads
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert models.load("pathscope/tiny").bridge("a").isfinite().all()
    assert hub.downloads == downloads
    assert not list(Path(huggingface_hub.constants.HF_HUB_CACHE).rglob("*.bin"))


def test_what_is_wrong_with_files_that_are_here_is_told_without_network(
    hub: type[Hub], folder: Path, monkeypatch: pytest.MonkeyPatch
):
    (folder / "model.safetensors").write_bytes(b"damaged")
    for offline in (False, True):
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", offline)
        with pytest.raises(ModelError, match=r"model\.safetensors of 'pathscope/tiny' is damaged"):
            models.load("pathscope/tiny")


def test_a_model_that_the_hub_does_not_have_says_so(hub: type[Hub]):
    with pytest.raises(
        ModelError, match="The Hugging Face Hub has no model 'pathscope/huge', or it is private"
    ):
        models.load("pathscope/huge")


@pytest.mark.usefixtures("hub_cache")
@pytest.mark.parametrize("offline", [True, False], ids=["switched off", "no answer"])
def test_without_network_the_way_out_is_named(offline: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", offline)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    for ask in (models.fingerprint, models.load):
        with pytest.raises(
            ModelError,
            match=r"'gpt2' is not on this machine and the Hugging Face Hub cannot be reached\. "
            r"Download it on a machine with network and give its local folder, or use .* 'demo'\.",
        ):
            ask("gpt2")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("GPT-2", ["gpt2"]),
        ("openai/gpt2-medum", ["gpt2-medium"]),
        ("pythia 160m", ["EleutherAI/pythia-160m", "EleutherAI/pythia-70m"]),
        ("SmolLM2-135M", ["HuggingFaceTB/SmolLM2-135M"]),
        ("/models/gemma-2-2b", ["google/gemma-2-2b"]),
        ("dmeo", ["demo"]),
        ("tinny", ["pathscope/tiny"]),
        ("banana", []),
    ],
)
def test_a_name_that_is_not_found_is_told_what_is_near_and_what_is_here(
    hub: type[Hub], name: str, meant: list[str]
):
    models.fingerprint("pathscope/tiny")
    with pytest.raises(ModelError) as caught:
        model_files.find(name)
    error = caught.value
    assert [(remedy.field, remedy.value) for remedy in error.remedies] == [("model", one) for one in meant]
    assert ("Did you mean" in str(error)) == bool(meant)
    assert all(f"{one!r}" in str(error) for one in meant)
    assert str(error).endswith("On this machine: 'demo', 'induction', 'attention', 'pathscope/tiny'.")


def test_a_name_that_is_right_is_not_offered_for_itself(hub_cache: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError) as caught:
        model_files.find("gpt2")
    assert "gpt2" not in [remedy.value for remedy in caught.value.remedies]
    for number in range(7):
        (hub_cache / f"models--some--model-{number}" / "snapshots" / "x").mkdir(parents=True)
        (hub_cache / f"models--some--model-{number}" / "snapshots" / "x" / "config.json").touch()
    (hub_cache / "models--some--half" / "snapshots" / "x").mkdir(parents=True)
    with pytest.raises(
        ModelError, match=r"'demo', 'induction', 'attention', 'some/model-0', .*'some/model-4' and 2 more\.$"
    ):
        model_files.find("banana")


def test_before_loading_it_is_said_whether_a_model_is_here_and_how_large_it_is(hub: type[Hub], folder: Path):
    megabytes = (folder / "model.safetensors").stat().st_size / 1e6
    assert models.before_loading("demo") is None
    assert models.before_loading("pathscope/tiny") is None
    assert models.before_loading("/no/such/folder") is None
    assert models.before_loading(str(folder)) == f"On this machine, {megabytes:.0f} MB."
    assert models.before_loading("gpt2") == (
        "Not on this machine yet: 548 MB come from the Hugging Face Hub first. "
        "Loads in about 4 s on two cores."
    )
    assert not hub.downloads
    models.fingerprint("pathscope/tiny")
    assert models.before_loading("pathscope/tiny") == f"On this machine, {megabytes:.0f} MB."


@pytest.mark.parametrize(
    ("name", "from_hub"),
    [
        ("gpt2", True),
        (" acme/some-model ", True),
        ("demo", False),
        ("", False),
        ("here", False),
        ("./here", False),
    ],
)
def test_what_is_known_by_an_id_is_not_taken_for_a_folder(monkeypatch, tmp_path, name, from_hub):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    assert model_files.is_from_hub(name) == from_hub
