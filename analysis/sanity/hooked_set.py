"""A set of edges patched by hooks on the model itself: small, and nothing of the engine in it.

One forward pass of one batch. Its first row is the run that is patched, its second the run whose writes
edges carry; both are computed side by side, so that what a writer lacks to the other run is read off as it
is now (replace semantics). The other rows are for readers. A reader's row gets the stream of the first
row, and what the reader's patched writers lack, just before the norm that the reader reads through; the
model then makes of it what it makes of any stream, and of that row only what is the reader's own is kept:

- q, k or v of a head goes into a row of that head, so that heads that share a key each keep their own, and
  the head's z in that row goes into the first row;
- an MLP's output goes into the first row;
- the logits read the first row with what their writers lack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from analysis.nodes import INPUTS, Graph
from analysis.requests import HEAD_INPUTS

Hook = tuple[str, Callable[..., Tensor | None]]
_PATCHED, _OTHER, _FREE = 0, 1, 2


def can_be_hooked(model: Any) -> bool:
    """Whether `model` has everything that a `HookedSet` reads of it."""
    last = model.cfg.n_layers - 1
    needed = {f"blocks.{last}.{name}" for name in ("ln1.hook_in", *map("attn.hook_{}".format, "qkvz"))}
    post_normed = any(hasattr(block, "ln1_post") for block in model.blocks)
    # Only of an RMSNorm a part's share is the part times what the norm makes of the whole, over the whole.
    shares = not post_normed or str(model.cfg.normalization_type).startswith("RMS")
    return shares and {*needed, "blocks.0.hook_resid_pre", "ln_final.hook_in"} <= model.hook_dict.keys()


class HookedSet:
    """The set of edges `chosen`, to be patched into a run of `model`, of which `graph` is the graph.

    `n_rows` is how many rows the forward pass has.
    """

    def __init__(self, model: Any, graph: Graph, chosen: Bool[np.ndarray, "writer reader"]) -> None:
        self._model, self._graph, self._chosen = model, graph, chosen
        self._row_of_reader: dict[int, int] = {}
        self._row_of_head: dict[tuple[int, int], int] = {}
        self.n_rows = _FREE
        for layer in range(graph.n_layers):
            readers = self._readers(layer, *HEAD_INPUTS, "mlp")
            heads = sorted({self._head(reader) for reader in self._readers(layer, *HEAD_INPUTS)})
            self._row_of_reader |= {reader: _FREE + at for at, reader in enumerate(readers)}
            first = _FREE + len(readers)
            self._row_of_head |= {(layer, head): first + at for at, head in enumerate(heads)}
            self.n_rows = max(self.n_rows, first + len(heads))
        self._lacks: dict[int, Float[Tensor, "pos d_model"]] = {}

    @torch.no_grad()
    def logits(
        self, tokens: Int[Tensor, "1 pos"], other_tokens: Int[Tensor, "1 pos"]
    ) -> Float[Tensor, "1 pos d_vocab"]:
        """Logits of the run on `tokens` in which the edges of the set carry the run on `other_tokens`."""
        self._lacks.clear()
        rows = torch.cat([tokens, other_tokens, *[tokens] * (self.n_rows - _FREE)])
        found: Tensor = self._model.run_with_hooks(rows, fwd_hooks=list(self._hooks()))
        return found[:1]

    def _hooks(self) -> Iterator[Hook]:
        yield "blocks.0.hook_resid_pre", lambda resid, hook: self._note(0, self._by_row(resid))
        for layer, block in enumerate(self._model.blocks):
            yield from self._hooks_of_attention(layer, block)
            if self._graph.has_mlps:
                yield from self._hooks_of_mlp(layer, block)
        yield "ln_final.hook_in", self._read_by_logits

    def _hooks_of_attention(self, layer: int, block: Any) -> Iterator[Hook]:
        at = f"blocks.{layer}"
        shared = () if hasattr(block, "ln2") else ("mlp",)
        yield f"{at}.ln1.hook_in", self._reading(layer, *HEAD_INPUTS, *shared)
        for component in HEAD_INPUTS:
            yield f"{at}.attn.hook_{component}", self._projected(layer, component)
        output: list[Tensor] = []
        yield f"{at}.attn.hook_z", self._attended(layer, output)
        if hasattr(block, "ln1_post"):
            whole: list[Tensor] = []
            yield f"{at}.ln1_post.hook_in", lambda value, hook: whole.append(value)
            yield (
                f"{at}.ln1_post.hook_out",
                lambda value, hook: self._heads(layer, output[0], value / whole[0]),
            )
        else:
            yield (
                f"{at}.attn.hook_out",
                lambda value, hook: self._heads(layer, output[0], torch.ones_like(value)),
            )

    def _hooks_of_mlp(self, layer: int, block: Any) -> Iterator[Hook]:
        at, writer = f"blocks.{layer}", self._graph.first_writer(layer) + self._graph.n_heads
        if hasattr(block, "ln2"):
            yield f"{at}.ln2.hook_in", self._reading(layer, "mlp")
        yield f"{at}.mlp.hook_out", self._mlp_gave(layer)
        last = "ln2_post" if hasattr(block, "ln2_post") else "mlp"
        yield (
            f"{at}.{last}.hook_out",
            lambda output, hook: self._note(writer, _scale(block) * self._by_row(output)),
        )

    def _by_row(self, value: Tensor) -> Float[Tensor, "row pos d_model"]:
        # OPT hands its norms and MLPs all positions of all prompts in one row.
        return value.reshape(self.n_rows, -1, value.shape[-1])

    def _note(self, writer: int, written: Float[Tensor, "row pos d_model"]) -> None:
        """Keep what a writer lacks to the other run, if any reader wants to know."""
        if self._chosen[writer].any():
            self._lacks[writer] = written[_OTHER] - written[_PATCHED]

    def _heads(
        self, layer: int, output: Float[Tensor, "2 head pos d_model"], share: Float[Tensor, "row pos d_model"]
    ) -> None:
        """Note what each head writes: its output, times what a norm makes of the whole layer's (Gemma 2)."""
        written = _scale(self._model.blocks[layer]) * output * share[:_FREE, None]
        for head in range(self._graph.n_heads):
            self._note(self._graph.first_writer(layer) + head, written[:, head])

    def _lacking(self, reader: int) -> Float[Tensor, "pos d_model"]:
        writers = np.nonzero(self._chosen[:, reader])[0].tolist()
        return torch.stack([self._lacks[writer] for writer in writers]).sum(0)

    def _reading(self, layer: int, *inputs: str) -> Callable[..., Tensor | None]:
        readers = self._readers(layer, *inputs)

        def read(stream: Tensor, hook: Any) -> Tensor | None:
            if not readers:
                return None
            rows = self._by_row(stream).clone()
            rows[_FREE:] = rows[_PATCHED]
            for reader in readers:
                rows[self._row_of_reader[reader]] += self._lacking(reader)
            return rows.view(stream.shape)

        return read

    def _projected(self, layer: int, component: str) -> Callable[..., Tensor | None]:
        readers = self._readers(layer, component)

        def take(value: Float[Tensor, "row pos head d_head"], hook: Any) -> Tensor | None:
            value = value.clone()
            for reader in readers:
                head = self._head(reader)
                # Query heads share keys and values in groups of consecutive heads.
                own = head * value.shape[2] // self._graph.n_heads
                value[self._row_of_head[layer, head], :, own] = value[self._row_of_reader[reader], :, own]
            return value

        return take

    def _attended(self, layer: int, output: list[Tensor]) -> Callable[..., Tensor]:
        block = self._model.blocks[layer]

        def attend(z: Float[Tensor, "row pos head d_head"], hook: Any) -> Tensor:
            z = z.clone()
            for (at, head), row in self._row_of_head.items():
                if at == layer:
                    z[_PATCHED, :, head] = z[row, :, head]
            output.append(torch.einsum("rphd,hdm->rhpm", z[:_FREE], block.attn.W_O))
            return z

        return attend

    def _mlp_gave(self, layer: int) -> Callable[..., Tensor | None]:
        readers = self._readers(layer, "mlp")

        def give(output: Tensor, hook: Any) -> Tensor | None:
            if not readers:
                return None
            rows = self._by_row(output).clone()
            rows[_PATCHED] = rows[self._row_of_reader[readers[0]]]
            return rows.view(output.shape)

        return give

    def _read_by_logits(self, stream: Float[Tensor, "row pos d_model"], hook: Any) -> Tensor:
        # Only the patched run is read out: of a large vocabulary every row takes memory.
        rows = self._by_row(stream)[:1]
        for reader in self._readers(self._graph.n_layers, "logits"):
            rows = rows + self._lacking(reader)
        return rows if stream.ndim == 3 else rows[0]

    def _readers(self, layer: int, *inputs: str) -> list[int]:
        """The patched readers of one layer that read by one of `inputs`."""
        layer_of, reads, _ = self._graph.reader_places.T
        chosen = (layer_of == layer) & np.isin(reads, [INPUTS.index(name) for name in inputs])
        found: list[int] = np.nonzero(chosen & self._chosen.any(axis=0))[0].tolist()
        return found

    def _head(self, reader: int) -> int:
        return int(self._graph.reader_places[reader, 2])


def _scale(block: Any) -> float:
    """What a block multiplies its outputs by before it adds them (Granite)."""
    return float(getattr(block, "residual_contribution_scale", 1.0))
