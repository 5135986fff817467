"""Prompt pairs for the model set by hand: one each for key, value and query, and two to ask both models."""

from analysis.demo_model.examples import EXAMPLES as OF_THE_TRAINED_MODEL
from analysis.demo_model.examples import Example

EXAMPLES: tuple[Example, ...] = (
    Example(
        title="A B C ... A B C: which letter stood after C?",
        explanation=(
            "Induction by the key. C and E change places, so that in the corrupted prompt F stands after C. "
            "L0H2 notes in every place the letter before; L1H3 finds the note that says C, and copies the "
            "letter that stands there."
        ),
        clean="A B C D E F A B C",
        corrupted="A B E D C F A B C",
        answer=" D",
        foil=" F",
    ),
    Example(
        title="The same place holds another letter",
        explanation=(
            "Induction by the value: X stands where D stood. L1H3 looks at the same place as before and "
            "reads another letter there, straight from the embedding."
        ),
        clean="A B C D E F A B C",
        corrupted="A B C X E F A B C",
        answer=" D",
        foil=" X",
    ),
    Example(
        title="Asked for another letter",
        explanation=(
            "Induction by the query: the row is the same, and the last letter asks for what stood after E. "
            "It comes straight from the embedding, too."
        ),
        clean="A B C D E F A B C",
        corrupted="A B C D E F A B E",
        answer=" D",
        foil=" F",
    ),
    *(example for example in OF_THE_TRAINED_MODEL if example.explanation.startswith("Induction")),
)
