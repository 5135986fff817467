"""Figures that others published, for models that a person may have: measured again and compared.

GPT-2 small on indirect object identification, as TransformerLens's demonstration notebooks print it
to three decimals: the eight prompts of Exploratory Analysis, and the one of Direct Logit Attribution.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from analysis.attribution import direct_logit_attribution
from analysis.experiment import alone_with, single_token, tokenize
from analysis.models import GPT2_SMALL, LoadedModel, is_from_hub
from analysis.requests import Unit

#: Logits that may lie between: printed to three decimals, on other hardware and another release.
PRINTED = 0.01


@dataclass(frozen=True)
class Prompt:
    """A prompt and the two next tokens that are told apart."""

    text: str
    answer: str
    foil: str


@dataclass(frozen=True)
class KnownResult:
    """Figures printed for some prompts of one token length, in logits.

    `logit_differences` has one entry per prompt. `attributions` maps a unit to the contributions
    of some of its labels, averaged over the prompts, at the last position.
    """

    title: str
    prompts: tuple[Prompt, ...]
    logit_differences: tuple[float, ...]
    attributions: Mapping[Unit, Mapping[str, float]]


def _exchanged(sentence: str, first: str, second: str) -> tuple[Prompt, Prompt]:
    """The sentence with either of two names in its gap; the other one is the answer."""
    return Prompt(sentence.format(second), first, second), Prompt(sentence.format(first), second, first)


INDIRECT_OBJECTS = KnownResult(
    title="IOI, eight prompts",
    prompts=(
        *_exchanged("When John and Mary went to the shops,{} gave the bag to", " Mary", " John"),
        *_exchanged("When Tom and James went to the park,{} gave the ball to", " Tom", " James"),
        *_exchanged("When Dan and Sid went to the shops,{} gave an apple to", " Dan", " Sid"),
        *_exchanged("After Martin and Amy went to the park,{} gave a drink to", " Martin", " Amy"),
    ),
    logit_differences=(3.337, 3.202, 2.709, 3.797, 1.720, 5.281, 2.601, 5.767),
    attributions={
        "head": {
            "L9H9": 2.985,
            "L10H7": -1.899,
            "L9H6": 1.385,
            "L11H10": -0.970,
            "L10H0": 0.561,
            "L10H10": 0.480,
            "L11H2": -0.388,
            "L8H10": 0.290,
            "L10H6": 0.288,
            "L7H9": 0.183,
        },
        "component": {
            "9_attn_out": 4.565,
            "11_attn_out": -1.442,
            "10_attn_out": -0.412,
            "7_attn_out": 0.280,
            "8_attn_out": 0.199,
        },
        "layer": {"9_pre": 0.460, "9_mid": 5.025, "11_mid": 3.445, "final_post": 3.552},
    },
)

ONE_PROMPT = KnownResult(
    title="IOI, one prompt",
    prompts=(Prompt("When John and Mary went to the shops, John gave the bag to", " Mary", " John"),),
    logit_differences=(),
    attributions={
        "head": {
            "L9H9": 1.958,
            "L9H6": 1.628,
            "L10H7": -1.427,
            "L11H1": -0.912,
            "L11H10": -0.904,
            "L10H0": 0.637,
            "L10H10": 0.452,
            "L8H10": 0.426,
        }
    },
)

#: Hub ids -> what was printed for them.
KNOWN_RESULTS: Mapping[str, tuple[KnownResult, ...]] = dict.fromkeys(
    GPT2_SMALL, (INDIRECT_OBJECTS, ONE_PROMPT)
)


def known_results(model: LoadedModel) -> Iterator[tuple[str, str, float, float]]:
    """(name, statement, measured, limit) for every figure group known for `model`, if any is."""
    for known in KNOWN_RESULTS.get(model.name, ()) if is_from_hub(model.name) else ():
        yield from compared(model, known)


@torch.no_grad()
def compared(model: LoadedModel, known: KnownResult) -> Iterator[tuple[str, str, float, float]]:
    """The largest difference of each group of figures in `known` from what `model` gives here.

    Raises `AnswerError` where the model's tokenizer splits a name.
    """
    bridge = model.bridge
    with alone_with(model):
        tokens = torch.cat([tokenize(bridge, prompt.text) for prompt in known.prompts])
        answers = _ids(bridge, [prompt.answer for prompt in known.prompts])
        foils = _ids(bridge, [prompt.foil for prompt in known.prompts])
        if known.logit_differences:
            logits = bridge(tokens)[:, -1]
            own = (logits.gather(1, answers[:, None]) - logits.gather(1, foils[:, None]))[:, 0]
            gap = float((own.cpu() - torch.tensor(known.logit_differences)).abs().max())
            yield known.title, "The logit differences of all prompts are the published ones.", gap, PRINTED
        for unit, figures in known.attributions.items():
            parts = direct_logit_attribution(bridge, tokens, answers, foils, unit=unit)
            means = dict(zip(parts.labels, parts.attribution.mean(dim=1).tolist(), strict=True))
            gap = max(abs(means.get(label, float("inf")) - figure) for label, figure in figures.items())
            yield f"{known.title}, by {unit}", "The attributions are the published ones.", gap, PRINTED


def _ids(bridge: object, texts: list[str]) -> Tensor:
    return torch.tensor([single_token(bridge, text, "answer") for text in texts])
