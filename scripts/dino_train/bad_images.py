"""What happens to images of a training set that cannot be read: counted, named, skipped."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from .data import DataError

NAMED = 5


class BadImages:
    """Counts unreadable images and gives up when they are too many.

    Args:
        total: images in the set.
        max_share: of unreadable images that training goes on with, in [0, 1].
    """

    def __init__(self, total: int, max_share: float) -> None:
        self.total = total
        self.max_share = max_share
        self._messages: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def messages(self) -> list[str]:
        """Why each could not be read, its name included; in the order of their discovery."""
        return list(self._messages)

    def add(self, messages: Iterable[str]) -> None:
        """Notes unreadable images; one that is known already counts no second time.

        Raises:
            DataError: if their share of the set is above `max_share`.
        """
        for message in messages:
            if message not in self._messages:
                self._messages[message] = None
                if len(self) <= NAMED:
                    print(f"skipped: {message}", file=sys.stderr)
                elif len(self) == NAMED + 1:
                    print("more unreadable images are counted only", file=sys.stderr)
        if len(self) > self.max_share * self.total:
            raise DataError(
                f"{len(self)} of {self.total} images cannot be read, more than the share that "
                f"--max_bad_images {self.max_share:g} allows; the first: "
                + "; ".join(self.messages[:NAMED])
            )
