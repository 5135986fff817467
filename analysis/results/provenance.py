"""What every result is made of: the request, its provenance, and its stored form.

Nothing here imports torch. Each result knows how to become arrays plus JSON (`parts`) and back
(`from_parts`); that is the only form in which the store and the exports see it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np

from analysis.labels import model_title
from analysis.requests import Request, request_to_json, with_tuples


@dataclass(frozen=True)
class Provenance:
    """Where a number came from: enough to recognise a stale or foreign one.

    `engine` is "replay" (the sweep's replay), "hooks" (the model's own forward pass under hooks) or
    "forward" (plain forward passes). `replay_gap` is the largest absolute difference between
    the replayed logits and the model's own on the corrupted prompt, None where no replay was made.
    `versions` maps libraries to releases, `created` is a time in UTC, `seconds` what the computation
    took, `precision` that of matrix products. `resolution` is the size, in the result's own unit,
    below which a difference is the rounding of `dtype` and no finding; None where a result has no
    effects. `notes` are sentences that whoever shows the numbers has to show with them.
    """

    model: str
    fingerprint: str
    versions: dict[str, str]
    device: str
    dtype: str
    engine: str
    created: str
    seconds: float
    replay_gap: float | None = None
    precision: str = "float32"
    resolution: float | None = None
    notes: tuple[str, ...] = ()

    def rows(self) -> dict[str, str]:
        """Label -> text, in reading order."""
        gap = "none made" if self.replay_gap is None else f"{self.replay_gap:.2e} logits"
        finest = self.resolution
        resolution = "no effects" if finest is None else f"{finest:.1e}: smaller is rounding"
        return {
            "model": self.model,
            "weights fingerprint": self.fingerprint,
            "engine": self.engine,
            "replay against the model": gap,
            "resolution": resolution,
            "device": f"{self.device}, {self.dtype}, {self.precision} products",
            "versions": ", ".join(f"{name} {version}" for name, version in self.versions.items()),
            "computed": f"{self.created}, in {self.seconds:.2f} s",
        }


@dataclass(frozen=True, eq=False)
class Result:
    """Base of all results: `request` asked for it, `provenance` tells how it came about."""

    request: Request[Any]
    provenance: Provenance

    #: Fields stored as arrays; all others are stored as JSON.
    arrays: ClassVar[tuple[str, ...]] = ()

    def origin(self) -> dict[str, str]:
        """Label -> text, for every export: where the numbers come from, and what was asked for as JSON.

        A folder that the model was read from is named by its own name alone: paths do not leave.
        """
        asked = request_to_json(self.request)
        asked["experiment"]["model"] = model_title(asked["experiment"]["model"])
        rows = self.provenance.rows() | {"model": model_title(self.provenance.model)}
        return rows | {"request": json.dumps(asked)}

    def parts(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """`(arrays by field name, JSON values by field name)`, the stored form.

        Without the request: whoever looks a result up knows what was asked for.
        """
        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in self.arrays}
        values: dict[str, Any] = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name not in {*self.arrays, "request", "provenance"}
        }
        values["provenance"] = asdict(self.provenance)
        return arrays, values

    def below_resolution(self, effect: np.ndarray) -> np.ndarray:
        """Where `effect`, in the result's own unit, is smaller than rounding can tell from zero.

        Nowhere in a result without a resolution.
        """
        return np.abs(effect) < (self.provenance.resolution or 0.0)

    @classmethod
    def from_parts(
        cls, request: Request[Any], arrays: Mapping[str, np.ndarray], values: Mapping[str, Any]
    ) -> Self:
        """The inverse of `parts`, as the answer to `request`."""
        plain = {name: with_tuples(value) for name, value in values.items() if name != "provenance"}
        return cls(
            request=request,
            provenance=Provenance(**with_tuples(values["provenance"])),
            **plain,
            **{name: arrays[name] for name in cls.arrays},
        )
