"""Per-iteration schedules of learning rate, weight decay and teacher momentum."""

from __future__ import annotations

import math


class CosineSchedule:
    """Linear warm-up, then half a cosine from base to final (official `cosine_scheduler`).

    Value i of the warm-up runs linearly from 0 to base including both ends; after it, with T
    remaining iterations, value t is final + (base - final) * (1 + cos(pi t / T)) / 2.

    Args:
        base: value after the warm-up.
        final: value that the cosine tends to.
        epochs: number of epochs, >= 1.
        iterations_per_epoch: >= 1.
        warmup_epochs: epochs of linear warm-up in [0, epochs].

    Raises:
        ValueError: if a count is out of range.
    """

    def __init__(
        self,
        base: float,
        final: float,
        epochs: int,
        iterations_per_epoch: int,
        warmup_epochs: int = 0,
    ) -> None:
        if epochs < 1 or iterations_per_epoch < 1:
            raise ValueError("epochs and iterations per epoch must be at least 1")
        if not 0 <= warmup_epochs <= epochs:
            raise ValueError(f"warmup epochs must be in [0, {epochs}], got {warmup_epochs}")
        self.base = base
        self.final = final
        self.total = epochs * iterations_per_epoch
        self.warmup = warmup_epochs * iterations_per_epoch

    def __getitem__(self, iteration: int) -> float:
        if not 0 <= iteration < self.total:
            raise IndexError(f"iteration {iteration} outside [0, {self.total})")
        if iteration < self.warmup:
            return self.base * iteration / max(self.warmup - 1, 1)
        progress = (iteration - self.warmup) / (self.total - self.warmup)
        return self.final + 0.5 * (self.base - self.final) * (1 + math.cos(math.pi * progress))

    def __len__(self) -> int:
        return self.total


def teacher_temperature(
    epoch: int, warmup_teacher_temp: float, teacher_temp: float, warmup_epochs: int
) -> float:
    """Teacher temperature of an epoch: linear from start to end, then constant.

    Matches `np.linspace(warmup, final, warmup_epochs)` followed by the final value.

    Args:
        epoch: >= 0.
        warmup_teacher_temp: temperature at epoch 0, > 0.
        teacher_temp: temperature from the end of the warm-up on, > 0.
        warmup_epochs: length of the warm-up, >= 0.
    """
    if epoch >= warmup_epochs:
        return teacher_temp
    progress = epoch / max(warmup_epochs - 1, 1)
    return warmup_teacher_temp + (teacher_temp - warmup_teacher_temp) * progress
