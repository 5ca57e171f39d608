"""Schedules against the official NumPy formulas."""

from __future__ import annotations

import numpy as np
import pytest

from dino_train.schedules import CosineSchedule, teacher_temperature


def official(base, final, epochs, steps, warmup_epochs=0):
    """facebookresearch/dino utils.cosine_scheduler, start_warmup_value 0."""
    warmup = np.linspace(0, base, warmup_epochs * steps) if warmup_epochs else np.array([])
    rest = np.arange(epochs * steps - warmup_epochs * steps)
    cosine = final + 0.5 * (base - final) * (1 + np.cos(np.pi * rest / len(rest)))
    return np.concatenate((warmup, cosine))


@pytest.mark.parametrize(
    ("base", "final", "epochs", "steps", "warmup"),
    [(5e-4, 1e-6, 10, 7, 3), (0.04, 0.4, 5, 11, 0), (0.996, 1.0, 3, 4, 0), (1.0, 0.0, 4, 5, 1)],
)
def test_cosine_equals_the_official_schedule(base, final, epochs, steps, warmup):
    schedule = CosineSchedule(base, final, epochs, steps, warmup)
    values = [schedule[i] for i in range(len(schedule))]
    np.testing.assert_allclose(values, official(base, final, epochs, steps, warmup), rtol=1e-12)


def test_momentum_rises_towards_one_and_never_reaches_beyond():
    schedule = CosineSchedule(0.99, 1.0, 6, 9)
    values = np.array([schedule[i] for i in range(len(schedule))])
    assert (np.diff(values) > 0).all()
    assert values[0] == 0.99
    assert values[-1] < 1.0


def test_iterations_outside_the_run_are_refused():
    schedule = CosineSchedule(1.0, 0.0, 2, 3)
    for iteration in (-1, 6):
        with pytest.raises(IndexError):
            schedule[iteration]


def test_warmup_longer_than_the_run_is_refused():
    with pytest.raises(ValueError, match="warmup"):
        CosineSchedule(1.0, 0.0, epochs=2, iterations_per_epoch=3, warmup_epochs=3)


@pytest.mark.parametrize("warmup", [0, 1, 2, 5])
def test_teacher_temperature_warms_up_linearly(warmup):
    expected = np.concatenate((np.linspace(0.04, 0.07, warmup), np.full(8 - warmup, 0.07)))
    actual = [teacher_temperature(epoch, 0.04, 0.07, warmup) for epoch in range(8)]
    np.testing.assert_allclose(actual, expected, rtol=1e-12)
