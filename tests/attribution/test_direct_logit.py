"""Direct logit attribution: parts add up, and TransformerLens agrees."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformer_lens.tools import analysis as oracle
from transformer_lens.utilities import Slice

from analysis import DirectLogitAttribution, direct_logit_attribution
from analysis.requests import UNITS, Unit
from tests.attributing import ANSWER, INCORRECT, TOKENS, model_of
from tests.families import FAMILIES
from tests.runs import family_model

PARALLEL = ("gpt-j", "pythia", "phi")
#: float32, in which TransformerLens computes as well.
TOLERANCE = 1e-5


def logits_before_the_cap(model: Any, logits: Tensor) -> Tensor:
    cap = getattr(model.cfg, "output_logits_soft_cap", None) or 0.0
    return cap * torch.atanh(logits.double() / cap) if cap > 0 else logits.double()


def expected_sum(model: Any, answer: int, incorrect: int | None) -> Tensor:
    """What the parts must give at every position: the logit (difference) without the bias."""
    with torch.no_grad():
        logits = logits_before_the_cap(model, model(TOKENS))
    biased = logits - model.b_U
    return biased[..., answer] - (0.0 if incorrect is None else biased[..., incorrect])


def total(result: DirectLogitAttribution) -> Tensor:
    return result.attribution[-1] if result.unit == "layer" else result.attribution.sum(dim=0)


# Identities


@pytest.mark.parametrize("incorrect", [None, INCORRECT], ids=["logit", "difference"])
@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_parts_sum_to_the_logit_without_its_bias(family: str, unit: Unit, incorrect: int | None):
    model = model_of(family)
    result = direct_logit_attribution(model, TOKENS, ANSWER, incorrect, unit=unit, pos=None)
    torch.testing.assert_close(
        total(result).double(), expected_sum(model, ANSWER, incorrect), atol=TOLERANCE, rtol=0
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_the_heads_of_a_layer_and_its_output_bias_sum_to_its_attention_output(family: str):
    model = model_of(family)
    heads = direct_logit_attribution(model, TOKENS, ANSWER, INCORRECT, unit="head", pos=None)
    components = direct_logit_attribution(model, TOKENS, ANSWER, INCORRECT, pos=None)
    direction = model.W_U[:, ANSWER] - model.W_U[:, INCORRECT]
    _, cache = model.run_with_cache(TOKENS)
    for layer in range(model.cfg.n_layers):
        bias = model.blocks[layer].attn.b_O
        if bias is None:
            bias = torch.zeros(model.cfg.d_model)
        if model.cfg.normalization_type.startswith("LN"):
            bias = bias - bias.mean()
        of_bias = bias @ direction / cache["ln_final.hook_scale"][..., 0]
        of_heads = heads.attribution[layer * 4 : (layer + 1) * 4].sum(dim=0)
        of_layer = components.attribution[components.labels.index(f"{layer}_attn_out")]
        torch.testing.assert_close(of_heads + of_bias, of_layer, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("unit", UNITS)
def test_swapping_answer_and_incorrect_turns_every_sign(unit: Unit):
    model = model_of("gpt2")
    there = direct_logit_attribution(model, TOKENS, ANSWER, INCORRECT, unit=unit)
    back = direct_logit_attribution(model, TOKENS, INCORRECT, ANSWER, unit=unit)
    torch.testing.assert_close(there.attribution, -back.attribution)


def test_an_answer_against_itself_is_zero_everywhere():
    result = direct_logit_attribution(model_of("llama"), TOKENS, ANSWER, ANSWER, unit="head")
    assert not result.attribution.any()


@pytest.mark.parametrize("unit", UNITS)
def test_a_float64_model_is_attributed_in_float64(unit: Unit):
    model = family_model("gpt2", torch.float64)
    result = direct_logit_attribution(model, TOKENS, ANSWER, INCORRECT, unit=unit, pos=None)
    assert result.attribution.dtype == torch.float64
    torch.testing.assert_close(total(result), expected_sum(model, ANSWER, INCORRECT), atol=1e-12, rtol=0)


# Oracle


#: What TransformerLens answers, and rightly.
ANSWERED = [
    (family, unit)
    for family in FAMILIES
    for unit in UNITS
    if (family, unit) != ("gemma2", "head") and not (family in PARALLEL and unit == "layer")
]


@pytest.mark.parametrize("pos", [-1, None], ids=["last", "all"])
@pytest.mark.parametrize(("family", "unit"), ANSWERED)
def test_it_agrees_with_transformer_lens(family: str, unit: Unit, pos: int | None):
    theirs, ours = (
        attribute(model_of(family), TOKENS, ANSWER, INCORRECT, unit=unit, pos=pos)
        for attribute in (oracle.direct_logit_attribution, direct_logit_attribution)
    )
    assert ours.labels == theirs.labels
    assert ours.unit == theirs.unit
    torch.testing.assert_close(ours.attribution, theirs.attribution, atol=TOLERANCE, rtol=0)
    assert dict(ours.top(3)) == pytest.approx(dict(theirs.top(3)))


def test_a_head_of_a_post_norm_block_is_what_reaches_the_residual_stream():
    """TransformerLens gives the write before the block's norm, of another size altogether."""
    theirs = oracle.direct_logit_attribution(model_of("gemma2"), TOKENS, ANSWER, INCORRECT, unit="head")
    ours = direct_logit_attribution(model_of("gemma2"), TOKENS, ANSWER, INCORRECT, unit="head")
    assert ours.labels == theirs.labels
    assert (ours.attribution - theirs.attribution).abs().max() > 0.1


# Forms of the arguments


def single(pos: Any = -1, **options: Any) -> Tensor:
    return direct_logit_attribution(
        model_of("gpt2"), TOKENS, ANSWER, INCORRECT, pos=pos, **options
    ).attribution


@pytest.mark.parametrize("family", PARALLEL)
def test_the_layer_trajectory_of_parallel_blocks_has_one_entry_per_block(family: str):
    result = direct_logit_attribution(model_of(family), TOKENS, ANSWER, unit="layer")
    assert result.labels == ["0_pre", "1_pre", "2_pre", "final_post"]


def test_labels_are_those_of_transformer_lens():
    labels = {
        unit: direct_logit_attribution(model_of("gpt2"), TOKENS, ANSWER, unit=unit).labels for unit in UNITS
    }
    assert labels["component"][:4] == ["embed", "pos_embed", "0_attn_out", "0_mlp_out"]
    assert labels["layer"] == ["0_pre", "0_mid", "1_pre", "1_mid", "2_pre", "2_mid", "final_post"]
    assert labels["head"] == [*(f"L{layer}H{head}" for layer in range(3) for head in range(4)), "remainder"]


@pytest.mark.parametrize(
    ("pos", "chosen"),
    [
        (-1, -1),
        (2, 2),
        (np.int64(2), 2),
        (torch.tensor(2), 2),
        (None, slice(None)),
        ((2,), slice(2)),
        ((1, 4), slice(1, 4)),
        ((1, 6, 2), slice(1, 6, 2)),
        ([0, 3], [0, 3]),
        (torch.tensor([0, 3]), [0, 3]),
        (np.array([0, -1]), [0, -1]),
        (Slice((1, 4)), slice(1, 4)),
        (Slice(2), 2),
    ],
    ids=repr,
)
@pytest.mark.parametrize("unit", UNITS)
def test_every_form_of_pos_selects_from_the_attribution_of_all_positions(pos: Any, chosen: Any, unit: Unit):
    everywhere = single(None, unit=unit)
    torch.testing.assert_close(single(pos, unit=unit), everywhere[:, :, chosen], atol=1e-6, rtol=0)


@pytest.mark.parametrize("prompt", ["a b c d", " a b"])
def test_text_and_its_tokens_give_the_same(prompt: str):
    model = model_of("gpt2")
    tokens = model.to_tokens(prompt)
    reference = direct_logit_attribution(model, tokens, ANSWER).attribution
    for form in (prompt, [prompt], tokens[0]):
        torch.testing.assert_close(direct_logit_attribution(model, form, ANSWER).attribution, reference)


def test_a_list_of_prompts_is_a_batch():
    model = model_of("gpt2")
    both = direct_logit_attribution(model, ["a b c", "d e f"], ANSWER).attribution
    second = direct_logit_attribution(model, "d e f", ANSWER).attribution
    torch.testing.assert_close(both[:, 1:], second, atol=1e-6, rtol=0)


def test_an_answer_may_be_text_an_id_or_a_tensor():
    model = model_of("gpt2")
    token = model.to_single_token(" a")
    reference = direct_logit_attribution(model, TOKENS, token, INCORRECT).attribution
    for form in (" a", np.int64(token), torch.tensor(token), torch.tensor([token, token])):
        result = direct_logit_attribution(model, TOKENS, form, INCORRECT)
        torch.testing.assert_close(result.attribution, reference)


@pytest.mark.parametrize("pos", [-1, None, (1, 3)], ids=["last", "all", "as many as prompts"])
def test_an_answer_per_prompt_attributes_each_prompt_to_its_own(pos: Any):
    answers, incorrect = torch.tensor([40, 41]), torch.tensor([50, 51])
    result = direct_logit_attribution(model_of("gpt2"), TOKENS, answers, incorrect, pos=pos)
    for row in range(2):
        alone = direct_logit_attribution(
            model_of("gpt2"), TOKENS[row], int(answers[row]), int(incorrect[row]), pos=pos
        )
        torch.testing.assert_close(result.attribution[:, row], alone.attribution[:, 0], atol=1e-6, rtol=0)


def test_texts_per_prompt_are_their_ids_per_prompt():
    model = model_of("gpt2")
    answers, incorrect = [" a", " b"], (" c", " d")
    ids = [torch.tensor([model.to_single_token(text) for text in texts]) for texts in (answers, incorrect)]
    found = direct_logit_attribution(model, TOKENS, answers, incorrect).attribution
    torch.testing.assert_close(found, direct_logit_attribution(model, TOKENS, *ids).attribution)
    assert not torch.equal(found, direct_logit_attribution(model, TOKENS, " a", " c").attribution)


def test_answers_per_position_and_per_prompt_and_position():
    answers = torch.arange(40, 52).reshape(2, 6)
    model = model_of("gpt2")
    everywhere = direct_logit_attribution(model, TOKENS, answers, pos=None).attribution
    shared = direct_logit_attribution(model, TOKENS, answers[1], pos=None).attribution
    for position in range(6):
        alone = direct_logit_attribution(model, TOKENS, answers[:, position], pos=position).attribution
        torch.testing.assert_close(everywhere[:, :, position], alone, atol=1e-6, rtol=0)
    torch.testing.assert_close(shared[:, 1], everywhere[:, 1])


def test_incorrect_tokens_are_broadcast_to_the_answers():
    answers = torch.tensor([40, 41])
    one = direct_logit_attribution(model_of("gpt2"), TOKENS, answers, INCORRECT).attribution
    two = direct_logit_attribution(model_of("gpt2"), TOKENS, answers, torch.tensor([50, 50])).attribution
    torch.testing.assert_close(one, two)


@pytest.mark.parametrize("pos", [-1, None], ids=["last", "all"])
@pytest.mark.parametrize("family", ["gpt2", "pythia", "gemma2"])
@pytest.mark.parametrize("unit", UNITS)
def test_a_cache_stands_for_the_run_and_stays_as_it_was(family: str, unit: Unit, pos: int | None):
    model = model_of(family)
    _, cache = model.run_with_cache(TOKENS)
    before = {name: activation.clone() for name, activation in cache.items()}
    result = direct_logit_attribution(model, None, ANSWER, INCORRECT, unit=unit, pos=pos, cache=cache)
    fresh = direct_logit_attribution(model, TOKENS, ANSWER, INCORRECT, unit=unit, pos=pos)
    torch.testing.assert_close(result.attribution, fresh.attribution)
    assert set(cache.keys()) == set(before)
    assert all(torch.equal(cache[name], activation) for name, activation in before.items())


@pytest.mark.parametrize("family", ["gpt2", "gemma2"])
@pytest.mark.parametrize("unit", UNITS)
def test_a_cache_without_batch_dimension_gives_parts_without_it(family: str, unit: Unit):
    model = model_of(family)
    _, cache = model.run_with_cache(TOKENS[:1])
    batched = direct_logit_attribution(model, TOKENS[:1], ANSWER, INCORRECT, unit=unit).attribution
    result = direct_logit_attribution(
        model, None, ANSWER, INCORRECT, unit=unit, cache=cache.remove_batch_dim()
    )
    assert result.attribution.ndim == 1
    torch.testing.assert_close(result.attribution, batched[:, 0])


def test_no_gradients_are_kept_although_the_weights_ask_for_them():
    model = model_of("gpt2")
    model.requires_grad_(True)
    try:
        result = direct_logit_attribution(model, TOKENS, ANSWER)
    finally:
        model.requires_grad_(False)
    assert not result.attribution.requires_grad


def test_top_takes_the_highest_means_in_order():
    attribution = torch.tensor([[1.0, 3.0], [-9.0, -9.0], [0.0, 5.0]])
    parts = DirectLogitAttribution(attribution, ["embed", "L0H0", "L0H1"], "head")
    assert parts.top(2) == [("L0H1", 2.5), ("embed", 2.0)]
    assert [label for label, _ in parts.top(99)] == ["L0H1", "embed", "L0H0"]
