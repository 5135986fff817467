"""What a page may ask for: frozen, hashable requests made of plain values.

A request names everything that its result depends on apart from the model's weights and the
library versions, which `analysis.answers` adds when it makes the key.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Component = Literal["q", "k", "v"]
LayerNormMode = Literal["frozen", "exact"]
MetricName = Literal["logit_difference", "answer_log_probability", "answer_probability", "kl_from_clean"]
Run = Literal["clean", "corrupted"]
Unit = Literal["component", "layer", "head"]

COMPONENTS: tuple[Component, ...] = ("q", "k", "v")
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
RUNS: tuple[Run, ...] = ("clean", "corrupted")


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
class OverviewRequest:
    """Tokens, predictions and the metric of both runs."""

    experiment: Experiment


@dataclass(frozen=True)
class AttributionRequest:
    """Direct logit attribution of one run, for every position at once."""

    experiment: Experiment
    unit: Unit = "component"
    run: Run = "clean"


@dataclass(frozen=True)
class PathRequest:
    """Direct path patching from one source head to every later head."""

    experiment: Experiment
    source_layer: int
    source_head: int
    component: Component = "q"
    layer_norm: LayerNormMode = "frozen"
    metric: MetricName = "logit_difference"


@dataclass(frozen=True)
class AllSourcesRequest:
    """Direct path patching from every source head to every later head."""

    experiment: Experiment
    component: Component = "q"
    layer_norm: LayerNormMode = "frozen"
    metric: MetricName = "logit_difference"


@dataclass(frozen=True)
class SanityRequest:
    """The identities and parity checks, measured on one experiment."""

    experiment: Experiment


Request = OverviewRequest | AttributionRequest | PathRequest | AllSourcesRequest | SanityRequest

_REQUESTS: dict[str, type[Request]] = {
    kind.__name__: kind
    for kind in (OverviewRequest, AttributionRequest, PathRequest, AllSourcesRequest, SanityRequest)
}


def request_to_json(request: Request) -> dict[str, Any]:
    """`request` as plain JSON values, its kind under ``"kind"``.

    >>> pair = Experiment("demo", "a b", "a c", " x", " y")
    >>> request_from_json(request_to_json(OverviewRequest(pair))) == OverviewRequest(pair)
    True
    """
    return {"kind": type(request).__name__, **asdict(request)}


def request_from_json(fields: dict[str, Any]) -> Request:
    """The inverse of `request_to_json`; raises `KeyError` or `TypeError` on foreign input."""
    fields = dict(fields)
    kind = _REQUESTS[fields.pop("kind")]
    return kind(**fields | {"experiment": Experiment(**fields["experiment"])})
