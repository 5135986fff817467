"""The memory that a model takes while it is loaded, told from its configuration alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformer_lens.utilities import get_device
from transformers import AutoConfig, AutoModelForCausalLM

from analysis.errors import ModelError
from analysis.memory import free_bytes
from analysis.settings import settings

#: Loading goes through this many copies of all weights: as read, as folded, and what passes between them.
#: Measured on GPT-2's and Llama's shapes: 2.2 to 3.3, where a shared embedding, which folding parts, counts
#: twice. Beside an accelerator only what is read lies in this memory.
COPIES = 3.5


def bytes_to_load(folder: Path, dtype: torch.dtype) -> int:
    """The most memory that loading the model of the configuration in `folder` takes.

    The model is laid out without its weights. Raises whatever transformers raises where it cannot be.
    """
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(config, dtype=dtype, trust_remote_code=False)
    parts = [*(part for _, part in model.named_parameters(remove_duplicate=False)), *model.buffers()]
    copies = COPIES if get_device() == "cpu" else 1
    return round(copies * sum(part.numel() * part.element_size() for part in parts))


def check_fits(needed: int, name: str) -> None:
    """Raise `ModelError` where there are no `needed` bytes of memory for model `name`."""
    free = free_bytes(settings().memory_bytes or None)
    if free is not None and needed > free:
        raise ModelError(
            f"{name!r} needs about {_gib(needed)} of memory while it is loaded, and {_gib(max(free, 0))} are "
            "free. Choose a smaller model, let fewer stay loaded (PATHSCOPE_MODELS), or allow more "
            "(PATHSCOPE_MEMORY_BYTES)."
        )


def _gib(size: int) -> str:
    return f"{size / 1024**3:,.1f} GiB"
