"""The sizes that a configuration asks for, looked at before anything is built from them.

A library believes them: a billion layers are a list of a billion names before the first weight is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from analysis.errors import ModelError
from analysis.models.reading import clipped

#: Sizes without which there is no model.
_AT_LEAST_ONE = set(
    "d_model hidden_size n_embd n_head n_layer n_layers num_attention_heads num_heads num_hidden_layers "
    "num_layers vocab_size".split()
)
#: Sizes that are zero where a model has no such part.
_AT_LEAST_NONE = set(
    "ffn_dim head_dim intermediate_size max_position_embeddings n_ctx n_inner n_positions num_experts "
    "num_key_value_heads num_local_experts rotary_dim".split()
)

#: Layers that a model may have; the deepest published has some 130. Each is built from some ten modules.
MOST_LAYERS = 1_000
#: Anything else of which a model has several: heads, experts, labels, kinds of layers.
MOST_PARTS = 10_000

_LAYERS = re.compile(r"layers?$")
_PARTS = re.compile(r"layer|heads?(_|$)|expert|label|attention_types")
#: ... but not how wide such a part is, or which.
_NO_NUMBER_OF_PARTS = re.compile(r"size|dim|_ids?$")


def check_sizes(config: dict[str, Any], n_tensors: int, name: str) -> None:
    """Raise `ModelError` where `config` of model `name` asks for no model, or for more parts than any has.

    `n_tensors` are in its weights; a layer has at least one.
    """
    for key, value in _integers(config):
        least = 1 if key in _AT_LEAST_ONE else 0
        if value < least and key in _AT_LEAST_ONE | _AT_LEAST_NONE:
            raise ModelError(
                f"config.json of {name!r} says {key} = {clipped(value)}, and it is at least {least}. "
                "Mend it, or download the model again."
            )
        most = _most(key)
        if most is not None and value > most:
            raise ModelError(
                f"config.json of {name!r} asks for {key} = {clipped(value)}, and at most {most:,} are built. "
                "Mend it, or choose another model."
            )
    for key, value in config.items():
        if key in _AT_LEAST_ONE and _LAYERS.search(key) and isinstance(value, int) and value > n_tensors:
            raise ModelError(
                f"config.json of {name!r} asks for {value:,} layers, and its weights are {n_tensors:,} "
                "tensors. They belong to different models; download or save it again."
            )


def _most(key: str) -> int | None:
    if _LAYERS.search(key):
        return MOST_LAYERS
    return MOST_PARTS if _PARTS.search(key) and not _NO_NUMBER_OF_PARTS.search(key) else None


def _integers(value: Any, key: str = "") -> Iterator[tuple[str, int]]:
    """Every integer within `value`, with the name of the field that it stands in."""
    if isinstance(value, dict):
        for inner, part in value.items():
            yield from _integers(part, inner)
    elif isinstance(value, list):
        for part in value:
            yield from _integers(part, key)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield key, value
