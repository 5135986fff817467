"""Training text holds nothing of the test side, and the check that says so can fail."""

import random
from itertools import islice

import pytest

from analysis.demo_model.corpus import Passage, counting_passages, make_passage, training_passages
from analysis.demo_model.examples import EXAMPLES, Example
from analysis.demo_model.held_out import (
    fact_prompts,
    induction_sequences,
    ioi_prompts,
    successor_prompts,
)
from analysis.demo_model.landmarks import CITIES_OF_LANDMARKS
from analysis.demo_model.repeats import make_row, repeated_rows, vocabulary, words_in_use
from analysis.demo_model.split import is_held_out_pair, leaks
from analysis.demo_model.words import CONTENT_WORDS, NAMES

HELD_OUT = {
    "ioi": [prompt.text for prompt in ioi_prompts(3, 200)],
    "facts": [prompt.text for prompt in fact_prompts(3)],
    "successors": [prompt.text for prompt in successor_prompts()],
    "induction": [" ".join(words) for words in induction_sequences(3, 100)],
}


@pytest.fixture(scope="module")
def passages() -> list[Passage]:
    """Every fourth passage of the beginning of the stream that trained the shipped model."""
    return list(islice(training_passages(0), 0, 28_000, 4))


def test_training_passages_do_not_leak(passages: list[Passage]) -> None:
    """No passage holds a held-out combination."""
    assert [leaks(passage.text) for passage in passages] == [None] * len(passages)


def test_counting_passages_do_not_leak() -> None:
    """Nor do the runs of the last lessons."""
    passages = islice(counting_passages(1), 4_000)
    assert [passage.text for passage in passages if leaks(passage.text)] == []


def test_repeated_rows_do_not_leak() -> None:
    """Nor does any row of repeated words, of few words or of all."""
    steps = islice(repeated_rows(0, [4] * 900, length=47), 0, 900, 10)
    assert [passage.text for rows in steps for passage in rows if leaks(passage.text)] == []


def test_a_repeated_row_is_known_from_where_it_repeats() -> None:
    """What has weight follows from what stands before: the word after the same word last time."""
    row = make_row(random.Random(3), vocabulary(0), 47)
    first, *rest = (text for text, _ in row.pieces)
    said = first.split()
    for word in rest:
        last = len(said) - 1
        earlier = max(place for place in range(last) if said[place] == said[last])
        assert f" {said[earlier + 1]}" == word
        said.append(word.strip())
    assert len(said) == 47


def test_the_vocabulary_grows_to_all_words() -> None:
    """Every word of the held-out sequences is among them in the end."""
    words = vocabulary(0)
    sizes = [words_in_use(step, len(words)) for step in range(1000)]
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1]) == (26, len(words))
    assert set(CONTENT_WORDS) <= set(words)


def test_no_held_out_prompt_is_part_of_a_training_passage(passages: list[Passage]) -> None:
    """The same, by plain search and without the rule that `leaks` goes by."""
    training = "\n".join(passage.text for passage in passages)
    found = [text for texts in HELD_OUT.values() for text in texts if text in training]
    assert found == []


@pytest.mark.parametrize("task", HELD_OUT)
def test_every_held_out_prompt_is_recognised(task: str) -> None:
    """The leak check fires on each prompt that is measured, so its silence means something."""
    assert [text for text in HELD_OUT[task] if leaks(text) is None] == []


def test_leak_check_fires_on_unguarded_passages() -> None:
    """Before the last guard the generators do leak: the guard is needed and works."""
    rng = random.Random(0)
    assert any(leaks(make_passage(rng).text) for _ in range(500))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("John was late. Mary was not.", "names John and Mary"),
        ("There is a drink in the store.", "place store and object drink"),
        ("the Eiffel Tower is in the city of Paris", "prompt 'the eiffel tower is in the city of'"),
        ("The Eiffel Tower can be seen.", None),
    ],
)
def test_leaks_says_what_it_found(text: str, found: str | None) -> None:
    """Its answer names the combination."""
    assert leaks(text) == found


def test_canonical_prompt_is_held_out() -> None:
    """The first prompt that everyone types was not trained on, whoever gives."""
    assert is_held_out_pair("Mary", "John")
    assert is_held_out_pair("John", "Mary")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_examples_are_held_out(example: Example) -> None:
    """Both prompts of every example are on the test side."""
    assert leaks(example.clean) is not None
    assert leaks(example.corrupted) is not None


def test_the_same_seed_gives_the_same_passages() -> None:
    """Training can be repeated."""
    first, again, other = (
        [passage.text for passage in islice(training_passages(seed), 50)] for seed in (4, 4, 5)
    )
    assert first == again
    assert first != other


def test_world_is_as_large_as_promised() -> None:
    """At least 50 names and 40 landmarks, none listed twice."""
    assert len(set(NAMES)) == len(NAMES) >= 50
    assert len(CITIES_OF_LANDMARKS) >= 40


def test_repeats_are_learned_and_first_sights_are_not(passages: list[Passage]) -> None:
    """Pieces of weight 0 exist and every passage still has something to learn."""
    weights = [{weight for _, weight in passage.pieces} for passage in passages]
    assert any(0.0 in seen for seen in weights)
    assert all(max(seen) > 0 for seen in weights)
