"""Command line of train.py."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

from .checkpoint import CheckpointError
from .data import DataError
from .options import parse_options
from .trainer import Trainer, TrainingError


def main(argv: Sequence[str] | None = None) -> int:
    """Trains as the command line says; returns the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    options = parse_options(arguments)
    try:
        trainer = Trainer(options, f"python scripts/train.py {shlex.join(arguments)}")
        trainer.run()
    except (DataError, CheckpointError, TrainingError, ValueError) as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("train.py: interrupted; --resume continues after the last epoch", file=sys.stderr)
        return 130
    return 0
