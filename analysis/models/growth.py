"""How much longer a tokenizer makes a text before it cuts it into tokens.

Rules that replace one letter by two, thirty of them in a row, make a billion letters of one.
"""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Any

from analysis.errors import ModelError
from analysis.models.reading import parsed_json

#: How many times as long a text may become; Unicode's own longest normal form is 18 times its letter.
MOST_GROWTH = 1_000

#: Under which names a sequence of steps holds them.
_SEQUENCES = ("normalizers", "pretokenizers", "decoders")
_UNICODE = {"NFC": 3, "NFD": 4, "NFKC": 18, "NFKD": 18}
#: Every byte of a letter becomes one.
_BYTES_OF_A_LETTER = 4


def check_growth(tokenizer: Path, name: str) -> None:
    """Raise `ModelError` where a step of the tokenizer.json of model `name` makes texts far longer."""
    fields = parsed_json(tokenizer, name)
    before = _growth(fields.get("normalizer")) * _growth(fields.get("pre_tokenizer"))
    growth = max(before, _growth(fields.get("decoder")))
    if growth > MOST_GROWTH:
        raise ModelError(
            f"tokenizer.json of {name!r} may make a text {growth:,.3g} times as long, and at most "
            f"{MOST_GROWTH:,} times are let through. Save the tokenizer that the model was trained with."
        )


def _growth(step: Any) -> float:
    """How many letters a letter may become in `step`; what is no step is the tokenizer's own business."""
    if not isinstance(step, dict):
        return 1.0
    growth = 1.0
    for sequence in _SEQUENCES:
        for inner in step[sequence] if isinstance(step.get(sequence), list) else ():
            growth *= _growth(inner)
    kind = step.get("type")
    if kind == "Replace":
        growth *= _replacement(step)
    elif kind == "ByteLevel":
        growth *= _BYTES_OF_A_LETTER
    elif kind == "Precompiled":
        growth *= _longest_in(step.get("precompiled_charsmap"))
    elif isinstance(kind, str):
        growth *= _UNICODE.get(kind, 1)
    # Beyond any bound it matters no more, and a product of many may have no number.
    return min(growth, 1e100)


def _replacement(step: dict[str, Any]) -> float:
    content, pattern = step.get("content"), step.get("pattern")
    length = len(content) if isinstance(content, str) else 0
    if isinstance(pattern, dict) and isinstance(pattern.get("String"), str) and pattern["String"]:
        return max(1.0, length / len(pattern["String"]))
    return 1.0 + length  # a pattern may match between any two letters


def _longest_in(charsmap: Any) -> float:
    """The longest text that SentencePiece's table puts in the place of a letter, in bytes.

    The table is a trie, after its size in four bytes, and then the texts, each ended by a zero.
    """
    if not isinstance(charsmap, str):
        return 1.0
    try:
        table = base64.b64decode(charsmap)
    except (binascii.Error, ValueError):
        return 1.0
    texts = table[4 + int.from_bytes(table[:4], "little") :]
    return max(1.0, *(float(len(text)) for text in texts.split(b"\0")))
