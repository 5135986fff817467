"""The memoized entry points that pages call: looked up, or computed once."""

from analysis.answers.lookup import Answer, answer, remember, result_key, stored

__all__ = [
    "Answer",
    "answer",
    "remember",
    "result_key",
    "stored",
]
