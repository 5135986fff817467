"""Models of the Hugging Face Hub: in its cache on this machine, or fetched into it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
from huggingface_hub.utils import validate_repo_id

from analysis.errors import ModelError
from analysis.models.fetching import NOT_WANTED
from analysis.models.reading import one_line
from analysis.settings import settings

#: Seconds that the Hub may be silent, those until it has said what the model consists of, and those between
#: two looks at whether to go on waiting.
_SILENT_SECONDS = 5
_LISTED_SECONDS = 30
_LOOK_SECONDS = 0.1

_ROOT = Path(__file__).resolve().parent.parent.parent

_WAY_OUT = "Download it on a machine with network and give its local folder, or use the bundled model 'demo'."


class NotCachedError(ModelError):
    """A model of the Hub is not on this machine."""


class NotReachedError(ModelError):
    """The Hub does not answer, or is not to be asked."""


class StoppedError(ModelError):
    """A download was stopped by whoever asked for it."""


class NoSuchModelError(ModelError):
    """A name is no id of the Hub, or the Hub has no model of that id."""


class _Fetching:
    """A download that goes on: how much there is to come, and whether it is to be stopped."""

    def __init__(self) -> None:
        self.total: int | None = None
        self.stopped = threading.Event()


_fetching: dict[str, _Fetching] = {}


def stop(name: str) -> None:
    """End the download of `name`, if there is one; whoever waits for it gets `StoppedError`."""
    if (fetching := _fetching.get(name)) is not None:
        fetching.stopped.set()


def bytes_so_far(name: str) -> tuple[int, int | None]:
    """How many bytes of `name` are in the cache, and how many are to be fetched, while it is downloaded."""
    fetching = _fetching.get(name)
    blobs = Path(constants.HF_HUB_CACHE) / f"models--{name.replace('/', '--')}" / "blobs"
    return sum(_size(file) for file in blobs.glob("*")), None if fetching is None else fetching.total


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # it has just got its own name
        return 0


def cached(name: str, wanted: Sequence[str]) -> Path:
    """The folder of `name` in the Hugging Face cache, with the files of the patterns `wanted`.

    Raises `NotCachedError` where there is none, `NoSuchModelError` where `name` is no id.
    """
    _check(name)
    try:
        folder = snapshot_download(
            name, allow_patterns=list(wanted), ignore_patterns=list(NOT_WANTED), local_files_only=True
        )
    except LocalEntryNotFoundError as error:
        raise NotCachedError(f"{name!r} is not downloaded yet. {_WAY_OUT}") from error
    return Path(folder)


def downloaded(name: str, wanted: Sequence[str]) -> Path:
    """The folder of `name`, its files `wanted` fetched into the Hugging Face cache.

    Their sizes are asked for first, and held against `settings().download_bytes` and the free disk. The login
    of this machine is sent only where `settings().hub_token` says so. Raises `NotReachedError` where the Hub
    does not answer, else `ModelError`.
    """
    _check(name)
    if constants.HF_HUB_OFFLINE:
        raise _not_reached(name)
    limits = settings()
    cache = str(constants.HF_HUB_CACHE)
    answer = _fetched(
        name,
        limits.download_seconds,
        name=name,
        wanted=list(wanted),
        cache=cache,
        most_bytes=limits.download_bytes,
        with_token=bool(limits.hub_token),
    )
    if "folder" in answer:
        return Path(answer["folder"])
    raise _refusal(name, answer["error"], answer["said"])


def _fetched(model: str, seconds: float, **arguments: Any) -> dict[str, Any]:
    """What the process that fetches answers; it is ended when it takes too long, or when this one ends."""
    environment = os.environ | {
        "HF_ENDPOINT": constants.ENDPOINT,
        "HF_HUB_DOWNLOAD_TIMEOUT": str(_SILENT_SECONDS),
        "HF_HUB_ETAG_TIMEOUT": str(_SILENT_SECONDS),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "analysis.models.fetching"],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.DEVNULL,
            cwd=_ROOT,
            env=environment,
        )
        with process:
            assert process.stdin is not None
            process.stdin.write(json.dumps(arguments).encode() + b"\n")
            process.stdin.flush()
            fetching = _fetching.setdefault(model, _Fetching())
            try:
                _wait(process, model, seconds, fetching, lambda: _listed(output.fileno()))
            finally:
                _fetching.pop(model, None)
        output.seek(0)
        lines = output.read().splitlines()
    answer: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    return answer if answer.keys() & {"folder", "error"} else {"error": [], "said": "the download broke off"}


def _listed(output: int) -> int | None:
    """How many bytes are to come, once the Hub has said so; `output` is what the process has written."""
    first, end, _ = os.pread(output, 1_000, 0).partition(b"\n")
    return json.loads(first).get("bytes", 0) if end else None


def _wait(
    process: subprocess.Popen[bytes],
    model: str,
    seconds: float,
    fetching: _Fetching,
    listed: Callable[[], int | None],
) -> None:
    """Return when `process` has ended; end it and raise `ModelError` if it takes too long or is stopped."""
    start = time.monotonic()
    while process.poll() is None:
        waited = time.monotonic() - start
        if not threading.main_thread().is_alive() or waited > seconds:
            process.kill()
            raise ModelError(
                f"{model!r} is not downloaded after {seconds:g} s, and the download was ended. Try again, "
                f"which goes on from there, or allow more time (PATHSCOPE_DOWNLOAD_SECONDS). {_WAY_OUT}"
            )
        if fetching.stopped.is_set():
            process.kill()
            raise StoppedError(
                f"The download of {model!r} was stopped. What has come is kept: it goes on from there."
            )
        if fetching.total is None:
            fetching.total = listed()
        if waited > _LISTED_SECONDS and fetching.total is None:
            process.kill()
            raise _not_reached(model)
        time.sleep(_LOOK_SECONDS)


def _refusal(name: str, kinds: list[str], said: str) -> ModelError:
    """What to say of an error of the Hub's client: the names of its class and of that one's bases."""
    kind = set(kinds)
    if "ModelError" in kind:
        return ModelError(said)
    login = (
        "log in with `hf auth login` and start Pathscope with PATHSCOPE_HUB_TOKEN=1, which sends that login"
    )
    if "GatedRepoError" in kind:
        return ModelError(f"{name!r} is gated: accept its licence on huggingface.co, then {login}.")
    if "RepositoryNotFoundError" in kind:
        return NoSuchModelError(
            f"The Hugging Face Hub has no model {name!r}, or it is private. Check the spelling, {login}, "
            "or use the bundled model 'demo'."
        )
    if kind & {"HTTPError", "LocalEntryNotFoundError", "OfflineModeIsEnabled"}:
        return _not_reached(name)
    return ModelError(f"{name!r} could not be downloaded: {one_line(said)}. {_WAY_OUT}")


def _not_reached(name: str) -> NotReachedError:
    return NotReachedError(
        f"{name!r} is not on this machine and the Hugging Face Hub cannot be reached. {_WAY_OUT}"
    )


def on_this_machine() -> tuple[str, ...]:
    """The ids of the models that the Hugging Face cache holds, in order."""
    cache = Path(constants.HF_HUB_CACHE)
    return tuple(
        sorted(
            {
                config.relative_to(cache).parts[0].removeprefix("models--").replace("--", "/", 1)
                for config in cache.glob("models--*/snapshots/*/config.json")
            }
        )
    )


def _check(name: str) -> None:
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise NoSuchModelError(
            f"There is no folder {name!r}, and it is no Hugging Face id either (such as 'gpt2' or "
            "'EleutherAI/pythia-70m'). Check the path, or use the bundled model 'demo'."
        ) from error
