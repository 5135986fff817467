"""Callables that get their logits as they read them, against the same callables on whole logits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from analysis.errors import MetricError
from analysis.sweep import Sweep, patched, readout
from analysis.sweep.on_demand import OnDemand, value_on_demand
from tests.runs import Runs, family_runs

TOLERANCE = 1e-12
ROWS, ANSWERS = torch.arange(2), torch.tensor([3, 9])


@pytest.fixture(autouse=True)
def _small_models_too(monkeypatch):
    monkeypatch.setattr(readout, "OPERATIONS_WORTH_ASKING", 0.0)


def swept(metric: Any, runs: Runs | None = None, **options: Any) -> np.ndarray:
    sweep = Sweep(*(runs or family_runs("gpt2")).arguments, metric, **options)
    assert sweep.engine == "replay"
    return np.concatenate([sweep.baseline * np.ones(1), *(piece.values for piece in sweep.run())])


def on_whole_logits(metric: Any, monkeypatch: Any, **options: Any) -> np.ndarray:
    with monkeypatch.context() as context:
        context.setattr(readout, "OPERATIONS_WORTH_ASKING", float("inf"))
        return swept(metric, **options)


@pytest.fixture
def counted(monkeypatch) -> list[int]:
    """One entry for every row whose whole logits were made."""
    made: list[int] = []
    whole = patched.PatchedLogits.whole

    def counting(rows: Any, edge: int) -> torch.Tensor:
        made.append(edge)
        return whole(rows, edge)

    monkeypatch.setattr(patched.PatchedLogits, "whole", counting)
    return made


def _gradient_norm(logits: torch.Tensor) -> torch.Tensor:
    with torch.enable_grad():
        own = logits.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(own[:, -1].log_softmax(-1)[:, 7].sum(), own)
    return gradient.norm()


def _in_a_thread(logits: torch.Tensor) -> torch.Tensor:
    found: list[torch.Tensor] = []
    thread = threading.Thread(target=lambda: found.append(logits[:, -1, 7].mean()))
    thread.start()
    thread.join()
    return found[0]


def _into_others(logits: torch.Tensor) -> torch.Tensor:
    logits = logits.detach()
    sums = torch.zeros(2, dtype=logits.dtype)
    sums += logits[:, -1, 7]
    sums[:] = sums + logits[:, 5, 3]
    return torch.mul(sums, logits[:, -1, 4], out=torch.empty_like(sums)).sum()


READERS: dict[str, Callable[[torch.Tensor], Any]] = {
    "difference": lambda logits: (logits[:, -1, 7] - logits[:, -1, 11]).mean(),
    "log-softmax": lambda logits: logits[:, -1].log_softmax(-1)[:, 7].mean(),
    "answers of each prompt": lambda logits: logits[ROWS, -1, ANSWERS].mean(),
    "answers of each prompt, gathered": lambda logits: logits[:, -1].gather(1, ANSWERS[:, None]).mean(),
    "chosen tokens": lambda logits: logits[:, -1].index_select(1, ANSWERS).std(),
    "chosen by a mask": lambda logits: logits[:, -1][:, torch.arange(320) < 5].sum(),
    "prompts in a loop": lambda logits: sum(
        row[-1, token] for row, token in zip(logits, (3, 9), strict=True)
    ),
    "earlier position": lambda logits: (logits[:, 5, 7] * logits[:, 6, 2]).sum(),
    "unpatched position": lambda logits: logits[:, 2, 7].mean() + logits[0, 4, 7],
    "ends of prompts": lambda logits: logits[ROWS, torch.tensor([5, 8])].log_softmax(-1)[:, 3].sum(),
    "all positions": lambda logits: logits.log_softmax(-1)[:, :, 7].mean(),
    "one token everywhere": lambda logits: logits[..., 7].mean(),
    "every third": lambda logits: logits[:, 1::3, ::5].pow(2).sum(),
    "across the ends of rows": lambda logits: logits.flatten()[7::331].sum() + logits.view(-1, 16)[::9].sum(),
    "much across the ends of rows": lambda logits: logits.flatten()[7::3].pow(2).mean(),
    "diagonal": lambda logits: logits[:, :, :9].diagonal(dim1=1, dim2=2).sum(),
    "turned": lambda logits: logits.permute(2, 0, 1)[7, :, -1].sum() + logits.mT[0, 9, 5],
    "expanded": lambda logits: (logits[:, -1:].expand(-1, 4, -1) * torch.arange(4.0)[:, None]).std(),
    "strided": lambda logits: logits.as_strided((2, 3), (9 * 320, 320), 5 * 320 + 4).sum(),
    "product": lambda logits: torch.einsum("bv,cv->bc", logits[:, -1], logits[:, -2]).mean() / 320,
    "nothing": lambda logits: torch.zeros(0, 320) @ logits[0, -1].float() @ torch.zeros(0) + logits[0, -1, 0],
    "detached data": lambda logits: logits.detach().data[:, -1, 7].clone().mean(),
    "number": lambda logits: float(logits[0, -1, 7]) + logits[1, -1, 7].item(),
    "bare view": lambda logits: logits[1, -1, 7],
    "scalar index": lambda logits: logits[0, -1, 7].gather(0, torch.tensor([0, 0])).sum(),
    "mapped": lambda logits: torch.vmap(lambda row: row[-1, 7] - row[4, 2])(logits).mean(),
    "branch": lambda logits: logits[0, 5, 1] if logits[0, -1, 7] > logits[0, -1, 11] else logits[0, 8, 2],
    "likeliest": lambda logits: logits[0, 7, logits[:, -1].argmax(-1)[0]],
    "position by value": lambda logits: logits[0, int(logits[0, -1].argmax()) % 9].max(),
    "chosen by value": lambda logits: logits[:, -1][logits[:, -1] > 0].sum(),
    "seeded chance": lambda logits: (
        logits[:, -1] * torch.rand(320, generator=torch.Generator().manual_seed(1))
    ).sum(),
    "gradient": _gradient_norm,
    "thread": _in_a_thread,
    "into others": _into_others,
}


@pytest.mark.parametrize("name", READERS)
def test_what_a_callable_reads_on_demand_is_what_it_reads_in_whole_logits(name, counted, monkeypatch):
    found = swept(READERS[name], component="v")
    assert not counted
    assert found == pytest.approx(on_whole_logits(READERS[name], monkeypatch, component="v"), abs=TOLERANCE)
    assert counted
    assert name == "unpatched position" or np.ptp(found) > 0


def _swallowing(logits: torch.Tensor) -> Any:
    try:
        logits[0, -1, 7] += 1.0
    except Exception:
        return logits[0, 5, 7]
    return logits[0, -1, 7]


def _assigning(logits: torch.Tensor) -> Any:
    logits[0, 5] = 0.0
    return logits[:, 5, 7].sum() + logits[0, -1, 1]


def _out(logits: torch.Tensor) -> Any:
    logits = logits.detach()
    return torch.exp(logits[:, 5], out=logits[:, -1])[:, 7].sum()


def _by_pointer(logits: torch.Tensor) -> Any:
    logits.data = 2.0 * logits
    return logits[0, -1, 7]


def _numpy_writer(logits: torch.Tensor) -> Any:
    logits.detach().numpy()[0, -1, 7] *= 2.0
    return logits[0, -1, 7]


def _by_dlpack(logits: torch.Tensor) -> Any:
    return torch.utils.dlpack.from_dlpack(torch.utils.dlpack.to_dlpack(logits))[0, -1, 7]


REFUSED: dict[str, Callable[[torch.Tensor], Any]] = {
    "writes": lambda logits: logits.mul_(2.0)[:, -1, 7].mean(),
    "writes a part": lambda logits: logits[0, -1].fill_(3.0).mean() + logits[:, -1, 7].sum(),
    "writes as output": lambda logits: torch.exp(logits.detach()[:, 5], out=logits.detach()[:, -1])[
        :, 7
    ].sum(),
    "assigns": _assigning,
    "swallows the refusal": _swallowing,
    "other memory": _by_pointer,
    "numpy": lambda logits: float(logits.detach().numpy()[:, -1, 7].mean()),
    "numpy of a copy": lambda logits: float(np.asarray(logits[:, -1].detach())[:, 7].mean()),
    "numpy writes": _numpy_writer,
    "list": lambda logits: sum(row[-1][7] for row in logits.tolist()),
    "other library": _by_dlpack,
    "bits": lambda logits: logits.view(torch.int64)[0, -1, 7].double() / 1e18,
    "another type": lambda logits: logits[0, -1, 7] if type(logits) is torch.Tensor else logits[0, 5, 7],
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_callable_that_needs_whole_logits_gets_them(name, counted, monkeypatch):
    found = swept(REFUSED[name], component="v")
    assert counted
    assert np.array_equal(found, on_whole_logits(REFUSED[name], monkeypatch, component="v"))
    assert np.ptp(found) > 0


@pytest.mark.parametrize(
    "late",
    [lambda logits: logits.mul_(2.0)[0, -1, 7], _swallowing, REFUSED["bits"]],
    ids=["writes", "swallows the refusal", "bits"],
)
def test_a_callable_that_needs_whole_logits_later_gets_them_from_there(late, counted, monkeypatch):
    def turning(logits: torch.Tensor) -> torch.Tensor:
        return late(logits) if logits[0, -1, 11] > limit else logits[0, -1, 7]

    others = on_whole_logits(lambda logits: logits[0, -1, 11], monkeypatch, component="v")
    limit = (others[0] + others.max()) / 2
    del counted[:]
    found = swept(turning, component="v")
    assert len(counted) == len(found) - int((others > limit).argmax())
    assert found == pytest.approx(on_whole_logits(turning, monkeypatch, component="v"), abs=TOLERANCE)


def test_a_callable_may_change_what_it_reads_from_call_to_call(counted, monkeypatch):
    def values() -> np.ndarray:
        calls: list[None] = []
        begun = False

        def metric(logits: torch.Tensor) -> torch.Tensor:
            calls.append(None)
            return logits[0, 8 - len(calls) % 5 if begun else 8, 7]

        sweep = Sweep(*family_runs("gpt2").arguments, metric)
        del calls[:]
        begun = True
        return np.concatenate([piece.values for piece in sweep.run()])

    found = values()
    assert not counted
    monkeypatch.setattr(readout, "OPERATIONS_WORTH_ASKING", float("inf"))
    assert found == pytest.approx(values(), abs=TOLERANCE)


def test_a_callable_that_raises_is_heard_in_its_own_words():
    def broken(logits: torch.Tensor) -> torch.Tensor:
        return logits[0, -1, 4000]

    with pytest.raises(IndexError, match="4000"):
        swept(broken)
    with pytest.raises(MetricError, match="finite"):
        swept(lambda logits: logits[0, -1, 7] * torch.inf)


def test_logits_that_are_kept_can_be_read_later():
    kept: list[torch.Tensor] = []

    def keeping(logits: torch.Tensor) -> torch.Tensor:
        kept.append(logits[:, -1])
        return logits[0, -1, 7]

    found = swept(keeping)
    assert isinstance(kept[-1], OnDemand)
    assert float(kept[-1][0, 7]) == found[-1] == pytest.approx(kept[-1].numpy()[0, 7], abs=TOLERANCE)


def test_only_what_is_read_is_asked_for():
    logits, asked = torch.randn(2, 9, 320), []

    def read(positions: tuple[int, ...], tokens: tuple[int, ...] | None) -> torch.Tensor:
        asked.append((positions, tokens))
        rows = logits[:, list(positions)]
        return rows if tokens is None else rows[..., list(tokens)]

    def value(metric: Callable[[torch.Tensor], torch.Tensor]) -> Any:
        del asked[:]
        return value_on_demand(metric, read, logits, (2, 9, 320)), list(asked)

    assert value(lambda x: x[:, -1, 7].sum()) == (float(logits[:, -1, 7].sum()), [((8,), (7,))])
    assert value(lambda x: x[ROWS, 5, ANSWERS].sum())[1] == [((5,), (3, 9))]
    assert value(lambda x: x[:, 2:4].transpose(1, 2).sum())[1] == [((2, 3), None)]
    assert value(lambda x: x.expand(40, 2, 9, 320)[..., 4, :].sum())[1] == [((4,), None)]
    assert value(lambda x: x.select(1, 0)[1, 1])[1] == [((0,), (1,))]


@pytest.mark.parametrize("limits", [{"ROWS_AT_ONCE": 1}, {"MOST_AHEAD": 0}, {"FEW_TOKENS": 0.0}], ids=str)
@pytest.mark.parametrize("name", ["answers of each prompt", "ends of prompts", "position by value"])
def test_how_far_ahead_logits_are_computed_changes_no_number(name, limits, monkeypatch):
    whole = on_whole_logits(READERS[name], monkeypatch)
    for limit, value in limits.items():
        monkeypatch.setattr(patched, limit, value)
    assert swept(READERS[name]) == pytest.approx(whole, abs=TOLERANCE)


@pytest.mark.parametrize("family", ["gemma2", "pythia", "cohere"])
def test_logits_on_demand_are_those_of_every_kind_of_readout(family, counted, monkeypatch):
    runs = family_runs(family)
    for name in ("difference", "log-softmax"):
        del counted[:]
        found = swept(READERS[name], runs)
        assert not counted
        whole = on_whole_logits(READERS[name], monkeypatch, runs=runs)
        assert found == pytest.approx(whole, abs=TOLERANCE)
