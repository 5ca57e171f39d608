"""TensorBoard: the curves of a run while it trains."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Board:
    """Writes scalars to a folder that `tensorboard --logdir` shows.

    Args:
        folder: created when missing.
        step: steps done; what an interrupted run wrote beyond them is hidden.
    """

    def __init__(self, folder: Path, step: int) -> None:
        # Imported here: it takes a second, which a run without a board need not spend.
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(folder), purge_step=step + 1 if step else None)

    def add_step(self, step: int, metrics: Mapping[str, float], lr: float) -> None:
        """Adds the loss terms of a step; steps count from 1."""
        for name, value in metrics.items():
            self.writer.add_scalar(f"step/{name}", value, step)
        self.writer.add_scalar("step/lr", lr, step)

    def add_epoch(self, step: int, line: Mapping[str, Any]) -> None:
        """Adds a line of the log at the step where its epoch ended."""
        for name, value in line.items():
            if name == "knn_by_k":
                for data, by_k in value.items():
                    for k, accuracy in by_k.items():
                        self.writer.add_scalar(f"knn/{data}/k{k}", accuracy, step)
            elif isinstance(value, (int, float)):
                self.writer.add_scalar(f"epoch/{name}", value, step)
        self.writer.flush()

    def close(self) -> None:
        """Writes what is left."""
        self.writer.close()
