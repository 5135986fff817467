"""Trains the bundled model from nothing: ``python -m analysis.demo_model.train``.

The text comes from `corpus`, the tokenizer is learned first, and the figures of
`evaluation` end up in the model card. Two CPU cores are enough.
"""

import argparse
import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from analysis.demo_model import DIRECTORY
from analysis.demo_model.batches import LONGEST, Batch, last_lessons, lessons
from analysis.demo_model.card import PORTRAIT, Portrait, write_card
from analysis.demo_model.evaluation import measure
from analysis.demo_model.tokenizer import train_tokenizer

SEED = 0
STEPS, LAST_STEPS = 4_500, 300
WARM_UP, LAST_WARM_UP = 100, 20
LAST_SHARE = 0.25
"""The learning rates of the last steps as a share of the first ones'."""
MATRIX_LEARNING_RATE, LEARNING_RATE = 4e-3, 2e-3
WEIGHT_DECAY = 0.05
LAYERS, HEADS, WIDTH = 4, 8, 192


def build_model(tokenizer: PreTrainedTokenizerFast) -> GPT2LMHeadModel:
    """A GPT-2 with random weights, 2.6 million of them."""
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=LONGEST,
        n_embd=WIDTH,
        n_layer=LAYERS,
        n_head=HEADS,
        activation_function="gelu_pytorch_tanh",
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return GPT2LMHeadModel(config)


def learning_rate_factor(step: int, steps: int, warm_up: int) -> float:
    """Linear warm-up, then a half cosine down to a fiftieth.

    >>> learning_rate_factor(99, 1000, warm_up=100), round(learning_rate_factor(1000, 1000, 100), 3)
    (1.0, 0.02)
    """
    warm = min(1.0, (step + 1) / warm_up)
    done = max(0, step + 1 - warm_up) / max(1, steps - warm_up)
    return warm * (0.51 + 0.49 * math.cos(math.pi * min(1.0, done)))


def weighted_loss(model: GPT2LMHeadModel, batch: Batch) -> Tensor:
    """Mean cross-entropy in nats per unit of loss weight.

    Only positions with weight are unembedded; most of the work would otherwise go
    into words that nothing could have predicted.
    """
    hidden = model.transformer(batch.tokens).last_hidden_state[:, :-1]
    weights = batch.weights[:, 1:]
    counted = weights > 0
    logits = model.lm_head(hidden[counted])
    losses = nn.functional.cross_entropy(logits, batch.tokens[:, 1:][counted], reduction="none")
    return (losses * weights[counted]).sum() / weights.sum()


def make_optimizers(model: GPT2LMHeadModel, share: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the blocks, AdamW for everything else.

    Muon is made for hidden matrices only: it takes steps of equal size in every
    direction, which embeddings and biases do not want. Its rate is rescaled to match
    AdamW's, so that both follow one schedule, with `share` of the full rates.
    """
    inside = [weight for weight in model.transformer.h.parameters() if weight.ndim == 2]
    known = {id(weight) for weight in inside}
    others = [weight for weight in model.parameters() if id(weight) not in known]
    return [
        torch.optim.Muon(
            inside,
            lr=share * MATRIX_LEARNING_RATE,
            weight_decay=WEIGHT_DECAY,
            adjust_lr_fn="match_rms_adamw",
        ),
        torch.optim.AdamW(others, lr=share * LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    ]


def fit(model: GPT2LMHeadModel, steps: Iterable[list[Batch]], count: int, share: float, warm_up: int) -> None:
    """Update `model` on the batches of each of `count` steps, with a progress bar."""
    model.train()
    optimizers = make_optimizers(model, share)
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_factor(step, count, warm_up))
        for optimizer in optimizers
    ]
    bar = tqdm(steps, total=count, unit="step")
    for step, batches in enumerate(bar):
        loss = torch.stack([weighted_loss(model, batch) for batch in batches]).mean()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            schedule.step()
        model.zero_grad(set_to_none=True)
        if step % 20 == 0:
            bar.set_postfix(loss=f"{loss.item():.3f}")
    model.eval()


def teach(model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, steps: int, last: int) -> None:
    """`steps` updates with all lessons, then `last` with the last ones at lower rates.

    The many lessons leave a few runs of numbers wrong; the last ones mend those.
    """
    fit(model, lessons(tokenizer, SEED, steps), steps, share=1.0, warm_up=WARM_UP)
    fit(model, last_lessons(tokenizer, SEED + 1, last), last, share=LAST_SHARE, warm_up=LAST_WARM_UP)


def train(tokenizer: PreTrainedTokenizerFast, steps: int, last: int) -> GPT2LMHeadModel:
    """A model from nothing, after all its lessons; it is ready for use."""
    torch.manual_seed(SEED)
    model = build_model(tokenizer)
    teach(model, tokenizer, steps, last)
    return model


def ship(
    train: Callable[[PreTrainedTokenizerFast, int, int], GPT2LMHeadModel],
    portrait: Portrait,
    folder: Path,
    most: tuple[int, int],
    arguments: list[str] | None,
) -> None:
    """Read the command line, train, save, measure and write the model card.

    `train` takes the tokenizer and the numbers of steps and of last steps, of which `most` has the defaults.
    """
    parser = argparse.ArgumentParser(description=f"{portrait.title}: train it.")
    parser.add_argument("--output", type=Path, default=folder, help="folder to write into")
    parser.add_argument(
        "--steps", type=int, default=most[0], help="updates before the last ones (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    torch.set_num_threads(2)
    began = time.perf_counter()
    tokenizer = train_tokenizer(SEED)
    tokenizer.save_pretrained(options.output)
    last = min(most[1], options.steps)
    model = train(tokenizer, options.steps, last)
    minutes = (time.perf_counter() - began) / 60
    model.save_pretrained(options.output)
    figures = measure(model, tokenizer)
    write_card(options.output, portrait, model, figures, steps=options.steps + last, minutes=minutes)
    print(figures)


def main(arguments: list[str] | None = None) -> None:
    """Train the bundled model and write its folder."""
    ship(train, PORTRAIT, DIRECTORY, (STEPS, LAST_STEPS), arguments)


if __name__ == "__main__":
    main()
