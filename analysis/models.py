"""Language models: which there are, loading one, and recognising its weights.

A model is loaded through TransformerLens with compatibility mode on, so that LayerNorm is folded
and `W_U` is the direction that logits are read along. Weights come from safetensors files only,
and no code that a repository brings along is run. Importing this module loads neither torch nor
transformer_lens.
"""

from __future__ import annotations

import gc
import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError

from analysis import model_files
from analysis.errors import ModelError, UnsupportedModelError
from analysis.model_files import DEMO, ModelFiles
from analysis.settings import settings

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

__all__ = ["DEMO", "CatalogueEntry", "LoadedModel", "catalogue", "fingerprint", "load"]


@dataclass(frozen=True)
class CatalogueEntry:
    """A model to offer by name; any other Hugging Face id or local folder works as well."""

    name: str
    title: str
    description: str


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model ready to run: evaluation mode, compatibility mode, no gradients on its weights."""

    name: str
    fingerprint: str
    device: str
    dtype: str
    bridge: TransformerBridge


def catalogue() -> tuple[CatalogueEntry, ...]:
    """The models worth offering by name, the bundled one first."""
    return (
        CatalogueEntry(DEMO, "Demo", "Bundled, 4 layers of 8 heads; trained on the ready examples."),
        CatalogueEntry("gpt2", "GPT-2 small", "12 layers of 12 heads; the model of the IOI circuit."),
        CatalogueEntry("gpt2-medium", "GPT-2 medium", "24 layers of 16 heads."),
        CatalogueEntry("EleutherAI/pythia-70m", "Pythia 70M", "6 layers of 8 heads; parallel blocks."),
        CatalogueEntry("EleutherAI/pythia-160m", "Pythia 160M", "12 layers of 12 heads; parallel blocks."),
        CatalogueEntry("HuggingFaceTB/SmolLM2-135M", "SmolLM2 135M", "30 layers of 9 heads; Llama design."),
        CatalogueEntry("Qwen/Qwen2.5-0.5B", "Qwen2.5 0.5B", "24 layers of 14 heads; grouped k and v."),
        CatalogueEntry("Qwen/Qwen3-0.6B", "Qwen3 0.6B", "28 layers of 16 heads; normed q and k."),
        CatalogueEntry("google/gemma-2-2b", "Gemma 2 2B", "26 layers of 8 heads; gated, needs 11 GB."),
    )


def fingerprint(name: str) -> str:
    """SHA-256 over the content of the configuration, weight and tokenizer files of `name`.

    Needs no torch; downloads the files where they are not here yet. Raises `ModelError`.
    """
    return model_files.find(name).fingerprint


_loaded: OrderedDict[str, LoadedModel] = OrderedDict()
_registry = threading.Lock()
_one_load_at_a_time = threading.Lock()


def load(name: str) -> LoadedModel:
    """The model `name`, loaded once and kept while it is among the `settings().models_loaded` latest.

    Any number of threads may ask at once: one of them loads, the others wait for it. Raises
    `ModelError` with a sentence to act on, `UnsupportedModelError` where the files are whole but
    the architecture is not one whose attention heads can be read.
    """
    name = name.strip()
    files = model_files.find(name)
    key = files.fingerprint
    model = _recall(key)
    if model is None:
        with _one_load_at_a_time:
            model = _recall(key)
            if model is None:
                _import_libraries()
                _make_room(settings().models_loaded - 1)
                model = _load(name, files, key)
                with _registry:
                    _loaded[key] = model
    return replace(model, name=name)


@cache
def _import_libraries() -> None:
    """Import what loading needs, and exempt it from every later garbage collection.

    Streamlit collects after each run of a page. Going through the half a million objects of these
    libraries takes 0.2 s, in which neither another page nor a sweep gets on. Frozen before the first
    model is loaded, so that a model that leaves is still collected.
    """
    for name in ("torch", "transformers", "transformer_lens.model_bridge"):
        import_module(name)
    gc.collect()
    gc.freeze()


def _recall(key: str) -> LoadedModel | None:
    with _registry:
        if key in _loaded:
            _loaded.move_to_end(key)
        return _loaded.get(key)


def _make_room(kept: int) -> None:
    with _registry:
        while len(_loaded) > max(kept, 0):
            _loaded.popitem(last=False)


#: What transformers and TransformerLens raise on files that are whole but do not fit together.
_MISFITS = (
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    SafetensorError,
    StrictDataclassError,
    TypeError,
    ValueError,
)


def _load(name: str, files: ModelFiles, key: str) -> LoadedModel:
    config = model_files.read_json(files.config, name)
    model_files.check_weights(files, name)
    model, tokenizer = _read(name, files, config)
    bridge = _bridge(name, files, model, tokenizer)
    bridge.eval()
    bridge.requires_grad_(False)
    dtype = str(bridge.cfg.dtype).removeprefix("torch.")
    return LoadedModel(name, key, str(bridge.cfg.device), dtype, bridge)


def _read(name: str, files: ModelFiles, config: dict[str, Any]) -> tuple[Any, Any]:
    """The Hugging Face model and tokenizer in `files`."""
    import torch
    from transformer_lens.utilities import get_device
    from transformers import AutoModelForCausalLM, AutoTokenizer

    # trust_remote_code is refused by name: left out, transformers asks on the server's terminal.
    safely: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
    try:
        tokenizer = AutoTokenizer.from_pretrained(files.directory, **safely)
        model, report = AutoModelForCausalLM.from_pretrained(
            files.directory,
            use_safetensors=True,
            dtype=getattr(torch, model_files.compute_dtype(config)),
            attn_implementation="eager",
            output_loading_info=True,
            **safely,
        )
        model = model.to(get_device()).eval()
    except _MISFITS as error:
        own_code = "auto_map" in config and "trust_remote_code" in str(error)
        reason = (
            "it needs code of its own, which Pathscope never runs" if own_code else _first_sentence(error)
        )
        raise ModelError(
            f"{name!r} (model type {config.get('model_type')!r}) could not be loaded: {reason}. "
            "Choose another model or mend its files."
        ) from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise ModelError(
            f"{name!r} lacks {len(missing)} weights that its config.json asks for ({missing[0]} is the "
            "first). Its config and weights belong to different models; download or save it again."
        )
    return model, tokenizer


def _bridge(name: str, files: ModelFiles, model: Any, tokenizer: Any) -> TransformerBridge:
    from transformer_lens.model_bridge import TransformerBridge

    architecture = type(model).__name__
    try:
        bridge = TransformerBridge.boot_transformers(
            str(files.directory),
            hf_model=model,
            tokenizer=tokenizer,
            dtype=model.dtype,
            device=model.device,
        )
        causal = hasattr(bridge, "blocks") and bridge.cfg.attention_dir == "causal"
        if causal:
            bridge.enable_compatibility_mode(disable_warnings=True)
    except (*_MISFITS, NotImplementedError) as error:
        raise UnsupportedModelError(
            f"TransformerLens cannot open {name!r} ({architecture}) for reading: {_first_sentence(error)}. "
            "Decoder-only language models such as GPT-2, Pythia, Llama, Qwen and Gemma 2 work."
        ) from error
    if not causal:
        raise UnsupportedModelError(
            f"{name!r} ({architecture}) is not a decoder-only language model, and path patching and logit "
            "attribution need causal attention blocks. GPT-2, Pythia, Llama, Qwen and Gemma 2 work."
        )
    return bridge


def _first_sentence(error: BaseException) -> str:
    """What `error` says, on one line and without its closing full stop."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text.split(". ")[0].rstrip(".")[:300]
