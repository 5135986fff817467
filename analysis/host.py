"""Serving strangers: ``python -m analysis.host prepare``, and ``check`` in its place.

`check` tells the policy in plain words and whether this machine fits it, `prepare` fetches and fingerprints
the models that the policy names.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from analysis.errors import ModelError, PathscopeError
from analysis.memory import free_bytes
from analysis.models import BUNDLED, fetched, find
from analysis.policy import policy
from analysis.settings import settings

#: Memory that the app takes with the trained bundled model: 678 MB were measured after all pages.
LEAST_MEMORY = 700_000_000


def begin_serving() -> None:
    """Cut this process off from the Hub. Raises `PathscopeError` where a model is not ready."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    from huggingface_hub import constants

    constants.HF_HUB_OFFLINE = True
    if faults := tuple(unready()):
        raise PathscopeError(" ".join(faults))


def unready() -> Iterator[str]:
    """A sentence for each model of the policy that is not whole here; the others are fingerprinted.

    What is fingerprinted once is quick the second time.
    """
    for name in (*BUNDLED, *(policy().models or ())):
        try:
            _ = find(name, download=False).fingerprint
        except ModelError as error:
            yield f"The model {name!r} is not ready: {error} Run `python -m analysis.host prepare`."


def prepare() -> int:
    """Fetch and fingerprint what the policy names; the exit status."""
    for name in policy().models or ():
        try:
            print(f"{name}: {fetched(name).fingerprint}")
        except ModelError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


def check() -> int:
    """Tell the policy, and what of this machine does not fit it; the exit status."""
    print(*policy().sentences(), sep="\n")
    if not policy().hosted:
        print("Set PATHSCOPE_HOSTED=1 to serve strangers.")
        return 0
    faults = [*unready(), *_lacks()]
    print(*(faults or ["This machine fits it."]), sep="\n")
    if not policy().header:
        print("No header is trusted (PATHSCOPE_TRUSTED_HEADER): behind a proxy all visitors are one address.")
    return 1 if faults else 0


def _lacks() -> Iterator[str]:
    """What memory and disk there is not."""
    limits = settings()
    free = free_bytes(limits.memory_bytes or None)
    if free is not None and free < LEAST_MEMORY:
        yield f"{free / 1e6:,.0f} MB of memory are free, and the app takes {LEAST_MEMORY / 1e6:,.0f} MB."
    place = _first_that_exists(limits.store_directory)
    if not os.access(place, os.W_OK):
        yield (
            f"Nothing can be stored in {limits.store_directory}: every result is computed anew. Set "
            "PATHSCOPE_STORE_DIR to a place that can be written."
        )
    elif (left := shutil.disk_usage(place).free) < limits.store_bytes:
        yield (
            f"The store may hold {limits.store_bytes / 1e6:,.0f} MB (PATHSCOPE_STORE_BYTES), and "
            f"{left / 1e6:,.0f} MB of its disk are free."
        )


def _first_that_exists(path: Path) -> Path:
    return next(place for place in (path, *path.absolute().parents) if place.exists())


def main(arguments: list[str]) -> int:
    """Do what the one argument names; 2 where it names nothing."""
    commands = {"check": check, "prepare": prepare}
    if len(arguments) != 1 or arguments[0] not in commands:
        print(f"Usage: python -m analysis.host {'|'.join(commands)}", file=sys.stderr)
        return 2
    try:
        return commands[arguments[0]]()
    except PathscopeError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
