"""The words that the model set by hand tells apart: each is one token, with and without its space."""

from analysis.demo_model.words import LETTERS

#: Among them are those of the trained model's examples of induction, which both models can be asked.
WORDS = (
    *("river", "hammer", "ocean", "mirror", "piano", "mountain", "ladder", "guitar", "bottle", "button"),
    *("candle", "carpet", "clock", "cloud", "coin", "desert", "door", "dress", "drum", "engine", "flower"),
    *("glass", "island", "lamp", "moon", "paper", "pencil", "queen", "rain", "silver", "song", "stone"),
    *("table", "tree", "water", "window"),
)
KNOWN_WORDS = (*LETTERS, *WORDS)
