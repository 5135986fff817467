"""The named metrics can be made in one way only, and refuse what is no answer, foil or clean run."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from types import SimpleNamespace
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
    Metric,
    Recovery,
    named_metric,
)
from analysis.requests import METRIC_NAMES, MetricName

LOGITS = torch.randn(2, 3, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
ENDS = {"clean": 3.0, "corrupted": 1.0}


def test_what_a_metric_is_about_comes_first_and_has_no_default():
    last = LOGITS[:, -1]
    assert float(LogitDifference(7, 11)(LOGITS)) == pytest.approx(float((last[:, 7] - last[:, 11]).mean()))
    assert float(AnswerProbability(7)(LOGITS)) == pytest.approx(float(last.softmax(-1)[:, 7].mean()))
    assert float(AnswerLogProbability(7)(LOGITS)) == pytest.approx(float(last.log_softmax(-1)[:, 7].mean()))
    assert float(KLFromClean(last)(LOGITS)) == pytest.approx(0.0, abs=1e-12)
    difference = float(LogitDifference(7, 11)(LOGITS))
    assert float(Recovery(7, 11, **ENDS)(LOGITS)) == pytest.approx((difference - 1.0) / 2.0)


@pytest.mark.parametrize(
    "metric", [LogitDifference, AnswerLogProbability, AnswerProbability, KLFromClean, Recovery]
)
def test_every_other_field_is_named_by_the_caller(metric: type[Metric]):
    parameters = inspect.signature(metric).parameters
    positional = [name for name, it in parameters.items() if it.kind is it.POSITIONAL_OR_KEYWORD]
    assert positional in (["answer", "foil"], ["answer"], ["clean_logits"])
    assert [name for name, it in parameters.items() if it.default is not it.empty] == ["position"]


@pytest.mark.parametrize(
    ("metric", "arguments"),
    [
        (LogitDifference, (7,)),
        (LogitDifference, (7, 11, -1)),
        (AnswerProbability, ()),
        (AnswerLogProbability, (7, -1)),
        (KLFromClean, ()),
        (KLFromClean, (LOGITS[:, -1], -1)),
        (Recovery, (7, 11)),
        (Recovery, (7, 11, 3.0, 1.0)),
    ],
    ids=str,
)
def test_a_metric_without_its_subject_or_with_an_unnamed_field_cannot_be_made(
    metric: type[Metric], arguments: tuple[Any, ...]
):
    with pytest.raises(TypeError, match=r"missing|positional"):
        metric(*arguments)


#: What the metrics that a question may name are of patched logits y and clean logits x, by name.
FORMULAS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "logit_difference": lambda y, x: y[7] - y[11],
    "answer_log_probability": lambda y, x: y[7] - y.logsumexp(0),
    "answer_probability": lambda y, x: y[7].exp() / y.exp().sum(),
    "kl_from_clean": lambda y, x: torch.nn.functional.kl_div(
        y.log_softmax(0), x.log_softmax(0), log_target=True, reduction="sum"
    ),
}


@pytest.mark.parametrize("name", METRIC_NAMES)
def test_a_metric_that_is_named_reads_its_answer_and_foil_at_the_last_position(name: MetricName):
    pair = SimpleNamespace(answer=7, foil=11)
    patched, clean = LOGITS[:1], LOGITS[1:]
    found = float(named_metric(name, pair, clean)(patched))
    assert found == pytest.approx(float(FORMULAS[name](patched[0, -1], clean[0, -1])), abs=1e-12)


def test_a_metric_of_another_name_is_refused_with_those_that_there_are():
    with pytest.raises(MetricError, match=f"no metric called 'loss'; the metrics are {', '.join(FORMULAS)}"):
        named_metric("loss", SimpleNamespace(answer=7, foil=11), LOGITS)


NO_TOKEN = [-1, True, 1.0, "7", None, [], [3, -1], [3, True], [1.5, 2.0], "", torch.tensor([1.0, 2.0])]
NO_TOKEN += [torch.tensor(True), np.array([1.0]), np.bool_(True), torch.zeros(2, 2, dtype=torch.long), {7}]


@pytest.mark.parametrize("token", NO_TOKEN, ids=repr)
def test_what_is_no_token_id_is_refused_where_the_metric_is_made(token: Any):
    for make in (
        lambda: AnswerProbability(token),
        lambda: AnswerLogProbability(token),
        lambda: LogitDifference(token, 7),
        lambda: Recovery(token, 7, **ENDS),
    ):
        with pytest.raises(
            MetricError, match=r"(?s)The answer is .* must be a token id .*model\.to_single_token"
        ):
            make()
    with pytest.raises(MetricError, match=r"(?s)The foil is .* must be a token id"):
        LogitDifference(7, token)


@pytest.mark.parametrize(
    "tokens",
    [[7, 3], (7, 3), torch.tensor([7, 3]), np.array([7, 3]), [np.int64(7), torch.tensor(3)]],
    ids=lambda tokens: type(tokens).__name__,
)
def test_a_token_for_each_prompt_may_be_any_sequence_of_ids(tokens: Any):
    expected = (LOGITS[0, -1, 7] + LOGITS[1, -1, 3]) / 2 - LOGITS[:, -1, 11].mean()
    assert float(LogitDifference(tokens, 11)(LOGITS)) == pytest.approx(float(expected))


@pytest.mark.parametrize("token", [7, np.int32(7), torch.tensor(7), np.array(7)], ids=repr)
def test_one_token_may_be_any_whole_number(token: Any):
    assert float(AnswerProbability(token)(LOGITS)) == float(AnswerProbability(7)(LOGITS))


def test_answers_and_foils_of_different_number_are_refused():
    with pytest.raises(MetricError, match="There are 2 answers and 3 foils"):
        LogitDifference([1, 2], [3, 4, 5])
    with pytest.raises(MetricError, match="3 token ids for 2 prompts"):
        LogitDifference([1, 2, 3], 5)(LOGITS)


@pytest.mark.parametrize("position", [1.0, True, "last", None, [1]], ids=repr)
def test_a_position_is_a_whole_number(position: Any):
    for make in (
        lambda: AnswerProbability(7, position=position),
        lambda: AnswerLogProbability(7, position=position),
        lambda: LogitDifference(7, 11, position=position),
        lambda: Recovery(7, 11, position=position, **ENDS),
        lambda: KLFromClean(LOGITS[:, -1], position=position),
    ):
        with pytest.raises(MetricError, match=r"The position is .*whole number"):
            make()


def test_a_position_or_token_outside_the_logits_is_named_with_its_limit():
    with pytest.raises(MetricError, match=r"reads position 3, .*from -3 to 2"):
        AnswerProbability(7, position=3)(LOGITS)
    with pytest.raises(MetricError, match=r"token ids \[20\].*0 to 19"):
        AnswerProbability(20)(LOGITS)


@pytest.mark.parametrize("end", [math.nan, math.inf, True, "1.0", None, [1.0], torch.ones(2), 1j], ids=repr)
def test_an_end_of_the_recovery_is_one_finite_number(end: Any):
    with pytest.raises(MetricError, match=r"The clean logit difference is .*finite number"):
        Recovery(7, 11, clean=end, corrupted=1.0)
    with pytest.raises(MetricError, match=r"The corrupted logit difference is .*finite number"):
        Recovery(7, 11, clean=3.0, corrupted=end)


def test_a_recovery_between_equal_ends_is_undefined():
    with pytest.raises(MetricError, match=r"undefined: the logit difference is 2 on both runs"):
        Recovery(7, 11, clean=2.0, corrupted=2.0)


@pytest.mark.parametrize(
    "clean", [LOGITS, LOGITS[0, -1], 7, None, [[1.0]], torch.ones(2, 20, dtype=torch.long)], ids=str
)
def test_clean_logits_are_those_of_one_position(clean: Any):
    with pytest.raises(MetricError, match=r"clean_logits is .*one position.*logits\[:, -1\]"):
        KLFromClean(clean)


@pytest.mark.parametrize("clean", [torch.ones(3, 20), torch.ones(2, 19)], ids=lambda t: str(tuple(t.shape)))
def test_clean_logits_fit_the_prompts_and_the_vocabulary(clean: torch.Tensor):
    with pytest.raises(MetricError, match=r"must be \[2, 20\]"):
        KLFromClean(clean)(LOGITS)


def test_one_row_of_clean_logits_stands_for_every_prompt():
    row = LOGITS[:1, -1]
    both = KLFromClean(row.expand(2, -1))(LOGITS)
    assert float(KLFromClean(row)(LOGITS)) == pytest.approx(float(both), abs=1e-15)


def test_a_token_forbidden_in_both_runs_adds_nothing_to_the_divergence():
    """Forbidding is leaving out: the divergence over the other tokens, and its gradient, finite."""
    forbidden = LOGITS.clone()
    forbidden[..., 5:9] = -math.inf
    clean = forbidden[:, 0]
    allowed = torch.cat([LOGITS[..., :5], LOGITS[..., 9:]], dim=-1)
    own = forbidden.clone().requires_grad_()
    value = KLFromClean(clean)(own)
    value.backward()
    assert float(value.detach()) == pytest.approx(float(KLFromClean(allowed[:, 0])(allowed)))
    assert own.grad is not None and torch.isfinite(own.grad).all()


def test_a_token_that_only_the_patched_run_forbids_is_an_infinite_divergence():
    forbidden = LOGITS.clone()
    forbidden[..., 5] = -math.inf
    assert float(KLFromClean(LOGITS[:, -1])(forbidden)) == math.inf
    assert math.isnan(float(KLFromClean(LOGITS[:, -1])(forbidden * math.nan)))
