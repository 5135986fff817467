"""Models: every family loads from its folder, and whatever is wrong with a folder is a sentence."""

from __future__ import annotations

import gc
import json
import shutil
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from analysis.errors import ModelError, UnsupportedModelError
from analysis.models import catalogue as models
from tests.families import FAMILIES, write_family

FamilyDirectory = Callable[[str], Path]


def change_config(folder: Path, **fields: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


# The catalogue


def test_the_bundled_models_come_first_and_names_are_unique():
    names = [entry.name for entry in models.entries()]
    assert names[:3] == ["demo", "induction", "attention"] == list(models.BUNDLED)
    assert len(set(names)) == len(names)


def test_the_bundled_model_loads():
    assert models.load("demo").bridge.cfg.n_layers >= 4


# Loading


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_loads_and_computes_what_hugging_face_computes(
    family: str, family_directory: FamilyDirectory
):
    directory = family_directory(family)
    loaded = models.load(str(directory))
    theirs = AutoModelForCausalLM.from_pretrained(directory, attn_implementation="eager").eval()
    tokens = torch.tensor([[0, 5, 66, 7, 81, 9]])
    with torch.no_grad():
        expected = theirs(tokens).logits.log_softmax(dim=-1)
    torch.testing.assert_close(loaded.bridge(tokens).log_softmax(dim=-1), expected, atol=1e-4, rtol=0)


def test_a_loaded_model_is_ready_to_read(family_directory: FamilyDirectory):
    name = str(family_directory("pythia"))
    loaded = models.load(name)
    assert (loaded.name, loaded.fingerprint) == (name, models.fingerprint(name))
    assert (loaded.device, loaded.dtype) == (str(loaded.bridge.W_U.device), "float32")
    assert loaded.bridge.compatibility_mode
    assert not loaded.bridge.training
    assert not any(parameter.requires_grad for parameter in loaded.bridge.parameters())
    assert not loaded.bridge("a").requires_grad


@pytest.mark.parametrize(
    ("stored", "computed"),
    [
        (torch.bfloat16, "float32"),
        (torch.float16, "float32"),
        (torch.float32, "float32"),
        (torch.float64, "float64"),
    ],
)
def test_half_precision_weights_compute_in_float32(stored: torch.dtype, computed: str, tmp_path: Path):
    loaded = models.load(str(write_family("gpt2", tmp_path, dtype=stored)))
    assert loaded.dtype == computed
    assert loaded.bridge("a").dtype == getattr(torch, computed)


def test_sharded_weights_load(tmp_path: Path, folder: Path):
    whole = models.load(str(folder)).bridge("a b")
    AutoModelForCausalLM.from_pretrained(folder).save_pretrained(tmp_path / "shards", max_shard_size="20KB")
    for path in folder.glob("tokenizer*"):
        shutil.copy(path, tmp_path / "shards")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 1
    torch.testing.assert_close(models.load(str(tmp_path / "shards")).bridge("a b"), whole)


def test_only_as_many_models_stay_loaded_as_the_setting_says(
    monkeypatch: pytest.MonkeyPatch, family_directory: FamilyDirectory
):
    monkeypatch.setenv("PATHSCOPE_MODELS", "2")
    first, second, third = (str(family_directory(name)) for name in ("gpt2", "llama", "qwen2"))
    kept = models.load(first).bridge
    second_bridge = models.load(second).bridge
    assert models.load(first).bridge is kept
    models.load(third)
    assert models.load(first).bridge is kept, "the most recently used stays"
    assert models.load(second).bridge is not second_bridge, "the least recently used left"
    assert len(models._loaded) == 2


def test_garbage_collection_passes_over_the_libraries_but_frees_a_model_that_left(
    monkeypatch: pytest.MonkeyPatch, folder: Path
):
    monkeypatch.setenv("PATHSCOPE_MODELS", "1")
    bridge = weakref.ref(models.load(str(folder)).bridge)
    assert gc.get_freeze_count() > 100_000
    models.load("demo")
    assert bridge() is None


def test_what_did_not_fit_is_refused_again_without_reading_it(monkeypatch: pytest.MonkeyPatch, folder: Path):
    change_config(folder, note="too large")
    monkeypatch.setenv("PATHSCOPE_MEMORY_BYTES", "1MB")
    with pytest.raises(ModelError, match="of memory while it is loaded") as first:
        models.load(str(folder))
    monkeypatch.setattr("analysis.models.loading.load", lambda *_: pytest.fail("it was read again"))
    with pytest.raises(ModelError) as second:
        models.load(str(folder))
    assert str(second.value) == str(first.value)


def test_sixteen_first_requests_at_once_load_one_model(monkeypatch: pytest.MonkeyPatch, folder: Path):
    change_config(folder, note="not loaded by any other test")
    loads, load = [], models._load

    def counted(*arguments: Any) -> models.LoadedModel:
        loads.append(arguments)
        return load(*arguments)

    monkeypatch.setattr(models, "_load", counted)
    start = threading.Barrier(16)

    def request(_: int) -> Any:
        start.wait()
        return models.load(str(folder)).bridge

    with ThreadPoolExecutor(16) as pool:
        bridges = list(pool.map(request, range(16)))
    assert len(loads) == 1
    assert all(bridge is bridges[0] for bridge in bridges)


def test_a_model_whose_files_changed_is_loaded_anew(folder: Path):
    before = models.load(str(folder))
    weights = load_file(folder / "model.safetensors")
    save_file(
        {name: 2 * weight for name, weight in weights.items()}, folder / "model.safetensors", {"format": "pt"}
    )
    after = models.load(str(folder))
    assert after.fingerprint != before.fingerprint
    assert not torch.equal(after.bridge("a"), before.bridge("a"))


# Broken folders


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def drop_a_weight(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["transformer.h.1.mlp.c_fc.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def pickle_the_weights(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def index_a_missing_shard(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (lambda f: (f / "config.json").unlink(), "has no config.json. A Hugging Face model folder"),
    "config is no JSON": (
        lambda f: (f / "config.json").write_text("{"),
        "config.json of .* is not readable JSON",
    ),
    "config is a list": (
        lambda f: (f / "config.json").write_text("[]"),
        "config.json of .* holds no JSON object",
    ),
    "no weights": (
        lambda f: (f / "model.safetensors").unlink(),
        "has no model.safetensors. Save the model again",
    ),
    "pickled weights": (
        pickle_the_weights,
        "pytorch_model.bin, a pickle, which can run code and is never loaded",
    ),
    "a shard is missing": (index_a_missing_shard, "lacks 1 of its 2 weight files .'model-00002-of-00002"),
    "an index of nothing": (
        lambda f: (f / "model.safetensors").rename(f / "model.safetensors.index.json").write_text("{}"),
        "names no weight files",
    ),
    "truncated weights": (
        lambda f: truncate(f / "model.safetensors"),
        "damaged or incomplete .*Download or copy",
    ),
    "empty weights": (lambda f: (f / "model.safetensors").write_bytes(b""), "damaged or incomplete"),
    "a weight is missing": (drop_a_weight, r"lacks 1 weights .*transformer\.h\.1\.mlp\.c_fc\.weight"),
    "weights of another size": (
        lambda f: change_config(f, n_embd=64),
        "could not be loaded: .*Choose another",
    ),
    "no tokenizer": (
        lambda f: [path.rename(path.with_suffix(".old")) for path in f.glob("tokenizer*")],
        "has no tokenizer .none of .*tokenizer.json",
    ),
    "tokenizer is no JSON": (
        lambda f: (f / "tokenizer.json").write_text("{"),
        "tokenizer.json of .* is not readable JSON: .* Download or save the model again",
    ),
    "tokenizer is empty": (lambda f: (f / "tokenizer.json").write_text("{}"), "could not be loaded"),
    "config of the wrong types": (lambda f: change_config(f, n_head="many"), "could not be loaded: .*n_head"),
    "unknown model type": (lambda f: change_config(f, model_type="nonsense"), "model type 'nonsense'"),
    "code of its own": (
        lambda f: change_config(f, model_type="own", auto_map={"AutoConfig": "code.Config"}),
        "it needs code of its own, which Pathscope never runs",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_folder_is_one_sentence(fault: str, folder: Path):
    spoil, message = BROKEN[fault]
    spoil(folder)
    with pytest.raises(ModelError, match=message) as caught:
        models.load(str(folder))
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_code_in_a_folder_is_never_run_nor_asked_about(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "code.py").write_text("raise SystemExit('ran foreign code')")
    change_config(folder, model_type="own", auto_map={"AutoConfig": "code.Config"})
    with pytest.raises(ModelError, match="never runs"):
        models.load(str(folder))
    assert "[y/N]" not in "".join(capsys.readouterr())


def test_an_encoder_is_not_a_language_model_to_patch(tmp_path: Path, folder: Path):
    from transformers import BertConfig, BertLMHeadModel

    config = BertConfig(
        vocab_size=320, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64
    )
    BertLMHeadModel(config).save_pretrained(tmp_path / "bert")
    for path in folder.glob("tokenizer*"):
        shutil.copy(path, tmp_path / "bert")
    with pytest.raises(UnsupportedModelError, match="Bert"):
        models.load(str(tmp_path / "bert"))


def test_a_failed_load_leaves_the_next_one_alone(folder: Path):
    good = (folder / "model.safetensors").read_bytes()
    truncate(folder / "model.safetensors")
    with pytest.raises(ModelError):
        models.load(str(folder))
    (folder / "model.safetensors").write_bytes(good)
    assert models.load(str(folder)).bridge("a").isfinite().all()


@pytest.mark.parametrize("family", ["gpt2 unscaled", "gpt_oss", "opt with projections"])
def test_a_model_that_transformer_lens_opens_as_another_is_refused(tmp_path: Path, family: str):
    with pytest.raises(UnsupportedModelError, match=r"opens .* as another model.* Choose a model"):
        models.load(str(write_family(family, tmp_path)))


@pytest.mark.parametrize("family", ["falcon", "granite", "mixtral"])
def test_a_model_that_it_reproduces_is_not(tmp_path: Path, family: str):
    assert models.load(str(write_family(family, tmp_path))).name == str(tmp_path)
