"""The results of this visit, and of earlier ones in this browser: a click opens one without computing."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo, available_timezones

import streamlit as st

from analysis.answers import stored
from analysis.kept import LONGEST_NAME, MOST_ENTRIES, Entry, pinned, renamed, without
from analysis.labels import counted, model_title, printable
from analysis.models import offered
from pages.shared.browser_name import DAYS, browser_name
from pages.shared.history import change, history
from pages.shared.keys import Key
from pages.shared.navigation import leaf_of
from pages.shared.theme import current_theme
from pages.shared.tokens import small_text

#: Entries that are drawn until more are asked for.
_FIRST = 12
#: Characters of a prompt.
_LONGEST = 90


def card(entry: Entry) -> None:
    """One result: its picture, what was found, and what can be done with it."""
    with st.container(border=True, key=f"{Key.HISTORY}_{entry.number}"):
        picture, words, deeds = st.columns([2, 9, 4], gap="medium", vertical_alignment="center")
        with picture:
            draw(entry)
        with words, st.container(gap="small"):
            open_link(entry)
            st.text(f"{entry.name}: {entry.sentence}" if entry.name else entry.sentence)
            small_text(subject(entry), when(entry))
        with deeds:
            buttons(entry)


def draw(entry: Entry) -> None:
    """The small picture, where there is one."""
    from analysis.charts import thumbnail_png

    if entry.picture is not None:
        st.image(thumbnail_png(entry.picture, current_theme()), alt=f"Pattern: {entry.sentence}")


def when(entry: Entry) -> str:
    """When it was looked at last, and whether it can be shown without computing."""
    asked = entry.requests
    is_there = bool(asked) and all(stored(request) is not None for request in asked)
    zone = st.context.timezone
    there = ZoneInfo(zone) if zone in available_timezones() else None
    seen = datetime.fromtimestamp(entry.seen, there).strftime("%Y-%m-%d %H:%M")
    return seen if is_there else f"{seen}. It is no longer in the store: opening it computes it anew."


def subject(entry: Entry) -> str:
    """Of which model and prompt, as far as the address says."""
    model = model_title(entry.words.get(Key.MODEL, offered()[0]))
    clean = entry.words.get(Key.CLEAN)
    return f"{model}: {'the first ready example' if clean is None else repr(printable(clean, _LONGEST))}"


def open_link(entry: Entry) -> None:
    """The way back, under the page's title."""
    leaf = leaf_of(entry.page)
    if leaf is not None:
        st.page_link(leaf.file, label=leaf.title, icon=leaf.icon, query_params=dict(entry.words))


def buttons(entry: Entry) -> None:
    """Pin, rename, delete."""
    with st.container(horizontal=True, gap="xsmall"):
        held = not entry.pinned
        st.button(
            "Pin" if held else "Unpin",
            key=f"{Key.HISTORY}_pin_{entry.number}",
            icon=":material/keep:" if held else ":material/keep_off:",
            on_click=change,
            args=(pinned(entry.number, held),),
            help="What is pinned stands first, and stays when the history is full.",
        )
        with st.popover("Name", icon=":material/edit:", key=f"{Key.HISTORY}_rename_{entry.number}"):
            rename(entry)
        st.button(
            "Delete",
            key=f"{Key.HISTORY}_delete_{entry.number}",
            icon=":material/delete:",
            on_click=change,
            args=(without(entry.number),),
        )


def rename(entry: Entry) -> None:
    """A name that stands before the sentence."""
    key = f"{Key.HISTORY}_name_{entry.number}"

    def take() -> None:
        change(renamed(entry.number, st.session_state[key]))

    with st.form(f"{Key.HISTORY}_form_{entry.number}", border=False):
        st.text_input("Name", entry.name, key=key, max_chars=LONGEST_NAME)
        st.form_submit_button("Call it that", on_click=take)


def section(title: str, entries: list[Entry]) -> None:
    """Entries under a heading, where there are any."""
    if entries:
        st.header(title)
        for entry in entries:
            card(entry)


st.title("History")
kept = (
    f"for {DAYS} days after its last visit, by a random name in a cookie"
    if browser_name() is not None
    else "until it is closed or loaded anew: this browser keeps no cookies"
)
st.caption(
    f"What was looked at in this browser: at most {MOST_ENTRIES} results, kept {kept}. The numbers come "
    "from the store; opening one computes nothing while it is there."
)
found = history()
if not found:
    st.text("Nothing has been looked at yet. Open any page: what it finds stands here then.")
    st.stop()
shown = found if st.session_state.get(Key.HISTORY_ALL) else found[:_FIRST]
began = st.session_state[Key.VISIT]
section("Pinned", [entry for entry in found if entry.pinned])
section("This visit", [entry for entry in shown if not entry.pinned and entry.seen >= began])
section("Earlier in this browser", [entry for entry in shown if not entry.pinned and entry.seen < began])
with st.container(horizontal=True):
    if len(shown) < len(found):
        st.button(
            f"Show all {counted(len(found), 'result')}",
            key=f"{Key.HISTORY_ALL}_button",
            on_click=lambda: st.session_state.update({Key.HISTORY_ALL: True}),
        )
    with st.popover("Delete all", icon=":material/delete_sweep:"):
        st.text(f"{counted(len(found), 'result')} will be gone from here. The store keeps its numbers.")
        st.button("Delete them", key=f"{Key.HISTORY}_clear", on_click=change, args=(without(None),))
