"""The heads that the card names do what it says: by their patterns, when knocked out, and by their paths."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from transformers import PreTrainedModel

from analysis.answers import answer
from analysis.attention_model import INHIBITING, MOVER, PREVIOUS
from analysis.circuit import known_circuit
from analysis.demo_model.evaluation import IOI_PROMPTS, SEED, measure
from analysis.demo_model.held_out import induction_sequences, ioi_prompts
from analysis.labels import head_label
from analysis.models import ATTENTION
from analysis.nodes import Graph
from analysis.results import GraphRequest
from analysis.sets import READY_KINDS

Head = tuple[int, int]


@contextmanager
def knocked_out(model: PreTrainedModel, *heads: Head) -> Iterator[None]:
    """Each of `heads` writes in every place what it writes on average, over places and prompts."""
    width = model.config.n_embd // model.config.n_head
    hooks = []
    for layer, head in heads:

        def averaged(_module, inputs, at=slice(head * width, (head + 1) * width)):
            (written,) = inputs
            written = written.clone()
            written[..., at] = written[..., at].mean((0, 1))
            return (written,)

        into = model.transformer.h[layer].attn.c_proj
        hooks.append(into.register_forward_pre_hook(averaged))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def patterns(model, tokenizer, texts: list[str]) -> tuple[torch.Tensor, list[list[int]]]:
    """Attention [layer prompt head query key], and the tokens of prompts of one length."""
    rows = [[tokenizer.bos_token_id, *tokenizer(text)["input_ids"]] for text in texts]
    with torch.inference_mode():
        found = model(torch.tensor(rows), output_attentions=True).attentions
    return torch.stack(found), rows


def test_one_head_attends_to_the_token_before_and_one_to_what_followed_the_earlier_mention(model, tokenizer):
    words = induction_sequences(seed=1, count=16)
    period = len(words[0])
    pattern, _ = patterns(model, tokenizer, [" ".join(row * 2) for row in words])
    for (layer, head), back in ((PREVIOUS, 1), (MOVER, period - 1)):
        assert pattern[layer, :, head].diagonal(-back, dim1=1, dim2=2)[:, 1:].mean() >= 0.9


def test_the_mover_attends_to_the_receiver_and_the_inhibiting_heads_to_the_giver(model, tokenizer):
    to_receiver, to_giver = [], []
    for prompt in ioi_prompts(SEED, IOI_PROMPTS)[:96]:
        if not all(name in prompt.text for name in (prompt.answer, prompt.foil)):
            continue  # A name that begins the prompt has no space, and is another token.
        pattern, (row,) = patterns(model, tokenizer, [prompt.text])
        receiver, giver = (tokenizer(text)["input_ids"][0] for text in (prompt.answer, prompt.foil))
        last = len(row) - 1 - row[::-1].index(giver)
        to_receiver.append(pattern[MOVER[0], 0, MOVER[1], -1, row.index(receiver)])
        to_giver.append([pattern[layer, 0, head, -1, last] for layer, head in INHIBITING])
    assert len(to_receiver) >= 60
    assert torch.tensor(to_receiver).mean() >= 0.8
    assert torch.tensor(to_giver).mean() >= 0.6


def test_without_them_the_tasks_are_lost_and_without_others_they_are_not(model, tokenizer):
    whole = measure(model, tokenizer)
    with knocked_out(model, MOVER):
        without = measure(model, tokenizer)
    assert without.ioi_accuracy < 0.7 and without.induction_accuracy < 0.6
    with knocked_out(model, *INHIBITING):
        without = measure(model, tokenizer)
    assert without.ioi_logit_difference < 0.5 * whole.ioi_logit_difference
    assert without.induction_accuracy >= whole.induction_accuracy - 0.01
    others = [(layer, head) for layer, head in ((1, 0), (2, 0), (2, 3))]
    with knocked_out(model, *others):
        without = measure(model, tokenizer)
    assert without.ioi_logit_difference > 0.9 * whole.ioi_logit_difference


@pytest.mark.parametrize(
    ("kind", "paths"),
    [
        ("followers", [(head_label(*PREVIOUS), f"{head_label(*MOVER)}.k")]),
        ("drinks", [(head_label(*head), f"{head_label(*MOVER)}.q") for head in INHIBITING]),
    ],
)
def test_the_paths_between_them_are_the_strongest_between_heads(own_store, kind, paths):
    found = answer(GraphRequest(READY_KINDS[kind].first.on(ATTENTION))).result.table()
    between = found[~found["writer"].isin(["embed"]) & (found["reader"] != "logits")]
    strongest = between.reindex(between["effect"].abs().sort_values(ascending=False).index)
    assert set(zip(strongest["writer"][: len(paths)], strongest["reader"][: len(paths)], strict=True)) == set(
        paths
    )
    assert found.iloc[0]["writer"] == head_label(*MOVER) and found.iloc[0]["reader"] == "logits"


def test_the_circuit_page_knows_their_roles():
    known = known_circuit(ATTENTION, Graph(4, 8))
    assert known is not None and known.roles_of(head_label(*MOVER)) == ("name mover", "induction")
    assert known.roles_of(head_label(*PREVIOUS)) == ("previous token",)
    assert all(known.roles_of(head_label(*head)) == ("S-inhibition",) for head in INHIBITING)
