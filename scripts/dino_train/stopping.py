"""When a run is asked to stop: by a signal, or as its time is up."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType

# A scheduler sends the last one shortly before it takes the machine away.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)


class StopRequest:
    """Remembers the first signal and watches the time; a second signal ends the program at once.

    Use it as a context around the training: handlers are installed inside and put back after it.

    Args:
        max_minutes: budget counted from `started`; 0 is none.
        started: time.monotonic() of the start.
    """

    def __init__(self, max_minutes: float, started: float) -> None:
        self.deadline = started + max_minutes * 60 if max_minutes else None
        self.signal: signal.Signals | None = None
        self._before: dict[signal.Signals, object] = {}

    @property
    def reason(self) -> str | None:
        """Why to stop, or None to go on."""
        if self.signal:
            return f"on {self.signal.name}"
        if self.deadline is not None and time.monotonic() >= self.deadline:
            return "as --max_minutes is over"
        return None

    def __enter__(self) -> StopRequest:
        # Only the main thread may, and only it receives signals.
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._remember) for number in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self.signal = signal.Signals(number)
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}


def leave_signals_to_the_trainer(worker: int) -> None:
    """Start of a worker process: a signal to the whole group must not end it before the trainer."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
