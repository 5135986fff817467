"""What may be asked: the words of every question, and what a kind of question is.

A request is frozen, hashable and made of plain values. It names everything that its result depends
on apart from the content of the model's files, the version of the result's definition and the releases
of the libraries, which `analysis.experiment` adds when it makes the key. The kinds that there are stand
in `analysis.results`, each beside its result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Generic, Literal, TypeVar, get_args, get_origin

#: By which of its inputs the destination head of a path reads the patch. Arguments and addresses name it
#: by TransformerLens's word, `component`, which is also a unit of attribution.
HeadInput = Literal["q", "k", "v"]
#: Whether the LayerNorm before the patched input keeps the corrupted run's scale, or is recomputed. Only
#: this is called exact: an effect that is no estimate is called measured.
LayerNormMode = Literal["frozen", "exact"]
MetricName = Literal["logit_difference", "answer_log_probability", "answer_probability", "kl_from_clean"]
#: Which prompt of the pair was run.
RunName = Literal["clean", "corrupted"]
#: Into what parts attribution splits a logit; "component" are embeddings, attention and MLP outputs.
Unit = Literal["component", "layer", "head"]

HEAD_INPUTS: tuple[HeadInput, ...] = ("q", "k", "v")
LAYER_NORM_MODES: tuple[LayerNormMode, ...] = ("frozen", "exact")
METRIC_NAMES: tuple[MetricName, ...] = (
    "logit_difference",
    "answer_log_probability",
    "answer_probability",
    "kl_from_clean",
)
METRIC_UNITS: dict[str, str] = {
    "logit_difference": "logits",
    "answer_log_probability": "nats",
    "answer_probability": "probability",
    "kl_from_clean": "nats",
}
UNITS: tuple[Unit, ...] = ("component", "layer", "head")
RUN_NAMES: tuple[RunName, ...] = ("clean", "corrupted")

R = TypeVar("R", covariant=True)


@dataclass(frozen=True)
class Experiment:
    """A model, a pair of prompts of equal token length, and the two answers told apart.

    `model` is a catalogue name, a Hugging Face id or a local directory. `answer` is what the
    clean prompt should bring, `foil` what the corrupted one should; each is one token.
    """

    model: str
    clean: str
    corrupted: str
    answer: str
    foil: str


@dataclass(frozen=True)
class Request(Generic[R]):
    """A question about an experiment that an `R` answers; each subclass is one kind of question.

    A kind is declared by its class alone: the fields that tell one question from another, the result
    in brackets, and the class attributes below. Names of functions are ``module:name``, resolved only
    when there is something to compute. Declaring a second kind of the same name raises `TypeError`.
    """

    experiment: Experiment

    #: The function ``(request, origin) -> R`` that computes the result from an `Origin`, which holds
    #: the model and both runs.
    computed_by: ClassVar[str]
    #: The function ``(requests, origins) -> list[R]`` that computes it for several pairs at once, of one
    #: length in tokens and on one model, in questions that differ in their experiments alone; empty if there
    #: is none.
    computed_together: ClassVar[str] = ""
    #: The version of the result's definition, raised when that changes: it stands in every key.
    version: ClassVar[int]
    #: Functions ``(bridge) -> set[str]`` that name the activations which it reads of the runs.
    reads: ClassVar[tuple[str, ...]] = ()
    #: Whether it is also answered for prompts that make no pair; `computed_by` then takes a `DraftOrigin`.
    of_a_draft: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if isinstance(cls.result_type(), type):
            known = _kinds.setdefault(cls.__name__, cls)
            if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
                raise TypeError(
                    f"{known.__module__} and {cls.__module__} both declare a {cls.__name__}, and would take "
                    "each other's stored results for their own. Rename one of them."
                )
            _kinds[cls.__name__] = cls

    @classmethod
    def result_type(cls) -> type[R]:
        """The `R` that stands in brackets where the kind is declared."""
        (result,) = (
            get_args(base)[0]
            for base in getattr(cls, "__orig_bases__", ())
            if issubclass(get_origin(base) or object, Request)
        )
        return result

    def found_in(self) -> tuple[FoundIn[R], ...]:
        """Other questions whose answers hold this one's, each with the function that takes it out.

        The function gives None where that answer does not hold it after all.
        """
        return ()

    def measured_paths(self, n_layers: int, n_heads: int, n_tokens: int) -> int:
        """How many paths have to be measured for an answer, in a model and with prompts of that size.

        0 where no choice of a person decides it.
        """
        return 0


@dataclass(frozen=True)
class LongRequest(Request[R]):
    """A question whose work takes long, and is therefore cut into pieces that are kept.

    `computed_by` makes an `analysis.results.LongWork` of request and origin instead of the result.
    """

    #: What the work is called in sentences.
    called: ClassVar[str] = "computation"
    #: Whether each piece goes on from those before it, and the work may be done before the last.
    in_sequence: ClassVar[bool] = False


FoundIn = tuple[Request[Any], Callable[[Any], R | None]]

_kinds: dict[str, type[Request[Any]]] = {}


def kinds() -> tuple[type[Request[Any]], ...]:
    """Every kind of question that has been declared by the modules imported so far."""
    return tuple(_kinds.values())


def request_to_json(request: Request[Any]) -> dict[str, Any]:
    """`request` as plain JSON values, its kind under ``"kind"``."""
    return {"kind": type(request).__name__, **asdict(request)}


def request_from_json(fields: dict[str, Any]) -> Request[Any]:
    """The inverse of `request_to_json`; raises `KeyError` or `TypeError` on foreign input."""
    fields = {name: with_tuples(value) for name, value in fields.items()}
    kind = _kinds[fields.pop("kind")]
    return kind(**fields | {"experiment": Experiment(**fields["experiment"])})


def with_tuples(value: Any) -> Any:
    """`value` in which the lists that JSON made of tuples are tuples again.

    >>> with_tuples({"edges": [[0, 1], [2, 3]]})
    {'edges': ((0, 1), (2, 3))}
    """
    if isinstance(value, dict):
        return {name: with_tuples(item) for name, item in value.items()}
    return tuple(with_tuples(item) for item in value) if isinstance(value, list) else value
