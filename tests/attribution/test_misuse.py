"""Direct logit attribution refuses what it cannot answer, in a sentence that says what to do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformer_lens import ActivationCache

from analysis import direct_logit_attribution
from analysis.errors import AnswerError, PathscopeError, PromptError, UnsupportedModelError
from tests.attributing import ANSWER, TOKENS, model_of
from tests.families import CONTEXT_LENGTH, VOCABULARY_SIZE
from tests.runs import family_model


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (
            (TOKENS, ANSWER),
            {"unit": "neuron"},
            PathscopeError,
            "unit must be one of 'component', 'layer', 'head', and is 'neuron'",
        ),
        ((TOKENS,), {}, AnswerError, "answer_tokens is required: a string"),
        ((None, ANSWER), {}, PathscopeError, "nothing to attribute: give either `input` or `cache`"),
        ((TOKENS, "ab"), {}, AnswerError, r"The answer 'ab' is 2 tokens \('a', 'b'\) and must be one"),
        ((TOKENS, ANSWER, "ab"), {}, AnswerError, "The foil 'ab' is 2 tokens"),
        ((TOKENS, 1.5), {}, AnswerError, "The answer is 1.5. Give a string that is one token, an id or"),
        ((TOKENS, True), {}, AnswerError, "The answer is True"),
        ((TOKENS, torch.tensor(1.5)), {}, AnswerError, "Give a string that is one token, an id or a tensor"),
        ((TOKENS, VOCABULARY_SIZE), {}, AnswerError, "has the id 320; ids go from 0 to 319"),
        ((TOKENS, -1), {}, AnswerError, "has the id -1"),
        ((TOKENS, torch.arange(3)), {}, AnswerError, r"the shape \[3\] and the run has \[2, 1\]"),
        ((TOKENS, torch.zeros(2, 1, 1, dtype=torch.long)), {}, AnswerError, r"the shape \[2, 1, 1\]"),
        ((TOKENS, ANSWER), {"pos": 6}, PathscopeError, "pos is 6, and the run has 6 positions"),
        ((TOKENS, ANSWER), {"pos": [0, 9]}, PathscopeError, "the run has 6 positions"),
        ((TOKENS, ANSWER), {"pos": (4, 2)}, PathscopeError, "selects none of the 6 positions"),
        ((TOKENS, ANSWER), {"pos": []}, PathscopeError, "pos is"),
        ((TOKENS, ANSWER), {"pos": "last"}, PathscopeError, "pos is 'last'. Give an index, a tuple"),
        ((TOKENS, ANSWER), {"pos": [[0, 1]]}, PathscopeError, r"pos is \[\[0, 1\]\]. Give an index"),
        ((["a b", "a b c"], ANSWER), {}, PromptError, "between 3 and 4 tokens.*padding. Run them one by one"),
        (([], ANSWER), {}, PromptError, "must be .batch, pos. and not empty"),
        (("a" * 99, ANSWER), {}, PromptError, f"100 tokens, and the model reads at most {CONTEXT_LENGTH}"),
    ],
)
def test_misuse_is_a_sentence_and_a_value_error(arguments: Any, options: Any, error: type, message: str):
    with pytest.raises(error, match=message) as caught:
        direct_logit_attribution(model_of("gpt2"), *arguments, **options)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("model", [None, "gpt2", torch.nn.Linear(2, 2)], ids=["none", "name", "module"])
def test_what_is_no_model_of_transformer_lens_is_refused_with_the_way_out(model: Any):
    with pytest.raises(PathscopeError, match=rf"The model is {type(model).__name__}.*boot_transformers"):
        direct_logit_attribution(model, TOKENS, ANSWER)


def test_a_cache_that_lacks_an_activation_is_told_which():
    model = model_of("gpt2")
    _, cache = model.run_with_cache(TOKENS)
    partial = ActivationCache({k: v for k, v in cache.items() if k != "blocks.1.hook_mlp_out"}, model)
    with pytest.raises(PathscopeError, match=r"The cache lacks blocks\.1\.hook_mlp_out.*names_filter"):
        direct_logit_attribution(model, None, ANSWER, cache=partial)


def test_a_cache_of_a_narrower_model_is_told_the_shape_that_it_must_have():
    model = model_of("gpt2")
    _, cache = model.run_with_cache(TOKENS)
    narrow = ActivationCache({name: value[..., :-1] for name, value in cache.items()}, model)
    d_model = model.cfg.d_model
    said = rf"has the shape \[2, 6, {d_model - 1}\], and must be \[batch, pos, {d_model}\]"
    with pytest.raises(PathscopeError, match=said):
        direct_logit_attribution(model, None, ANSWER, cache=narrow)


def test_components_that_miss_a_part_of_the_stream_are_refused():
    model = model_of("gpt2")
    _, cache = model.run_with_cache(TOKENS)
    partial = ActivationCache({k: v for k, v in cache.items() if "pos_embed" not in k}, model)
    with pytest.raises(UnsupportedModelError, match=r"miss the final residual stream by up to [\d.]+ logits"):
        direct_logit_attribution(model, None, ANSWER, cache=partial)


def test_a_bridge_outside_compatibility_mode_is_refused(family_directory):
    from transformer_lens.model_bridge import TransformerBridge

    bridge = TransformerBridge.boot_transformers(str(family_directory("gpt2")), device="cpu")
    with pytest.raises(ValueError, match=r"not in compatibility mode.*enable_compatibility_mode\(\) first"):
        direct_logit_attribution(bridge, TOKENS, ANSWER)


@pytest.mark.parametrize("family", ["gpt2", "gemma2"])
def test_a_final_norm_that_is_not_folded_is_refused(family: str):
    with pytest.raises(ValueError, match=r"not folded into W_U and b_U.*fold_ln=True"):
        direct_logit_attribution(family_model(family, torch.float32, folded=False), TOKENS, ANSWER)


def test_a_final_norm_with_a_bias_of_its_own_is_refused():
    model = model_of("gpt2")
    model.ln_final.bias[3] = 0.5
    try:
        with pytest.raises(ValueError, match="not folded into W_U and b_U"):
            direct_logit_attribution(model, TOKENS, ANSWER)
    finally:
        model.ln_final.bias[3] = 0.0


def test_a_model_in_training_mode_is_refused():
    model = model_of("gpt2")
    model.train()
    try:
        with pytest.raises(ValueError, match=r"training mode.*model\.eval\(\) first"):
            direct_logit_attribution(model, TOKENS, ANSWER)
    finally:
        model.eval()


@pytest.mark.parametrize("part", ["mamba", "ssm", "mixer", "linear_attn"])
def test_hybrid_blocks_are_not_implemented(part: str, monkeypatch: pytest.MonkeyPatch):
    model = model_of("gpt2")
    monkeypatch.setattr(model, "layer_types", lambda: ["attn+mlp", f"{part}+mlp"], raising=False)
    with pytest.raises(NotImplementedError, match=f"Blocks of type {part}.mlp make this a hybrid"):
        direct_logit_attribution(model, TOKENS, ANSWER)


def test_a_readout_other_than_norm_and_unembedding_is_not_implemented(monkeypatch: pytest.MonkeyPatch):
    """As in models that scale their logits: the parts would add up to another number."""
    model = model_of("gpt2")
    run = model.run_with_cache

    def scaled(*arguments: Any, **options: Any) -> Any:
        logits, cache = run(*arguments, **options)
        return 1.1 * logits, cache

    monkeypatch.setattr(model, "run_with_cache", scaled)
    with pytest.raises(NotImplementedError, match="reads them in another way"):
        direct_logit_attribution(model, TOKENS, ANSWER)
