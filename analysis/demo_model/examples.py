"""Prompt pairs to begin with: at least one for every task the bundled model has learned.

Each pair aligns token by token. The clean prompt makes the model prefer the
answer, the corrupted one the foil, so that a patch has a difference to move.
Both prompts of every pair are held out from training.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Example:
    """A prompt pair with the two next tokens it is about.

    `answer` and `foil` begin with a space, as the tokens that follow the prompt do.
    """

    title: str
    explanation: str
    clean: str
    corrupted: str
    answer: str
    foil: str


EXAMPLES: tuple[Example, ...] = (
    Example(
        title="Who gets the drink?",
        explanation=(
            "Indirect object identification: John gives, so Mary receives. In the corrupted "
            "prompt Mary gives, and the same place in the sentence asks for John."
        ),
        clean="When Mary and John went to the store, John gave a drink to",
        corrupted="When Mary and John went to the store, Mary gave a drink to",
        answer=" Mary",
        foil=" John",
    ),
    Example(
        title="Who gets the ball? (the giver is named first)",
        explanation=(
            "The same task with the other order: the giver is the first of the two names, so "
            "no rule about positions can solve both."
        ),
        clean="Then, Alice and Tom went to the park. Alice gave a ball to",
        corrupted="Then, Alice and Tom went to the park. Tom gave a ball to",
        answer=" Tom",
        foil=" Alice",
    ),
    Example(
        title="Where is the Eiffel Tower?",
        explanation=(
            "Factual recall: two tokens name the landmark, and the city has to reach the last "
            "position. The two prompts differ in one word."
        ),
        clean="The Eiffel Tower is in the city of",
        corrupted="The Leaning Tower is in the city of",
        answer=" Paris",
        foil=" Pisa",
    ),
    Example(
        title="Four random words, again",
        explanation=(
            "Induction: the words mean nothing together, so the only way to know the next one "
            "is to look up what followed last time. The corrupted prompt had another word there."
        ),
        clean="river hammer ocean mirror river hammer ocean",
        corrupted="river hammer ocean piano river hammer ocean",
        answer=" mirror",
        foil=" piano",
    ),
    Example(
        title="Which word came after ocean?",
        explanation=(
            "Induction with the same words in both prompts; only what stood before hammer and ladder "
            "differs. Patched into the key, one head of layer 0, which notes an earlier word in every "
            "place, tells the heads that search for ocean."
        ),
        clean="mountain ocean hammer mirror ladder guitar ocean",
        corrupted="mountain mirror hammer ocean ladder guitar ocean",
        answer=" hammer",
        foil=" ladder",
    ),
    Example(
        title="The day after Monday",
        explanation="Successors: the weekday that comes next. Only the weekday differs.",
        clean="The day after Monday is",
        corrupted="The day after Saturday is",
        answer=" Tuesday",
        foil=" Sunday",
    ),
    Example(
        title="Counting on",
        explanation=(
            "Successors again, in a run of three number words: the next is one more than the "
            "last, wherever the run began."
        ),
        clean="The numbers go nine, ten, eleven,",
        corrupted="The numbers go twelve, thirteen, fourteen,",
        answer=" twelve",
        foil=" fifteen",
    ),
    Example(
        title="The months go on",
        explanation="Successors: a run of three months, continued.",
        clean="The months of the year go March, April, May,",
        corrupted="The months of the year go August, September, October,",
        answer=" June",
        foil=" November",
    ),
)
