"""Writes the model set by hand into its folder: ``python -m analysis.induction_model.build``.

There is nothing to train: the same code gives the same files.
"""

import argparse
from pathlib import Path

from analysis.induction_model import DECOY, DIRECTORY, INDUCTION, PREVIOUS
from analysis.induction_model.tokenizer import build_tokenizer
from analysis.induction_model.weights import OUTPUT_LOGIT, induction_model
from analysis.induction_model.words import KNOWN_WORDS
from analysis.labels import head_label

_TEXT = """\
---
license: mit
library_name: transformers
pipeline_tag: text-generation
tags: [interpretability, gpt2, induction]
---
# Two layers that do induction, set by hand

A GPT-2 of {layers} layers of {heads} heads, width {width}, {positions} positions, {vocabulary} tokens and
{megabytes:.1f} MB of safetensors. Nothing was trained: every weight was set, so that its circuit is known
exactly and can be looked for.

- **{previous}** attends to the token before and notes which one it is.
- **{decoy}** does the same, and nobody reads what it notes: it looks like a part of the circuit, and is none.
- **{induction}** asks for its own token among the notes of {previous}, by its key, and copies the token that
  it finds to the output. Where it finds none it rests on the first token.

So `A B C D A` goes on with ` B`: its logit is {logit:g}, that of every other word 0. After a word that did
not stand there before all words have 0. The other heads and the MLPs write nothing. Each LayerNorm is the
identity on what this model holds, so that patches under a frozen norm and an exact one agree.

It knows {words} words, {first} to {last}, each as one token, with or without its space. Any other text has a
token for each of its bytes; a capital letter among them is that letter, all others look alike to the model.
None of these is foretold: a bias holds their logits below 0.

`python -m analysis.induction_model.build` writes the same files again; `weights.py` says how they come about.

## Licence
MIT, as the project.
"""


def main(arguments: list[str] | None = None) -> None:
    """Save the tokenizer, the model and its card."""
    parser = argparse.ArgumentParser(description="Write the bundled model that is set by hand.")
    parser.add_argument("--output", type=Path, default=DIRECTORY, help="folder to write into")
    folder: Path = parser.parse_args(arguments).output
    tokenizer = build_tokenizer()
    model = induction_model(tokenizer)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    text = _TEXT.format(
        layers=model.config.n_layer,
        heads=model.config.n_head,
        width=model.config.n_embd,
        positions=model.config.n_positions,
        vocabulary=model.config.vocab_size,
        megabytes=(folder / "model.safetensors").stat().st_size / 1e6,
        previous=head_label(*PREVIOUS),
        decoy=head_label(*DECOY),
        induction=head_label(*INDUCTION),
        logit=OUTPUT_LOGIT,
        words=len(KNOWN_WORDS),
        first=KNOWN_WORDS[0],
        last=KNOWN_WORDS[-1],
    )
    (folder / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
