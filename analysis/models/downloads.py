"""Models that are fetched from the Hub in the background: begun, watched, and stopped.

One download a model, whoever asks for it and however many look at it.
"""

from __future__ import annotations

import threading

from analysis.errors import ModelError
from analysis.models import files
from analysis.policy import policy


class Download:
    """The download of one model, in a thread that ends with it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.error: ModelError | None = None
        #: Whether somebody has been shown it: then its end is told there.
        self.shown = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"download of {name}", daemon=True)

    def begin(self) -> None:
        """Start to fetch."""
        self._thread.start()

    def _run(self) -> None:
        try:
            files.find(self.name)
        except ModelError as error:
            self.error = error
        finally:
            self._ended.set()

    def wait(self, seconds: float) -> bool:
        """Whether it has ended, after at most `seconds`."""
        return self._ended.wait(seconds)

    def stop(self) -> None:
        """End it; what has come stays, and a next download goes on from there."""
        from analysis.models import hub

        hub.stop(self.name)

    def bytes_so_far(self) -> tuple[int, int | None]:
        """How many bytes are here, and how many the Hub has; None until it has said so."""
        from analysis.models import hub

        return hub.bytes_so_far(self.name)


_downloads: dict[str, Download] = {}
_lock = threading.Lock()


def download_of(name: str) -> Download | None:
    """The download of the model `name`, begun if need be; None where nothing is to be fetched.

    That is where the model is on this machine, where it is no id of the Hub, and where the policy names the
    models: no visitor has anything fetched. One that has failed stays so until `forget_download`.
    """
    name = name.strip()
    if policy().models is not None or not _missing(name):
        forget_download(name)
        return None
    with _lock:
        download = _downloads.get(name)
        if download is None:
            download = _downloads[name] = Download(name)
            download.begin()
    return download


def forget_download(name: str) -> None:
    """Let the next question for the model `name` begin a download anew."""
    with _lock:
        _downloads.pop(name.strip(), None)


def _missing(name: str) -> bool:
    if not files.is_from_hub(name):
        return False
    from analysis.models.hub import NotCachedError

    try:
        files.find(name, download=False)
    except NotCachedError:
        return True
    except ModelError:  # which the page will say
        return False
    return False
