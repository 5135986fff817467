"""What can be said of a pair of prompts before it is sure that it makes one."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from analysis.experiment.alternatives import alternatives
from analysis.experiment.origin import DraftOrigin
from analysis.experiment.prompts import pieces, token_texts, tokenize
from analysis.experiment.runs import Draft, alone_with
from analysis.results import DraftRequest, DraftResult, Standing

#: How many next tokens are offered as answer or foil.
NEXT_TOKENS = 5


@torch.no_grad()
def draft_result(request: DraftRequest, origin: DraftOrigin) -> DraftResult:
    """Tokens, next tokens and alternatives of both prompts, as far as each of them can be run."""
    drafts, experiment = origin.drafts, request.experiment
    bridge = drafts.model.bridge
    # The model's tokenizer is one object for all who ask.
    with alone_with(drafts.model):
        clean, corrupted = (_tokens(bridge, draft) for draft in (drafts.clean, drafts.corrupted))
        return DraftResult(
            request=request,
            clean_tokens=clean,
            corrupted_tokens=corrupted,
            beginning=_beginning(bridge, clean or corrupted),
            differences=_differences(drafts.clean, drafts.corrupted),
            clean_next=next_tokens(bridge, drafts.clean),
            corrupted_next=next_tokens(bridge, drafts.corrupted),
            answer=_standing(bridge, experiment.answer, drafts.clean),
            foil=_standing(bridge, experiment.foil, drafts.corrupted),
            better_with_a_space=tuple(
                role
                for role, draft in (("answer", drafts.clean), ("foil", drafts.corrupted))
                if _better_with_a_space(bridge, getattr(experiment, role), draft)
            ),
            alternatives=()
            if drafts.clean is None
            else alternatives(experiment, lambda text: tokenize(bridge, text).shape[1]),
            provenance=origin.provenance(),
        )


def _tokens(bridge: Any, draft: Draft | None) -> tuple[str, ...]:
    return () if draft is None else token_texts(bridge, draft.tokens[0])


def _beginning(bridge: Any, tokens: tuple[str, ...]) -> str:
    bos = bridge.tokenizer.bos_token
    return bos if bos is not None and tokens[:1] == (bos,) else ""


def _differences(clean: Draft | None, corrupted: Draft | None) -> tuple[int, ...]:
    if clean is None or corrupted is None or clean.tokens.shape != corrupted.tokens.shape:
        return ()
    return tuple((clean.tokens != corrupted.tokens)[0].nonzero()[:, 0].tolist())


def next_tokens(bridge: Any, draft: Draft | None) -> tuple[tuple[str, float], ...]:
    """`(token, probability)` of the most probable next tokens that can be typed as what they are."""
    if draft is None:
        return ()
    probabilities = draft.run.logits[0, -1].softmax(-1)
    # Of a character's bytes some are tokens, and cannot be typed: a few more are looked at.
    ids = probabilities.topk(min(3 * NEXT_TOKENS, len(probabilities))).indices
    typed = [
        (text, float(probabilities[token]))
        for token, text in zip(ids.tolist(), token_texts(bridge, ids), strict=True)
        if pieces(bridge, text) == [token]
    ]
    return tuple(typed[:NEXT_TOKENS])


def _standing(bridge: Any, text: str, draft: Draft | None) -> Standing:
    ids = pieces(bridge, text)
    if draft is None or len(ids) != 1:
        return len(ids), None, None
    logits: Float[Tensor, " d_vocab"] = draft.run.logits[0, -1]
    own = logits[ids[0]]
    return 1, int((logits > own).sum()) + 1, float(logits.softmax(-1)[ids[0]])


def _better_with_a_space(bridge: Any, text: str, draft: Draft | None) -> bool:
    ids, spaced = pieces(bridge, text), pieces(bridge, f" {text}")
    if draft is None or len(ids) != 1 or len(spaced) != 1:
        return False
    logits = draft.run.logits[0, -1]
    return bool(logits[spaced[0]] > logits[ids[0]])
