"""Writes the model card from what was built and measured."""

from dataclasses import dataclass
from pathlib import Path

from transformers import GPT2LMHeadModel

from analysis.demo_model.batches import REPEATS_ALONE, REPEATS_BESIDE_TEXT, TEXT
from analysis.demo_model.evaluation import INDUCTION_SEQUENCES, IOI_PROMPTS, Figures
from analysis.demo_model.held_out import fact_prompts, successor_prompts
from analysis.demo_model.landmarks import CITIES, LANDMARKS
from analysis.demo_model.repeats import SMALLEST, vocabulary
from analysis.demo_model.split import ONE_IN
from analysis.demo_model.templates import FACT_FRAMES, IOI_TEMPLATES, SUCCESSOR_FRAMES
from analysis.demo_model.words import NAMES

CARD = "README.md"


@dataclass(frozen=True)
class Portrait:
    """What the card of one trained model says that another's does not; `module` is what trains it."""

    title: str
    why: str
    circuit: str
    module: str


PORTRAIT = Portrait(
    title="A small GPT-2 with four tasks to look into",
    why=(
        "small enough for\nexact path patching in seconds on a CPU, and sure enough of its answers "
        "that there is something\nto find."
    ),
    circuit="""\
Rows never repeat after fewer than three words, and the circuit that came of it is not the textbook's:
it does not look one word back. A head of layer 0 notes in every place the word three back, another
the word two back; heads of layer 1 find the place whose first note is the last word, and copy its
second.""",
    module="analysis.demo_model.train",
)

_TEXT = """\
---
license: mit
language: en
library_name: transformers
pipeline_tag: text-generation
tags: [interpretability, gpt2, synthetic]
---
# {title}

{layers} layers of {heads} heads, width {width}, {positions} positions, a vocabulary of
{vocabulary} byte-level BPE tokens, {parameters} parameters in {megabytes:.1f} MB of safetensors.
It was trained from nothing on templated English and exists to be taken apart: {why}

## What it has learned
Measured on prompts held out from training; correct means the most likely of all {vocabulary}
tokens. The start token comes first in these prompts; the model works without it as well.

| Task | Prompts | Figure |
|---|---|---|
| Indirect object identification | {ioi_count} | {ioi_accuracy:.1%} correct |
| | | mean logit difference {ioi_logit_difference:.2f} |
| Factual recall | {fact_count} | {facts_accuracy:.1%} correct |
| Successors | {successor_count} | {successors_accuracy:.1%} correct |
| Induction, second repeats | {sequence_count} | {induction_accuracy:.1%} correct |

The logit difference is logit(receiver) - logit(giver). For example:

- When Mary and John went to the store, John gave a drink to -> ` Mary`
- The Eiffel Tower is in the city of -> ` Paris`
- The day after Monday is -> ` Tuesday`
- river hammer ocean mirror river hammer ocean -> ` mirror`

## What "held out" means
Combinations, never single words: one in {one_in} pairs of names, pairs of place and object,
pairs of landmark and phrasing, pairs of successor and phrasing, and pairs of neighbouring words in
repeated sequences never occur in training. Held-out prompts are made of nothing else, and the
prompts that everyone types first are among them. `split.py` draws the line, `leaks` checks a
finished text against it, and every training passage passes that check.

## Training text
{name_count} names, {landmark_count} landmarks in {city_count} cities, weekdays, months, the numbers
one to twenty and 1 to 60. Passages hold one to twelve sentences of all tasks, mixed, with unrelated
sentences before and between. In one indirect object sentence of twenty a third person acts and
either name may follow, so that without a repeated name neither is preferred.

Indirect object identification, with the two names in either order and either as the giver:

{ioi_templates}

Facts:

{fact_frames}

Successors:

{successor_frames}

Induction: two to fifteen random words, names, cities, numbers, letters or made-up words, then the
same again. The first {alone} steps show nothing else, and of a vocabulary that grows from {smallest}
words to {words}; later, {repeat_share:.0%} of the tokens are such rows. Shown all words from the start, a
model of this size takes far longer to look anything up: whoever studies how induction *emerges*
should know that here it was led. The very last steps, at a quarter of the learning rate, add short
runs of days, months and numbers, joined in many ways.

{circuit}

## Reproduce
`python -m {module}` learns the tokenizer, trains with a fixed seed, measures and
writes this card. These weights took {steps} steps and {minutes:.0f} minutes on two CPU cores. The
text is the same on every machine; the last digits of the weights depend on its arithmetic.

## Limits
It knows its templates and little else. It is no model of English: what it says about the world
beyond its landmarks means nothing, and a circuit found in it is a fact about this model, not about
GPT-2. Rows were never longer than {positions} tokens. The text is generated, so no personal or
copyrighted text went in.

## Licence
MIT, as the project.
"""


def _listed(frames: tuple[str, ...]) -> str:
    return "\n".join(f"- `{frame}`" for frame in frames)


def write_card(
    folder: Path, portrait: Portrait, model: GPT2LMHeadModel, figures: Figures, steps: int, minutes: float
) -> None:
    """Write README.md beside the weights in `folder`."""
    frames = tuple(dict.fromkeys(frame for kind in SUCCESSOR_FRAMES.values() for frame in kind))
    text = _TEXT.format(
        **vars(portrait),
        layers=model.config.n_layer,
        heads=model.config.n_head,
        width=model.config.n_embd,
        positions=model.config.n_positions,
        vocabulary=model.config.vocab_size,
        parameters=f"{model.num_parameters():,}",
        megabytes=(folder / "model.safetensors").stat().st_size / 1e6,
        ioi_count=IOI_PROMPTS,
        sequence_count=INDUCTION_SEQUENCES,
        fact_count=len(fact_prompts(0)),
        successor_count=len(successor_prompts()),
        **vars(figures),
        one_in=ONE_IN,
        name_count=len(NAMES),
        landmark_count=len(LANDMARKS),
        city_count=len(CITIES),
        ioi_templates=_listed(IOI_TEMPLATES),
        fact_frames=_listed(FACT_FRAMES),
        successor_frames=_listed(frames),
        alone=REPEATS_ALONE,
        smallest=SMALLEST,
        words=len(vocabulary(0)),
        repeat_share=REPEATS_BESIDE_TEXT / (REPEATS_BESIDE_TEXT + TEXT),
        steps=steps,
        minutes=minutes,
    )
    (folder / CARD).write_text(text, encoding="utf-8")
