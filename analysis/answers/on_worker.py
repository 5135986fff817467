"""What a worker of a cluster does: it loads the model from its own disk, computes, and hands back bytes.

It stores nothing. What it is asked to do comes as one letter (`analysis.cluster.sealed`), and so does what it
brings; a refusal is a letter, too.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from analysis.answers.compute import compute, long_work
from analysis.cluster import (
    Arrays,
    Words,
    no_longer_wanted,
    opened,
    refusal,
    sealed,
    use_no_more_memory,
)
from analysis.errors import ModelError, PathscopeError
from analysis.experiment import versions
from analysis.models import find
from analysis.requests import LongRequest, request_from_json
from analysis.results import LongWork, Pieces
from analysis.settings import settings, settings_of
from analysis.store import Store

#: How many works are kept ready by each thread of a worker, all of one model.
_MOST_KEPT = 2
#: Digits of a fingerprint that tell two apart in a sentence.
FINGERPRINT_DIGITS = 16


def facts(letter: bytes) -> bytes:
    """What this worker has of the model that the letter names: releases, weights, device."""
    from transformer_lens.utilities import get_device

    try:
        words, _ = opened(letter)
        found = find(words["model"]).fingerprint
    except PathscopeError as error:
        return refusal(error)
    return sealed(
        versions() | {"weights": found[:FINGERPRINT_DIGITS], "device": torch.device(get_device()).type}
    )


def perform(letter: bytes, prepared: bytes | None = None) -> bytes:
    """Do what the letter says; `prepared` is the letter that holds what the work is cut by."""
    try:
        words, arrays = opened(letter)
        use_no_more_memory()
        torch.set_num_threads(words["threads"])
        with settings_of(words["settings"]):
            _check_model(words)
            return sealed(*_DEEDS[words["do"]](words, arrays, prepared))
    except PathscopeError as error:
        return refusal(error)
    except Exception as error:
        said = " ".join(f"{type(error).__name__}, {error}".split())
        return refusal(PathscopeError(f"A worker of the cluster failed: {said}."))


def _check_model(words: Words) -> None:
    name = words["request"]["experiment"]["model"]
    if find(name).fingerprint != words["fingerprint"]:
        raise ModelError(
            f"The files of {name!r} on a worker of the cluster are others than on this server. Put the same "
            "on both."
        )


def _result(words: Words, _: Arrays, __: bytes | None) -> tuple[Words, Mapping[str, np.ndarray]]:
    # The store is a place in memory alone here: results of another one are made from other runs.
    arrays, values = compute(request_from_json(words["request"]), _no_store()).parts()
    return {"values": values}, arrays


def _no_store() -> Store:
    """A store that is never opened, and so neither read nor written."""
    return Store(settings().store_directory, 0)


def _prepared(words: Words, _: Arrays, __: bytes | None) -> tuple[Words, Mapping[str, np.ndarray]]:
    return {}, _works().of(words).work.prepared()


def _cut(words: Words, _: Arrays, prepared: bytes | None) -> tuple[Words, Mapping[str, np.ndarray]]:
    pieces = _works().of(words).pieces(prepared)
    arrays, values = pieces.start.parts()
    return {"content": pieces.content, "values": values, "shares": list(map(float, pieces.shares))}, arrays


def _piece(words: Words, before: Arrays, prepared: bytes | None) -> tuple[Words, Mapping[str, np.ndarray]]:
    index, pieces = words["index"], _works().of(words).pieces(prepared)
    if json.loads(json.dumps(pieces.content)) != words["content"]:
        raise PathscopeError(
            "A worker of the cluster cuts the work otherwise than the one that began it: their machines "
            "differ. Use workers of one kind (PATHSCOPE_CLUSTER_RESOURCES)."
        )
    others = range(index) if words["in_sequence"] else set(range(len(pieces.shares))) - {index}
    finished = {number: _of_round(before, number) for number in others}
    found = next(pieces.run(finished, no_longer_wanted()), None)
    return ({"over": True}, {}) if found is None else ({}, found[1])


def round_name(number: int, name: str) -> str:
    """What an array of a former piece is called in the letter that asks for the next one."""
    return f"{number}/{name}"


def _of_round(before: Arrays, number: int) -> Arrays:
    own = round_name(number, "")
    return {name.removeprefix(own): array for name, array in before.items() if name.startswith(own)}


_DEEDS: dict[str, Callable[[Words, Arrays, bytes | None], tuple[Words, Mapping[str, np.ndarray]]]] = {
    "result": _result,
    "prepared": _prepared,
    "cut": _cut,
    "piece": _piece,
}


class _Ready:
    """A work and its pieces, made ready once by the thread that computes them."""

    def __init__(self, request: LongRequest[Any]) -> None:
        self.work: LongWork[Any] = long_work(request, _no_store())
        self._pieces: tuple[bytes, Pieces[Any]] | None = None

    def pieces(self, prepared: bytes | None) -> Pieces[Any]:
        """The work, cut by what the letter `prepared` holds."""
        assert prepared is not None
        if self._pieces is None or self._pieces[0] != prepared:
            self._pieces = prepared, self.work.cut(opened(prepared)[1])
        return self._pieces[1]


class _Works:
    """The latest works of one thread; those of another model leave, so that it need not stay loaded."""

    def __init__(self) -> None:
        self._fingerprint = ""
        self._ready: OrderedDict[str, _Ready] = OrderedDict()

    def of(self, words: Words) -> _Ready:
        if words["fingerprint"] != self._fingerprint:
            self._ready.clear()
            self._fingerprint = words["fingerprint"]
        # The settings decide how the work is cut.
        key = json.dumps([words["request"], words["settings"], words["threads"]], sort_keys=True)
        if key not in self._ready:
            request = request_from_json(words["request"])
            assert isinstance(request, LongRequest)
            self._ready[key] = _Ready(request)
        self._ready.move_to_end(key)
        while len(self._ready) > _MOST_KEPT:
            self._ready.popitem(last=False)
        return self._ready[key]


# A thread of its own for each task that a worker does at a time: a work is not made for two at once.
_of_thread = threading.local()


def _works() -> _Works:
    if not hasattr(_of_thread, "works"):
        _of_thread.works = _Works()
    works: _Works = _of_thread.works
    return works
