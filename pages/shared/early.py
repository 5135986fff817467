"""What every page needs, imported before the server takes visitors: the first one need not wait for it."""

from __future__ import annotations

import gc
import pkgutil
from importlib import import_module

from pages import shared

#: Imported within functions by the pages' own modules or by Streamlit, so not with them.
_LATER = ("altair", "jsonschema", "pandas", "pyarrow.compute", "streamlit.elements.arrow", "analysis.charts")


def import_early() -> None:
    """Import it, and exempt it from every later garbage collection.

    Going through what these libraries keep takes a tenth of a second, in which no page gets on. A model is
    not loaded yet, and is collected later.
    """
    modules = pkgutil.iter_modules(shared.__path__, f"{shared.__name__}.")
    for name in (*_LATER, *(module.name for module in modules)):
        import_module(name)
    gc.collect()
    gc.freeze()
