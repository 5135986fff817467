"""The bundled model of two layers whose weights were set by hand, so that its circuit is known exactly.

It ships beside the trained one to show the textbook's induction circuit at work. Importing this package
costs nothing: it names the folder and loads neither torch nor the weights.
"""

from pathlib import Path

DIRECTORY: Path = Path(__file__).resolve().parent
"""A Hugging Face model folder: config, safetensors weights and tokenizer."""

NAME = "induction"
"""What the model is called in requests, links and the catalogue."""

#: (layer, head) of the head that notes the token before, of one that notes it where nobody reads it, and of
#: the head that looks for its own token among the notes.
PREVIOUS, DECOY, INDUCTION = (0, 2), (0, 1), (1, 3)

__all__ = [
    "DECOY",
    "DIRECTORY",
    "INDUCTION",
    "NAME",
    "PREVIOUS",
]
