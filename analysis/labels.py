"""Heads and tokens as people read them, and any text made fit to be drawn."""

from __future__ import annotations

import hashlib
import re
from itertools import groupby
from pathlib import PureWindowsPath
from unicodedata import category

#: Characters of a token that a label shows; the longest token of GPT-2 just fits.
LONGEST_TOKEN = 128
#: Combining marks that may follow one another: Burmese takes five, and hundreds keep a renderer busy.
MOST_MARKS = 8

# Around what is said about a text in its own place; other scripts write quotations with them.
_OPEN, _CLOSE = "\u2039", "\u203a"
_NEWLINES_AND_TABS = {"\n": "⏎", "\t": "⇥", "\r": "␍"}
_CONTROLS = {chr(code): chr(0x2400 + code) for code in range(0x20)} | {"\x7f": "␡"} | _NEWLINES_AND_TABS
#: Printable to Python, and yet nothing to see: fillers, joiners, selectors of a variant.
_UNSEEN = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
    + "".join(map(chr, [*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]))
)
#: What stands for something else here must not also stand for itself.
_TAKEN = frozenset(_CONTROLS.values())
_NODE_NAMES = {
    r"MLP(\d+)": "L{0} MLP",
    r"(\d+)_mlp_out": "L{0} MLP",
    r"(\d+)_attn_out": "L{0} attention",
    r"bias(\d+)": "L{0} attention bias",
    r"embed": "embedding",
    r"pos_embed": "position embedding",
}
_HUB_ID = re.compile(r"(?!\.)[\w.-]+(/[\w.-]+)?", re.ASCII)
_NOT_PLAIN = re.compile(rf"{_OPEN}(?=U?\+)|[^ -~{_OPEN}]")


def printable(text: str, longest: int | None = None) -> str:
    r"""`text` as it may be drawn: everything in it can be seen, and nothing in it acts.

    Control characters become Unicode's pictures of them. Lone surrogates, marks of direction, characters
    without width, private or unassigned ones, separators of lines and every space but the plain one become
    their code point. Of a run of combining marks `MOST_MARKS` are kept, of the whole `longest` characters;
    what is left out is counted and told by a digest, so that different texts stay different.

    >>> printable("a\x1b[1m\u202e"), printable("naïve 😀")
    ('a␛[1m‹U+202E›', 'naïve 😀')
    >>> printable("x" * 10_000, longest=3)
    'xxx‹+9,997 characters, adea0b08›'
    """
    kept = text[:longest]
    seen = kept if kept.isascii() and kept.isprintable() else _bounded(_NOT_PLAIN.sub(_stand_in, kept))
    return seen + _left_out(text[len(kept) :], "characters")


def shown_token(token: str) -> str:
    r"""`token` as a label shows it: `printable`, with its spaces made visible, and not too long.

    >>> shown_token(" Mary"), shown_token("\n")
    ('·Mary', '⏎')
    """
    return printable(token.replace(" ", "·"), LONGEST_TOKEN)


def token_of_both(corrupted: str, clean: str) -> str:
    """The token at a position of a pair of prompts; both, the corrupted one first, where they differ.

    >>> token_of_both(" went", " went"), token_of_both(" John", " Mary")
    ('·went', '·John|·Mary')
    """
    return shown_token(clean) if clean == corrupted else f"{shown_token(corrupted)}|{shown_token(clean)}"


def number(value: float, form: str) -> str:
    """`value` in the format `form` as people read it: a true minus sign, and none on what rounds to zero.

    >>> number(-2.5, "+.2f"), number(-0.001, "+.2f"), number(3.0, "+.2f")
    ('−2.50', '0.00', '+3.00')
    """
    text = format(value, form)
    if not any(digit in text for digit in "123456789n"):
        return text.lstrip("+-")
    return f"\N{MINUS SIGN}{text[1:]}" if text.startswith("-") else text


def percent(share: float, decimals: int = 0) -> str:
    """A share in percent.

    >>> percent(0.964), percent(-0.2), percent(-0.0001, 2), percent(-0.001)
    ('96 %', '−20 %', '−0.01 %', '0 %')
    """
    return f"{number(100 * share, f'.{decimals}f')} %"


def head_label(layer: int, head: int) -> str:
    """The field's name for a head.

    >>> head_label(3, 7)
    'L3H7'
    """
    return f"L{layer}H{head}"


def _stand_in(found: re.Match[str]) -> str:
    character = found[0]
    if character in _CONTROLS:
        return _CONTROLS[character]
    seen = character.isprintable() and character not in _UNSEEN and character not in _TAKEN
    return character if seen and character != _OPEN else f"{_OPEN}U+{ord(character):04X}{_CLOSE}"


def _bounded(text: str) -> str:
    """`text` with the ends of its long runs of combining marks left out."""
    runs = ((marks, "".join(run)) for marks, run in groupby(text, lambda one: category(one)[0] == "M"))
    return "".join(
        run[:MOST_MARKS] + _left_out(run[MOST_MARKS:], "marks") if marks else run for marks, run in runs
    )


def _left_out(text: str, what: str) -> str:
    if not text:
        return ""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{_OPEN}+{len(text):,} {what}, {digest[:8]}{_CLOSE}"


def node_of_part(part: str) -> str | None:
    """The node of the residual graph that writes a part of an attribution, None for what is not one node.

    >>> node_of_part("3_mlp_out"), node_of_part("pos_embed"), node_of_part("L3H7"), node_of_part("3_attn_out")
    ('MLP3', 'embed', 'L3H7', None)
    """
    if part in ("embed", "pos_embed"):
        return "embed"
    mlp = re.fullmatch(r"(\d+)_mlp_out", part)
    return f"MLP{mlp[1]}" if mlp else part if re.fullmatch(r"L\d+H\d+", part) else None


def model_title(name: str) -> str:
    """`name` of a model as it may leave the machine: of a folder, its own name alone.

    >>> model_title("openai-community/gpt2"), model_title("/home/ann/models/mine"), model_title("..")
    ('openai-community/gpt2', 'mine', 'a local folder')
    """
    name = name.strip()
    if _HUB_ID.fullmatch(name):
        return name
    last = PureWindowsPath(name).name
    return last if last.strip(".~ ") else "a local folder"


def counted(number: int, noun: str) -> str:
    """How many there are, in words.

    >>> counted(1, "path"), counted(1519, "path")
    ('1 path', '1,519 paths')
    """
    return f"{number:,} {noun}{'s' * (number != 1)}"


def node_name(label: str) -> str:
    """A label of a part of the model as one reads it aloud.

    >>> node_name("MLP3"), node_name("3_attn_out"), node_name("bias0"), node_name("L3H7")
    ('L3 MLP', 'L3 attention', 'L0 attention bias', 'L3H7')
    """
    for pattern, name in _NODE_NAMES.items():
        found = re.fullmatch(pattern, label)
        if found:
            return name.format(*found.groups())
    return label
