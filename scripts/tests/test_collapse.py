"""The watch over collapse, fed with what runs that learn and runs that do not give."""

from __future__ import annotations

import math
import re

import pytest

from dino_train.collapse import CollapseWatch

LIMIT = math.log(4096)


def watch_of(entropy: float, kl: float, steps: int = 20, **options: int) -> CollapseWatch:
    watch = CollapseWatch(4096, **{"window": 20, "first_step": 0, **options})
    for step in range(steps):
        watch.add(step, {"loss": entropy + kl, "teacher_entropy": entropy, "kl": kl})
    return watch


@pytest.mark.parametrize(
    ("entropy", "kl", "message"),
    [
        (LIMIT - 0.001, 0.0005, "outputs are uniform.*lower --teacher_temp"),
        (0.01, 0.002, "one output wins.*--center_momentum"),
        (4.0, 0.001, "agree on every image.*--init"),
        (5.0, LIMIT - 5.0, "stands at ln K.*--teacher_temp"),
    ],
)
def test_each_end_of_learning_is_named_with_advice(entropy, kl, message):
    finding = watch_of(entropy, kl).finding()
    assert finding is not None
    assert re.search(message, finding)


@pytest.mark.parametrize(("entropy", "kl"), [(2.0, 1.0), (6.5, 1.2), (0.5, 0.3), (7.9, 0.2)])
def test_a_run_that_learns_is_left_alone(entropy, kl):
    watch = watch_of(entropy, kl)
    assert watch.finding() is None
    assert watch.suspicion() is None


def test_the_warm_up_and_a_short_dip_are_no_collapse():
    assert watch_of(LIMIT, 0.0, steps=20, first_step=1).finding() is None
    assert watch_of(LIMIT, 0.0, steps=21, first_step=1).finding() is not None
    watch = watch_of(LIMIT, 0.0, steps=10)
    assert watch.finding() is None
    assert watch.suspicion() is not None
    for step in range(10, 30):
        watch.add(step, {"loss": 6.0, "teacher_entropy": 5.0, "kl": 1.0})
    assert watch.suspicion() is None


def test_a_window_of_zero_looks_at_nothing():
    assert watch_of(LIMIT, 0.0, window=0).finding() is None


def test_a_resumed_watch_goes_on_with_the_steps_it_has_seen():
    watch, again = watch_of(LIMIT, 0.0, steps=19), watch_of(LIMIT, 0.0, steps=0)
    again.load_state_dict(watch.state_dict())
    again.add(19, {"loss": LIMIT, "teacher_entropy": LIMIT, "kl": 0.0})
    assert again.finding() is not None
