"""What pages call: a result looked up in the store, or computed once and stored."""

from analysis.answers.lookup import Answer, answer, remember, result_key, stored

__all__ = [
    "Answer",
    "answer",
    "remember",
    "result_key",
    "stored",
]
