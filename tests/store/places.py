"""Directories that are full or cannot be written, for real."""

from __future__ import annotations

import errno
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_filesystem(place: Path, mebibytes: int) -> Iterator[Path]:
    """A tmpfs at `place`; the test is skipped where this user may not mount one."""
    place.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={mebibytes}m,mode=700", "tmpfs", str(place))
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@contextmanager
def read_only(place: Path) -> Iterator[None]:
    """Make a mounted file system read-only for a while, which binds root too."""
    _mount("-o", "remount,ro", str(place))
    try:
        yield
    finally:
        _mount("-o", "remount,rw", str(place))


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size` bytes; the system answers with an error."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def fill(file: Path) -> None:
    """Write `file` until its disk has no byte left."""
    with open(file, "wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(b"x" * 512)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


def _mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"needs the right to mount a tmpfs: {done.stderr.strip()}")
