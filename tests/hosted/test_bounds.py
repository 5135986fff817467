"""How much a stranger may ask for: each bound is checked where the work is done, and told with a way out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from analysis import answers
from analysis.answers import lookup, visits
from analysis.demo_model.examples import EXAMPLES
from analysis.errors import PathscopeError
from analysis.policy import OWN_MACHINE, Policy, policy
from analysis.requests import Experiment
from analysis.results import (
    AllSourcesRequest,
    CircuitScoresRequest,
    EdgePositionsRequest,
    EdgeSetsRequest,
    OverviewRequest,
    PathPositionsRequest,
    PromptSet,
    PromptSetRequest,
    Request,
    SanityRequest,
    TextPair,
)
from analysis.sets import READY_KINDS, read_table
from pages.shared.keys import Key
from pages.shared.set_state import word_of
from tests.jobs.watching import ended
from tests.pages.looking import ROOT, texts
from tests.pages.test_notes import notes

FIRST = EXAMPLES[0]
ON_DEMO = Experiment("demo", FIRST.clean, FIRST.corrupted, FIRST.answer, FIRST.foil)
EDGES = (("embed", "L0H0.q"), ("MLP0", "logits"), ("L1H2", "L3H0.v"))


def of_words(number: int) -> Experiment:
    """Two prompts of that many words, each a token."""
    words = " and".join([" river"] * (number // 2))
    return replace(ON_DEMO, clean=f"{words} Mary", corrupted=f"{words} John")


def refused(request: Request[Any]) -> str:
    with pytest.raises(PathscopeError) as refusal:
        answers.answer(request)
    return str(refusal.value)


def test_a_machine_of_ones_own_is_bounded_by_its_settings_alone(monkeypatch):
    monkeypatch.delenv("PATHSCOPE_HOSTED", raising=False)
    own = policy()
    bounds = {field.name: getattr(own, field.name) for field in fields(Policy)}
    nothing = {"hosted": False, "header": "", "embedded": False, "prompt_tokens": 1024, "grace_seconds": -1}
    assert {name: value for name, value in bounds.items() if value is not None} == nothing
    assert own.way_out(", or raise it.") == ", or raise it." and len(own.sentences()) == 1


def test_a_prompt_set_has_a_bound_of_its_own(hosted, visit):
    first = READY_KINDS["drinks"].first
    said = refused(PromptSetRequest(first.on("demo"), None, 17))
    assert said.startswith("This prompt set has 17 pairs, and at most 16 are taken here. Leave some out.")
    assert OWN_MACHINE in said
    pairs = [TextPair(f"{number} {first.clean}", *first[1:]) for number in range(20)]
    rows = "\n".join(",".join(f'"{text}"' for text in pair) for pair in pairs)
    read = read_table(f"clean,corrupted,answer,foil\n{rows}")
    assert len(read.pairs) == 16
    assert read.left_out == ("4 rows from row 17 on are left out: a set has at most 16 pairs.",)
    for word in ("drinks-20", word_of(PromptSet(tuple(pairs)))):
        for page in ("prompt_set", "direct_logit_attribution"):
            app = visit(page, set=word)
            assert not app.exception and "This prompt set has 20 pairs" in texts(app)


def test_reading_a_pair_is_a_result_that_a_visit_has_had(hosted, visit, monkeypatch):
    had: list[str | None] = []

    def count(visitor: str | None = None) -> None:
        had.append(visitor or visits._visitor.get())

    monkeypatch.setattr(lookup, "count_result", count)
    app = visit("prompt_set")
    assert not app.exception and had and None not in had
    again = len(had)
    app.run()
    assert len(had) == again, "what is stored is not counted"


def test_the_policy_cannot_be_changed(hosted):
    with pytest.raises(AttributeError):
        policy().prompt_tokens = 10_000  # type: ignore[misc]


def test_every_bound_is_told_in_plain_words(hosted):
    told = " ".join(policy().sentences())
    for words in (
        "64 tokens",
        "640 characters",
        "10,000 paths",
        "at most 16 pairs",
        "120 s",
        "200 results",
        "1 sweep or search running and 2 waiting",
        "for 30 s",
        "1,200 requests in a minute",
    ):
        assert words in told


def test_a_lower_setting_is_kept(hosted, monkeypatch):
    monkeypatch.setenv("PATHSCOPE_PROMPT_TOKENS", "10")
    monkeypatch.setenv("PATHSCOPE_GRACE", "5")
    assert (policy().prompt_tokens, policy().grace_seconds) == (10, 5)


def test_a_prompt_of_too_many_tokens(hosted):
    told = refused(OverviewRequest(of_words(70)))
    assert "tokens, and at most 64 are taken. Shorten it. Or run it on your own machine" in told
    assert told.endswith(OWN_MACHINE)


def test_a_prompt_of_too_many_characters(hosted):
    told = refused(OverviewRequest(replace(ON_DEMO, clean="x" * 641)))
    assert "The clean prompt has 641 characters, and at most 640 are read. Shorten it. Or run it" in told
    assert told.endswith(OWN_MACHINE)


def test_the_two_commands_are_those_of_the_readme():
    first, second = OWN_MACHINE.split("`")[1::2]
    assert f"{first} && {second}" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize(
    ("request_", "n_paths"),
    [
        (AllSourcesRequest(ON_DEMO), 384),
        (EdgeSetsRequest(ON_DEMO, (EDGES, EDGES[:1])), 4),
        (EdgePositionsRequest(ON_DEMO, EDGES), 3 * 15),
        (PathPositionsRequest(ON_DEMO, ("L0H1", "L1H0.v")), 15),
        (CircuitScoresRequest(ON_DEMO, EDGES, 5), 8),
        (SanityRequest(ON_DEMO, EDGES), 3),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_request_that_measures_too_many_paths(hosted, monkeypatch, request_, n_paths):
    monkeypatch.setattr("analysis.policy._EDGES", n_paths - 1)
    told = refused(request_)
    assert told.startswith(f"This measures {n_paths:,} paths, and at most {n_paths - 1:,} are measured")
    assert told.endswith(OWN_MACHINE)


def test_a_sweep_that_is_too_large_fails_with_that_sentence(hosted, monkeypatch):
    from analysis import jobs

    monkeypatch.setattr("analysis.policy._EDGES", 10)
    failed = ended(jobs.submit(AllSourcesRequest(ON_DEMO)))
    assert failed.state == "failed" and "This measures 384 paths" in str(failed.error)


def test_an_address_with_too_long_a_prompt_is_told(hosted, visit: Callable[..., AppTest]):
    app = visit("result", clean="x" * 641)
    assert not app.exception
    [told] = notes(app)
    assert "a text of 641 characters, and at most 640 are read. Or run it on your own machine" in told
    assert app.session_state[Key.CLEAN] == FIRST.clean
