"""What a stored value depends on, so that its key in the store can be made from content alone.

A value computed from other weights, another request, another definition, another release of a
library or of Pathscope or another schema has another key, and is therefore never served in place of
the one asked for. Nothing here imports torch: a stored result can be found before any model is loaded.
"""

from __future__ import annotations

import importlib.metadata
from functools import cache
from typing import Any

from analysis.models import find
from analysis.release import __version__
from analysis.requests import Request, request_to_json
from analysis.store import SCHEMA_VERSION

#: The libraries whose release decides a number.
LIBRARIES = ("torch", "transformer_lens", "transformers")

#: The release of a library. A process keeps those that it began with, and each look-up reads files.
release_of = cache(importlib.metadata.version)

#: How `analysis.models` prepares weights: what TransformerLens's compatibility mode folds and centres.
PROCESSING = {
    "compatibility_mode": True,
    "fold_ln": True,
    "center_writing_weights": True,
    "center_unembed": True,
    "fold_value_biases": True,
    "refactor_factored_attn_matrices": False,
}


def versions() -> dict[str, str]:
    """Release of Pathscope and of every library in `LIBRARIES`, and Pathscope's schema version."""
    releases = {name: release_of(name) for name in LIBRARIES}
    return {"pathscope": __version__} | releases | {"pathscope schema": str(SCHEMA_VERSION)}


def model_content(name: str, *, download: bool = True) -> dict[str, Any]:
    """Weights fingerprint, dtype and processing flags of `name`. Raises `ModelError`.

    With ``download=False`` a model that is not on this machine raises instead of being fetched.
    """
    files = find(name, download=download)
    return {
        "fingerprint": files.fingerprint,
        "dtype": files.dtype,
        "processing": PROCESSING,
    }


def request_content(request: Request[Any], *, download: bool = True) -> dict[str, Any]:
    """Everything that the result of `request` depends on, as plain JSON values.

    The model's name is left out: two names of the same files share their results. The token ids
    follow from the texts and the tokenizer's files, which the fingerprint covers. Raises `ModelError`
    as `model_content` does.
    """
    fields = request_to_json(request)
    experiment = dict(fields.pop("experiment"))
    model = model_content(experiment.pop("model"), download=download)
    return {
        "request": fields,
        "definition": request.version,
        "experiment": experiment,
        "model": model,
        "versions": versions(),
    }
