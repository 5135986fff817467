"""The pair as it stands: its tokens, how answer and foil stand, and with one click another pair."""

from __future__ import annotations

import streamlit as st

from analysis.answers import answer, on_behalf_of
from analysis.errors import PathscopeError
from analysis.labels import percent, shown_token
from analysis.requests import Experiment
from analysis.results import AlternativeName, DraftRequest, DraftResult
from pages.shared.keys import Key
from pages.shared.notes import escaped
from pages.shared.tokens import small_text, token_chips
from pages.shared.visitor import visitor

#: Of answer and foil: after which prompt it is looked for.
_AFTER = {Key.ANSWER: "clean", Key.FOIL: "corrupted"}
_GENERATORS: dict[AlternativeName, tuple[str, str]] = {
    "swapped_names": (
        "Swap names",
        "The clean prompt with its repeated name exchanged for the other one; it needs two names.",
    ),
    "another_example": (
        "Another example",
        "The clean prompt with other words of the same kind, and the foil that follows from them; it "
        "needs a word like the answer in the prompt.",
    ),
    "random_words": (
        "Random words",
        "The clean prompt with words drawn by lot where the prompts differ. The foil stays.",
    ),
}
#: Shares of probability below which no figure is told.
_LITTLE = 0.01


def refuse_what_is_known_to_fail() -> None:
    """Raise what this run's draft of the experiment has failed with: the page's own question would, too."""
    fault: PathscopeError | None = st.session_state.get(Key.FAULT)
    if fault is not None:
        raise type(fault)(str(fault), *fault.remedies)


def draft_panel(experiment: Experiment) -> None:
    """What the pair is and could be; nothing where the model cannot be opened, which the page says."""
    st.session_state[Key.FAULT] = None
    try:
        with st.spinner("Reading both prompts"), on_behalf_of(visitor()):
            draft = answer(DraftRequest(experiment)).result
    except PathscopeError as error:
        # Another one, without the frames in which this one came about.
        st.session_state[Key.FAULT] = type(error)(str(error), *error.remedies)
        return
    with st.container(key=Key.DRAFT, gap="small"):
        token_chips(draft)
        small_text(lengths(draft), *([what_is_patched(draft)] if draft.differences else []))
        for key in _AFTER:
            _answer(draft, key)
        _generators(draft)


def lengths(draft: DraftResult) -> str:
    """How many tokens both prompts have, where they differ, and what comes first."""
    clean, corrupted = len(draft.clean_tokens), len(draft.corrupted_tokens)
    if not clean or not corrupted:
        which = " and ".join(name for name, n in (("clean", clean), ("corrupted", corrupted)) if not n)
        return f"The {which} prompt cannot be run as it stands."
    first = "BOS, the beginning of sequence, is one" if draft.beginning else "this model puts no BOS first"
    if clean != corrupted:
        return (
            f"Clean has {clean} tokens, corrupted {corrupted} ({first}): each position needs a partner. What "
            "has none is marked."
        )
    places = draft.differences
    if not places:
        return f"Both have {clean} tokens ({first}), and they are the same."
    told = f"position{'s' * (len(places) > 1)} {', '.join(map(str, places[:8]))}"
    return f"Both have {clean} tokens ({first}). They differ at {told}{', …' * (len(places) > 8)}."


def what_is_patched(draft: DraftResult) -> str:
    """One sentence: what is put where, and what a positive effect means."""
    typed, first = draft.request.experiment, draft.differences[0]
    tokens = draft.clean_tokens[first], draft.corrupted_tokens[first], typed.answer, typed.foil
    ours, theirs, answered, foil = map(shown_token, tokens)
    return (
        f"What a part computes on the clean prompt ({ours} at {first}) is patched into the run on the "
        f"corrupted one ({theirs} there); a positive effect moves the model from {foil} towards {answered}."
    )


def _answer(draft: DraftResult, key: Key) -> None:
    """How answer or foil stands after its prompt, what to do about a space, and what the model predicts."""
    text: str = getattr(draft.request.experiment, key)
    small_text(standing(draft, key))
    if key in draft.better_with_a_space:
        st.button(
            escaped(f"Use {f' {text}'!r}"),
            key=f"{Key.SPACE}_{key}",
            on_click=_put,
            args=({key: f" {text}"},),
            icon=":material/space_bar:",
        )
    offered = dict(draft.clean_next if key == Key.ANSWER else draft.corrupted_next)
    if offered:
        widget = f"{Key.NEXT}_{key}"
        st.session_state[widget] = text if text in offered else None
        st.pills(
            f"{key.capitalize()}: next after the {_AFTER[key]} prompt",
            list(offered),
            format_func=lambda token: _next_label(token, offered[token]),
            key=widget,
            on_change=_take_next,
            args=(key,),
            help=f"The model's own most probable next tokens, with their probability where it is at least "
            f"1 %. A click takes one as the {key}.",
        )


def standing(draft: DraftResult, key: Key) -> str:
    """Whether answer or foil is one token with its space, and how probable it is after its prompt."""
    text: str = getattr(draft.request.experiment, key)
    n_tokens, place, probability = draft.answer if key == Key.ANSWER else draft.foil
    called = f"{key.capitalize()} {shown_token(text)}"
    if not text:
        return f"The {key} is empty."
    if n_tokens != 1:
        return f"{called} is {n_tokens} tokens and must be one."
    if place is None or probability is None:
        return f"{called} is one token."
    share = percent(probability, 1) if probability >= _LITTLE else f"below {percent(_LITTLE)}"
    stands = f"{called} is one token, number {place:,} after the {_AFTER[key]} prompt ({share})."
    if key in draft.better_with_a_space:
        stands += f" It stands without a space before it; {shown_token(f' {text}')} is more probable here."
    return stands


def _next_label(token: str, probability: float) -> str:
    shown = escaped(shown_token(token))
    return f"{shown} {percent(probability, 1)}" if probability >= _LITTLE else shown


def _generators(draft: DraftResult) -> None:
    """Buttons that fill in another corrupted prompt of the same length, and the foil that goes with it."""
    small_text("Another corrupted prompt of this length:")
    offered = {name: (corrupted, foil) for name, corrupted, foil in draft.alternatives}
    typed = draft.request.experiment
    with st.container(horizontal=True, gap="xsmall"):
        for name, (label, meaning) in _GENERATORS.items():
            corrupted, foil = offered.get(name, ("", ""))
            taken = (corrupted, foil) == (typed.corrupted, typed.foil)
            example = f" Here: {escaped(corrupted)}" if corrupted else ""
            st.button(
                label,
                key=f"{Key.GENERATE}_{name}",
                on_click=_put,
                args=({Key.CORRUPTED: corrupted, Key.FOIL: foil},),
                disabled=not corrupted or taken,
                help=f"{meaning}{example}",
            )


def _take_next(key: Key) -> None:
    chosen = st.session_state[f"{Key.NEXT}_{key}"]
    if chosen is not None:
        _put({key: chosen})


def _put(values: dict[Key, str]) -> None:
    """Fill in fields of the pair, all at once: one step of the browser's history."""
    for key, value in values.items():
        st.session_state[key] = value
