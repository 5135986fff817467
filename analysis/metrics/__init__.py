"""Patching metrics: callables from logits to one number, each declaring what it reads.

Any callable ``logits [batch pos d_vocab] -> scalar`` is a metric for the engine. The classes here
say in addition which position and which tokens they look at, so that nothing else is computed from
the last block on, and give one value per prompt. Each reduces to its mean over the batch when called.
"""

from analysis.metrics.metric import Metric, PatchingMetric
from analysis.metrics.named import (
    AnswerLogProbability,
    AnswerProbability,
    KLFromClean,
    LogitDifference,
    Recovery,
    named_metric,
)
from analysis.metrics.resolution import (
    ULPS,
    checked_scalar,
    differentiable,
    logit_resolution,
    logit_scale,
    logit_spread,
    metric_gradient,
    metric_resolution,
    require_slope,
)

__all__ = [
    "ULPS",
    "AnswerLogProbability",
    "AnswerProbability",
    "KLFromClean",
    "LogitDifference",
    "Metric",
    "PatchingMetric",
    "Recovery",
    "checked_scalar",
    "differentiable",
    "logit_resolution",
    "logit_scale",
    "logit_spread",
    "metric_gradient",
    "metric_resolution",
    "named_metric",
    "require_slope",
]
