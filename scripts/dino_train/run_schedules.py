"""What the options say for each step of a run."""

from __future__ import annotations

import argparse

from .schedules import CosineSchedule, teacher_temperature
from .step import StepSettings

# The batch that --lr is meant for; others scale it linearly.
REFERENCE_BATCH = 256


class RunSchedules:
    """Learning rate, weight decay, teacher momentum and temperature over all steps.

    Args:
        options: of the run.
        batch: images per step over all processes and passes.
        steps: per epoch.
    """

    def __init__(self, options: argparse.Namespace, batch: int, steps: int) -> None:
        o = self.options = options
        self.steps = steps
        rate = o.lr * batch / REFERENCE_BATCH
        self.rates = CosineSchedule(rate, o.min_lr, o.epochs, steps, o.warmup_epochs)
        self.weight_decays = CosineSchedule(o.weight_decay, o.weight_decay_end, o.epochs, steps)
        self.momenta = CosineSchedule(o.momentum_teacher, 1.0, o.epochs, steps)

    def __getitem__(self, iteration: int) -> StepSettings:
        """Settings of a step, counted from 0 over the whole run."""
        o, epoch = self.options, iteration // self.steps
        return StepSettings(
            lr=self.rates[iteration],
            weight_decay=self.weight_decays[iteration],
            momentum=self.momenta[iteration],
            teacher_temp=teacher_temperature(
                epoch, o.warmup_teacher_temp, o.teacher_temp, o.warmup_teacher_temp_epochs
            ),
            freeze_last_layer=epoch < o.freeze_last_layer,
        )

    @property
    def warm_up(self) -> int:
        """Steps before learning is in full swing: warm-up and frozen last layer."""
        return max(self.options.warmup_epochs, self.options.freeze_last_layer, 1) * self.steps
