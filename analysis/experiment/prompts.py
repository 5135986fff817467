"""Prompt pairs: two prompts whose tokens stand opposite each other, and two single-token answers.

Whether a beginning-of-sequence token comes first follows the model's own default; a prompt that
already starts with one keeps exactly that one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

import torch
from jaxtyping import Int
from torch import Tensor

from analysis.errors import AnswerError, ModelError, PromptError, PromptLimitError, Remedy
from analysis.experiment.realign import nearest_fixes
from analysis.policy import policy
from analysis.requests import Experiment

Role = Literal["clean", "corrupted"]
AnswerRole = Literal["answer", "foil"]

#: Tokens of a prompt that an error quotes around the place it is about.
_QUOTED = 6


@dataclass(frozen=True, kw_only=True, eq=False)
class PromptPair:
    """A clean and a corrupted prompt of equal length, and the ids of answer and foil.

    `clean_tokens[i]` and `corrupted_tokens[i]` are the texts of the tokens at position i,
    beginning-of-sequence token included.
    """

    clean: Int[Tensor, "1 pos"]
    corrupted: Int[Tensor, "1 pos"]
    answer: int
    foil: int
    clean_tokens: tuple[str, ...]
    corrupted_tokens: tuple[str, ...]

    @property
    def differences(self) -> tuple[int, ...]:
        """Positions at which the prompts have different token ids, though their texts may look the same."""
        return tuple((self.clean != self.corrupted)[0].nonzero()[:, 0].tolist())

    @property
    def identical(self) -> bool:
        """Whether the prompts are the same tokens: then every patching effect is zero by definition."""
        return not self.differences


def prepare(bridge: Any, experiment: Experiment) -> PromptPair:
    """Tokenize `experiment` for `bridge`, or say in one sentence why it cannot be run.

    Raises `PromptError` for an empty prompt, one past the context length, or two of different
    token lengths; `AnswerError` for an answer or foil that is not exactly one token, and for an
    answer equal to the foil; `ModelError` for a tokenizer of another model. Where a small change would
    mend it, the error carries it as a `Remedy` that has been tried. Identical prompts are allowed.
    """
    clean = prompt_tokens(bridge, experiment, "clean")
    corrupted = prompt_tokens(bridge, experiment, "corrupted")
    if clean.shape != corrupted.shape:
        raise _misaligned(bridge, experiment, clean, corrupted)
    answer = single_token(bridge, experiment.answer, "answer")
    foil = single_token(bridge, experiment.foil, "foil")
    if answer == foil:
        raise AnswerError(
            f"The answer and the foil are both {experiment.answer!r}, so their difference is always "
            "zero. Choose another foil, for example what the corrupted prompt should bring."
        )
    return PromptPair(
        clean=clean,
        corrupted=corrupted,
        answer=answer,
        foil=foil,
        clean_tokens=token_texts(bridge, clean[0]),
        corrupted_tokens=token_texts(bridge, corrupted[0]),
    )


def tokenize(bridge: Any, prompt: str) -> Int[Tensor, "1 pos"]:
    """Token ids of a whole prompt, never truncated, with at most one beginning-of-sequence token."""
    bos = bridge.tokenizer.bos_token
    has_bos = bos is not None and prompt.startswith(bos)
    return bridge.to_tokens(prompt, prepend_bos=False if has_bos else None, truncate=False).long()


def single_token(model: Any, text: str, role: AnswerRole) -> int:
    """The id of `text` as one token.

    `role` says which field an offered remedy changes, and how the error calls it. Raises `AnswerError`
    where it is empty or several tokens, which are named; `ModelError` where the model has no tokenizer.
    """
    if model.tokenizer is None:
        raise ModelError(f"This model has no tokenizer: give the {role} as a token id instead of {text!r}.")
    ids = pieces(model, text)
    if len(ids) == 1:
        return ids[0]
    if not ids:
        raise AnswerError(f"The {role} is empty. Type one token, usually a word with a space before it.")
    texts = token_texts(model, torch.tensor(ids))
    raise AnswerError(
        f"The {role} {text!r} is {len(ids)} tokens ({_quoted(texts)}) and must be one. "
        f"Most words are one token only with a space before them.",
        *_single_token_forms(model, text, texts, role),
    )


def _single_token_forms(model: Any, text: str, texts: tuple[str, ...], role: AnswerRole) -> Iterator[Remedy]:
    word = text.strip()
    forms = (
        (f" {word}", "with a space before it"),
        (word, "without the space"),
        (f" {word.lower()}", "in lower case"),
        (f" {word.capitalize()}", "with a capital"),
        (texts[0], "its first token alone"),
    )
    offered = {text}
    for form, how in forms:
        if form not in offered and form.strip() and len(pieces(model, form)) == 1:
            offered.add(form)
            yield Remedy(f"Use {form!r}, {how}", field=role, value=form)


def pieces(model: Any, text: str) -> list[int]:
    """Token ids of `text` alone, with no beginning-of-sequence token."""
    return model.to_tokens(text, prepend_bos=False, truncate=False)[0].tolist() if text else []


def token_texts(bridge: Any, ids: Int[Tensor, " pos"]) -> tuple[str, ...]:
    """Each token's own text."""
    return tuple(bridge.to_str_tokens(ids))


def prompt_tokens(bridge: Any, experiment: Experiment, role: Role) -> Int[Tensor, "1 pos"]:
    """The tokens of one prompt. Raises `PromptError` or `ModelError` where the model cannot read it."""
    text: str = getattr(experiment, role)
    if not text.strip():
        other = experiment.corrupted if role == "clean" else experiment.clean
        remedies = [Remedy("Start from the other prompt", field=role, value=other)] if other.strip() else []
        raise PromptError(f"The {role} prompt is empty. Type a text or choose an example.", *remedies)
    limits = policy()
    if len(text) > limits.prompt_characters:
        raise PromptLimitError(
            f"The {role} prompt has {len(text):,} characters, and at most {limits.prompt_characters:,} are "
            "read. Shorten it"
            + limits.way_out(", or raise PATHSCOPE_PROMPT_TOKENS, of which each allows ten.")
        )
    tokens = tokenize(bridge, text)
    length, n_ctx, d_vocab = tokens.shape[1], bridge.cfg.n_ctx, bridge.cfg.d_vocab
    if length > n_ctx:
        raise PromptError(
            f"The {role} prompt has {length} tokens, and this model reads at most {n_ctx}. "
            f"Shorten it by {length - n_ctx}."
        )
    if length > limits.prompt_tokens:
        raise PromptLimitError(
            f"The {role} prompt has {length:,} tokens, and at most {limits.prompt_tokens:,} are taken. "
            "Shorten it" + limits.way_out(", or raise PATHSCOPE_PROMPT_TOKENS.")
        )
    unknown = tokens[tokens >= d_vocab]
    if len(unknown):
        raise ModelError(
            f"The tokenizer turns {token_texts(bridge, unknown[:1])[0]!r} into id {int(unknown[0])}, and the "
            f"model knows only {d_vocab} ids. The folder holds the tokenizer of another model."
        )
    return tokens


def _misaligned(bridge: Any, experiment: Experiment, clean: Tensor, corrupted: Tensor) -> PromptError:
    ours, theirs = token_texts(bridge, clean[0]), token_texts(bridge, corrupted[0])
    where = "; ".join(_differences_in_number(ours, theirs))
    return PromptError(
        f"The clean prompt has {len(ours)} tokens and the corrupted prompt {len(theirs)}; they need the "
        f"same number, so that each position has a partner. {where}. "
        f"Clean: {_quoted(ours)}. Corrupted: {_quoted(theirs)}.",
        *nearest_fixes(experiment, lambda text: _length(bridge, text)),
    )


def _length(bridge: Any, text: str) -> int:
    return tokenize(bridge, text).shape[1]


def _differences_in_number(clean: tuple[str, ...], corrupted: tuple[str, ...]) -> Iterator[str]:
    """Each stretch in which one prompt has more tokens than the other, at most three of them."""
    stretches = [
        (clean[a:b], corrupted[c:d], a)
        for _, a, b, c, d in SequenceMatcher(None, clean, corrupted, autojunk=False).get_opcodes()
        if b - a != d - c
    ]
    for ours, theirs, position in stretches[:3]:
        yield (
            f"At position {position} the clean prompt has {_counted(ours)} "
            f"where the corrupted one has {_counted(theirs)}"
        )


def _counted(tokens: tuple[str, ...]) -> str:
    if not tokens:
        return "none"
    return f"{len(tokens)} ({_quoted(tokens)})"


def _quoted(tokens: tuple[str, ...]) -> str:
    """Tokens in quotes, since their spaces matter; the middle of a long list is left out.

    >>> _quoted(("a", " b"))
    "'a', ' b'"
    >>> _quoted(tuple("abcdefghijklmnop"))
    "'a', 'b', 'c', 'd', 'e', 'f', ... 4 more ..., 'k', 'l', 'm', 'n', 'o', 'p'"
    """
    quoted = [repr(token) for token in tokens]
    left_out = len(quoted) - 2 * _QUOTED
    if left_out > 1:
        quoted[_QUOTED:-_QUOTED] = [f"... {left_out} more ..."]
    return ", ".join(quoted)
