"""The weights of the two-layer model, set by hand so that one k-path carries a whole effect.

The residual stream is a sum of one-hot features in five fields: the token, the position, the token before
(written by the previous-token head), the same once more (written by a decoy, and read by nobody), and the
output (written by the induction head). Feature f of a field is +1 at a place of its own and -1 at one that
all of the field share, so that every stream has mean zero; at each LayerNorm the number of features is the
same at every position: 2, then 4, then 5. The variance in width D is therefore 2 * features / D whatever the
prompt, and a LayerNorm weight of ``sqrt(variance + eps)`` makes the LayerNorm the identity. So frozen and
exact patches agree, and every number is exact up to attention leaking exp(-30).

- `PREVIOUS` (L0) attends from position i to i - 1 and copies that token into the field `before`.
- `DECOY` (L0) does the same into a field of its own.
- `INDUCTION` (L1) asks for its own token among the `before` fields (K-composition) and copies the
  token it finds to the output; where it finds none, it rests on the first token, which has no logit.
- All other heads are zero, as are the MLPs.
- What is no word has a logit below 0 by a bias, each token another: how far a vocabulary's logits lie apart
  is what rounding is judged by, and logits that are all the same would leave none.
"""

from __future__ import annotations

from itertools import accumulate
from math import sqrt

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from analysis.induction_model import DECOY, INDUCTION, PREVIOUS
from analysis.induction_model.tokenizer import MOST_TOKENS
from analysis.induction_model.words import KNOWN_WORDS

#: Logit of the word in the output field; all other words have 0.
OUTPUT_LOGIT = 10.0
#: Between these lie the logits of what is no word, whatever the prompt.
_NO_WORDS = (-4.0, -1.0)
N_HEADS = 4

#: Features of tokens: the first of every prompt, on which idle heads rest; whatever is no word; the words.
_FIRST, _OTHER, _WORDS = 0, 1, 2
_N_TOKENS = _WORDS + len(KNOWN_WORDS)
_FIELDS = {
    "token": _N_TOKENS,
    "position": MOST_TOKENS,
    "before": _N_TOKENS,
    "decoy": _N_TOKENS,
    "output": _N_TOKENS,
}
#: Where each field begins: at the place that its features share.
_STARTS = dict(zip(_FIELDS, accumulate((1 + size for size in _FIELDS.values()), initial=0), strict=False))
#: A place that nothing writes to; a bias of the final norm stands there.
_BIAS = sum(1 + size for size in _FIELDS.values())
_D_MODEL = N_HEADS * (1 + _BIAS // N_HEADS)
_D_HEAD = _D_MODEL // N_HEADS
_FOUND, _REST = 60.0, 30.0  # attention scores of a match and of the resting place


def induction_model(tokenizer: PreTrainedTokenizerFast) -> GPT2LMHeadModel:
    """The model as Hugging Face has it, for the ids of `tokenizer`."""
    model = GPT2LMHeadModel(_config(tokenizer)).eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.zero_()
    body = model.transformer
    features = token_features(tokenizer)
    body.wte.weight.copy_(written("token")[features])
    body.wpe.weight.copy_(written("position"))
    carried = {body.h[0].ln_1: 2, body.h[0].ln_2: 4, body.h[1].ln_1: 4, body.h[1].ln_2: 5, body.ln_f: 5}
    for norm, number in carried.items():
        norm.weight.fill_(sqrt(2 * number / _D_MODEL + model.config.layer_norm_epsilon))
    for head, field in ((PREVIOUS, "before"), (DECOY, "decoy")):
        _attend_to_the_position_before(model, *head)
        _copy_token(model, *head, field)
    _attend_to_a_match(model, *INDUCTION)
    _copy_token(model, *INDUCTION, "output")
    _foretell(model, tokenizer)
    return model


def token_features(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """The feature of every id: a word's own, with and without its space; one for all that is no word."""
    features = [_OTHER] * len(tokenizer)
    features[tokenizer.bos_token_id] = _FIRST
    for feature, word in enumerate(KNOWN_WORDS, start=_WORDS):
        for form in (word, f" {word}"):
            (token,) = tokenizer(form)["input_ids"]
            features[token] = feature
    return features


def _foretell(model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast) -> None:
    """Read the output as a word with its space, as words stand in a prompt; nothing else is ever likely."""
    words = [tokenizer(f" {word}")["input_ids"][0] for word in KNOWN_WORDS]
    rest = sorted(set(range(len(tokenizer))) - set(words))
    model.lm_head.weight[words] = OUTPUT_LOGIT * read("output").T[_WORDS:]
    model.lm_head.weight[rest, _BIAS] = torch.linspace(*_NO_WORDS, len(rest))
    model.transformer.ln_f.bias[_BIAS] = 1.0


def read(field: str) -> Float[Tensor, "d_model feature"]:
    """Reads the features of a field: column f is 1 where feature f alone stands."""
    columns = torch.zeros(_D_MODEL, _FIELDS[field])
    columns[_STARTS[field] + 1 :][: _FIELDS[field]].fill_diagonal_(1.0)
    return columns


def written(field: str) -> Float[Tensor, "feature d_model"]:
    """Writes the features of a field: row f is +1 at f's own place and -1 at the shared one."""
    rows = read(field).T.clone()
    rows[:, _STARTS[field]] = -1.0
    return rows


def _config(tokenizer: PreTrainedTokenizerFast) -> GPT2Config:
    return GPT2Config(
        n_layer=2,
        n_head=N_HEADS,
        n_embd=_D_MODEL,
        n_inner=N_HEADS,
        n_positions=MOST_TOKENS,
        vocab_size=len(tokenizer),
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        tie_word_embeddings=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _project(
    model: GPT2LMHeadModel,
    layer: int,
    head: int,
    which: str,
    weight: Float[Tensor, "d_model n"],
    bias: Float[Tensor, " n"] | None = None,
) -> None:
    """Set the first n <= d_head columns of one head's W_Q, W_K or W_V."""
    attention = model.transformer.h[layer].attn.c_attn
    start = "qkv".index(which) * _D_MODEL + head * _D_HEAD
    attention.weight[:, start : start + weight.shape[1]] = weight
    if bias is not None:
        attention.bias[start : start + len(bias)] = bias


def _attend_to_the_position_before(model: GPT2LMHeadModel, layer: int, head: int) -> None:
    """Score `_FOUND` at position i - 1 and 0 elsewhere; position 0 sees itself alone."""
    position = read("position")
    _project(model, layer, head, "q", _FOUND * sqrt(_D_HEAD) * position)
    _project(model, layer, head, "k", position.roll(1, dims=1))


def _attend_to_a_match(model: GPT2LMHeadModel, layer: int, head: int) -> None:
    """Score `_FOUND` where the query's own token came before, `_REST` at the first token."""
    query = torch.cat([_FOUND * read("token"), torch.zeros(_D_MODEL, 1)], dim=1)
    bias = torch.zeros(_N_TOKENS + 1)
    bias[-1] = _REST
    _project(model, layer, head, "q", sqrt(_D_HEAD) * query, sqrt(_D_HEAD) * bias)
    _project(model, layer, head, "k", torch.cat([read("before"), read("token")[:, [_FIRST]]], dim=1))


def _copy_token(model: GPT2LMHeadModel, layer: int, head: int, field: str) -> None:
    """Write the attended token to `field`."""
    _project(model, layer, head, "v", read("token"))
    output = model.transformer.h[layer].attn.c_proj.weight
    output[head * _D_HEAD : head * _D_HEAD + _N_TOKENS] = written(field)
