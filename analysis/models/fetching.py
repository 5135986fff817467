"""Fetching from the Hugging Face Hub, in a process of its own: ``python -m analysis.models.fetching``.

A process can be ended, at any time and whatever it waits for. It reads one line of JSON, the arguments of
`fetch`; it writes a line when the Hub has answered, with the number of files and their bytes, and another at
the end, with the folder or what went wrong. It ends when whoever started it does.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.utils import filter_repo_objects

from analysis.errors import ModelError

#: Seconds to wait for the Hub's first answer before saying that there is no network.
_HUB_SECONDS = 5.0
#: Files of which a model may consist.
_MOST_FILES = 1_000

#: Not a model's own configuration, weights and tokenizer as transformers reads them.
NOT_WANTED = ("*/*", "consolidated*", "adapter_*")


def fetch(name: str, wanted: list[str], cache: str, most_bytes: int, with_token: bool) -> str:
    """The folder in `cache` with the files of `name` that `wanted` names, fetched if they are not there.

    Their sizes are asked for first. Raises `ModelError` where they exceed `most_bytes` or the free disk, and
    what the Hub's client raises.
    """
    token = None if with_token else False
    # Unlike snapshot_download, this can be told how long to wait, and does not try again.
    about = HfApi(token=token).model_info(name, files_metadata=True, timeout=_HUB_SECONDS)
    sizes = {file.rfilename: file.size or 0 for file in about.siblings or ()}
    files = list(filter_repo_objects(sizes, allow_patterns=wanted, ignore_patterns=list(NOT_WANTED)))
    print(json.dumps({"files": len(files), "bytes": sum(sizes[file] for file in files)}), flush=True)
    _check(name, [sizes[file] for file in files], Path(cache), most_bytes)
    if files:
        _write_no_file_larger_than(max(sizes[file] for file in files))
    return snapshot_download(
        name,
        allow_patterns=wanted,
        ignore_patterns=list(NOT_WANTED),
        cache_dir=cache,
        token=token,
        max_workers=4,
    )


def _check(name: str, sizes: list[int], cache: Path, most_bytes: int) -> None:
    total = sum(sizes)
    if len(sizes) > _MOST_FILES:
        raise ModelError(
            f"{name!r} consists of {len(sizes):,} files on the Hugging Face Hub, and at most {_MOST_FILES:,} "
            "are fetched. Choose another model."
        )
    if total > most_bytes:
        raise ModelError(
            f"{name!r} has {total:,} bytes on the Hugging Face Hub, and at most {most_bytes:,} are fetched. "
            "Choose a smaller model, or allow more (PATHSCOPE_DOWNLOAD_BYTES)."
        )
    place = next(place for place in (cache, *cache.parents) if place.exists())
    free = shutil.disk_usage(place).free
    if total > free:
        raise ModelError(
            f"{name!r} has {total:,} bytes on the Hugging Face Hub, and {free:,} are free where it would be "
            "stored. Make room, or choose another place (HF_HOME)."
        )


def _write_no_file_larger_than(size: int) -> None:
    """A size is what the other side says; the system holds it to that, where it can."""
    try:
        import resource
    except ImportError:  # Windows
        return
    most = size + 16 * 1024**2  # listings and locks are files too
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def _end_with_the_asker() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


def _answer(arguments: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"folder": fetch(**arguments)}
    except Exception as error:
        return {"error": [kind.__name__ for kind in type(error).__mro__], "said": str(error)}


if __name__ == "__main__":
    arguments = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_the_asker, daemon=True).start()
    print(json.dumps(_answer(arguments)), flush=True)
    os._exit(0)
