"""The bundled model: a small GPT-2 that has learned four tasks worth looking into.

It ships with the project so that every page has something to show without a
download. Importing this package costs nothing: it names the folder and loads
neither torch nor the weights.
"""

from pathlib import Path

DIRECTORY: Path = Path(__file__).resolve().parent
"""A Hugging Face model folder: config, safetensors weights and tokenizer."""

NAME = "demo"
"""What the model is called in requests, links and the catalogue."""

__all__ = [
    "DIRECTORY",
    "NAME",
]
