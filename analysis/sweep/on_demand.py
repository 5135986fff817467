"""Logits that are computed when they are read, so that any callable costs no more than what it reads.

A callable gets a tensor without values. Views of it (select, slice, transpose, ...) stay without; any other
operation gets the values of the part that it reads, and gives an ordinary tensor. Every call is watched, not
a first one alone: a callable that decides by what it reads, by chance or by what it remembers gets whatever
it asks for. Whoever would write into the logits, or read them past PyTorch's operations (NumPy, a pointer),
is refused: `value_on_demand` then has no value, and the callable must be given whole logits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map_only

from analysis.errors import MetricError
from analysis.metrics import PatchingMetric, checked_scalar
from analysis.sweep.places import FEW, Places, flat_places, places_of, touched_positions

#: Logits [batch read token] of positions in ascending order, of some tokens or (None) of all.
Read = Callable[[tuple[int, ...], tuple[int, ...] | None], Tensor]

_aten = torch.ops.aten
#: Operations that move what they read and do nothing else: what they leave out need not be computed.
_SELECTING = frozenset({_aten.index.Tensor, _aten.gather.default, _aten.index_select.default})

#: What reads or replaces memory without an operation that could be watched.
_PAST_OPERATIONS = frozenset(
    {
        *(Tensor.numpy, Tensor.tolist, Tensor.__array__, Tensor.__dlpack__, Tensor.__deepcopy__),
        *(Tensor.__reduce_ex__, Tensor.__setstate__, Tensor.storage, Tensor.untyped_storage),
        *(Tensor.data_ptr, Tensor.share_memory_, Tensor.__repr__),
        *(Tensor.data.__set__, Tensor._cdata.__get__),  # type: ignore[attr-defined]
    }
)


def value_on_demand(
    metric: PatchingMetric, read: Read, like: Tensor, shape: tuple[int, int, int]
) -> float | None:
    """``metric(logits)`` with logits of `shape` that `read` gives; None where only whole logits can tell.

    Also None where the metric raises or returns no finite number: asked with whole logits, it does so again
    in its own words. `like` has the logits' precision and device.
    """
    logits = _Logits(read, shape, like.dtype, like.device)
    _, n_positions, d_vocab = shape
    try:
        whole = OnDemand(logits, torch.Size(shape), (n_positions * d_vocab, d_vocab, 1), 0)
        value = checked_scalar(metric, whole)
    except Exception:
        return None
    # A callable may have caught an error, and gone another way than it would have.
    return None if logits.refused else value


@dataclass(eq=False)
class _Logits:
    """What all views of the logits of one call share."""

    read: Read
    shape: tuple[int, int, int]
    dtype: torch.dtype
    device: torch.device
    refused: bool = False

    def __post_init__(self) -> None:
        #: Memory that nobody touches, so that the system never provides it: views are tried out on it.
        self.whole = torch.empty(self.shape, dtype=self.dtype, device="cpu")

    def at(self, places: Places) -> Tensor:
        """The logits at these places."""
        block = self.read(places.positions, places.tokens)
        return block[places.prompt_of, places.position_of, places.token_of]

    def over(self, size: torch.Size, stride: tuple[int, ...], offset: int) -> Tensor:
        """A view of the whole of which only the positions that the view touches have values."""
        positions = touched_positions(size, stride, offset, self.shape)
        whole = torch.empty(self.shape, dtype=self.dtype, device=self.device)
        whole[:, list(positions)] = self.read(positions, None)
        return whole.as_strided(size, stride, offset)


class OnDemand(Tensor):
    """A view of logits [batch pos d_vocab] that has no values of its own."""

    _logits: _Logits

    @staticmethod
    def __new__(cls, logits: _Logits, size: torch.Size, stride: tuple[int, ...], offset: int) -> OnDemand:
        """The part of `logits` with this geometry, as `Tensor.as_strided` has it."""
        view = Tensor._make_wrapper_subclass(
            cls, size, strides=stride, storage_offset=offset, dtype=logits.dtype, device=logits.device
        )
        # Code outside Python that asks for the memory gets an error instead of a null pointer.
        torch._C._set_throw_on_mutable_data_ptr(view)
        view._logits = logits
        return view

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Let every function through to its operations, but those that would pass them by."""
        kwargs = kwargs or {}
        with torch._C.DisableTorchFunctionSubclass(), _refused_on_error(args, kwargs):
            if func in _PAST_OPERATIONS:
                args, kwargs = tree_map_only(OnDemand, OnDemand.refused, (args, kwargs))
            return func(*args, **kwargs)

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Follow views, and give any other operation the values of what it reads."""
        kwargs = kwargs or {}
        with _refused_on_error(args, kwargs):
            if func._schema.is_mutable:
                _require_unwritten(func, args, kwargs)
            elif any(result.alias_info is not None for result in func._schema.returns):
                return _viewed(func, args, kwargs)
            if func in _SELECTING and isinstance(args[0], OnDemand) and args[0].ndim:
                selected = args[0].selected(lambda places: func(places, *args[1:], **kwargs))
                if selected is not None:
                    return selected
            args, kwargs = tree_map_only(OnDemand, OnDemand.values_read, (args, kwargs))
            return func(*args, **kwargs)

    @property
    def geometry(self) -> tuple[torch.Size, tuple[int, ...], int]:
        """Sizes, strides and offset in the contiguous whole."""
        return self.size(), self.stride(), int(self.storage_offset())

    def selected(self, select: Callable[[Tensor], Tensor]) -> Tensor | None:
        """The logits that `select` picks from this view, None where they are many."""
        flat = flat_places(*self.geometry, self._logits.device, select)
        return None if flat is None else self._logits.at(Places.of(flat, self._logits.shape))

    def values_read(self) -> Tensor:
        """This part as an ordinary tensor."""
        if self.numel() <= FEW:
            return self._logits.at(places_of(*self.geometry, self._logits.device, self._logits.shape))
        return self._logits.over(*self.geometry)

    def refused(self) -> Tensor:
        """`values_read`, of which the call must make nothing: a copy does not hear of what is written."""
        self._logits.refused = True
        return self.values_read()


@contextmanager
def _refused_on_error(args: Any, kwargs: Any) -> Iterator[None]:
    """What fails here might not with whole logits, and the callable may catch the error."""
    try:
        yield
    except Exception:
        for leaf in tree_flatten((args, kwargs))[0]:
            if isinstance(leaf, OnDemand):
                leaf._logits.refused = True
        raise


def _require_unwritten(func: Any, args: Any, kwargs: Any) -> None:
    """Raise `MetricError` if logits are among what an operation writes into."""
    names = [argument.name for argument in func._schema.arguments]
    given = dict(zip(names, args, strict=False)) | kwargs
    for argument in func._schema.arguments:
        if argument.alias_info is not None and argument.alias_info.is_write:
            leaves, _ = tree_flatten(given.get(argument.name))
            if any(isinstance(leaf, OnDemand) for leaf in leaves):
                raise MetricError(f"{func} writes into logits that a sweep has kept. Write into a clone.")


def _viewed(func: Any, args: Any, kwargs: Any) -> Any:
    """The views that `func` makes of a view, by what it does to a tensor of the same geometry."""
    logits, (size, stride, offset) = args[0]._logits, args[0].geometry

    def view(shape: Tensor) -> OnDemand:
        if shape.dtype != logits.dtype:
            raise MetricError(
                f"{func} reads logits that a sweep has kept as {shape.dtype}. Clone them first."
            )
        return OnDemand(logits, shape.size(), shape.stride(), int(shape.storage_offset()))

    shapes = func(logits.whole.as_strided(size, stride, offset), *args[1:], **kwargs)
    return tree_map_only(Tensor, view, shapes)
