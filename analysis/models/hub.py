"""Models of the Hugging Face Hub: in its cache on this machine, or fetched into it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import HfApi, constants, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from huggingface_hub.utils import validate_repo_id

from analysis.errors import ModelError

_NOT_WANTED = ("*/*", "consolidated*", "adapter_*")

#: Seconds to wait for the Hub's first answer before saying that there is no network.
_HUB_SECONDS = 5.0

_WAY_OUT = "Download it on a machine with network and give its local folder, or use the bundled model 'demo'."


def cached(name: str, wanted: Sequence[str]) -> Path:
    """The folder of `name` in the Hugging Face cache, with the files of the patterns `wanted`.

    Raises `ModelError` where there is none.
    """
    _check(name)
    try:
        return _snapshot(name, wanted, local_files_only=True)
    except LocalEntryNotFoundError as error:
        raise ModelError(f"{name!r} is not downloaded yet. {_WAY_OUT}") from error


def downloaded(name: str, wanted: Sequence[str]) -> Path:
    """The folder of `name`, its files `wanted` fetched into the Hugging Face cache. Raises `ModelError`."""
    _check(name)
    try:
        # Unlike snapshot_download, this can be told how long to wait.
        HfApi().model_info(name, timeout=_HUB_SECONDS)
        return _snapshot(name, wanted)
    except GatedRepoError as error:
        raise ModelError(
            f"{name!r} is gated: accept its licence on huggingface.co, then log in with `hf auth login`."
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"The Hugging Face Hub has no model {name!r}, or it is private. Check the spelling, "
            "log in with `hf auth login`, or use the bundled model 'demo'."
        ) from error
    except (HTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise ModelError(
            f"{name!r} is not on this machine and the Hugging Face Hub cannot be reached. {_WAY_OUT}"
        ) from error
    except OSError as error:
        raise ModelError(f"{name!r} could not be written to the Hugging Face cache: {error}.") from error


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
        raise ModelError(
            f"There is no folder {name!r}, and it is no Hugging Face id either (such as 'gpt2' or "
            "'EleutherAI/pythia-70m'). Check the path, or use the bundled model 'demo'."
        ) from error


def _snapshot(name: str, wanted: Sequence[str], *, local_files_only: bool = False) -> Path:
    return Path(
        snapshot_download(
            name,
            allow_patterns=list(wanted),
            ignore_patterns=list(_NOT_WANTED),
            local_files_only=local_files_only,
        )
    )
