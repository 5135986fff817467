"""A model that comes from the Hub first: how far it has come, and a way to stop it."""

from __future__ import annotations

import streamlit as st

from analysis.models import Download, download_of, forget_download, size
from pages.shared.cards import error_card
from pages.shared.keys import Key
from pages.shared.notes import escaped

#: Seconds in which a name that is wrong, or a Hub that is not reached, is mostly known.
_AT_ONCE = 1.5


def download_to_wait_for(model: str) -> Download | None:
    """The download of `model` that has to end first, begun if need be; None where there is none to show.

    What fails at once is said where the model is needed, like any other fault of it.
    """
    download = download_of(model)
    if download is None:
        return None
    if download.wait(_AT_ONCE) and not download.shown:
        forget_download(model)
        return None
    return download


def download_panel(download: Download) -> None:
    """Show how far it is, or what it failed by; ends the page's run."""
    download.shown = True
    if download.error is None:
        st.fragment(_follow, run_every=0.5)(download)
        st.stop()
    error_card(str(download.error), download.error.remedies)
    st.button(
        "Fetch it again",
        key=Key.FETCH,
        icon=":material/download:",
        on_click=forget_download,
        args=(download.name,),
        help="Goes on with what has come already.",
    )
    st.stop()


def _follow(download: Download) -> None:
    """Bar and stop; the whole page anew at the end."""
    if download.wait(0):
        if download.error is None:
            forget_download(download.name)
        st.rerun()
    done, total = download.bytes_so_far()
    came = "" if total is None else f": {size(done / 1e6)} of {size(total / 1e6)}"
    words = f"{download.name} comes from the Hugging Face Hub{came}. It is fetched once."
    st.progress(min(1.0, done / total) if total else 0.0, text=escaped(words))
    st.button(
        "Stop",
        key=Key.STOP_FETCHING,
        icon=":material/stop:",
        on_click=download.stop,
        help="What has come is kept, and a next download goes on from there.",
    )
