"""Patching metrics: callables from logits to one number, each declaring what it reads.

Any callable ``logits [batch pos d_vocab] -> scalar`` is a metric for the engine. The classes here
say in addition which position and which tokens they look at, so that only those are computed,
and give one value per prompt. Each reduces to its mean over the batch when called.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

from analysis.errors import MetricError
from analysis.requests import MetricName

PatchingMetric = Callable[[Float[Tensor, "batch pos d_vocab"]], Tensor]


class PromptPairTokens(Protocol):
    """What `named_metric` needs of a prompt pair."""

    @property
    def answer(self) -> int:
        """Id of the token that the clean prompt should bring."""

    @property
    def foil(self) -> int:
        """Id of the token that the corrupted prompt should bring."""


@dataclass(frozen=True, eq=False)
class Metric:
    """A metric of the next-token logits at one position.

    `position` counts from the end if negative. `tokens` names the vocabulary entries read, in
    the order in which `per_prompt` receives them: [token], or [batch token] where they differ
    between prompts; None reads the whole vocabulary.
    """

    position: int = -1

    @property
    def tokens(self) -> Int[Tensor, "*batch token"] | None:
        """The vocabulary entries that are read, None for all."""
        return None

    def per_prompt(self, logits: Float[Tensor, "batch *edge token"]) -> Float[Tensor, "batch *edge"]:
        """The metric of each prompt (and edge) from the logits of `tokens` at `position`."""
        raise NotImplementedError

    def __call__(self, logits: Float[Tensor, "batch pos d_vocab"]) -> Float[Tensor, ""]:
        """Mean over the batch, from full logits. Raises `MetricError` for a missing position."""
        self.check_position(logits.shape[1])
        self.check(len(logits), logits.shape[-1])
        read = logits[:, self.position]
        if self.tokens is not None:
            read = read.gather(-1, self.tokens.to(read.device).expand(len(read), -1))
        return self.per_prompt(read).mean()

    def check_position(self, n_positions: int) -> None:
        """Raise `MetricError` if `position` lies outside prompts of `n_positions` tokens."""
        if not -n_positions <= self.position < n_positions:
            raise MetricError(
                f"The metric reads position {self.position}, but the prompts have {n_positions} tokens; "
                f"choose a position from {-n_positions} to {n_positions - 1}."
            )

    def check(self, batch: int, d_vocab: int) -> None:
        """Raise `MetricError` if token ids fall outside the vocabulary or do not fit the batch."""
        for name in ("answer", "foil"):
            ids = _token_ids(getattr(self, name, 0))
            outside = ids[(ids < 0) | (ids >= d_vocab)].tolist()
            if outside:
                raise MetricError(
                    f"The {name} has token ids {outside}, but the vocabulary has ids 0 to {d_vocab - 1}; "
                    "look the token up with model.to_single_token."
                )
            if len(ids) not in (1, batch):
                raise MetricError(
                    f"The {name} has {len(ids)} token ids for {batch} prompts; give one id for all "
                    "prompts or one for each."
                )


def _token_ids(tokens: int | list[int] | Tensor) -> Int[Tensor, "batch"]:
    return torch.as_tensor(tokens, dtype=torch.long).reshape(-1)


@dataclass(frozen=True, eq=False)
class LogitDifference(Metric):
    """``logit[answer] - logit[foil]``, in logits; positive when the model prefers the answer.

    `answer` and `foil` are ids, one for all prompts or one each. Where they are equal it is 0.
    """

    answer: Int[Tensor, "batch"] | list[int] | int = 0
    foil: Int[Tensor, "batch"] | list[int] | int = 0

    @property
    def tokens(self) -> Int[Tensor, "batch token"]:
        """Answer, then foil."""
        return torch.stack(torch.broadcast_tensors(_token_ids(self.answer), _token_ids(self.foil)), dim=-1)

    def per_prompt(self, logits: Float[Tensor, "batch *edge token"]) -> Float[Tensor, "batch *edge"]:
        """Answer minus foil."""
        return logits[..., 0] - logits[..., 1]


@dataclass(frozen=True, eq=False)
class Recovery(LogitDifference):
    """Logit difference on the scale 0 = corrupted run, 1 = clean run; no unit.

    Affine in the logit difference. Both ends are means over the batch.
    """

    clean: float = 1.0
    corrupted: float = 0.0

    def __post_init__(self) -> None:
        if self.clean == self.corrupted:
            raise MetricError(
                f"Recovery is undefined: the logit difference is {self.clean:.4g} on both runs. "
                "Choose prompts that differ, or the logit difference as metric."
            )

    def per_prompt(self, logits: Float[Tensor, "batch *edge token"]) -> Float[Tensor, "batch *edge"]:
        """0 at `corrupted`, 1 at `clean`."""
        return (super().per_prompt(logits) - self.corrupted) / (self.clean - self.corrupted)


@dataclass(frozen=True, eq=False)
class AnswerLogProbability(Metric):
    """``log softmax(logits)[answer]``, in nats; at most 0."""

    answer: Int[Tensor, "batch"] | list[int] | int = 0

    def per_prompt(self, logits: Float[Tensor, "batch *edge token"]) -> Float[Tensor, "batch *edge"]:
        """Log-softmax over the whole vocabulary, at the answer."""
        ids = _token_ids(self.answer).to(logits.device).expand(len(logits))
        index = ids.view(-1, *(1,) * (logits.ndim - 1)).expand(*logits.shape[:-1], 1)
        return logits.log_softmax(-1).gather(-1, index).squeeze(-1)


@dataclass(frozen=True, eq=False)
class AnswerProbability(AnswerLogProbability):
    """``softmax(logits)[answer]``, between 0 and 1."""

    def per_prompt(self, logits: Float[Tensor, "batch *edge token"]) -> Float[Tensor, "batch *edge"]:
        """Softmax over the whole vocabulary, at the answer."""
        return super().per_prompt(logits).exp()


@dataclass(frozen=True, eq=False)
class KLFromClean(Metric):
    """``KL(clean || patched)`` of the next-token distributions, in nats; 0 when they agree.

    `clean_logits` [batch d_vocab] are the clean run's at `position`.
    """

    clean_logits: Float[Tensor, "batch d_vocab"] | None = None

    def per_prompt(self, logits: Float[Tensor, "batch *edge token"]) -> Float[Tensor, "batch *edge"]:
        """Sum over the vocabulary of ``p_clean * log(p_clean / p_patched)``."""
        assert self.clean_logits is not None
        clean = self.clean_logits.to(logits).log_softmax(-1)
        clean = clean.view(len(clean), *(1,) * (logits.ndim - 2), -1)
        return (clean.exp() * (clean - logits.log_softmax(-1))).sum(-1)


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


#: Rounding of a forward pass, in units of the last place of its largest logit: float32 resolves about
#: a millionth of it.
ULPS = 8.0


def logit_resolution(logits: Float[Tensor, "*rows d_vocab"]) -> float:
    """The difference in logits below which a forward pass in this precision tells nothing: ``8 eps max``.

    >>> logit_resolution(torch.tensor([[-10.0, 10.0]])) < 1e-5
    True
    """
    finite = logits[torch.isfinite(logits)]
    return ULPS * torch.finfo(logits.dtype).eps * float(finite.abs().max()) if finite.numel() else 0.0


def logit_sensitivity(metric: PatchingMetric, logits: Float[Tensor, "batch pos d_vocab"]) -> float | None:
    """``sum |d metric / d logit|``: what errors of one unit in every logit can change of the metric.

    To first order; None where the metric has no gradient.
    """
    with torch.inference_mode(False), torch.enable_grad(), warnings.catch_warnings():
        # What torch says of a metric that leaves the graph is answered by None.
        warnings.simplefilter("ignore", UserWarning)
        probe = logits.detach().clone().requires_grad_()
        value = metric(probe)
        if not (isinstance(value, Tensor) and value.requires_grad and value.is_floating_point()):
            return None
        (gradient,) = torch.autograd.grad(value.sum(), probe, allow_unused=True)
    return None if gradient is None else float(gradient.nan_to_num().abs().sum())


def metric_resolution(metric: PatchingMetric, logits: Float[Tensor, "batch pos d_vocab"]) -> float:
    """What rounding of the logits can change of `metric`, to first order, in the metric's unit.

    `logit_sensitivity` times `logit_resolution`; the latter alone where the metric has no gradient.
    """
    sensitivity = logit_sensitivity(metric, logits)
    return logit_resolution(logits) * (1.0 if sensitivity is None else sensitivity)


def checked_scalar(metric: PatchingMetric, logits: Float[Tensor, "batch pos d_vocab"]) -> float:
    """`metric(logits)` as a number; raises `MetricError` unless it is one finite scalar."""
    value = metric(logits)
    # A plain number is already float64; as_tensor would round it to float32.
    value = value if isinstance(value, Tensor) else torch.as_tensor(value, dtype=torch.float64)
    if value.numel() != 1:
        raise MetricError(
            f"The patching metric returned shape {tuple(value.shape)}; it must return a single number, "
            "for example the mean over the batch."
        )
    number = float(value)
    if not torch.isfinite(torch.tensor(number)):
        raise MetricError(
            f"The patching metric returned {number}; it must be finite. Check the logits it reads and "
            "any division or logarithm in it."
        )
    return number
