"""Command line of evaluate.py: a verb per evaluation."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from .checkpoint import CheckpointError
from .data import DataError
from .evaluation import (
    copy_detection,
    finetune,
    knn,
    linear,
    retrieval,
    segmentation,
    video_segmentation,
)
from .evaluation.error import EvaluationError
from .evaluation.verbs import Outcome
from .import_onnx import ModelError, open_model_folder
from .model_card import TRAINING_LOG, model_card

EXAMPLE = """example:
  python scripts/evaluate.py knn --model models/my-photos --data mine photos/train photos/val
"""

VERBS = (knn, linear, finetune, retrieval, copy_detection, video_segmentation, segmentation)


def run_card(args: argparse.Namespace) -> Outcome:
    """Writes the model folder's README.md from its manifest."""
    folder = open_model_folder(args.model)
    card = model_card(folder.manifest, (args.model / TRAINING_LOG).exists())
    (args.model / "README.md").write_text(card, encoding="utf-8")
    return Outcome({"card": str(args.model / "README.md")}, [])


def build_parser() -> argparse.ArgumentParser:
    """Options of evaluate.py."""
    parser = argparse.ArgumentParser(
        prog="evaluate.py",
        description="Evaluate a checkpoint or an exported model: the evaluations of DINO.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in VERBS:
        verb.add_parser(verbs)
    card = verbs.add_parser("card", help="write the model folder's README.md from its manifest")
    card.add_argument("--model", type=Path, required=True, help="model folder")
    card.set_defaults(run=run_card, json=False)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs an evaluation; returns the exit status."""
    args = build_parser().parse_args(argv)
    try:
        outcome = args.run(args)
    except (CheckpointError, DataError, EvaluationError, ModelError, ValueError) as error:
        print(f"evaluate.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("evaluate.py: interrupted", file=sys.stderr)
        return 130
    if args.json:
        print(json.dumps(outcome.result, indent=2))
    else:
        for line in outcome.lines:
            print(line)
    return 0
