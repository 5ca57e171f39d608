"""Command line of train.py."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

from .checkpoint import CheckpointError
from .data import DataError
from .distributed import join_group
from .options import parse_options
from .trainer import Trainer, TrainingError


def train(arguments: Sequence[str]) -> Trainer:
    """Trains as a command line says, in the processes that a launcher started or in this one.

    Returns:
        The trainer at the end of the run, or of this leg of it.

    Raises:
        DataError, CheckpointError, TrainingError, ValueError: with a message for people.
    """
    options = parse_options(arguments)
    with join_group(options.device, options.dist_url) as group:
        trainer = Trainer(options, f"python scripts/train.py {shlex.join(arguments)}", group)
        trainer.run()
    finished = trainer.progress.epoch >= trainer.options.epochs
    if trainer.stopped and group.is_main and not finished:
        print(_how_to_go_on(trainer, list(arguments)), file=sys.stderr)
    return trainer


def main(argv: Sequence[str] | None = None) -> int:
    """Trains as the command line says; returns the exit status."""
    try:
        train(sys.argv[1:] if argv is None else argv)
    except (DataError, CheckpointError, TrainingError, ValueError) as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("train.py: interrupted; --resume continues from the last save", file=sys.stderr)
        return 130
    return 0


def _how_to_go_on(trainer: Trainer, arguments: list[str]) -> str:
    again = arguments if trainer.options.resume else [*arguments, "--resume"]
    launcher = " by the same launcher" if trainer.group.world > 1 else ""
    p = trainer.progress
    where = f"after epoch {p.epoch}" + f" and {p.step} steps of {trainer.steps}" * (p.step > 0)
    return (
        f"train.py: stopped {trainer.stopped} {where}; all is saved. Go on{launcher} with\n"
        f"  python scripts/train.py {shlex.join(again)}"
    )
