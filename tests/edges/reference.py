"""Any edge of the residual graph patched the slow way: the model's own forward, and hooks on it.

Writers are read where the model adds them to the residual stream, or, of a head, by the model's own
output projection; readers see the difference where the model hands its stream to a norm. An MLP's
input is taken from a run in which the norm before it has the difference, and put alone into another, so
that in a parallel block attention hears nothing of it. "frozen" holds the norm's scale by TransformerLens's
own hook on it; for heads it is what `tests.reference` says. Nothing here is shared with `analysis`.
"""

from __future__ import annotations

import random
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any
from unittest.mock import patch

import torch
from jaxtyping import Float
from torch import Tensor

from tests.reference import head_write, logits_with
from tests.runs import Edge, KeepFloat64, Metric, Runs

#: A writer and a reader, by their labels.
Labels = tuple[str, str]
Hook = tuple[str, Callable[..., Tensor | None]]
READERS = ("q", "k", "v", "mlp", "logits")
WRITERS = ("embed", "head", "mlp")


def swapped(runs: Runs) -> Runs:
    """The same runs with the other one to be patched into."""
    return replace(
        runs,
        clean_tokens=runs.corrupted_tokens,
        corrupted_tokens=runs.clean_tokens,
        clean_cache=runs.corrupted_cache,
        corrupted_cache=runs.clean_cache,
    )


def true_effects(
    runs: Runs, edges: Sequence[Labels], metric: Metric, layer_norm: str
) -> Float[Tensor, " edge"]:
    """The metric of the corrupted run with each edge alone carrying the clean write, minus without."""
    plain = metric(_plain_logits(runs))
    return torch.stack([metric(patched_edge(runs, *edge, layer_norm)) - plain for edge in edges])


@cache
def patched_edge(runs: Runs, writer: str, reader: str, layer_norm: str) -> Float[Tensor, "batch pos d_vocab"]:
    """Logits of the corrupted run in which `reader` alone sees the clean write of `writer`."""
    delta = written_difference(runs, writer)
    with KeepFloat64():
        if reader == "logits":
            with _seen_by(runs.model.ln_final, "ln_final", delta, runs, layer_norm):
                return _run(runs)
        if found := re.fullmatch(r"MLP(\d+)", reader):
            return _into_mlp(runs, int(found[1]), delta, layer_norm)
        layer, head, component = _numbers(r"L(\d+)H(\d+)\.([qkv])", reader)
        return logits_with(runs, delta, int(layer), int(head), component, layer_norm)


@cache
def written_difference(runs: Runs, writer: str) -> Float[Tensor, "batch pos d_model"]:
    """What `writer` adds to the residual stream in the clean run, less what it adds in the corrupted."""
    with KeepFloat64():
        return _write(runs, runs.clean_cache, writer) - _write(runs, runs.corrupted_cache, writer)


def _write(runs: Runs, run: Mapping[str, Tensor], writer: str) -> Float[Tensor, "batch pos d_model"]:
    if writer == "embed":
        return run["blocks.0.hook_in"]
    if found := re.fullmatch(r"MLP(\d+)", writer):
        block = runs.model.blocks[int(found[1])]
        last = "ln2_post" if hasattr(block, "ln2_post") else "mlp"
        written = run[f"blocks.{found[1]}.{last}.hook_out"]
        return written * getattr(block, "residual_contribution_scale", 1.0)
    layer, head = map(int, _numbers(r"L(\d+)H(\d+)", writer))
    return head_write(runs, run, Edge(layer, head, layer, 0))


def _numbers(pattern: str, label: str) -> tuple[str, ...]:
    found = re.fullmatch(pattern, label)
    assert found is not None, label
    return found.groups()


def _into_mlp(runs: Runs, layer: int, delta: Tensor, layer_norm: str) -> Tensor:
    return _run(runs, mlp_input_with(runs, layer, delta, layer_norm))


def mlp_input_with(runs: Runs, layer: int, delta: Tensor, layer_norm: str) -> Hook:
    """The hook by which the MLP of `layer` alone reads a stream with `delta` in it."""
    place = f"blocks.{layer}.mlp.hook_in"
    found: list[Tensor] = []
    name = "ln2" if hasattr(runs.model.blocks[layer], "ln2") else "ln1"
    norm = getattr(runs.model.blocks[layer], name)
    with _seen_by(norm, f"blocks.{layer}.{name}", delta, runs, layer_norm):
        _run(runs, (place, lambda value, hook: found.append(value.clone())))
    return place, lambda value, hook: found[0]


@contextmanager
def _seen_by(norm: Any, name: str, delta: Tensor, runs: Runs, layer_norm: str) -> Iterator[None]:
    """While this holds, `norm` sees `delta` in the stream; "frozen": under the corrupted run's scale."""
    # OPT hands its norms all positions of all prompts in one row.
    handle = norm.register_forward_pre_hook(lambda module, args: (args[0] + delta.view(args[0].shape),))
    scale = runs.corrupted_cache[f"{name}.hook_scale"]
    hold = (f"{name}.hook_scale", lambda value, hook: scale.view(value.shape))
    try:
        if layer_norm == "exact":
            yield
            return
        with warnings.catch_warnings(), runs.model.hooks([hold]), _with_a_weight(norm):
            warnings.filterwarnings("ignore", "(?s).*hook_scale")  # that the scale is not the norm's own
            yield
    finally:
        handle.remove()


def _with_a_weight(norm: Any) -> AbstractContextManager[Any]:
    """TransformerLens asks for a weight when it holds a scale, and the norms of OLMo have none."""
    own = norm.original_component
    if hasattr(own, "weight"):
        return nullcontext()
    return patch.object(own, "weight", torch.ones(()), create=True)


@cache
def _plain_logits(runs: Runs) -> Tensor:
    with KeepFloat64():
        return _run(runs)


def _run(runs: Runs, *hooks: Hook) -> Tensor:
    with torch.no_grad():
        return runs.model.run_with_hooks(runs.corrupted_tokens, fwd_hooks=list(hooks))


def sampled_labels(runs: Runs, seed: str, each: int) -> list[Labels]:
    """`each` random edges of every kind of writer into every kind of reader, and into a head's own MLP."""
    chance = random.Random(seed)
    edges = every_edge(runs)
    found = [("L1H1", "MLP1")] if ("L1H1", "MLP1") in edges else []
    for kind in product(WRITERS, READERS):
        alike = [edge for edge in edges if (writer_kind(edge[0]), reader_kind(edge[1])) == kind]
        found += chance.sample(alike, min(each, len(alike)))
    return found


def every_edge(runs: Runs) -> list[Labels]:
    """Every pair of labels whose writer has written before the reader reads, written out."""
    heads = range(runs.model.cfg.n_heads)
    before, edges = ["embed"], []
    for layer in range(runs.model.cfg.n_layers):
        own = [f"L{layer}H{head}" for head in heads]
        edges += [(writer, f"{head}.{c}") for c in "qkv" for head in own for writer in before]
        edges += [(writer, f"MLP{layer}") for writer in [*before, *own * _hears_its_heads(runs, layer)]]
        before += [*own, f"MLP{layer}"]
    return edges + [(writer, "logits") for writer in before]


@cache
def _hears_its_heads(runs: Runs, layer: int) -> bool:
    """Whether the MLP of `layer` reads anything else once the heads of its own block give out nothing."""
    found: list[Tensor] = []
    read = (f"blocks.{layer}.mlp.hook_in", lambda value, hook: found.append(value.clone()))
    for factor in (1.0, 0.0):
        _run(runs, (f"blocks.{layer}.attn.hook_z", lambda z, hook, factor=factor: factor * z), read)
    return not torch.equal(*found)


def writer_kind(label: str) -> str:
    """One of `WRITERS`."""
    return "embed" if label == "embed" else "mlp" if label.startswith("MLP") else "head"


def reader_kind(label: str) -> str:
    """One of `READERS`."""
    return "mlp" if label.startswith("MLP") else label.rpartition(".")[2]
