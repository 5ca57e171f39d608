"""A file behind a URL, read in sequence."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request

TRIES = 4
FIRST_PAUSE_SECONDS = 0.5
TIMEOUT_SECONDS = 60.0
# Worth another try: the server is busy or briefly out of order.
PASSING_STATUSES = frozenset({408, 429, 500, 502, 503, 504})


class HttpFile:
    """Reads a URL from start to end; a broken connection is taken up again where it broke.

    Args:
        url: http or https.

    Raises:
        OSError: if the server refuses, cannot be reached, or goes on breaking off.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._position = 0
        self._response = self._request()
        length = self._response.headers.get("Content-Length")
        self._length = int(length) if length else None

    def read(self, size: int = -1) -> bytes:
        """Reads up to `size` bytes, or all that is left; empty at the end."""
        if size < 0:
            return b"".join(iter(lambda: self.read(1 << 20), b""))
        failures = 0
        while True:
            try:
                data = self._response.read(size)
                if data or not size or self._length in (None, self._position):
                    self._position += len(data)
                    return data
                error: Exception = OSError(f"broke off at byte {self._position} of {self._length}")
            except (OSError, http.client.HTTPException) as broken:
                error = broken
            failures += 1
            if failures == TRIES:
                raise OSError(f"{self.url}: {error}") from error
            time.sleep(FIRST_PAUSE_SECONDS * 2 ** (failures - 1))
            self._response.close()
            self._response = self._request()

    def close(self) -> None:
        """Ends the connection."""
        self._response.close()

    def _request(self) -> http.client.HTTPResponse:
        headers = {"Range": f"bytes={self._position}-"} if self._position else {}
        request = urllib.request.Request(self.url, headers=headers)
        for attempt in range(TRIES):
            try:
                response = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
                break
            except urllib.error.HTTPError as error:
                if error.code not in PASSING_STATUSES or attempt + 1 == TRIES:
                    raise OSError(f"HTTP status {error.code} {error.reason}") from error
            except OSError as error:
                if attempt + 1 == TRIES:
                    raise OSError(f"no connection: {getattr(error, 'reason', error)}") from error
            time.sleep(FIRST_PAUSE_SECONDS * 2**attempt)
        if self._position and response.status != http.client.PARTIAL_CONTENT:
            response.close()
            raise OSError(f"broke off at byte {self._position}, and the server knows no ranges")
        return response
