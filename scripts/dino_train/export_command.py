"""Command line of export_onnx.py."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from .checkpoint import CheckpointError
from .export import PARITY_TOLERANCE, ExportError, export_model
from .manifest import DataCredit

EXAMPLE = """example:
  python scripts/export_onnx.py --checkpoint runs/mine/checkpoint.pth \\
      --name my-photos --out models/my-photos --crop 112
"""


def build_parser() -> argparse.ArgumentParser:
    """Options of export_onnx.py."""
    parser = argparse.ArgumentParser(
        prog="export_onnx.py",
        description="Export the teacher of a checkpoint to ONNX, check it against PyTorch and "
        "write model.onnx and manifest.json.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--checkpoint", type=Path, required=True, help="checkpoint.pth of train.py")
    parser.add_argument("--name", required=True, help="model name, as in DINO_MODEL")
    parser.add_argument("--out", type=Path, required=True, help="model folder to write")
    parser.add_argument("--description", default="DINO vision transformer", help="one sentence")
    parser.add_argument(
        "--crop", type=int, default=112, help="square input for embeddings in pixels (default 112)"
    )
    parser.add_argument("--licence", default="Apache-2.0", help="SPDX identifier of the weights")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=PARITY_TOLERANCE,
        help=f"largest difference to PyTorch (default {PARITY_TOLERANCE})",
    )
    parser.add_argument(
        "--credit",
        nargs=4,
        action="append",
        default=[],
        metavar=("PREFIX", "NAME", "LICENCE", "SOURCE"),
        help="attribution of the data files whose name begins with PREFIX; repeatable",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the export; returns the exit status."""
    args = build_parser().parse_args(argv)
    try:
        manifest = export_model(
            args.checkpoint,
            args.out,
            name=args.name,
            description=args.description,
            crop=args.crop,
            licence=args.licence,
            tolerance=args.tolerance,
            credits=[DataCredit(*credit) for credit in args.credit],
        )
    except (CheckpointError, ExportError, ValueError, OSError) as error:
        print(f"export_onnx.py: {error}", file=sys.stderr)
        return 1
    print(json.dumps({"file": manifest["file"], "parity": manifest["parity"]}, indent=2))
    return 0
