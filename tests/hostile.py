"""Tokens that a vocabulary may hold and no label expects."""

from __future__ import annotations

HOSTILE = {
    "nothing": "",
    "nul": "\x00",
    "start of heading": "\x01",
    "escape": "\x1b[2J",
    "delete": "\x7f",
    "next line": "\x85",
    "noncharacters": "\ufffe\uffff\U0010ffff",
    "lone surrogate": "\ud800",
    "right to left": "\u202e\u2066abc",
    "without width": "\u200b\u200d\ufeff\u2060",
    "separators": "\u2028\u2029",
    "private": "\ue000\U000f0000",
    "tags": "\U000e0041\U000e007f",
    "ten thousand letters": "x" * 10_000,
    "ten thousand escapes": "\x1b" * 10_000,
    "two thousand marks": "a" + "\u0301" * 2000,
    "marks and joiners": "a" + "\u0301\u200d\u034f" * 1000,
    "a thousand syllables of marks": ("a" + "\u0301\u0308\u0327\u0489" * 5) * 1000,
    "jamo": "\u1100\u1161\u11a8" * 1000,
    "html": "<img src=x onerror=alert(1)></text><script>alert(1)</script>",
    "markdown": "![x](http://127.0.0.1/x.png) :red[x] **x**",
    "latex": r"$\input{/etc/passwd}$ \begin{document}",
    "expression": "datum.value + 'x'] || alert(1) //",
    "signal": '{"signal": "width"}',
    "entity": "&amp;&#0;&lt;]]>",
}
