"""Limits and locations, each with an environment variable that overrides it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from platformdirs import user_cache_dir


def _integer(name: str, default: int) -> int:
    return int(os.environ.get(name, default))


def _of_the_store(what: str) -> str | None:
    """A variable of the store, also by the name that it had in releases before 1.2; empty counts as unset."""
    return os.environ.get(f"PATHSCOPE_STORE_{what}") or os.environ.get(f"PATHSCOPE_CACHE_{what}") or None


@dataclass(frozen=True)
class Settings:
    """Read from the environment when it is made; every size is in bytes, every time in seconds.

    Raises `ValueError` where a variable that should hold a number does not.
    """

    #: Where the store lies, and how much it may hold.
    store_directory: Path = field(
        default_factory=lambda: Path(_of_the_store("DIR") or user_cache_dir("pathscope"))
    )
    store_bytes: int = field(default_factory=lambda: int(_of_the_store("BYTES") or 4 * 1024**3))
    #: A value above this share of `store_bytes` is shown but not stored.
    largest_entry_share: float = 0.25
    #: Memory that one sweep may use beyond the model.
    sweep_bytes: int = field(default_factory=lambda: _integer("PATHSCOPE_SWEEP_BYTES", 1024**3))
    #: How many models stay loaded; the least recently used leaves.
    models_loaded: int = field(default_factory=lambda: _integer("PATHSCOPE_MODELS", 2))
    #: Memory that the process may hold when it loads a model; 0: as much as the machine has free.
    memory_bytes: int = field(default_factory=lambda: _integer("PATHSCOPE_MEMORY_BYTES", 0))
    #: Seconds after which a model that is still being loaded is no longer waited for.
    load_seconds: float = field(default_factory=lambda: float(os.environ.get("PATHSCOPE_LOAD_SECONDS", 600)))
    #: How large a model may be that is fetched from the Hugging Face Hub, how long that may take, and whether
    #: (1) or not (0) the login of this machine is sent there.
    download_bytes: int = field(default_factory=lambda: _integer("PATHSCOPE_DOWNLOAD_BYTES", 16 * 1024**3))
    download_seconds: float = field(
        default_factory=lambda: float(os.environ.get("PATHSCOPE_DOWNLOAD_SECONDS", 3600))
    )
    hub_token: int = field(default_factory=lambda: _integer("PATHSCOPE_HUB_TOKEN", 0))
    #: Background sweeps at once, and how many may wait.
    workers: int = field(default_factory=lambda: _integer("PATHSCOPE_WORKERS", 1))
    queue_length: int = field(default_factory=lambda: _integer("PATHSCOPE_QUEUE", 16))
    #: Seconds a sweep goes on after its last watcher left; negative: it always finishes.
    grace_seconds: float = field(default_factory=lambda: float(os.environ.get("PATHSCOPE_GRACE", -1)))
    #: How far a replayed logit may be off, as a share of the spread of its row's ordinary logits.
    replay_tolerance: float = 1e-4


def settings() -> Settings:
    """The settings in force, read from the environment at each call."""
    return Settings()
