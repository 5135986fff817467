"""A position is one that the prompt has."""

from __future__ import annotations

import pytest

from analysis.errors import PathscopeError
from tests.chart_samples import TOKENS, attribution


@pytest.mark.parametrize("position", range(-len(TOKENS), len(TOKENS)))
def test_positions_count_from_either_end(position):
    table = attribution().table(position)
    assert set(table["token"]) == {TOKENS[position]}
    assert list(table["attribution"]) == list(attribution().attribution[:, position])


@pytest.mark.parametrize("position", [99, len(TOKENS), -len(TOKENS) - 1])
def test_others_are_refused_with_the_range(position):
    with pytest.raises(
        PathscopeError, match=rf"no position {position}: the prompt has 4 tokens\. .* from -4 to 3\."
    ):
        attribution().table(position)
