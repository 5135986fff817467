"""From the final residual stream to the metric: computes only the logits that the metric reads.

A `Metric` declares them. Any other callable gets logits that are computed when it reads them, if it takes
them so (`analysis.sweep.on_demand`), and whole logits otherwise.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from analysis.decoder import Decoder, softcapped
from analysis.errors import MetricError
from analysis.metrics import Metric, PatchingMetric, checked_scalar, differentiable, metric_resolution
from analysis.sweep.on_demand import value_on_demand
from analysis.sweep.patched import PatchedLogits
from analysis.sweep.replay import CorruptedRun, StopCheck, Suffix

#: Where the whole logits of a row take fewer operations than this, they come sooner than they are asked for.
OPERATIONS_WORTH_ASKING = 2e7

Values = tuple[Float[np.ndarray, " edge"], Float[np.ndarray, "edge batch"] | None]


class Readout:
    """Applies one metric to patched rows, or to the corrupted run itself."""

    def __init__(self, decoder: Decoder, run: CorruptedRun, metric: PatchingMetric) -> None:
        self._decoder, self._run, self._metric = decoder, run, metric
        self._declared = metric if isinstance(metric, Metric) else None
        self._on_demand = False
        if self._declared is not None:
            self._declared.check_position(run.resid_final.shape[1])
            self._declared.check(len(run.resid_final), decoder.W_U.shape[1])

    @property
    def position(self) -> int | None:
        """The one position that is read, None if any may be."""
        if self._declared is None:
            return None
        return self._declared.position % self._run.resid_final.shape[1]

    def width(self, suffix: Suffix) -> int:
        """How many logits one row needs at once."""
        vocabulary = self._decoder.W_U.shape[1]
        if self._declared is None:
            return vocabulary * suffix.n_positions
        return vocabulary if self._declared.tokens is None else self._declared.tokens.shape[-1]

    def baseline(self) -> tuple[float, Float[np.ndarray, " batch"] | None]:
        """The metric of the corrupted run, mean and per prompt."""
        if self._declared is None:
            return self._baseline_of_callable(), None
        values = self._per_prompt(self._decoder.normed(self._run.resid_final[:, None, self.position, :]))
        return float(values.mean()), values[:, 0].cpu().double().numpy()

    def measure(
        self, normed: Float[Tensor, "batch edge read d_model"], suffix: Suffix, check_stop: StopCheck
    ) -> Values:
        """The metric of every edge from its normed final residual stream: mean, and per prompt if declared.

        Raises `MetricError` where it is not finite.
        """
        if self._declared is not None:
            values = self._per_prompt(normed[:, :, 0]).T.cpu().double().numpy()
            return values.mean(axis=1), values
        rows = PatchedLogits(self._decoder, self._run.resid_final, normed, suffix.start)
        found = np.empty(normed.shape[1])
        for edge in range(normed.shape[1]):
            check_stop()
            found[edge] = self._of_edge(rows, edge)
        return found, None

    def differentiable(
        self, normed: Float[Tensor, "batch edge read d_model"], suffix: Suffix
    ) -> Float[Tensor, ""]:
        """The sum over edges of the metric, for its gradient. Raises `MetricError` where it has none."""
        if self._declared is not None:
            return differentiable(self._per_prompt(normed[:, :, 0]).mean(0).sum())
        prefix = self._decoder.logits(self._run.resid_final[:, : suffix.start])
        of_edges = (self._decoder.unembed(normed[:, edge]) for edge in range(normed.shape[1]))
        values = [differentiable(self._metric(torch.cat([prefix, row], dim=1))) for row in of_edges]
        return torch.stack(values).sum()

    def _baseline_of_callable(self) -> float:
        """The callable's value of the run itself, asked in both ways.

        Where they differ by more than rounding, or the first is refused, patched rows give it whole logits.
        """
        logits = self._decoder.logits(self._run.resid_final)

        def read(positions: tuple[int, ...], tokens: tuple[int, ...] | None) -> Tensor:
            rows = logits[:, list(positions)]
            return rows if tokens is None else rows[..., list(tokens)]

        on_demand = None
        if 2.0 * logits.numel() * len(self._decoder.W_U) >= OPERATIONS_WORTH_ASKING:
            batch, n_positions, d_vocab = logits.shape
            on_demand = value_on_demand(self._metric, read, logits, (batch, n_positions, d_vocab))
        # It may write into what it is given.
        value = checked_scalar(self._metric, logits.clone())
        if on_demand is not None:
            off = abs(on_demand - value)
            self._on_demand = off == 0 or off <= metric_resolution(self._metric, logits)
        return value

    def _of_edge(self, rows: PatchedLogits, edge: int) -> float:
        if self._on_demand:
            value = value_on_demand(self._metric, rows.reader(edge), self._run.resid_final, rows.shape)
            if value is not None:
                return value
            self._on_demand = False
        return checked_scalar(self._metric, rows.whole(edge))

    def _per_prompt(self, normed: Float[Tensor, "batch edge d_model"]) -> Float[Tensor, "batch edge"]:
        assert self._declared is not None
        return _finite(self._declared, self._declared.per_prompt(self._logits(normed)))

    def _logits(self, normed: Float[Tensor, "batch edge d_model"]) -> Float[Tensor, "batch edge token"]:
        """Logits of the declared tokens, which may differ from prompt to prompt."""
        assert self._declared is not None
        tokens, decoder = self._declared.tokens, self._decoder
        if tokens is None:
            return decoder.unembed(normed)
        tokens = tokens.to(normed.device).expand(len(normed), -1)
        logits = normed @ decoder.W_U[:, tokens].permute(1, 0, 2)
        if decoder.b_U is not None:
            logits = logits + decoder.b_U[tokens][:, None]
        return logits if decoder.logit_softcap is None else softcapped(logits, decoder.logit_softcap)


def measure_logits(metric: PatchingMetric, logits: Float[Tensor, "edge batch pos d_vocab"]) -> Values:
    """The metric of every edge from full logits: mean over the prompts, and per prompt if declared."""
    if not isinstance(metric, Metric):
        # A metric may write into what it reads, and the gate's logits are read again.
        return np.array([checked_scalar(metric, of_edge.clone()) for of_edge in logits]), None
    read = logits[:, :, metric.position].transpose(0, 1)
    if metric.tokens is not None:
        tokens = metric.tokens.to(read.device).expand(len(read), -1)
        read = read.gather(-1, tokens[:, None].expand(-1, read.shape[1], -1))
    values = _finite(metric, metric.per_prompt(read)).T.cpu().double().numpy()
    return values.mean(axis=1), values


def _finite(metric: Metric, values: Tensor) -> Tensor:
    if not torch.isfinite(values).all():
        raise MetricError(
            f"The metric {type(metric).__name__} is not finite on every row; check the answer, the foil "
            "and the prompts."
        )
    return values
