"""Command line of random_checkpoint.py."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from .random_checkpoints import FORMATS, RECIPES, random_network, write_checkpoint

EXAMPLE = """example:
  python scripts/random_checkpoint.py --arch vit_small --patch_size 16 --format pytorch \\
      --out /tmp/random_vits16.pth
"""


def build_parser() -> argparse.ArgumentParser:
    """Options of random_checkpoint.py."""
    parser = argparse.ArgumentParser(
        prog="random_checkpoint.py",
        description="Write a checkpoint with random weights, of the true names and shapes.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--arch", required=True, choices=sorted(RECIPES))
    parser.add_argument("--patch_size", type=int, help="in pixels (default: the usual one)")
    parser.add_argument("--format", choices=FORMATS, default="pytorch")
    parser.add_argument("--seed", type=int, default=0, help="of the weights (default 0)")
    parser.add_argument("--tiny", action="store_true", help="a few thousand weights only")
    parser.add_argument("--out", type=Path, required=True, help="file, or folder for huggingface")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the checkpoint; returns the exit status."""
    args = build_parser().parse_args(argv)
    patch_size = args.patch_size or RECIPES[args.arch].patch_sizes[0]
    try:
        network = random_network(args.arch, patch_size, args.seed, args.tiny)
        write_checkpoint(network, args.out, args.format, args.arch, patch_size, args.seed)
    except (ValueError, OSError) as error:
        print(f"random_checkpoint.py: {error}", file=sys.stderr)
        return 1
    return 0
