"""The clean and the corrupted run of an experiment: computed once, kept in the store.

Kept are the logits and those activations that the analyses say they read.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from analysis.errors import PathscopeError, PromptLimitError
from analysis.experiment import prompts
from analysis.experiment.budget import check_memory
from analysis.experiment.keys import run_content
from analysis.experiment.prompts import PromptPair
from analysis.models import LoadedModel
from analysis.models import catalogue as models
from analysis.requests import Experiment
from analysis.store import Parts, Store, computed_once

_LOGITS = "logits"


class Activations(Mapping[str, Tensor]):
    """Activations by TransformerLens name, each copied when it is asked for, from the store's memory map
    or from a run that has just been made.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], device: str) -> None:
        self._arrays, self._device = arrays, device

    def __getitem__(self, name: str) -> Tensor:
        # A copy, because torch takes no read-only memory, and to align it as torch would.
        return torch.tensor(self._arrays[name], device=self._device)

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)


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


_model_locks: dict[str, threading.RLock] = {}


def alone_with(model: LoadedModel) -> threading.RLock:
    """The lock to hold while `model` runs, tokenizes, or carries hooks.

    Hooks live on the model itself: two threads that run it at once would keep each other's
    activations and patch each other's rows.
    """
    return _model_locks.setdefault(model.fingerprint, threading.RLock())


def run_experiment(experiment: Experiment, store: Store, reads: Callable[[Any], set[str]]) -> Runs:
    """Load the model, tokenize both prompts and run them, or read their runs from `store`.

    `reads` tells which activations of a model to keep, by their TransformerLens names. Raises
    `ModelError`, `PromptError` or `AnswerError` with a sentence to act on.
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
    content = run_content(model.fingerprint, model.dtype, tokens[0].tolist())
    key = store.key("activations", **content, names=sorted(names))
    memo = computed_once(store, key, lambda: _forward(model, tokens, names))
    return Run(Activations(memo.arrays, model.device))


@torch.no_grad()
def _forward(model: LoadedModel, tokens: Int[Tensor, "1 pos"], names: frozenset[str]) -> Parts:
    with alone_with(model):
        logits, cache = model.bridge.run_with_cache(tokens, names_filter=lambda name: name in names)
    arrays = {name: value.cpu().numpy() for name, value in cache.items()}
    return arrays | {_LOGITS: logits.cpu().numpy()}, {}
