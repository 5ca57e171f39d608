"""Command line of export_onnx.py."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from .checkpoint import CheckpointError
from .converter import ConversionError
from .data import DataError, decode_sample, list_samples
from .export import PARITY_TOLERANCE, ExportError, ExportOptions, export_model
from .manifest import DataCredit
from .static_int8 import QuantisationError

EXAMPLE = """example:
  python scripts/export_onnx.py --checkpoint runs/mine/checkpoint.pth \\
      --name my-photos --out models/my-photos --crop 112 \\
      --variants fp16 int8 int8-static --calibration_photos photos/ --parity_photos photos/
"""
# Enough for every size to see other photos.
PARITY_PHOTOS = 12
# Ranges settle after some dozens; the calibration holds what they make in memory.
CALIBRATION_PHOTOS = 64


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
        "--crop",
        type=int,
        default=0,
        help="square input for embeddings in pixels (default: the global crops of the training)",
    )
    parser.add_argument(
        "--variants",
        nargs="*",
        default=[],
        choices=["fp16", "int8", "int8-static"],
        help="also write these precisions, each a model of its own beside OUT: OUT-int8",
    )
    parser.add_argument(
        "--parity_photos",
        nargs="*",
        default=[],
        help="folders or shards of photos to compare with PyTorch on (default: random pixels)",
    )
    parser.add_argument(
        "--calibration_photos",
        nargs="*",
        default=[],
        help="folders or shards of photos that int8-static finds its scales on; "
        f"{CALIBRATION_PHOTOS} are taken",
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
    written = []
    try:
        options = ExportOptions(
            name=args.name,
            description=args.description,
            crop=args.crop,
            licence=args.licence,
            tolerance=args.tolerance,
            credits=[DataCredit(*credit) for credit in args.credit],
            photos=_some_photos(args.parity_photos, PARITY_PHOTOS),
            calibration=_some_photos(args.calibration_photos, CALIBRATION_PHOTOS),
        )
        written.append(export_model(args.checkpoint, args.out, options))
        for precision in args.variants:
            out = args.out.with_name(f"{args.out.name}-{precision}")
            written.append(export_model(args.checkpoint, out, options, precision))
    except (
        *(CheckpointError, ConversionError, DataError, ExportError, QuantisationError),
        *(ValueError, OSError),
    ) as error:
        print(f"export_onnx.py: {error}", file=sys.stderr)
        return 1
    told = [{"name": m["name"], "file": m["file"], "parity": m["parity"]} for m in written]
    print(json.dumps(told if args.variants else told[0], indent=2))
    return 0


def _some_photos(paths: Sequence[str], most: int) -> list[Image.Image]:
    """Evenly spaced photos, at most `most`; what can't be read is passed over."""
    photos: list[Image.Image] = []
    samples = list_samples(paths) if paths else []
    for sample in samples[:: len(samples) // most + 1]:
        try:
            photos.append(decode_sample(sample, 512))
        except DataError:
            continue
    return photos
