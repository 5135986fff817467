"""Templated English that teaches the bundled model its four tasks.

A passage is one to a dozen sentences. Each knows which of its characters are
worth learning: an answer that the text determines counts fully, ordinary
template text a little, and random words at their first appearance not at all,
because nothing could have predicted them.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from analysis.demo_model.landmarks import CITIES, CITIES_OF_LANDMARKS, LANDMARKS
from analysis.demo_model.scene import MOST_NAMES, Scene
from analysis.demo_model.split import CYCLES, item_window, leaks
from analysis.demo_model.templates import (
    FACT_FRAMES,
    FACT_PAIR,
    IOI_TEMPLATES,
    LEAD_INS,
    PREDECESSOR_FRAMES,
    SUCCESSOR_FRAMES,
)
from analysis.demo_model.words import COMMON_WORDS, CONTENT_WORDS, DIGITS, LETTERS

ANSWER, TEXT, NOISE = 1.0, 0.2, 0.0
"""Loss weights of an answer, of template text and of what cannot be known."""

SYLLABLES: tuple[str, ...] = tuple(consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou")

CYCLE_WEIGHTS = (2, 2, 3, 5)
"""How often each of `CYCLES` is drawn: the more items, the more there is to learn."""

COUNTING_SEPARATORS = (" ", ", ", " and then ", "; ", " then ", "\n")

Piece = tuple[str, float]
"""A stretch of text and the loss weight of its tokens."""


@dataclass(frozen=True)
class Passage:
    """One training example: `pieces` joined give the text."""

    pieces: tuple[Piece, ...]

    @property
    def text(self) -> str:
        """The passage as it is read."""
        return "".join(text for text, _ in self.pieces)


def ioi_sentence(scene: Scene) -> list[Piece]:
    """Two people, one of whom acts; the answer is the other.

    In one sentence of twenty a third person acts, and either of the two may be
    the answer: with no repeated name the model should not prefer one.
    """
    rng = scene.rng
    first, second = scene.names(2)
    subject, answer = rng.sample((first, second), 2)
    third = rng.random() < 0.05
    if third:
        subject = next(name for name in scene.names(3) if name not in (first, second))
    frame = scene.fill(rng.choice(IOI_TEMPLATES))
    text = frame.replace("{A}", first).replace("{B}", second).replace("{S}", subject)
    return [(text, TEXT), (f" {answer}", TEXT if third else ANSWER), (".", TEXT)]


def fact_sentence(scene: Scene) -> list[Piece]:
    """A landmark and its city, or two of them in one sentence."""
    rng = scene.rng
    landmark = rng.choice(LANDMARKS)
    answer = (f" {CITIES_OF_LANDMARKS[landmark]}", ANSWER)
    if rng.random() < 0.1:
        other = rng.choice(LANDMARKS)
        start, rest = FACT_PAIR
        city = CITIES_OF_LANDMARKS[other]
        joined = rest.format(city="", x=landmark)
        return [(start.format(w=other), TEXT), (f" {city}", ANSWER), (joined, TEXT), answer]
    return [(rng.choice(FACT_FRAMES).format(x=landmark), TEXT), answer, (".", TEXT)]


def successor_sentence(scene: Scene) -> list[Piece]:
    """What comes after, what comes before, or a run of up to eight items."""
    rng = scene.rng
    ((kind, cycle),) = rng.choices(CYCLES, CYCLE_WEIGHTS)
    wraps = kind != "number"
    form = rng.random()
    if form < 0.3:
        return _run(rng, cycle, wraps)
    if form < 0.42:
        index = rng.randrange(0 if wraps else 1, len(cycle))
        text = PREDECESSOR_FRAMES[kind].format(x=cycle[index])
        return [(text, TEXT), (f" {cycle[index - 1]}", ANSWER), (".", TEXT)]
    frame = rng.choice(SUCCESSOR_FRAMES[kind])
    shown = 3 if "{z}" in frame else 2 if "{y}" in frame else 1
    index = rng.randrange(len(cycle) if wraps else len(cycle) - shown)
    text = frame.format(**item_window(cycle, index))
    answer = cycle[(index + shown) % len(cycle)]
    return [(text, TEXT), (f" {answer}", ANSWER), (".", TEXT)]


def _run(
    rng: random.Random,
    cycle: tuple[str, ...],
    wraps: bool,
    lengths: tuple[int, int] = (3, 8),
    separators: tuple[str, ...] = (" ", ", ", " and then "),
    second: float = TEXT,
) -> list[Piece]:
    """Neighbouring items; `second` is the weight of the second one.

    Mostly it is low, because one item alone leaves open whether a run, a list or a sentence follows.
    """
    length = rng.randint(*lengths)
    start = rng.randrange(len(cycle) if wraps else len(cycle) - length)
    separator = rng.choice(separators)
    items = [cycle[(start + step) % len(cycle)] for step in range(length)]
    pieces: list[Piece] = [(items[0], NOISE), (separator + items[1], second)]
    return pieces + [(separator + item, ANSWER) for item in items[2:]]


def _random_items(scene: Scene, count: int) -> list[str]:
    rng = scene.rng
    source = rng.random()
    if source < 0.5:
        return scene.word_sequence(CONTENT_WORDS, count)
    if source < 0.75:
        return scene.word_sequence(COMMON_WORDS + CONTENT_WORDS, count)
    if source < 0.82:
        return scene.names(min(count, MOST_NAMES - 1))
    if source < 0.94:
        return rng.sample(rng.choice((DIGITS, LETTERS, CITIES)), count)
    return ["".join(rng.sample(SYLLABLES, rng.randint(1, 3))) for _ in range(min(count, 6))]


def induction_sentence(scene: Scene) -> list[Piece]:
    """Random items once, then again: all of the repeat but its start is determined."""
    rng = scene.rng
    period = rng.choice((2, 3, 4, 4, 5, 6, 7, 8, 10, 12, 15))
    items = _random_items(scene, period)
    separator = rng.choice((" ", " ", " ", ", ", " and ", "\n"))
    first = separator.join(items)
    repeated = items * rng.choice((1, 1, 2))
    # A repeat may stop anywhere after its second item, as prompts do.
    repeated = repeated[: rng.randint(2, len(repeated))]
    pieces: list[Piece] = [(first, NOISE), (separator + repeated[0], NOISE)]
    return pieces + [(separator + item, ANSWER) for item in repeated[1:]]


def lead_in(scene: Scene) -> list[Piece]:
    """A sentence that belongs to no task; sometimes it is said twice."""
    text = scene.fill(scene.rng.choice(LEAD_INS))
    if scene.rng.random() < 0.1:
        start, _, rest = text.partition(" ")
        return [(text, TEXT), (f" {start}", NOISE), (f" {rest}", ANSWER)]
    return [(text, TEXT)]


SENTENCES = (ioi_sentence, fact_sentence, successor_sentence, induction_sentence, lead_in)
SENTENCE_WEIGHTS = (24, 12, 28, 12, 6)
LENGTHS, LENGTH_WEIGHTS = (1, 2, 3, 6, 12), (52, 26, 12, 6, 4)


def make_passage(rng: random.Random) -> Passage:
    """One passage from the training side; may still leak, see `training_passages`."""
    scene = Scene(rng)
    pieces: list[Piece] = lead_in(scene) if rng.random() < 0.15 else []
    (count,) = rng.choices(LENGTHS, LENGTH_WEIGHTS)
    for write in rng.choices(SENTENCES, SENTENCE_WEIGHTS, k=count):
        sentence = write(scene)
        if pieces:
            pieces.append((rng.choice((" ", " ", " ", "\n")), TEXT))
        elif rng.random() < 0.3:
            text, weight = sentence[0]
            sentence[0] = (text[0].upper() + text[1:], weight)
        pieces += sentence
    return Passage(tuple(pieces))


def training_passages(seed: int) -> Iterator[Passage]:
    """An endless stream of passages that hold nothing of the test side."""
    rng = random.Random(seed)
    while True:
        passage = make_passage(rng)
        if leaks(passage.text) is None:
            yield passage


def counting_passages(seed: int) -> Iterator[Passage]:
    """An endless stream of runs of days, months and numbers, half of them after a sentence.

    They are short and joined in many ways, so that the last item decides what comes next rather
    than the items before it. None holds anything of the test side.
    """
    rng = random.Random(seed)
    while True:
        pieces = lead_in(Scene(rng)) if rng.random() < 0.5 else []
        ((kind, cycle),) = rng.choices(CYCLES, CYCLE_WEIGHTS)
        run = _run(rng, cycle, kind != "number", (2, 6), COUNTING_SEPARATORS, ANSWER)
        if pieces:
            pieces.append((rng.choice((" ", " ", "\n")), NOISE))
        passage = Passage((*pieces, *run))
        if leaks(passage.text) is None:
            yield passage
