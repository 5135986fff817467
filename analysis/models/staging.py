"""A folder in which a model's files stand alone.

What lies beside them in a model's own folder can be read in their place or in addition: an adapter, other
shards, a configuration or tokenizer for another release. Where only the files of the fingerprint are,
nothing else can be loaded, whatever the configuration names.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from analysis.models.files import ModelFiles
from analysis.models.reading import read_json

_TOKENIZER_CONFIG = "tokenizer_config.json"


@contextmanager
def staged(files: ModelFiles, name: str) -> Iterator[Path]:
    """A folder with the files of model `name` and no others, for as long as it is being loaded.

    Raises `ModelError` where the tokenizer's configuration is no JSON object.
    """
    with tempfile.TemporaryDirectory(prefix="pathscope-") as place:
        folder = Path(place)
        for path in (files.config, *files.weights, *files.tokenizer):
            if path.name == _TOKENIZER_CONFIG:
                _without_paths(path, folder / path.name, name)
            else:
                _link(path.absolute(), folder / path.name)
        yield folder


def _link(path: Path, place: Path) -> None:
    try:
        place.symlink_to(path)
    except OSError:
        # Windows lets only some users make links.
        shutil.copyfile(path, place)


def _without_paths(path: Path, place: Path, name: str) -> None:
    """Write the tokenizer's configuration without the files it names.

    Some are the paths of whoever saved it; where the folder has no such file, such a path would be opened.
    """
    fields = read_json(path, name)
    kept = {key: value for key, value in fields.items() if not key.endswith(("_file", "_files"))}
    place.write_text(json.dumps(kept), encoding="utf-8")
