"""An HTTP server of files that cuts and stalls: what the service's downloads must survive."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

CHUNK = 1 << 20


@dataclass
class Served:
    """One file under one path.

    Attributes:
        path: of the file on disk.
        faults: what goes wrong with the next answers, first to last: ("cut", n) ends the connection
            after n bytes of the body, ("stall", n) sends no more after them.
        ranges: `Range` headers of the requests so far, None where there was none.
        stalled: set when an answer has stalled.
    """

    path: Path
    faults: list[tuple[str, int]] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)
    stalled: threading.Event = field(default_factory=threading.Event)


class FaultyServer(ThreadingHTTPServer):
    """Serves `files`, by path without the leading slash, with ETags and ranges."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, Served] = {}
        self.ended = threading.Event()

    @property
    def url(self) -> str:
        """The address that the paths are below."""
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away are what the tests are about."""


@contextmanager
def serve() -> Iterator[FaultyServer]:
    """Runs a server until the block ends."""
    server = FaultyServer()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyServer

    def log_message(self, format: str, *args: object) -> None:
        """Passing tests are quiet."""

    def do_GET(self) -> None:
        name = unquote(urlsplit(self.path).path[1:])
        served = self.server.files.get(name)
        if served is None:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        wanted = self.headers.get("Range")
        served.ranges.append(wanted)
        size = served.path.stat().st_size
        etag = f'"{size:x}"'
        start = 0
        if wanted is not None and self.headers.get("If-Range") in (None, etag):
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        else:
            self.send_response(200)
        self.send_header("ETag", etag)
        self.send_header("Content-Length", str(size - start))
        self.end_headers()
        self._send(served, start, size - start)

    def _send(self, served: Served, start: int, length: int) -> None:
        kind, limit = served.faults.pop(0) if served.faults else ("", length)
        left = min(limit, length)
        with served.path.open("rb") as file:
            file.seek(start)
            while left > 0:
                chunk = file.read(min(CHUNK, left))
                self.wfile.write(chunk)
                left -= len(chunk)
        if kind == "stall":
            self.wfile.flush()
            served.stalled.set()
            self.server.ended.wait()
        if kind != "":
            self.close_connection = True
