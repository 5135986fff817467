"""Language models: which there are, loading one, and recognising its weights.

Importing this module loads neither torch nor transformer_lens; `analysis.models.loading`, which the
first `load` imports, does.
"""

from __future__ import annotations

import gc
import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from analysis.errors import ModelError
from analysis.memory import give_back
from analysis.models import files as model_files
from analysis.models.files import ModelFiles
from analysis.models.offered import BUNDLED, entries, size
from analysis.models.turns import Turns
from analysis.policy import policy
from analysis.settings import settings

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


#: What GPT-2 small is called on the Hub: much has been published of it.
GPT2_SMALL = ("gpt2", "openai-community/gpt2")

#: Measured on two cores: SmolLM2-135M takes 2 s once the libraries are there.
_SECONDS_OF_LIBRARIES, _SECONDS_OF_A_MILLION = 3.0, 0.012


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model ready to run: evaluation mode, compatibility mode, no gradients on its weights."""

    name: str
    fingerprint: str
    device: str
    dtype: str
    bridge: TransformerBridge


def before_loading(name: str) -> str | None:
    """What stands between choosing the model `name` and running it, as far as it is known without either.

    None for a bundled model, and where nothing is known.
    """
    name = name.strip()
    if not name or name in BUNDLED:
        return None
    entry = next((entry for entry in entries() if entry.name == name), None)
    try:
        files = model_files.find(name, download=False)
        megabytes = sum(path.stat().st_size for path in files.weights) / 1e6
        sentences = [f"On this machine, {size(megabytes)}."]
    except (ModelError, OSError):
        if entry is None:
            return None
        sentences = [
            f"Not on this machine yet: {size(entry.megabytes)} come from the Hugging Face Hub first."
        ]
    if entry is not None:
        seconds = _SECONDS_OF_LIBRARIES + _SECONDS_OF_A_MILLION * entry.millions
        sentences.append(f"Loads in about {seconds:.0f} s on two cores.")
    return " ".join(sentences)


def offered() -> tuple[str, ...]:
    """The names to choose from, the bundled ones first: those of the policy, else those of `entries`."""
    named = policy().models
    return tuple(entry.name for entry in entries()) if named is None else (*BUNDLED, *named)


def fingerprint(name: str) -> str:
    """SHA-256 over names and contents of the configuration, weight and tokenizer files of `name`.

    Needs no torch; downloads the files where they are not here yet. Raises `ModelError`.
    """
    return model_files.find(name).fingerprint


_loaded: OrderedDict[str, LoadedModel] = OrderedDict()
_registry = threading.Lock()
_loads: Turns[LoadedModel] = Turns()
#: Bytes that loading a model takes, by its fingerprint, of those that were to be loaded.
_needed: dict[str, int] = {}


def load(name: str) -> LoadedModel:
    """The model `name`, loaded once and kept while it is among the `settings().models_loaded` latest.

    Any number of threads may ask at once: it is loaded once, in a thread of its own, and they wait for it;
    one model at a time, and none for longer than `settings().load_seconds`. Raises `ModelError` with a
    sentence to act on, `UnsupportedModelError` where the files are whole but TransformerLens cannot open the
    model, opens it as another one, or finds no causal attention in it.
    """
    name = name.strip()
    files = model_files.find(name)
    key = files.fingerprint
    seconds = settings().load_seconds
    too_long = ModelError(
        f"{name!r} is not loaded after {seconds:g} s, and nobody waits for it any longer. Try again later, "
        "choose a smaller model, or allow more time (PATHSCOPE_LOAD_SECONDS)."
    )
    model = _recall(key) or _loads.once(key, lambda: _load_and_keep(name, files, key), seconds, too_long)
    return replace(model, name=name)


def _load_and_keep(name: str, files: ModelFiles, key: str) -> LoadedModel:
    model = _recall(key)
    if model is None:
        _import_libraries()
        try:
            model = _load(name, files, key)
        finally:
            give_back()
        with _registry:
            _loaded[key] = model
    return model


@cache
def _import_libraries() -> None:
    """Import what loading needs, and exempt it from every later garbage collection.

    Going through the half a million objects of these libraries takes 0.2 s, in which neither a page nor a
    sweep gets on. Frozen before the first model is loaded, so that a model that leaves is still collected.
    """
    import_module("analysis.models.loading")
    gc.collect()
    gc.freeze()


def _load(name: str, files: ModelFiles, key: str) -> LoadedModel:
    from analysis.models import loading as model_loading
    from analysis.models.footprint import check_fits

    def make_room(needed: int) -> None:
        _needed[key] = needed
        _make_room(settings().models_loaded - 1)
        check_fits(needed, name)

    # What did not fit before is refused, if it still does not, before its files are read again.
    if key in _needed:
        make_room(_needed[key])
    bridge = model_loading.load(name, files, make_room)
    # A stored number must be found by the weights that it was computed with, and by no others.
    if model_files.find(name, download=False).fingerprint != key:
        raise ModelError(f"The files of {name!r} changed while it was being loaded. Try again.")
    dtype = str(bridge.cfg.dtype).removeprefix("torch.")
    return LoadedModel(name, key, str(bridge.cfg.device), dtype, bridge)


def _recall(key: str) -> LoadedModel | None:
    with _registry:
        if key in _loaded:
            _loaded.move_to_end(key)
        return _loaded.get(key)


def _make_room(kept: int) -> None:
    with _registry:
        leaving = [_loaded.popitem(last=False) for _ in range(len(_loaded) - max(kept, 0))]
    if leaving:
        leaving.clear()
        gc.collect()  # the parts of a model point to one another
