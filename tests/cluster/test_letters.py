"""What goes to a worker and comes back is what was sealed; a refusal is the error that was raised."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.cluster import opened, refusal, sealed
from analysis.errors import PathscopeError, PromptError, Remedy


def test_words_and_arrays_come_back_as_they_were():
    words = {"a": [1, 2.5, None, "ü"], "nan": float("inf"), "json": {"json": True}}
    arrays = {
        "number": np.array(7),
        "json": np.array([1.5, np.nan], dtype=np.float32),
        "0/edges": np.arange(12).reshape(3, 4)[:, ::2],
        "none": np.empty((0, 2), dtype=int),
        "yes": np.array([True, False]),
    }
    back, found = opened(sealed(words, arrays))
    assert back == words and set(found) == set(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype and found[name].shape == array.shape
        np.testing.assert_array_equal(found[name], array)


def test_a_refusal_is_raised_with_its_kind_and_remedies():
    remedy = Remedy("Remove the space", field="clean", value="a")
    with pytest.raises(PromptError, match="too long") as error:
        opened(refusal(PromptError("too long", remedy)))
    assert error.value.remedies == (remedy,)


def test_a_kind_of_error_that_is_not_known_is_a_plain_one():
    class OwnError(PathscopeError):
        pass

    with pytest.raises(PathscopeError, match="mine") as error:
        opened(refusal(OwnError("mine")))
    assert type(error.value) is PathscopeError


def test_what_is_no_letter_is_not_opened():
    with pytest.raises(Exception, match="eader"):
        opened(b"\x80\x04\x95 a pickle, say, of some length or other")
