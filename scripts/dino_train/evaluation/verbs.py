"""What the verbs of evaluate.py have in common."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")


@dataclass(frozen=True)
class Outcome:
    """What an evaluation found.

    Attributes:
        result: for `--json`.
        lines: for people.
    """

    result: Any
    lines: Sequence[str]


def add_verb(
    verbs: argparse._SubParsersAction,
    name: str,
    help: str,
    example: str,
    run: Callable[[argparse.Namespace], Outcome],
    model_too: bool = True,
) -> argparse.ArgumentParser:
    """Adds a verb with the options that all have.

    Args:
        verbs: of evaluate.py.
        name: the verb.
        help: one line.
        example: options of a command that works.
        run: does it.
        model_too: whether it works on an exported model, too.
    """
    parser = verbs.add_parser(
        name,
        help=help,
        description=help[0].upper() + help[1:] + ".",
        epilog=f"example:\n  python scripts/evaluate.py {name} {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--checkpoint", type=Path, help="checkpoint.pth of train.py, or a published backbone"
    )
    if model_too:
        which.add_argument(
            "--model", type=Path, help="model folder of export_onnx.py, or an ONNX file"
        )
    else:
        parser.set_defaults(model=None)
    parser.add_argument(
        "--device", default="auto", help="of a checkpoint: auto, cpu or cuda (default auto)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run, verb_parser=parser)
    return parser


def flag(value: str) -> bool:
    """An option that is true or false, as the authors write it."""
    if value.lower() in {"true", "1", "on"}:
        return True
    if value.lower() in {"false", "0", "off"}:
        return False
    raise argparse.ArgumentTypeError(f"expected true or false, got {value!r}")


def positive(value: str) -> int:
    """A whole number of at least 1."""
    number = int(value)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {value}")
    return number


def progress(items: Iterable[Item], title: str, total: int | None = None) -> Iterator[Item]:
    """Shows a bar on standard error where that is a terminal."""
    return iter(tqdm(items, desc=title, total=total, disable=None, leave=False))
