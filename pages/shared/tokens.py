"""Tokens as chips: prompts, numbered and with what differs marked, and lists of tokens with their weights.

The only HTML of the app's own. Whatever a token or a sentence holds is escaped, and Streamlit takes out
what could act.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from html import escape

import streamlit as st

from analysis.labels import shown_token
from analysis.results import DraftResult

#: Longer prompts show this many tokens, and of the rest what stands near a difference.
_SHOWN, _NEAR = 60, 3

_SMALL = "font-size:0.84rem;line-height:1.4;margin:0 0 6px;overflow-wrap:anywhere"
_LIST = "display:flex;flex-wrap:wrap;gap:4px;margin:0 0 6px"
_CHIP = (
    "display:inline-flex;flex-direction:column;padding:1px 6px 2px;border-radius:6px;"
    "border:1px solid rgba(128,128,128,0.4);font-size:0.82rem;line-height:1.3;overflow-wrap:anywhere"
)
_MARKED = f"{_CHIP};background:rgba(224,123,57,0.25);border-color:#c0622a"
_NUMBER = "font-size:0.68rem"
_WEIGHT = "font-variant-numeric:tabular-nums"


def small_text(*sentences: str) -> None:
    """Sentences in small print, as plain text."""
    st.html("".join(_paragraph(sentence) for sentence in sentences))


def token_chips(draft: DraftResult) -> None:
    """Both prompts in one row where they have one length, each position once; else each in its own."""
    clean, corrupted = draft.clean_tokens, draft.corrupted_tokens
    marked = draft.unmatched
    if clean and len(clean) == len(corrupted):
        st.html(_row("Both prompts", _pairs(clean, corrupted), marked[0], draft.beginning))
        return
    rows = (("Clean prompt", clean, marked[0]), ("Corrupted prompt", corrupted, marked[1]))
    drawn = [
        _paragraph(title) + _row(title, [(token,) for token in tokens], which, draft.beginning)
        for title, tokens, which in rows
        if tokens
    ]
    if drawn:
        st.html("".join(drawn))


def pair_chips(clean: Sequence[str], corrupted: Sequence[str], differing: Collection[int]) -> None:
    """Both prompts, of one length, in one row: each position once, both tokens where it is `differing`."""
    pairs = [
        (ours, theirs) if position in differing else (ours,)
        for position, (ours, theirs) in enumerate(zip(clean, corrupted, strict=True))
    ]
    st.html(_row("Both prompts", pairs, tuple(differing), ""))


def weighted_chips(title: str, tokens: Sequence[str], weights: Sequence[str]) -> None:
    """Tokens in their order, each with what is written of it below."""
    chips = "".join(
        f'<div role="listitem" style="{_CHIP}"><span>{escape(shown_token(token))}</span>'
        f'<span style="{_WEIGHT}">{escape(weight)}</span></div>'
        for token, weight in zip(tokens, weights, strict=True)
    )
    st.html(f'<div role="list" aria-label="{escape(title)}" style="{_LIST}">{chips}</div>')


def _paragraph(text: str) -> str:
    return f'<p style="{_SMALL}">{escape(text)}</p>'


def _pairs(clean: Sequence[str], corrupted: Sequence[str]) -> list[tuple[str, ...]]:
    both = zip(clean, corrupted, strict=True)
    return [(ours,) if ours == theirs else (ours, theirs) for ours, theirs in both]


def _row(title: str, tokens: Sequence[tuple[str, ...]], marked: tuple[int, ...], beginning: str) -> str:
    chips = "".join(_chips(tokens, marked, beginning))
    return f'<div role="list" aria-label="{escape(title)}, token by token" style="{_LIST}">{chips}</div>'


def _chips(tokens: Sequence[tuple[str, ...]], marked: tuple[int, ...], beginning: str) -> Iterator[str]:
    following = 0
    for position in _in_view(len(tokens), marked):
        yield from _left_out(position - following)
        first = position == 0 and beginning
        texts = ("BOS",) if first else tuple(shown_token(token) for token in tokens[position])
        yield (
            f'<div role="listitem" style="{_MARKED if position in marked else _CHIP}" '
            f'title="{escape(beginning) if first else f"Position {position}"}">'
            f'<span style="{_NUMBER}">{position}</span>'
            + "".join(f"<span>{escape(text)}</span>" for text in texts)
            + "</div>"
        )
        following = position + 1
    yield from _left_out(len(tokens) - following)


def _left_out(count: int) -> Iterator[str]:
    if count:
        yield f'<div role="listitem" style="{_CHIP}">… {count:,} more</div>'


def _in_view(length: int, marked: Iterable[int]) -> list[int]:
    """The positions to draw: the first ones, and those near a mark, no more than twice as many in all."""
    near = {there for place in marked for there in range(place - _NEAR, place + _NEAR + 1) if there >= _SHOWN}
    return sorted(place for place in {*range(_SHOWN), *sorted(near)[:_SHOWN]} if place < length)
