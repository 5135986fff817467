"""Products with bias and activation, where they are fused and where they are not, against float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from analysis.decoder import products
from analysis.decoder.products import ACTIVATIONS, affine

FUSED = "mkldnn._linear_pointwise.default"

needs_onednn = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="this build of torch has no oneDNN"
)


class Seen(TorchDispatchMode):
    """The names of the operations that torch carries out."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, operation, types, arguments=(), options=None):
        self.names.append(str(operation))
        return operation(*arguments, **(options or {}))


@pytest.fixture
def small() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x, weight, bias = (torch.randn(*shape, generator=generator) for shape in ((2, 7, 24), (24, 40), (40,)))
    return x, weight, bias


@needs_onednn
@pytest.mark.parametrize("name", ["none", *ACTIVATIONS])
@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("slice_of", ["whole", "rows with gaps", "transposed"])
@torch.no_grad()
def test_fused_and_plain_are_the_formula(name, with_bias, slice_of, small, monkeypatch):
    x, weight, bias = small
    weight = {"whole": weight, "rows with gaps": weight[:, ::2], "transposed": weight.T.contiguous().T}[
        slice_of
    ]
    bias = bias[: weight.shape[1]] if with_bias else None
    chosen = () if name == "none" else (ACTIVATIONS[name],)
    exact = affine(x.double(), weight.double(), None if bias is None else bias.double(), *chosen)
    for least in (0, 2**60):
        monkeypatch.setattr(products, "_WORTH_FUSING", least)
        with Seen() as seen:
            found = affine(x, weight, bias, *chosen)
        assert (FUSED in seen.names) == (least == 0)
        torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-5)


@needs_onednn
@torch.no_grad()
def test_a_small_product_leaves_no_code_of_its_own_behind(small):
    x, weight, bias = small
    with Seen() as seen:
        affine(x, weight, bias, ACTIVATIONS["gelu_new"])
    assert FUSED not in seen.names
    rows = products._WORTH_FUSING // (768 * 3072) + 1
    with Seen() as seen:
        affine(torch.ones(rows, 768), torch.ones(768, 3072), None)
    assert FUSED in seen.names


@needs_onednn
def test_what_needs_a_gradient_is_not_fused(small, monkeypatch):
    monkeypatch.setattr(products, "_WORTH_FUSING", 0)
    x, weight, bias = small
    x.requires_grad_()
    affine(x, weight, bias).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, weight.sum(1).expand_as(x))
