"""A named metric in the sweep against the same formula as a plain callable on full logits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from analysis.errors import MetricError
from analysis.metrics import (
    AnswerLogProbability,
    AnswerProbability,
    KLFromClean,
    LogitDifference,
    Recovery,
)
from analysis.requests import HEAD_INPUTS
from analysis.sweep import Gate, Sweep
from tests.reference import FLOAT32_INSIDE_TOLERANCE
from tests.runs import Runs, baseline, family_runs

ANSWER, FOIL = 7, 11


def clean_logits(runs: Runs) -> torch.Tensor:
    with torch.no_grad():
        return runs.model(runs.clean_tokens)


def metric_pair(name: str, runs: Runs):
    """The named metric and its formula as a callable that declares nothing."""
    clean = clean_logits(runs)[:, -1]

    def difference(logits):
        return logits[:, -1, ANSWER] - logits[:, -1, FOIL]

    def divergence(logits):
        p, q = clean.log_softmax(-1), logits[:, -1].log_softmax(-1)
        return (p.exp() * (p - q)).sum(-1).mean()

    return {
        "logit difference": (
            LogitDifference(answer=ANSWER, foil=FOIL),
            lambda logits: difference(logits).mean(),
        ),
        "logit difference, ids per prompt": (
            LogitDifference(answer=[3, 9], foil=torch.tensor([5, 2])),
            lambda logits: (logits[0, -1, 3] - logits[0, -1, 5] + logits[1, -1, 9] - logits[1, -1, 2]) / 2,
        ),
        "recovery": (
            Recovery(answer=ANSWER, foil=FOIL, clean=3.0, corrupted=-1.0),
            lambda logits: (difference(logits).mean() + 1.0) / 4.0,
        ),
        "log probability": (
            AnswerLogProbability(answer=ANSWER),
            lambda logits: logits[:, -1].log_softmax(-1)[:, ANSWER].mean(),
        ),
        "probability": (
            AnswerProbability(answer=ANSWER),
            lambda logits: logits[:, -1].softmax(-1)[:, ANSWER].mean(),
        ),
        "divergence": (KLFromClean(clean_logits=clean), divergence),
        "logit difference, earlier": (
            LogitDifference(position=6, answer=ANSWER, foil=FOIL),
            lambda logits: (logits[:, 6, ANSWER] - logits[:, 6, FOIL]).mean(),
        ),
    }[name]


NAMES = (
    "logit difference",
    "logit difference, ids per prompt",
    "recovery",
    "log probability",
    "probability",
    "divergence",
    "logit difference, earlier",
)


@pytest.mark.parametrize("family", ["gpt2", "gemma2", "pythia"])
@pytest.mark.parametrize("name", NAMES)
def test_a_named_metric_equals_the_same_formula_on_full_logits(name, family):
    runs = family_runs(family)
    named, plain = metric_pair(name, runs)
    for component in HEAD_INPUTS:
        quick = Sweep(*runs.arguments, named, component=component)
        slow = Sweep(*runs.arguments, plain, component=component)
        limit = 1e-12 if family != "gemma2" else FLOAT32_INSIDE_TOLERANCE
        assert quick.baseline == pytest.approx(slow.baseline, rel=0, abs=limit)
        assert quick.baseline == pytest.approx(baseline(runs, plain), rel=0, abs=limit)
        found = {tuple(e): v for p in quick.run() for e, v in zip(p.edges.tolist(), p.values, strict=True)}
        for piece in slow.run():
            expected = [found[tuple(edge)] for edge in piece.edges.tolist()]
            assert np.allclose(piece.values, expected, rtol=0, atol=limit)


@pytest.mark.parametrize("name", NAMES)
def test_a_named_metric_called_on_logits_is_its_own_formula(name):
    runs = family_runs("gpt2")
    named, plain = metric_pair(name, runs)
    logits = clean_logits(runs)
    assert float(named(logits)) == pytest.approx(float(plain(logits)), rel=0, abs=1e-13)


def test_divergence_is_zero_on_the_clean_run_and_recovery_one():
    runs = family_runs("gpt2")
    logits = clean_logits(runs)
    difference = LogitDifference(answer=ANSWER, foil=FOIL)
    clean, corrupted = float(difference(logits)), baseline(runs, difference)
    recovery = Recovery(answer=ANSWER, foil=FOIL, clean=clean, corrupted=corrupted)
    assert float(recovery(logits)) == pytest.approx(1.0, abs=1e-12)
    assert baseline(runs, recovery) == pytest.approx(0.0, abs=1e-12)
    assert float(KLFromClean(clean_logits=logits[:, -1])(logits)) == pytest.approx(0.0, abs=1e-12)
    assert baseline(runs, KLFromClean(clean_logits=logits[:, -1])) > 1e-3


def test_only_the_logits_that_a_metric_names_are_computed():
    """The vocabulary of a replayed row would otherwise be most of the work on a real model."""
    runs = family_runs("gpt2")
    _, plain = metric_pair("logit difference", runs)
    named = Sweep(*runs.arguments, LogitDifference(answer=ANSWER, foil=FOIL))
    assert named.flops() < 0.8 * Sweep(*runs.arguments, plain).flops()


def test_a_plain_callable_has_values_but_none_per_prompt():
    runs = family_runs("gpt2")
    _, plain = metric_pair("probability", runs)
    for piece in Sweep(*runs.arguments, plain).run():
        assert piece.per_prompt is None
        assert piece.values.dtype == np.float64


def test_a_plain_callable_is_called_with_the_logits_of_one_patch_at_a_time():
    runs = family_runs("gpt2")
    shapes = []

    def recording(logits):
        shapes.append(tuple(logits.shape))
        return logits[:, -1, ANSWER].mean()

    sweep = Sweep(*runs.arguments, recording)
    shapes.clear()
    list(sweep.run())
    assert shapes == [(2, 9, runs.model.cfg.d_vocab)] * sweep.n_edges


@pytest.mark.parametrize(
    ("metric", "says"),
    [
        (LogitDifference(position=9, answer=ANSWER, foil=FOIL), "9"),
        (LogitDifference(position=-10, answer=ANSWER, foil=FOIL), "10"),
        (LogitDifference(answer=320, foil=FOIL), "320"),
        (LogitDifference(answer=[1, 2, 3], foil=FOIL), "3"),
    ],
    ids=["position", "negative position", "token", "number of answers"],
)
def test_a_metric_that_reads_what_is_not_there_is_refused(metric, says):
    with pytest.raises(MetricError, match=says):
        list(Sweep(*family_runs("gpt2").arguments, metric).run())


def test_a_metric_that_fails_only_on_a_patched_run_is_refused_too():
    runs = family_runs("gpt2")
    calls: list[None] = []

    def late(logits):
        calls.append(None)
        return logits[:, -1, ANSWER].mean() * (float("nan") if len(calls) > 5 else 1.0)

    with pytest.raises(MetricError, match=r"(?i)nan|finite"):
        list(Sweep(*runs.arguments, late).run())


def test_a_metric_may_return_a_plain_number():
    runs = family_runs("gpt2")

    def plain_number(logits) -> Any:
        return float(logits[:, -1, ANSWER].mean())

    tensor = Sweep(*runs.arguments, lambda logits: logits[:, -1, ANSWER].mean())
    number = Sweep(*runs.arguments, plain_number)
    for one, other in zip(tensor.run(), number.run(), strict=True):
        assert np.array_equal(one.values, other.values)


@pytest.mark.parametrize("agreed", [True, False], ids=["replay", "hooks"])
def test_a_metric_may_write_into_the_logits(agreed: bool, monkeypatch):
    runs = family_runs("gpt2")
    monkeypatch.setattr(Gate, "agrees", (lambda own: lambda *given: own(*given) and agreed)(Gate.agrees))

    def doubled(logits) -> torch.Tensor:
        return logits.mul_(2.0)[:, -1, ANSWER].mean()

    writing = Sweep(*runs.arguments, doubled)
    plain = Sweep(*runs.arguments, lambda logits: 2.0 * logits[:, -1, ANSWER].mean())
    assert writing.engine == plain.engine == ("replay" if agreed else "hooks")
    assert writing.baseline == plain.baseline
    for one, other in zip(writing.run(), plain.run(), strict=True):
        assert np.array_equal(one.values, other.values)
