"""What pages call: a result looked up in the store, or computed once and stored."""

from analysis.answers.lookup import Answer, answer, answer_together, remember, result_key, stored
from analysis.answers.visits import count_result, on_behalf_of

__all__ = [
    "Answer",
    "answer",
    "answer_together",
    "count_result",
    "on_behalf_of",
    "remember",
    "result_key",
    "stored",
]
