"""A prompt that is too long is refused with the bound, before anything is computed."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from analysis import models
from analysis.answers import answer
from analysis.errors import PromptError
from analysis.experiment import runs
from analysis.experiment.budget import check_memory, prompt_bytes
from analysis.results import AttributionRequest, OverviewRequest, Request
from tests.experiment.test_prompts import GOOD

#: The sizes of SmolLM2-135M.
SMOLLM = SimpleNamespace(n_layers=30, n_heads=9, d_model=576, d_vocab=49152)


@pytest.fixture
def no_run(monkeypatch: pytest.MonkeyPatch, own_store: None) -> None:
    """A store without runs, and an error where one is made."""

    def run(*_: object) -> None:
        raise AssertionError("a prompt was run")

    monkeypatch.setattr(runs, "_forward", run)


@pytest.mark.usefixtures("no_run")
@pytest.mark.parametrize("kind", [OverviewRequest, AttributionRequest])
def test_what_takes_too_much_memory_is_refused_before_anything_is_run(monkeypatch, kind: type[Request]):
    cfg = models.load("demo").bridge.cfg
    monkeypatch.setenv("PATHSCOPE_PROMPT_BYTES", str(prompt_bytes(cfg, 14)))
    with pytest.raises(
        PromptError,
        match=r"A prompt of 15 tokens takes about \d+ MiB on this model, and \d+ MiB are allowed\. "
        r"Shorten both prompts to 14 tokens, or raise PATHSCOPE_PROMPT_BYTES\.",
    ):
        answer(kind(GOOD))


@pytest.mark.usefixtures("no_run")
@pytest.mark.parametrize("hosted", [False, True])
def test_what_is_not_free_is_refused_before_anything_is_run(monkeypatch, hosted):
    models.load("demo")
    monkeypatch.setenv("PATHSCOPE_MEMORY_BYTES", "1MiB")
    if hosted:
        monkeypatch.setenv("PATHSCOPE_HOSTED", "1")
    way_out = "Or run it on your own machine" if hosted else r".*\(PATHSCOPE_MEMORY_BYTES\)\.$"
    with pytest.raises(
        PromptError,
        match=r"A prompt of 15 tokens takes about \d+ MiB on this model, and 0 MiB are free\. "
        rf"Shorten both prompts to 0 tokens.*{way_out}",
    ):
        answer(OverviewRequest(GOOD))


def test_what_fits_to_the_byte_is_computed(monkeypatch, own_store):
    cfg = models.load("demo").bridge.cfg
    monkeypatch.setenv("PATHSCOPE_PROMPT_BYTES", str(prompt_bytes(cfg, 15)))
    assert len(answer(OverviewRequest(GOOD)).result.clean_tokens) == 15


@pytest.mark.usefixtures("no_run")
@pytest.mark.parametrize(
    ("prompt", "told"),
    [
        (
            "a" * 101,
            r"The clean prompt has 101 characters, and at most 100 are read\. .*PATHSCOPE_PROMPT_TOKENS",
        ),
        (
            " the" * 11,
            r"The clean prompt has 12 tokens, and at most 10 are taken\. .*PATHSCOPE_PROMPT_TOKENS",
        ),
    ],
)
def test_too_many_characters_or_tokens_are_refused_with_the_bound(monkeypatch, prompt, told):
    monkeypatch.setenv("PATHSCOPE_PROMPT_TOKENS", "10")
    with pytest.raises(PromptError, match=told):
        answer(OverviewRequest(replace(GOOD, clean=prompt)))


def test_what_is_measured_of_a_real_model_fits_the_estimate():
    # Gigabytes at the peak: both prompts run and stored, and the attribution to heads.
    for n_tokens, measured in ((267, 0.83), (517, 1.82), (1017, 2.93)):
        assert measured * 0.9e9 < prompt_bytes(SMOLLM, n_tokens) < measured * 1.3e9


def test_the_standing_bounds_let_a_thousand_tokens_through_and_four_thousand_not():
    check_memory(SMOLLM, 1024)
    with pytest.raises(PromptError, match=r"Shorten both prompts to 1,2\d\d tokens"):
        check_memory(SMOLLM, 4000)


def test_more_tokens_never_take_less():
    needed = [prompt_bytes(SMOLLM, n_tokens) for n_tokens in range(300)]
    assert needed == sorted(needed) and needed[0] == 0
