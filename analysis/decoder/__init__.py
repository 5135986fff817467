"""A language model read as plain tensors, and the arithmetic of its blocks."""

from analysis.decoder.architecture import read_decoder
from analysis.decoder.attending import Attention, Rotary
from analysis.decoder.checks import check_evaluation_mode, check_kind, check_model
from analysis.decoder.fields import UnknownArchitecture
from analysis.decoder.layers import Block, Decoder, Mlp, softcapped
from analysis.decoder.norm import Norm, read_post_norms
from analysis.decoder.products import Activation, affine

__all__ = [
    "Activation",
    "Attention",
    "Block",
    "Decoder",
    "Mlp",
    "Norm",
    "Rotary",
    "UnknownArchitecture",
    "affine",
    "check_evaluation_mode",
    "check_kind",
    "check_model",
    "read_decoder",
    "read_post_norms",
    "softcapped",
]
