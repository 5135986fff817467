"""The forms in which people have tokens, caches, metrics and choices, and what each must lead to.

A form is the same question as the plain one (`SAME`: it must bring the plain call's numbers), no
question at all (`REFUSED`: it must bring a sentence), or one that may be answered or refused
(`EITHER`: whatever comes back must be an array of the right shape and finite, or a sentence).
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from transformer_lens import ActivationCache

from analysis import (
    edge_attribution,
    get_act_patch_direct_path,
    get_act_patch_direct_path_all_sources,
)
from analysis.metrics import AnswerLogProbability, AnswerProbability, KLFromClean, LogitDifference, Recovery
from analysis.sweep import Sweep
from tests.families import CONTEXT_LENGTH, VOCABULARY_SIZE
from tests.runs import Runs, family_model, family_runs, last_logit_difference, run_pair


class Meaning(enum.Enum):
    """What a form of an argument must lead to."""

    SAME = "same"
    REFUSED = "refused"
    EITHER = "either"


SAME, REFUSED, EITHER = Meaning


@dataclass(frozen=True)
class Form:
    """One form of an argument: how it is made of the plain runs, and what it must lead to."""

    make: Callable[[Runs], Any]
    meaning: Meaning


@lru_cache(maxsize=8)
def plain_runs(path: str, batch: int) -> Runs:
    """Runs of a small model that is replayed, or (`hooks`) of one whose MLP is not what its weights say."""
    runs = family_runs("gpt2", batch=batch, n_tokens=7, differences=(2, 4))
    if path == "replay":
        return runs
    model = family_model.__wrapped__("gpt2")
    model.blocks[1].mlp.register_forward_hook(lambda module, args, output: 1.05 * output)
    return run_pair(model, runs.clean_tokens, runs.corrupted_tokens)


def _cut(values: Any, of: slice) -> Any:
    return {name: value[of] for name, value in values.items()}


def _only(cache: Mapping[str, Any], *endings: str) -> dict[str, Any]:
    return {name: value for name, value in cache.items() if name.endswith(endings)}


#: Forms of `corrupted_tokens`; those of one prompt apply to a batch of one.
TOKENS: dict[str, Form] = {
    "int64 tensor": Form(lambda r: r.corrupted_tokens, SAME),
    "int32 tensor": Form(lambda r: r.corrupted_tokens.int(), SAME),
    "int16 array": Form(lambda r: r.corrupted_tokens.numpy().astype(np.int16), SAME),
    "array": Form(lambda r: r.corrupted_tokens.numpy(), SAME),
    "list": Form(lambda r: r.corrupted_tokens.tolist(), SAME),
    "tuple": Form(lambda r: tuple(map(tuple, r.corrupted_tokens.tolist())), SAME),
    "strided": Form(lambda r: r.corrupted_tokens.T.contiguous().T, SAME),
    "floats": Form(lambda r: r.corrupted_tokens.double(), REFUSED),
    "booleans": Form(lambda r: r.corrupted_tokens > 0, REFUSED),
    "text": Form(lambda r: "a b c", EITHER),
    "nothing": Form(lambda r: None, REFUSED),
    "empty": Form(lambda r: r.corrupted_tokens[:, :0], REFUSED),
    "no prompt": Form(lambda r: r.corrupted_tokens[:0], REFUSED),
    "three axes": Form(lambda r: r.corrupted_tokens[None], REFUSED),
    "scalar": Form(lambda r: 7, REFUSED),
    "ragged list": Form(lambda r: [[1, 2, 3], [1, 2]], REFUSED),
    "negative id": Form(lambda r: r.corrupted_tokens - 400, REFUSED),
    "unknown id": Form(lambda r: r.corrupted_tokens + VOCABULARY_SIZE, REFUSED),
    "too long": Form(lambda r: r.corrupted_tokens.repeat(1, CONTEXT_LENGTH), REFUSED),
    "shorter": Form(lambda r: r.corrupted_tokens[:, :-1], REFUSED),
    "longer": Form(lambda r: r.corrupted_tokens.repeat(1, 2), REFUSED),
    "more prompts": Form(lambda r: r.corrupted_tokens.repeat(3, 1), REFUSED),
}

ONE_PROMPT: dict[str, Form] = {
    "1-D tensor": Form(lambda r: r.corrupted_tokens[0], SAME),
    "1-D array": Form(lambda r: r.corrupted_tokens[0].numpy(), SAME),
    "flat list": Form(lambda r: r.corrupted_tokens[0].tolist(), SAME),
}

#: Forms of both caches, (clean, corrupted).
CACHES: dict[str, Form] = {
    "ActivationCache": Form(lambda r: (r.clean_cache, r.corrupted_cache), SAME),
    "dictionaries": Form(lambda r: (dict(r.clean_cache.items()), dict(r.corrupted_cache.items())), SAME),
    "clean z alone": Form(lambda r: (_only(r.clean_cache, "hook_z"), r.corrupted_cache), SAME),
    "what is read": Form(
        lambda r: tuple(_only(c, "hook_z", "hook_scale") for c in (r.clean_cache, r.corrupted_cache)), SAME
    ),
    "inference tensors": Form(lambda r: _inference(r), SAME),
    "float32": Form(
        lambda r: tuple({n: v.float() for n, v in c.items()} for c in (r.clean_cache, r.corrupted_cache)),
        EITHER,
    ),
    "float16 clean": Form(
        lambda r: ({n: v.half() for n, v in r.clean_cache.items()}, r.corrupted_cache), EITHER
    ),
    "integers": Form(lambda r: ({n: v.long() for n, v in r.clean_cache.items()}, r.corrupted_cache), REFUSED),
    "arrays": Form(
        lambda r: tuple({n: v.numpy() for n, v in c.items()} for c in (r.clean_cache, r.corrupted_cache)),
        EITHER,
    ),
    "no layer 1": Form(
        lambda r: (
            {n: v for n, v in r.clean_cache.items() if n != "blocks.1.attn.hook_z"},
            r.corrupted_cache,
        ),
        REFUSED,
    ),
    "empty": Form(lambda r: ({}, {}), REFUSED),
    "nothing": Form(lambda r: (None, None), REFUSED),
    "a list": Form(lambda r: (list(r.clean_cache.values()), r.corrupted_cache), REFUSED),
    "other length": Form(
        lambda r: ({n: v[:, :-1] for n, v in r.clean_cache.items()}, r.corrupted_cache), REFUSED
    ),
    "both shorter": Form(
        lambda r: tuple({n: v[:, :-1] for n, v in c.items()} for c in (r.clean_cache, r.corrupted_cache)),
        REFUSED,
    ),
    "other batch": Form(
        lambda r: tuple(
            {n: v.repeat(3, *(1,) * (v.ndim - 1)) for n, v in c.items()}
            for c in (r.clean_cache, r.corrupted_cache)
        ),
        REFUSED,
    ),
    "other heads": Form(
        lambda r: (
            {n: v[:, :, :2] if n.endswith("hook_z") else v for n, v in r.clean_cache.items()},
            r.corrupted_cache,
        ),
        REFUSED,
    ),
    "NaN": Form(lambda r: ({n: v * math.nan for n, v in r.clean_cache.items()}, r.corrupted_cache), REFUSED),
}

#: Both caches hold z alone: exact mode needs no more, frozen mode does.
Z_ALONE = Form(lambda r: tuple(_only(c, "hook_z") for c in (r.clean_cache, r.corrupted_cache)), SAME)

ONE_PROMPT_CACHES: dict[str, Form] = {
    "without batch": Form(
        lambda r: tuple({n: v[0] for n, v in c.items()} for c in (r.clean_cache, r.corrupted_cache)), SAME
    ),
    "ActivationCache without batch": Form(
        lambda r: tuple(
            ActivationCache(dict(c.items()), r.model).remove_batch_dim()
            for c in (r.clean_cache, r.corrupted_cache)
        ),
        SAME,
    ),
}


def _inference(runs: Runs) -> tuple[dict[str, Any], dict[str, Any]]:
    with torch.inference_mode():
        clean, corrupted = (
            {name: value.clone() for name, value in cache.items()}
            for cache in (runs.clean_cache, runs.corrupted_cache)
        )
    return clean, corrupted


#: Metrics; `SAME` ones are `last_logit_difference` in other words. The second meaning is the estimate's.
METRICS: dict[str, tuple[Form, Meaning]] = {
    "callable": (Form(lambda r: last_logit_difference, SAME), SAME),
    "named": (Form(lambda r: LogitDifference(7, 11), SAME), SAME),
    "named, by prompt": (
        Form(lambda r: LogitDifference([7] * len(r.corrupted_tokens), torch.tensor(11)), SAME),
        SAME,
    ),
    "shape [1]": (Form(lambda r: lambda logits: last_logit_difference(logits)[None], SAME), EITHER),
    "number": (Form(lambda r: lambda logits: float(last_logit_difference(logits.detach())), SAME), REFUSED),
    "NumPy": (
        Form(lambda r: lambda logits: np.float64(last_logit_difference(logits.detach()).numpy()), SAME),
        REFUSED,
    ),
    "argmax": (Form(lambda r: lambda logits: logits[0, -1].argmax(), EITHER), REFUSED),
    "constant": (Form(lambda r: lambda logits: torch.tensor(3.0), EITHER), EITHER),
    "recovery": (Form(lambda r: Recovery(7, 11, clean=3.0, corrupted=1.0), EITHER), EITHER),
    "probability": (Form(lambda r: AnswerProbability(7), EITHER), EITHER),
    "log probability": (Form(lambda r: AnswerLogProbability(7, position=1), EITHER), EITHER),
    "divergence": (
        Form(lambda r: KLFromClean(torch.zeros(1, VOCABULARY_SIZE, dtype=torch.float64)), EITHER),
        EITHER,
    ),
    "vector": (Form(lambda r: lambda logits: logits[0, -1, :5], REFUSED), REFUSED),
    "NaN": (Form(lambda r: lambda logits: logits.sum() * math.nan, REFUSED), REFUSED),
    "infinite": (Form(lambda r: lambda logits: logits.sum() * math.inf, REFUSED), REFUSED),
    "complex": (Form(lambda r: lambda logits: logits.sum() * 1j, REFUSED), REFUSED),
    "None": (Form(lambda r: lambda logits: None, REFUSED), REFUSED),
    "text": (Form(lambda r: lambda logits: "high", REFUSED), REFUSED),
    "no callable": (Form(lambda r: 3.0, REFUSED), REFUSED),
    "position": (Form(lambda r: LogitDifference(7, 11, position=99), REFUSED), REFUSED),
    "token": (Form(lambda r: LogitDifference(7, VOCABULARY_SIZE), REFUSED), REFUSED),
    "number of tokens": (Form(lambda r: LogitDifference([1, 2, 3, 4, 5], 11), REFUSED), REFUSED),
    "vocabulary": (Form(lambda r: KLFromClean(torch.zeros(1, 17)), REFUSED), REFUSED),
}

COMPONENT_FORMS = {"q": SAME, "k": SAME, "v": SAME, "z": REFUSED, "": REFUSED, None: REFUSED, 1: REFUSED}
MODE_FORMS = {"frozen": SAME, "exact": SAME, "linear": REFUSED, None: REFUSED, 0: REFUSED}

#: (layer, head) of a source and what it must lead to; `np.int64` counts like `int`.
SOURCES: dict[Any, Meaning] = {
    (0, 1): SAME,
    (np.int64(1), np.int32(3)): SAME,
    (2, 0): SAME,
    (3, 0): REFUSED,
    (-1, 0): REFUSED,
    (0, 4): REFUSED,
    (0, -1): REFUSED,
    (0.5, 1): REFUSED,
    ("0", 1): REFUSED,
    (None, 1): REFUSED,
}

#: Token positions of the patch.
POSITIONS: dict[str, tuple[Any, Meaning]] = {
    "all": (None, SAME),
    "listed": (list(range(7)), SAME),
    "from the end": (range(-7, 0), SAME),
    "tensor": (torch.arange(7), SAME),
    "array": (np.arange(7), SAME),
    "one": ([4], EITHER),
    "none": ([], EITHER),
    "outside": ([7], REFUSED),
    "before": ([-8], REFUSED),
    "float": ([1.5], REFUSED),
    "text": (["last"], REFUSED),
    "a number": (4, EITHER),
}


def single_source(*arguments: Any, source: Any = (0, 1), component: Any, layer_norm: Any, **_: Any) -> Any:
    call: Any = get_act_patch_direct_path
    return call(*arguments, *source, component, False, layer_norm=layer_norm)


def all_sources(*arguments: Any, component: Any, layer_norm: Any, **_: Any) -> Any:
    call: Any = get_act_patch_direct_path_all_sources
    return call(*arguments, component, False, layer_norm=layer_norm)


def estimated(*arguments: Any, component: Any, layer_norm: Any, **_: Any) -> Any:
    call: Any = edge_attribution
    return call(*arguments, component, layer_norm=layer_norm)


def swept(*arguments: Any, source: Any = (0, 1), positions: Any = None, **options: Any) -> Any:
    """The values of a sweep over one source, by its edges."""
    options = {name: options[name] for name in ("component", "layer_norm")}
    pieces = list(Sweep(*arguments, sources=[source], positions=positions, **options).run())
    found = np.zeros((3, 4))
    for piece in pieces:
        found[tuple(piece.edges[:, 2:].T)] = piece.values
    return torch.from_numpy(found)


#: Function name -> (the call, the shape of its answer).
FUNCTIONS: dict[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
    "get_act_patch_direct_path": (single_source, (3, 4)),
    "get_act_patch_direct_path_all_sources": (all_sources, (3, 4, 3, 4)),
    "edge_attribution": (estimated, (3, 4, 3, 4)),
    "Sweep": (swept, (3, 4)),
}
