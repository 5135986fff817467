"""The value of a metric as one number, and how much of it is rounding."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from analysis.errors import MetricError
from analysis.metrics.metric import PatchingMetric

#: Rounding of a forward pass, in units of the last place of its ordinary logits: float32 resolves
#: about a millionth of them.
ULPS = 8.0
#: Entries of a vocabulary that suffice for its medians.
_SAMPLED = 2048


def logit_spread(logits: Float[Tensor, "*rows d_vocab"]) -> Float[Tensor, "*rows"]:
    """How far each row's ordinary logits lie apart: six times the median distance from the median.

    About the distance from the median to the largest logit of a real vocabulary, but nothing that a
    few huge entries could move: a padded vocabulary's bias of -1e4, a forbidden token's -inf. Taken
    from some thousands of the entries, evenly spread. NaN for a row without finite logits.

    >>> logit_spread(torch.tensor([-1.0, 0.0, 1.0, -torch.inf])), logit_spread(torch.tensor([4.0, 5.0, 1e4]))
    (tensor(6.), tensor(6.))
    """
    return _centre_and_spread(logits)[1]


def logit_scale(logits: Float[Tensor, "*rows d_vocab"]) -> Float[Tensor, "*rows"]:
    """The size of each row's ordinary logits: ``|median| + logit_spread``.

    >>> logit_scale(torch.tensor([4.0, 5.0, 1e4]))
    tensor(11.)
    """
    centre, spread = _centre_and_spread(logits)
    return centre.abs() + spread


def _centre_and_spread(logits: Tensor) -> tuple[Tensor, Tensor]:
    sample = logits[..., :: max(1, logits.shape[-1] // _SAMPLED)]
    finite = sample.masked_fill(~torch.isfinite(sample), torch.nan)
    centre = finite.nanmedian(-1, keepdim=True).values
    return centre[..., 0], 6 * (finite - centre).abs().nanmedian(-1).values


def logit_resolution(logits: Float[Tensor, "*rows d_vocab"]) -> float:
    """The difference in logits below which a forward pass in this precision tells nothing.

    ``8 eps`` times the largest `logit_scale` of any row; 0 where no logit is finite.

    >>> logit_resolution(torch.tensor([[-10.0, 10.0]])) < 1e-5
    True
    """
    scales = logit_scale(logits).nan_to_num()
    return ULPS * torch.finfo(logits.dtype).eps * float(scales.max()) if scales.numel() else 0.0


def metric_resolution(metric: PatchingMetric, logits: Float[Tensor, "batch pos d_vocab"]) -> float:
    """What rounding of the logits can change of `metric`, to first order, in the metric's unit.

    ``sum |d metric / d logit| * 8 eps * (the larger of |logit| and its row's logit_scale)``; the bare
    `logit_resolution` where the metric has no gradient, or none that is finite.

    >>> from analysis.metrics import LogitDifference
    >>> logits = torch.tensor([[[1.0, -3.0]]])
    >>> metric_resolution(LogitDifference(0, 1), logits) / logit_resolution(logits)
    2.0
    """
    gradient = metric_gradient(metric, logits)
    if gradient is None or not bool(torch.isfinite(gradient).all()):
        return logit_resolution(logits)
    size = torch.maximum(logits.abs(), logit_scale(logits)[..., None]).nan_to_num(posinf=0.0)
    return ULPS * torch.finfo(logits.dtype).eps * float((gradient.abs() * size).sum())


def metric_gradient(
    metric: PatchingMetric, logits: Float[Tensor, "batch pos d_vocab"]
) -> Float[Tensor, "batch pos d_vocab"] | None:
    """``d metric / d logit``; None where the metric is not one real number with a gradient.

    A plain number, a choice (argmax), a vector and a complex number have none. Works inside
    `torch.no_grad` and `torch.inference_mode` too.
    """
    with torch.inference_mode(False):
        probe = logits.detach().clone()
        # A metric may write into what it reads, which the probe itself would not bear. And it is asked
        # without a gradient first: torch warns of turning a tensor that wants one into a number.
        if not _has_slope(metric(probe.clone())):
            return None
        with torch.enable_grad():
            value = metric(probe.requires_grad_().clone())
            if not value.requires_grad:
                return None
            (gradient,) = torch.autograd.grad(value.sum(), probe, allow_unused=True)
    return gradient


def _has_slope(value: object) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.numel() == 1


def checked_scalar(metric: PatchingMetric, logits: Float[Tensor, "batch pos d_vocab"]) -> float:
    """`metric(logits)` as a number; raises `MetricError` unless it is one finite real scalar."""
    value = metric(logits)
    try:
        # A plain number is already float64; as_tensor would round it to float32.
        value = value if isinstance(value, Tensor) else torch.as_tensor(value, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise MetricError(
            f"The patching metric returned {value!r}; it must return a single real number, for example "
            "the mean over the batch."
        ) from error
    if value.numel() != 1:
        raise MetricError(
            f"The patching metric returned shape {tuple(value.shape)}; it must return a single number, "
            "for example the mean over the batch."
        )
    if value.is_complex():
        raise MetricError(
            "The patching metric returned a complex number; it must return a single real one, for example "
            "its absolute value."
        )
    number = float(value)
    if not math.isfinite(number):
        raise MetricError(
            f"The patching metric returned {number}; it must be finite. Check the logits it reads and "
            "any division or logarithm in it."
        )
    return number


def require_slope(metric: PatchingMetric, logits: Float[Tensor, "batch pos d_vocab"]) -> None:
    """Raise `MetricError` where `metric` cannot have a gradient, without asking it for one.

    torch warns of turning a tensor that wants a gradient into a number.
    """
    with torch.no_grad():
        value = metric(logits.detach().clone())
    if not _has_slope(value):
        raise _no_slope(value)


def differentiable(value: Any) -> Tensor:
    """`value` if it is one finite real number with a gradient; `MetricError` otherwise."""
    if not (_has_slope(value) and value.requires_grad and torch.isfinite(value)):
        raise _no_slope(value)
    return value.reshape(())


def _no_slope(value: object) -> MetricError:
    return MetricError(
        f"The estimate differentiates the metric, which returned {value!r}. It must return one finite "
        "real number as a tensor that depends on the logits; the measured sweep takes any number."
    )
