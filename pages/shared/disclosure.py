"""What is taken out of sentences before strangers read them."""

from __future__ import annotations

import re
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from analysis.policy import policy
from analysis.settings import settings

_ROOT = Path(__file__).resolve().parent.parent.parent


def without_places(sentence: str) -> str:
    """`sentence` without the paths of this server; on a machine of one's own as it is."""
    if not policy().hosted:
        return sentence
    limits = settings()
    places = [_ROOT, Path(sys.prefix), Path(tempfile.gettempdir()), limits.store_directory]
    places += [limits.gallery_directory] if limits.gallery_directory else []
    with suppress(RuntimeError):  # a process may have no home
        places.append(Path.home())
    rooted = [str(place) for place in places if len(place.parts) > 1]
    any_of = "|".join(re.escape(place) for place in sorted(rooted, key=len, reverse=True))
    return re.sub(rf"({any_of})[^\s'\"()]*", "a place on the server", sentence)
