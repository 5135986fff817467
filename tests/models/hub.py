"""A stand-in for the Hugging Face Hub, on this machine."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar

#: The one model that the Hub has.
NAME = "pathscope/tiny"


class Hub(BaseHTTPRequestHandler):
    """Just enough of the Hub's interface to download one public model from a local folder."""

    folder: Path
    downloads = 0
    #: Sizes that are stated in the place of the files' own, by name.
    stated: ClassVar[dict[str, int]] = {}
    #: What the Hub was told of whoever asked.
    logins: ClassVar[set[str | None]] = set()
    #: What it waits for in the middle of the weights.
    goes_on: threading.Event | None = None
    #: What it waits for before it answers.
    open_again: threading.Event | None = None

    @classmethod
    def go_on(cls) -> None:
        """Send the rest of the weights."""
        assert cls.goes_on is not None
        cls.goes_on.set()

    def do_GET(self) -> None:
        self.answer()

    def do_HEAD(self) -> None:
        self.answer()

    def answer(self) -> None:
        commit = "0" * 40
        self.logins.add(self.headers["Authorization"])
        if self.open_again is not None:
            self.open_again.wait()
        if "/resolve/" in self.path:
            self.send_file(self.path.rsplit("/", 1)[1], commit)
        elif "tiny" not in self.path:
            self.send(404, b"{}", {"X-Error-Code": "RepoNotFound", "Content-Type": "application/json"})
        elif "/tree/" in self.path:
            files = [
                {"type": "file", "path": name, "size": size, "oid": name}
                for name, size in self.sizes().items()
            ]
            self.send(200, json.dumps(files).encode(), {"Content-Type": "application/json"})
        else:
            files = [{"rfilename": name, "size": size} for name, size in self.sizes().items()]
            info = {"id": NAME, "sha": commit, "siblings": files}
            self.send(200, json.dumps(info).encode(), {"Content-Type": "application/json"})

    def sizes(self) -> dict[str, int]:
        return {path.name: path.stat().st_size for path in self.folder.iterdir()} | self.stated

    def send_file(self, name: str, commit: str) -> None:
        type(self).downloads += 1
        headers = {"ETag": f'"{name}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        self.send(200, (self.folder / name).read_bytes(), headers)

    def send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            half = len(body) // 2
            self.wfile.write(body[:half])
            if self.goes_on is not None and "safetensors" in self.path:
                self.wfile.flush()
                self.goes_on.wait()
            self.wfile.write(body[half:])

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the test's output clean."""
