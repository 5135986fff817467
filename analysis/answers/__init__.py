"""What pages call: a result looked up in the store, or computed once and stored."""

from analysis.answers.ahead import ahead
from analysis.answers.executors import executor, piece_keys
from analysis.answers.lookup import Answer, answer, answer_together, remember, result_key, stored
from analysis.answers.places import drawing
from analysis.answers.visits import count_result, on_behalf_of

__all__ = [
    "Answer",
    "ahead",
    "answer",
    "answer_together",
    "count_result",
    "drawing",
    "executor",
    "on_behalf_of",
    "piece_keys",
    "remember",
    "result_key",
    "stored",
]
