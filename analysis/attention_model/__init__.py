"""The bundled model without MLPs: trained on the same lessons as the other, so that heads do all the work.

It ships because in it the textbook's heads appear, by training alone: a previous-token head, heads that
look at the second mention of the giver, and one head that moves names and continues what repeats. Importing
this package costs nothing: it names the folder and loads neither torch nor the weights.
"""

from pathlib import Path

DIRECTORY: Path = Path(__file__).resolve().parent
"""A Hugging Face model folder: config, safetensors weights and tokenizer."""

NAME = "attention"
"""What the model is called in requests, links and the catalogue."""

#: (layer, head) of the heads that were found in the trained weights, as `tests.attention_model` holds them:
#: the one that attends to the token before; those that attend to the giver's second mention, and turn the
#: mover's query away from it; the one that attends to the answer and writes it.
PREVIOUS, MOVER = (1, 2), (3, 4)
INHIBITING = ((1, 3), (2, 4), (2, 6))

__all__ = [
    "DIRECTORY",
    "INHIBITING",
    "MOVER",
    "NAME",
    "PREVIOUS",
]
