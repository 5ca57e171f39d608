"""Command line of bench_training.py: ways of drawing views, measured side by side."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count

import torch
from torch import Tensor

from .checkpoint import CheckpointError
from .data import DataError
from .loader import ViewLoader
from .options import parse_options
from .provenance import hardware_name
from .step import StepSettings
from .trainer import Trainer

EXAMPLE = """example (CPU; what is not named here goes to train.py):
  python scripts/bench_training.py --data_path photos/ --arch vit_micro --out_dim 512 \\
      --global_crops_size 96 --local_crops_size 48 --local_crops_number 4 --batch_size_per_gpu 48

The ways take turns, round by round, so that what else the machine does weighs on all alike.
"""

PLAIN = "PIL in workers"
# What differs from the options of train.py, per way.
WAYS = {
    PLAIN: {"augment": "sample", "cache_bytes": 0},
    "PIL in workers, images kept": {"augment": "sample"},
    "batches on the device": {"augment": "batch", "cache_bytes": 0},
    "batches on the device, images kept": {"augment": "batch"},
}
WARM_UP_STEPS = 2
# As at the end of a warm-up; the numbers do not matter for the speed.
SETTINGS = StepSettings(1e-4, 0.04, 0.996, 0.04, False)


@dataclass
class Measured:
    """Rounds of one way.

    Attributes:
        input: images per second of drawing views alone.
        training: images per second of whole training steps.
        wait: share of the training's time that was spent on waiting for views, in [0, 1].
    """

    input: list[float] = field(default_factory=list)
    training: list[float] = field(default_factory=list)
    wait: list[float] = field(default_factory=list)


def main(argv: Sequence[str] | None = None) -> int:
    """Measures as the command line says; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="bench_training.py",
        description="Compare ways of drawing views: images per second alone and in training.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--rounds", type=int, default=3, help="per way; the medians are printed")
    parser.add_argument("--steps", type=int, default=6, help="per round")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    bench, rest = parser.parse_known_args(argv)
    if min(bench.rounds, bench.steps) < 1:
        parser.error("--rounds and --steps must be at least 1")
    try:
        with tempfile.TemporaryDirectory() as out:
            fixed = ["--output_dir", out, "--tensorboard", "false", "--collapse_window", "0"]
            trainer = Trainer(parse_options([*rest, *fixed]), "")
            results = measure_ways(trainer, bench.rounds, bench.steps)
    except (DataError, CheckpointError, ValueError) as error:
        print(f"bench_training.py: {error}", file=sys.stderr)
        return 1
    report = summarise(results, trainer.device)
    print(json.dumps(report) if bench.json else table(report, trainer.take_step.precision.name))
    return 0


def measure_ways(trainer: Trainer, rounds: int, steps: int) -> dict[str, Measured]:
    """Measures each way in turn, `rounds` times."""
    plain = trainer.views.options
    loaders = {name: ViewLoader(replace(plain, **change)) for name, change in WAYS.items()}
    results = {name: Measured() for name in WAYS}
    for round_number in range(rounds):
        # Backwards every second time: none always profits from what ran before it.
        names = list(WAYS)[:: 1 - 2 * (round_number % 2)]
        for name in names:
            measure_round(trainer, loaders[name], steps, results[name])
    return results


def measure_round(trainer: Trainer, loader: ViewLoader, steps: int, result: Measured) -> None:
    """Measures drawing alone, then training, each over `steps` batches."""
    images, device = steps * loader.options.batch_size, trainer.device
    batches = _endless(loader)
    for _ in range(WARM_UP_STEPS):
        next(batches)
    started = _now(device)
    for _ in range(steps):
        next(batches)
    result.input.append(images / (_now(device) - started))
    batches.close()

    batches, waited = _endless(loader), 0.0
    for step in range(WARM_UP_STEPS + steps):
        if step == WARM_UP_STEPS:
            started, waited = _now(device), 0.0
        asked = time.monotonic()
        views = next(batches)
        waited += time.monotonic() - asked
        trainer.take_step(SETTINGS, [views])
    seconds = _now(device) - started
    result.training.append(images / seconds)
    result.wait.append(waited / seconds)
    batches.close()


def _endless(loader: ViewLoader) -> Iterator[list[Tensor]]:
    def epochs() -> Iterator[Iterator[list[Tensor]]]:
        for epoch in count():
            loader.set_epoch(epoch)
            yield iter(loader)

    return (views for views in chain.from_iterable(epochs()))


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.monotonic()


def summarise(results: dict[str, Measured], device: torch.device) -> dict[str, object]:
    """Medians per way, and the medians of each round's ratio to the plain way."""
    ways = {}
    for name, result in results.items():
        row = {"wait": round(statistics.median(result.wait), 3)}
        for key in ("input", "training"):
            values, plain = getattr(result, key), getattr(results[PLAIN], key)
            row[key] = round(statistics.median(values), 1)
            ratios = [value / base for value, base in zip(values, plain, strict=True)]
            row[f"{key}_ratio"] = round(statistics.median(ratios), 2)
        ways[name] = row
    return {"hardware": hardware_name(device), "threads": torch.get_num_threads(), "ways": ways}


def table(report: dict, precision: str) -> str:
    """The report for people."""
    head = f"{'':36}{'views alone':>20}{'training':>20}{'waiting':>9}"
    lines = [f"{report['hardware']}, {report['threads']} threads, {precision}; images/s", head]
    for name, row in report["ways"].items():
        views, training = (
            f"{row[key]:.1f} ({row[f'{key}_ratio']:.2f} x)" for key in ("input", "training")
        )
        lines.append(f"{name:36}{views:>20}{training:>20}{row['wait']:>9.1%}")
    return "\n".join(lines)
