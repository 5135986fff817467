"""The clean and the corrupted run of an experiment, made once for all questions that follow each other.

A run holds the logits and those activations that the analyses say they read.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from analysis.errors import PathscopeError, PromptLimitError
from analysis.experiment import prompts
from analysis.experiment.budget import check_memory
from analysis.experiment.kept import KeptRuns
from analysis.experiment.prompts import PromptPair
from analysis.models import LoadedModel
from analysis.models import catalogue as models
from analysis.requests import Experiment
from analysis.store import Store

_LOGITS = "logits"


class Activations(Mapping[str, Tensor]):
    """Activations by TransformerLens name, each copied when it is asked for: who reads may also write.

    `run` makes them, when the first is asked for: many questions read one of the two runs alone.
    """

    def __init__(self, run: Callable[[], Mapping[str, Tensor]], device: str) -> None:
        self._run, self._device = run, device
        self._made: Mapping[str, Tensor] | None = None

    @property
    def _values(self) -> Mapping[str, Tensor]:
        # No `cached_property`: until Python 3.12 all of them share one lock, which a thread that waits for
        # the model would hold against the one that has it.
        if self._made is None:
            self._made = self._run()
        return self._made

    def __getitem__(self, name: str) -> Tensor:
        return self._values[name].to(self._device, copy=True)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@dataclass(frozen=True, eq=False)
class Run:
    """One prompt's forward pass."""

    activations: Activations

    @property
    def logits(self) -> Float[Tensor, "1 pos d_vocab"]:
        """The model's own logits."""
        return self.activations[_LOGITS]


@dataclass(frozen=True, eq=False)
class Runs:
    """An experiment made ready: the model, its tokens and both runs."""

    model: LoadedModel
    pair: PromptPair
    _: KW_ONLY
    clean: Run
    corrupted: Run


@dataclass(frozen=True, eq=False)
class Draft:
    """One prompt that can be run, whatever becomes of the pair."""

    tokens: Int[Tensor, "1 pos"]
    run: Run


@dataclass(frozen=True, eq=False)
class Drafts:
    """An experiment before it is sure that its prompts make a pair: None for a prompt that cannot be run."""

    model: LoadedModel
    _: KW_ONLY
    clean: Draft | None
    corrupted: Draft | None


_kept = KeptRuns()
_model_locks: dict[str, threading.RLock] = {}


def alone_with(model: LoadedModel) -> threading.RLock:
    """The lock to hold while `model` runs, tokenizes, or carries hooks.

    Hooks live on the model itself: two threads that run it at once would keep each other's
    activations and patch each other's rows.
    """
    return _model_locks.setdefault(model.fingerprint, threading.RLock())


def run_experiment(experiment: Experiment, store: Store, reads: Callable[[Any], set[str]]) -> Runs:
    """Load the model and tokenize both prompts; each is run when first read, if it is not among the latest.

    `reads` tells which activations of a model to keep, by their TransformerLens names; results in another
    `store` are made from other runs. Raises `ModelError`, `PromptError` or `AnswerError` with a sentence to
    act on.
    """
    model = models.load(experiment.model)
    with alone_with(model):
        pair = prompts.prepare(model.bridge, experiment)
    check_memory(model.bridge.cfg, pair.clean.shape[1])
    names = frozenset(reads(model.bridge))
    clean, corrupted = (_run(model, tokens, names, store) for tokens in (pair.clean, pair.corrupted))
    return Runs(model, pair, clean=clean, corrupted=corrupted)


def run_drafts(experiment: Experiment, store: Store, reads: Callable[[Any], set[str]]) -> Drafts:
    """Load the model and run each prompt that it can read; the runs are those of `run_experiment`.

    Raises `ModelError`, and `PromptLimitError`: what is kept of a draft may not depend on the settings.
    """
    model = models.load(experiment.model)
    names = frozenset(reads(model.bridge))

    def draft(role: prompts.Role) -> Draft | None:
        try:
            with alone_with(model):
                tokens = prompts.prompt_tokens(model.bridge, experiment, role)
            check_memory(model.bridge.cfg, tokens.shape[1])
        except PromptLimitError:
            raise
        except PathscopeError:
            return None
        return Draft(tokens, _run(model, tokens, names, store))

    return Drafts(model, clean=draft("clean"), corrupted=draft("corrupted"))


def _run(model: LoadedModel, tokens: Int[Tensor, "1 pos"], names: frozenset[str], store: Store) -> Run:
    key = store.directory, model.fingerprint, model.dtype, tuple(tokens[0].tolist()), names

    def latest() -> Mapping[str, Tensor]:
        found = _kept.get(key)
        if found is None:
            with alone_with(model):
                found = _kept.get(key)  # made, perhaps, while this thread waited
                if found is None:
                    found = _forward(model, tokens, names)
                    _kept.keep(key, found)
        return found

    return Run(Activations(latest, model.device))


@torch.no_grad()
def _forward(model: LoadedModel, tokens: Int[Tensor, "1 pos"], names: frozenset[str]) -> dict[str, Tensor]:
    logits, cache = model.bridge.run_with_cache(tokens, names_filter=lambda name: name in names)
    # The bridge caches some of them a second time, under the name of the module that they come from.
    kept = {name: value.cpu() for name, value in cache.items() if name in names}
    return kept | {_LOGITS: logits.cpu()}
