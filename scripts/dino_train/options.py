"""Options of a training run; names and defaults of the DINO authors where they have them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from .vit import VARIANTS

EXAMPLE = """example (CPU, small photos):
  python scripts/train.py --data_path photos/ --output_dir runs/mine \\
      --arch vit_tiny --out_dim 4096 --global_crops_size 96 --local_crops_size 48 \\
      --local_crops_number 4 --momentum_teacher 0.99 --epochs 20 --warmup_epochs 2

--data_path takes folders (searched recursively) and WebDataset tar shards; braces and wildcards
work: --data_path 'shards/train-{000..012}.tar'
"""

# What may differ between the runs that a checkpoint strings together. Another --epochs bends the
# schedules from the present epoch on; all else equal, a resumed run repeats the uninterrupted one.
RESUMABLE = frozenset(
    {
        "resume",
        "epochs",
        "stop_after",
        "num_workers",
        "max_bad_images",
        "output_dir",
        "saveckp_freq",
        "knn",
        "knn_every",
        "knn_train_images",
        "knn_exclude",
        "threads",
        "device",
    }
)


def _flag(value: str) -> bool:
    if value.lower() in {"true", "1", "on"}:
        return True
    if value.lower() in {"false", "0", "off"}:
        return False
    raise argparse.ArgumentTypeError(f"expected true or false, got {value!r}")


def build_parser() -> argparse.ArgumentParser:
    """Parser of train.py."""
    parser = argparse.ArgumentParser(
        prog="train.py",
        description="Train a vision transformer with DINO (arXiv:2104.14294) on your own images.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--arch", default="vit_small", choices=list(VARIANTS))
    add("--patch_size", type=int, default=16, choices=[8, 16], help="pixels")
    add("--out_dim", type=int, default=65536, help="prototypes K; 4096 suits small sets")
    add("--norm_last_layer", type=_flag, default=True, help="keep prototypes at norm 1")
    add("--momentum_teacher", type=float, default=0.996, help="cosine from here to 1")
    add("--center_momentum", type=float, default=0.9, help="EMA of the centre; 1 = no centring")
    add("--warmup_teacher_temp", type=float, default=0.04)
    add("--teacher_temp", type=float, default=0.04, help="sharpening; above 0.07 is unstable")
    add("--warmup_teacher_temp_epochs", type=int, default=0)
    add("--student_temp", type=float, default=0.1)
    add("--weight_decay", type=float, default=0.04)
    add("--weight_decay_end", type=float, default=0.4)
    add("--clip_grad", type=float, default=3.0, help="norm per parameter; 0 = off")
    add("--batch_size_per_gpu", type=int, default=64)
    add("--epochs", type=int, default=100)
    add("--freeze_last_layer", type=int, default=1, help="epochs with a frozen last layer")
    add("--lr", type=float, default=0.0005, help="at batch 256, scaled linearly")
    add("--warmup_epochs", type=int, default=10)
    add("--min_lr", type=float, default=1e-6)
    add("--drop_path_rate", type=float, default=0.1, help="stochastic depth of the student")
    add("--global_crops_scale", type=float, nargs=2, default=[0.4, 1.0])
    add("--local_crops_number", type=int, default=8)
    add("--local_crops_scale", type=float, nargs=2, default=[0.05, 0.4])
    add("--global_crops_size", type=int, default=224, help="pixels")
    add("--local_crops_size", type=int, default=96, help="pixels")
    add("--data_path", nargs="+", required=True, help="folders or tar shards")
    add("--output_dir", type=Path, required=True, help="checkpoint.pth and log.jsonl go here")
    add("--saveckp_freq", type=int, default=0, help="also keep a checkpoint every N epochs")
    add("--seed", type=int, default=0)
    add("--num_workers", type=int, default=1, help="processes that prepare images; 0 = none")
    add("--max_bad_images", type=float, default=0.01, help="share that may be unreadable")
    add("--threads", type=int, default=0, help="CPU threads of PyTorch; 0 = its own choice")
    add("--device", default="auto", help="auto, cpu or cuda")
    add("--bf16", type=_flag, default=False, help="bfloat16 autocast of both networks")
    add("--resume", action="store_true", help="continue output_dir/checkpoint.pth")
    add("--stop_after", type=int, default=0, help="pause after this epoch; --resume goes on")
    add(
        "--knn",
        nargs=3,
        action="append",
        default=[],
        metavar=("NAME", "TRAIN", "VAL"),
        help="measure k-NN of the teacher on a labelled set; repeatable",
    )
    add("--knn_every", type=int, default=5, help="epochs between k-NN measurements")
    add("--knn_train_images", type=int, default=0, help="subsample the k-NN bank; 0 = all")
    add("--knn_exclude", nargs="*", default=[], help="labels to leave out of k-NN")
    return parser


def parse_options(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses and checks a command line; a wrong value ends the program with a message."""
    parser = build_parser()
    options = parser.parse_args(argv)
    checks = {
        "--epochs must be at least 1": options.epochs >= 1,
        "--batch_size_per_gpu must be at least 1": options.batch_size_per_gpu >= 1,
        "--warmup_epochs must not exceed --epochs": 0 <= options.warmup_epochs <= options.epochs,
        "--momentum_teacher must be in [0, 1]": 0 <= options.momentum_teacher <= 1,
        "temperatures must be positive": min(
            options.teacher_temp, options.warmup_teacher_temp, options.student_temp
        )
        > 0,
        "crop sizes must be multiples of --patch_size": not (
            options.global_crops_size % options.patch_size
            or options.local_crops_size % options.patch_size
        ),
        "--knn_every must be at least 1": options.knn_every >= 1,
        "--num_workers must not be negative": options.num_workers >= 0,
        "--seed must be in [0, 2**32)": 0 <= options.seed < 2**32,
        "--max_bad_images must be in [0, 1]": 0 <= options.max_bad_images <= 1,
    }
    for message, holds in checks.items():
        if not holds:
            parser.error(message)
    return options
