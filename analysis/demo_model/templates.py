"""The sentence frames of the four tasks.

Slots: ``{A}`` and ``{B}`` are two people in either order and ``{S}`` is the one
of them who acts; ``{gave}`` and ``{a}`` vary verb and article; ``{x}`` is a
landmark, or the item whose neighbour is asked for; ``{y}`` and ``{z}`` are the
two items after ``{x}``. Every frame ends where its one-token answer begins.
"""

IOI_TEMPLATES: tuple[str, ...] = (
    "When {A} and {B} went to the {place}, {S} {gave} {a} {object} to",
    "When {A} and {B} got {a} {object} at the {place}, {S} decided to give it to",
    "After {A} and {B} went to the {place}, {S} {gave} {a} {object} to",
    "While {A} and {B} were working at the {place}, {S} {gave} {a} {object} to",
    "Then, {A} and {B} went to the {place}. {S} {gave} {a} {object} to",
    "Then, {A} and {B} had a long argument at the {place}, and afterwards {S} said to",
    "{A} and {B} went to the {place}. {S} {gave} {a} {object} to",
    "{A} met {B} at the {place}. Later, {S} {gave} {a} {object} to",
    "Yesterday {A} and {B} were at the {place}, and {S} decided to give {a} {object} to",
    "Friends {A} and {B} found {a} {object} at the {place}. {S} wanted to give it to",
    "The {place} was quiet when {A} and {B} arrived, and {S} {gave} {a} {object} to",
    "{A} saw {B} at the {place}, so {S} {gave} {a} {object} to",
    "At the {place}, {A} sat down next to {B}, and then {S} {gave} {a} {object} to",
)
GIVING: tuple[str, ...] = tuple("gave handed passed sent offered brought showed lent threw sold".split())
ARTICLES: tuple[str, ...] = (
    "a",
    "the",
    "a",
    "the",
    "a {adjective}",
    "the {adjective}",
    "a {noun} and a",
)

FACT_FRAMES: tuple[str, ...] = (
    "The {x} is in the city of",
    "The {x} is located in the city of",
    "The {x} is in",
    "The {x} is located in",
    "The {x} can be found in",
    "The famous {x} stands in the city of",
    "You can visit the {x} in",
    "If you want to see the {x}, you should travel to",
    "The city where people go to see the {x} is",
    "Last year we took a picture of the {x} in",
    "Question: Where is the {x}? Answer:",
    "To see the {x}, take a train to",
)
FACT_PAIR = ("The {w} is in", "{city}, and the {x} is in")
"""Two facts in one sentence; the second may not be answered by copying the first city."""

SHARED_AFTER: tuple[str, ...] = (
    "After {x} comes",
    "{x} is followed by",
    "{x} {y} {z}",
    "{x}, {y}, {z},",
    "First {x}, then {y}, then",
)
SUCCESSOR_FRAMES: dict[str, tuple[str, ...]] = {
    "day": (
        *SHARED_AFTER,
        "The day after {x} is",
        "If today is {x}, then tomorrow is",
        "Today is {x}, so tomorrow will be",
        "The days of the week go {x}, {y}, {z},",
    ),
    "month": (
        *SHARED_AFTER,
        "The month after {x} is",
        "If this month is {x}, then next month is",
        "It is {x} now, and next month will be",
        "The months of the year go {x}, {y}, {z},",
    ),
    "number": (
        *SHARED_AFTER,
        "The number after {x} is",
        "If you add one to {x}, you get",
        "One more than {x} is",
        "The numbers go {x}, {y}, {z},",
    ),
}
PREDECESSOR_FRAMES: dict[str, str] = {kind: f"The {kind} before {{x}} is" for kind in SUCCESSOR_FRAMES}

LEAD_INS: tuple[str, ...] = (
    "It was a {adjective} day.",
    "The {animal} slept near the {noun}.",
    "This is a {adjective} story.",
    "There was a {noun} in the {adjective} house.",
    "Everyone was happy.",
    "The weather was {adjective} in the morning.",
    "Once upon a time there was a {adjective} {animal}.",
    "I think that the {noun} is {adjective}.",
    "She put the {noun} on the table and looked out of the window.",
    "They were late again.",
    "{name} was very busy.",
    "{name} likes the {adjective} {noun}.",
    "{name} has been to {city} many times.",
    "It was {day}, and the {animal} was {adjective}.",
    "In {month}, the {noun} was {adjective}.",
    "We bought {number} {adjective} things.",
)
