"""The metrics that have a name, in their own units.

What a metric is about (answer, foil, clean logits) has no default and comes first; everything
else is named by whoever calls, so that no number can land in another's place.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

from analysis.errors import MetricError
from analysis.metrics.metric import Metric, TokenIds, is_finite_number, token_ids
from analysis.requests import MetricName


class PromptPairTokens(Protocol):
    """What `named_metric` needs of a prompt pair."""

    @property
    def answer(self) -> TokenIds:
        """Id of the token that the clean prompt should bring; of several prompts one each."""

    @property
    def foil(self) -> TokenIds:
        """Id of the token that the corrupted prompt should bring."""


@dataclass(frozen=True, eq=False)
class LogitDifference(Metric):
    """``logit[answer] - logit[foil]``, in logits; positive when the model prefers the answer.

    `answer` and `foil` are ids, one for all prompts or one each. Where they are equal it is 0.

    >>> float(LogitDifference(0, 1)(torch.tensor([[[3.0, 1.0]]])))
    2.0
    """

    answer: TokenIds
    foil: TokenIds

    def __post_init__(self) -> None:
        super().__post_init__()
        answer, foil = token_ids("answer", self.answer), token_ids("foil", self.foil)
        if 1 != len(answer) != len(foil) != 1:
            raise MetricError(
                f"There are {len(answer)} answers and {len(foil)} foils; give one for all prompts or one "
                "for each."
            )

    @property
    def tokens(self) -> Int[Tensor, "batch token"]:
        """Answer, then foil."""
        ids = token_ids("answer", self.answer), token_ids("foil", self.foil)
        return torch.stack(torch.broadcast_tensors(*ids), dim=-1)

    def per_prompt(self, logits: Float[Tensor, "batch *edge token"]) -> Float[Tensor, " batch *edge"]:
        """Answer minus foil."""
        return logits[..., 0] - logits[..., 1]


@dataclass(frozen=True, eq=False)
class Recovery(LogitDifference):
    """Logit difference on the scale 0 = corrupted run, 1 = clean run; no unit.

    Affine in the logit difference. Both ends are means over the batch.

    >>> float(Recovery(0, 1, clean=4.0, corrupted=0.0)(torch.tensor([[[3.0, 1.0]]])))
    0.5
    """

    clean: float = field(kw_only=True)
    corrupted: float = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("clean", "corrupted"):
            if not is_finite_number(getattr(self, name)):
                raise MetricError(
                    f"The {name} logit difference is {getattr(self, name)!r}, and must be one finite number: "
                    f"the mean over the {name} prompts."
                )
        if self.clean == self.corrupted:
            raise MetricError(
                f"Recovery is undefined: the logit difference is {self.clean:.4g} on both runs. "
                "Choose prompts that differ, or the logit difference as metric."
            )

    def per_prompt(self, logits: Float[Tensor, "batch *edge token"]) -> Float[Tensor, " batch *edge"]:
        """0 at `corrupted`, 1 at `clean`."""
        return (super().per_prompt(logits) - self.corrupted) / (self.clean - self.corrupted)


@dataclass(frozen=True, eq=False)
class AnswerLogProbability(Metric):
    """``log softmax(logits)[answer]``, in nats; at most 0.

    `answer` is an id, one for all prompts or one each.
    """

    answer: TokenIds

    def __post_init__(self) -> None:
        super().__post_init__()
        token_ids("answer", self.answer)

    def per_prompt(self, logits: Float[Tensor, "batch *edge token"]) -> Float[Tensor, " batch *edge"]:
        """Log-softmax over the whole vocabulary, at the answer."""
        ids = token_ids("answer", self.answer).to(logits.device).expand(len(logits))
        index = ids.view(-1, *(1,) * (logits.ndim - 1)).expand(*logits.shape[:-1], 1)
        return logits.log_softmax(-1).gather(-1, index).squeeze(-1)


@dataclass(frozen=True, eq=False)
class AnswerProbability(AnswerLogProbability):
    """``softmax(logits)[answer]``, a probability between 0 and 1."""

    def per_prompt(self, logits: Float[Tensor, "batch *edge token"]) -> Float[Tensor, " batch *edge"]:
        """Softmax over the whole vocabulary, at the answer."""
        return super().per_prompt(logits).exp()


@dataclass(frozen=True, eq=False)
class KLFromClean(Metric):
    """``KL(clean || patched)`` of the next-token distributions, in nats; 0 when they agree.

    `clean_logits` [batch d_vocab] are the clean run's at `position`, or one row [1 d_vocab] for all
    prompts. A token that the clean run forbids (a logit of -inf) adds nothing.
    """

    clean_logits: Float[Tensor, "batch d_vocab"]

    def __post_init__(self) -> None:
        super().__post_init__()
        clean = self.clean_logits
        if not (isinstance(clean, Tensor) and clean.is_floating_point() and clean.ndim == 2):
            found = list(clean.shape) if isinstance(clean, Tensor) else type(clean).__name__
            raise MetricError(
                f"clean_logits is {found}, and must be the clean run's logits at one position, a tensor of "
                "numbers [batch, d_vocab]: logits[:, -1]."
            )

    def check(self, batch: int, d_vocab: int) -> None:
        """Raise `MetricError` unless there is a distribution over this vocabulary for every prompt."""
        rows, width = self.clean_logits.shape
        if width != d_vocab or rows not in (1, batch):
            raise MetricError(
                f"clean_logits has the shape {[rows, width]}, and must be [{batch}, {d_vocab}]: the clean "
                "run's logits of each prompt at one position."
            )

    def per_prompt(self, logits: Float[Tensor, "batch *edge token"]) -> Float[Tensor, " batch *edge"]:
        """Sum over the vocabulary of ``p_clean * log(p_clean / p_patched)``."""
        clean = self.clean_logits.to(logits).log_softmax(-1)
        clean = clean.view(len(clean), *(1,) * (logits.ndim - 2), -1)
        terms = clean.exp() * (clean - logits.log_softmax(-1))
        # p log p vanishes with p, where floating point has 0 * (inf - inf).
        return terms.masked_fill(clean == -math.inf, 0.0).sum(-1)


def named_metric(
    name: MetricName, pair: PromptPairTokens, clean_logits: Float[Tensor, "batch pos d_vocab"]
) -> Metric:
    """The metric called `name` for a prompt pair, read at the last position.

    Raises `MetricError` for an unknown name.
    """
    metrics: dict[str, Callable[[], Metric]] = {
        "logit_difference": lambda: LogitDifference(answer=pair.answer, foil=pair.foil),
        "answer_log_probability": lambda: AnswerLogProbability(answer=pair.answer),
        "answer_probability": lambda: AnswerProbability(answer=pair.answer),
        "kl_from_clean": lambda: KLFromClean(clean_logits=clean_logits[:, -1]),
    }
    if name not in metrics:
        raise MetricError(f"There is no metric called {name!r}; the metrics are {', '.join(metrics)}.")
    return metrics[name]()
