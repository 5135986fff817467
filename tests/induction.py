"""A two-layer GPT-2 with weights set by hand, in which one k-path carries a whole effect.

The residual stream is a sum of one-hot features in six fields: the token, the position, the
token before (written by the previous-token head), the same once more (a decoy that nothing
useful reads), the output (written by the induction head), and a remainder (written by a decoy
head of the second layer). A feature f is stored as the pair (+f, -f), so every stream has mean
zero, and at each LayerNorm the number of features is the same at every position: 2, then 4, then
6 in width D. Its variance is therefore 2 * features / D whatever the prompt, and a LayerNorm
weight of `sqrt(variance + eps)` makes the LayerNorm the identity. So frozen and exact patches
agree, and every number below is exact up to attention leaking exp(-30).

- `PREVIOUS` (L0) attends from position i to i - 1 and copies that token into the field `before`.
- `DECOY` (L0) does the same into a field of its own, which the second layer's decoy reads as k.
- `INDUCTION` (L1) asks for its own token among the `before` fields (K-composition) and copies the
  token it finds to the output; where it finds none, it rests on the first token.
- Of the other heads, L1H0 rests on the first token with keys from the decoy field; the rest are
  zero, as are the MLPs.
"""

from __future__ import annotations

import tempfile
from functools import lru_cache
from math import sqrt

import torch
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge
from transformers import GPT2Config, GPT2LMHeadModel

from tests.families import byte_tokenizer
from tests.runs import Runs, run_pair

N_TOKENS, N_POSITIONS, N_HEADS = 8, 8, 4
FIRST = 0  # the token at the start of every prompt, on which idle heads rest
CLEAN = (FIRST, 1, 2, 3, 4, 1)
CORRUPTED = (FIRST, 5, 2, 3, 4, 1)  # the first 1 is gone, so nothing tells what follows 1
ANSWER, FOIL = 2, 6
PREVIOUS, DECOY, INDUCTION = (0, 2), (0, 1), (1, 3)
#: Logit of the token in the output field.
OUTPUT_LOGIT = 10.0

_FIELDS = ("token", "position", "before", "decoy", "output", "rest")
_SIZE = 8
_D_MODEL = 2 * _SIZE * len(_FIELDS)
_D_HEAD = _D_MODEL // N_HEADS
_FOUND, _REST = 60.0, 30.0  # attention scores of a match and of the resting place


def field(name: str) -> Tensor:
    """[8, d_model]: row f is feature f of the field, stored as the pair (+1, -1)."""
    rows = torch.zeros(_SIZE, _D_MODEL)
    start = 2 * _SIZE * _FIELDS.index(name)
    for feature in range(_SIZE):
        rows[feature, start + 2 * feature] = 1.0
        rows[feature, start + 2 * feature + 1] = -1.0
    return rows


def induction_model() -> GPT2LMHeadModel:
    """The hand-set model as Hugging Face has it."""
    config = GPT2Config(
        n_layer=2,
        n_head=N_HEADS,
        n_embd=_D_MODEL,
        n_inner=4,
        n_positions=N_POSITIONS,
        vocab_size=N_TOKENS,
        tie_word_embeddings=False,
        bos_token_id=FIRST,
        eos_token_id=FIRST,
    )
    model = GPT2LMHeadModel(config).eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.zero_()
    body = model.transformer
    body.wte.weight.copy_(field("token"))
    body.wpe.weight.copy_(field("position"))
    features = {body.h[0].ln_1: 2, body.h[0].ln_2: 4, body.h[1].ln_1: 4, body.h[1].ln_2: 6, body.ln_f: 6}
    for norm, number in features.items():
        norm.weight.fill_(sqrt(2 * number / _D_MODEL + config.layer_norm_epsilon))
    for layer, head, target in ((*PREVIOUS, "before"), (*DECOY, "decoy")):
        _attend_to_the_position_before(model, layer, head)
        _copy_token(model, layer, head, target)
    _attend_to_a_match(model, *INDUCTION, keys="before")
    _copy_token(model, *INDUCTION, target="output")
    _attend_to_a_match(model, 1, 0, keys="decoy", found=0.0)
    _copy_token(model, 1, 0, target="rest")
    model.lm_head.weight.copy_(OUTPUT_LOGIT * field("output") / 2)
    return model


def _project(
    model: GPT2LMHeadModel, layer: int, head: int, which: str, weight: Tensor, bias: Tensor | None = None
) -> None:
    """Set one head's W_Q, W_K or W_V to `weight` [d_model, n], n <= d_head."""
    attn = model.transformer.h[layer].attn.c_attn
    start = "qkv".index(which) * _D_MODEL + head * _D_HEAD
    attn.weight[:, start : start + weight.shape[1]] = weight
    if bias is not None:
        attn.bias[start : start + len(bias)] = bias


def _attend_to_the_position_before(model: GPT2LMHeadModel, layer: int, head: int) -> None:
    """Score `_FOUND` at position i - 1 and 0 elsewhere; position 0 sees itself alone."""
    position = field("position").T / 2
    _project(model, layer, head, "q", _FOUND * sqrt(_D_HEAD) * position)
    _project(model, layer, head, "k", position.roll(1, dims=1))


def _attend_to_a_match(
    model: GPT2LMHeadModel, layer: int, head: int, keys: str, found: float = _FOUND
) -> None:
    """Score `found` where the field `keys` holds the query's token, `_REST` at the first token."""
    query = torch.cat([found * field("token").T / 2, torch.zeros(_D_MODEL, 1)], dim=1)
    resting = field("token")[FIRST][:, None] / 2
    bias = torch.zeros(_SIZE + 1)
    bias[-1] = _REST
    _project(model, layer, head, "q", sqrt(_D_HEAD) * query, sqrt(_D_HEAD) * bias)
    _project(model, layer, head, "k", torch.cat([field(keys).T / 2, resting], dim=1))


def _copy_token(model: GPT2LMHeadModel, layer: int, head: int, target: str) -> None:
    """Write the attended token to the field `target`."""
    _project(model, layer, head, "v", field("token").T / 2)
    output = model.transformer.h[layer].attn.c_proj.weight
    output[head * _D_HEAD : head * _D_HEAD + _SIZE] = field(target)


@lru_cache(maxsize=2)
def induction_runs(dtype: torch.dtype = torch.float32) -> Runs:
    """The model in a bridge, run on the prompt with and without the first half of the pair."""
    with tempfile.TemporaryDirectory() as directory:
        induction_model().save_pretrained(directory)
        byte_tokenizer().save_pretrained(directory)
        model = TransformerBridge.boot_transformers(directory, device="cpu", dtype=dtype)
    model.enable_compatibility_mode(disable_warnings=True)
    model.requires_grad_(False)
    return run_pair(model.eval(), torch.tensor([CLEAN]), torch.tensor([CORRUPTED]))


def answer_over_foil(logits: Tensor) -> Tensor:
    """Logit of the answer less that of the foil at the last position."""
    return (logits[:, -1, ANSWER] - logits[:, -1, FOIL]).mean()
