"""Direct logit attribution: which part of a model wrote the answer.

The final residual stream is a sum of what its parts wrote, and a logit is linear in it once the final
norm's scale is taken from the run: part c contributes

    attribution[c] = (write_c / scale) @ (W_U[:, answer] - W_U[:, incorrect])

(with the mean over d_model taken off `write_c` first where the final norm is a LayerNorm). The
unembedding bias belongs to no part, so all parts together give
``logit[answer] - logit[incorrect] - (b_U[answer] - b_U[incorrect])``. Where the model caps its
final logits (Gemma 2), this is the logit before the cap, the only one that is a sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens import ActivationCache
from transformer_lens.utilities import Slice

from analysis.attribution.completeness import has_attention_outputs, require_complete
from analysis.attribution.readout import probed, require_finite, require_plain_readout, require_readable
from analysis.attribution.residual import (
    Positions,
    as_slice,
    at_positions,
    coarser_eps,
    decompose,
    final_residual,
    narrowed,
    needed,
)
from analysis.attribution.targets import Prompts, Tokens, aligned, input_ids, target_ids
from analysis.errors import AnswerError, PathscopeError
from analysis.experiment import AnswerRole
from analysis.requests import UNITS, Unit


@dataclass
class DirectLogitAttribution:
    """Contributions to a logit, or to a logit difference, in logits.

    `attribution[c]` belongs to `labels[c]`; its other axes are ``batch pos``, without `pos` where
    one position was chosen and without `batch` where the cache had none. Positive values push
    towards the answer. `unit` is "component", "layer" or "head"; for "layer" the entries are
    cumulative.
    """

    attribution: Float[Tensor, " component *batch_and_pos"]
    labels: list[str]
    unit: Unit

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """The `k` parts with the highest attribution, averaged over batch and positions, in logits.

        >>> parts = DirectLogitAttribution(torch.tensor([0.5, -2.0, 1.5]), ["embed", "L0H0", "L0H1"], "head")
        >>> parts.top(2)
        [('L0H1', 1.5), ('embed', 0.5)]
        """
        means = self.attribution.reshape(len(self.labels), -1).mean(dim=1)
        values, indices = means.topk(min(k, len(self.labels)))
        return [(self.labels[i], value) for i, value in zip(indices.tolist(), values.tolist(), strict=True)]


@torch.no_grad()
def direct_logit_attribution(
    model: Any,
    input: Prompts | None = None,
    answer_tokens: Tokens | None = None,
    incorrect_tokens: Tokens | None = None,
    *,
    unit: Unit = "component",
    pos: Positions = -1,
    cache: Mapping[str, Tensor] | ActivationCache | None = None,
) -> DirectLogitAttribution:
    """Split the logit of `answer_tokens`, or the difference to `incorrect_tokens`, into its parts.

    `model` is a `TransformerBridge` in compatibility mode or a `HookedTransformer`; it runs on
    `input` once (text, texts, or ids ``[pos]`` or ``[batch pos]``), or on a few tokens of its own
    where the `cache` of an earlier run is given. Tokens are a string that is one token, an id, or a
    tensor, array or list of ids: scalar, ``[batch]``, ``[pos]`` (where that differs from the batch
    size) or ``[batch pos]``; those of `incorrect_tokens` are broadcast to `answer_tokens`. `pos` is
    an index (drops the axis), a tuple (the arguments of a slice), a list, tensor or array of
    indices, or None for every position.

    `unit` is "component" (embeddings, each attention and MLP output), "layer" (the stream before,
    within and after each block; one entry per block where attention and MLP run in parallel) or
    "head" (each head's write without `b_O`, and a remainder). Components, heads with remainder,
    and the last layer alone give the logit (difference) minus the unembedding bias (difference).
    Where a block norms its attention output, a head's write is its share of the normed output.

    Raises `ValueError` where `unit` is unknown, an answer, or both `input` and `cache`, are
    missing, the input is too long or of unequal lengths, the cache lacks an activation or is of another
    model, a token or position does not exist, the logit asked for is not finite, any part of the
    model is in training mode, or a bridge is not in compatibility mode or its final norm not folded
    into `W_U`; `NotImplementedError` on hybrid blocks (Mamba, state space, linear attention,
    convolution), where logits are read in another way than by final norm and unembedding, and where
    the parts miss more of the logits asked for than rounding explains, as under a steering hook.
    """
    asked = _asked_for(input, answer_tokens, incorrect_tokens, unit, cache)
    require_readable(model)
    positions = as_slice(pos)
    targets = [target_ids(model, tokens, role) for role, tokens in asked.items()]
    source, run, probe, logits = _run_and_probe(model, input, cache, unit, positions)
    targets = aligned(targets, final_residual(run).shape[:-1])
    require_plain_readout(model, probe, logits)
    require_finite(logits, targets)
    parts = split_logit(model, run, unit, targets)
    eps = coarser_eps(source, model)
    require_complete(model, run, unit, parts.stack, targets, eps)
    if unit == "head" and not has_attention_outputs(run):
        one = [ids.flatten()[0] for ids in targets]
        require_complete(model, probe, unit, decompose(model, probe, unit)[0], one, eps)
    attribution = parts.attribution[..., 0] if positions.mode == "int" else parts.attribution
    return DirectLogitAttribution(attribution, parts.labels, unit)


def _asked_for(
    input: Prompts | None,
    answer_tokens: Tokens | None,
    incorrect_tokens: Tokens | None,
    unit: Unit,
    cache: Mapping[str, Tensor] | ActivationCache | None,
) -> dict[AnswerRole, Tokens]:
    """The answer and, where one is given, the foil; raises where that is no whole question."""
    if unit not in UNITS:
        raise PathscopeError(f"unit must be one of {', '.join(map(repr, UNITS))}, and is {unit!r}.")
    if answer_tokens is None:
        raise AnswerError("answer_tokens is required: a string that is one token, an id or a tensor of ids.")
    if input is None and cache is None:
        raise PathscopeError(
            "There is nothing to attribute: give either `input` or `cache`, a prompt or an earlier run."
        )
    if incorrect_tokens is None:
        return {"answer": answer_tokens}
    return {"answer": answer_tokens, "foil": incorrect_tokens}


def _run_and_probe(
    model: Any,
    input: Prompts | None,
    cache: Mapping[str, Tensor] | ActivationCache | None,
    unit: Unit,
    positions: Slice,
) -> tuple[Any, ActivationCache, ActivationCache, Float[Tensor, "batch pos d_vocab"]]:
    """The run to split, whole and at `positions`, and a run that has logits to judge the model by.

    A cache holds no logits to compare with: the model is then judged by a few tokens of its own.
    """
    if cache is not None:
        whole = final_residual(narrowed(model, cache, unit, Slice(None)))
        logits, probe = probed(model, unit, whole.shape[:-1])
        return cache, narrowed(model, cache, unit, positions), probe, logits
    assert input is not None
    names = needed(model, unit)
    logits, source = model.run_with_cache(input_ids(model, input), names_filter=lambda name: name in names)
    run = narrowed(model, source, unit, positions)
    return source, run, run, at_positions(logits, positions, -2)


class Parts(NamedTuple):
    """A split stream: each part's write, what it contributes to the logits asked for, its label."""

    stack: Float[Tensor, "component *batch pos d_model"]
    attribution: Float[Tensor, "component *batch pos"]
    labels: list[str]


def split_logit(model: Any, run: ActivationCache, unit: Unit, targets: list[Tensor]) -> Parts:
    """The parts of a `narrowed` run by `unit`; that they add up to the logits is for others to judge."""
    stack, labels = decompose(model, run, unit)
    return Parts(stack, run.logit_attrs(stack, *targets, has_batch_dim=run.has_batch_dim), labels)
