"""The server's log as one JSON object a line, without what visitors have typed."""

from __future__ import annotations

import json
import logging
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_OWN = ("analysis.", "pages.")
#: Frames of an error that are told, the innermost last.
_FRAMES = 12


class Lines(logging.Formatter):
    """Time, level, logger, message; of an error its class and where it arose, but not what it says.

    An error's own words hold what was asked for, and so may what other libraries put into their messages:
    of those the template alone is told.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage() if record.name.startswith(_OWN) else str(record.msg),
        }
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
            told["error"] = type(error).__name__
            told["at"] = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
        return json.dumps(told)


class _Logger(logging.Logger):
    """A logger whose handlers write `Lines`, whoever adds them: Streamlit gives each of its loggers one."""

    def addHandler(self, hdlr: logging.Handler) -> None:  # noqa: N802
        hdlr.setFormatter(Lines())
        super().addHandler(hdlr)


def begin_lines() -> None:
    """Have every logger that there is, and that comes, write such lines; warnings, too."""
    logging.setLoggerClass(_Logger)
    logging.captureWarnings(True)
    logging.basicConfig()
    known = logging.root.manager.loggerDict.values()
    for logger in (logging.root, *(each for each in known if isinstance(each, logging.Logger))):
        for handler in logger.handlers:
            handler.setFormatter(Lines())
