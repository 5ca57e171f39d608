"""Command line of plot.py."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from .attention_page import draw_attention, drawn_scenes, open_images, open_subject
from .checkpoint import CheckpointError
from .curves import PlotError, draw_curves, read_log
from .import_onnx import ModelError

EXAMPLE = """example:
  python scripts/plot.py runs/mine
  python scripts/plot.py models/my-photos --out pictures/curves.png
  python scripts/plot.py runs/mine runs/other --out compared.svg --no_attention
"""
FORMATS = ("png", "svg", "pdf")


def build_parser() -> argparse.ArgumentParser:
    """Options of plot.py."""
    parser = argparse.ArgumentParser(
        prog="plot.py",
        description="Draw the curves of runs, and a page of attention maps for each checkpoint.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "runs",
        nargs="+",
        type=Path,
        metavar="RUN",
        help="--output_dir of train.py, a model, or a log",
    )
    add("--out", type=Path, help="the curves; pages go beside (default: in the run)")
    add("--no_attention", action="store_true", help="curves only")
    add("--images", nargs="+", type=Path, default=[], help="for attention (default: drawn scenes)")
    add("--size", type=int, default=0, help="of the images in pixels (default: twice the views)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Draws; returns the exit status."""
    args = build_parser().parse_args(argv)
    try:
        first = args.runs[0] if args.runs[0].is_dir() else args.runs[0].parent
        out = args.out or first / "curves.png"
        if out.suffix[1:] not in FORMATS:
            raise PlotError(f"{out} should end in one of .{', .'.join(FORMATS)}")
        _save(draw_curves({_name(run): read_log(run) for run in args.runs}), out)
        if not args.no_attention:
            images = open_images(args.images) or drawn_scenes()
            for run in args.runs:
                for path in _networks(run):
                    page = _page(run, path, args.out)
                    _save(draw_attention(open_subject(path), images, args.size), page)
    except (PlotError, CheckpointError, ModelError) as error:
        print(f"plot.py: {error}", file=sys.stderr)
        return 1
    return 0


def _networks(run: Path) -> list[Path]:
    """The checkpoints of a run, or the model that a folder holds."""
    if (run / "manifest.json").exists():
        return [run]
    return sorted(run.glob("checkpoint*.pth"))


def _page(run: Path, network: Path, out: Path | None) -> Path:
    """Beside the curves where they were sent elsewhere, else in the run's folder."""
    stem = "" if network == run else f"-{network.stem}"
    if out:
        return out.with_name(f"attention-{run.name}{stem}.png")
    return run / f"attention{stem}.png"


def _name(run: Path) -> str:
    return run.name if run.is_dir() else run.parent.name


def _save(figure: Figure, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=120)
    except OSError as error:
        raise PlotError(f"cannot write {path}: {error}") from error
    print(path)
