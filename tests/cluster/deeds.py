"""What the tests have a worker do."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from analysis.cluster import no_longer_wanted, opened, sealed
from analysis.errors import Cancelled


def tallied(letter: bytes) -> bytes:
    """Note in a file that it was called, and bring the number back once it may."""
    words, _ = opened(letter)
    with Path(words["tally"]).open("a") as tally:
        tally.write(f"{words['number']}\n")
    gone = no_longer_wanted()
    while not Path(words["gate"]).exists():
        if gone():
            with Path(words["tally"]).open("a") as tally:
                tally.write("stopped\n")
            raise Cancelled("stopped")
        time.sleep(0.01)
    return sealed({"number": words["number"], "word": os.environ.get("A_WORD")})


def a_word(letter: bytes) -> bytes:
    """What the worker was started with."""
    return sealed({"word": os.environ["A_WORD"]})


def fits(letter: bytes) -> bytes:
    return sealed({})


def no_plain_data(letter: bytes) -> Any:
    return {"a": Path("needs a pickle")}


def about_itself(letter: bytes) -> bytes:
    import torch

    from analysis.models import catalogue

    return sealed(
        {
            "threads": torch.get_num_threads(),
            "memory": os.environ.get("PATHSCOPE_MEMORY_BYTES"),
            "loaded": [*catalogue._loaded],
            "store": Path(os.environ["PATHSCOPE_STORE_DIR"]).exists(),
        }
    )
