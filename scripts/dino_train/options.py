"""Options of a training run; names and defaults of the DINO authors where they have them."""

from __future__ import annotations

import argparse
import difflib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from .networks import arch_names, canonical_arch, crop_multiple
from .optim import OPTIMIZERS
from .option_files import OptionFileError, expand_option_files
from .view_source import AUGMENT_CHOICES

EXAMPLE = """example (CPU, small photos):
  python scripts/train.py --data_path photos/ --output_dir runs/mine \\
      --arch vit_tiny --out_dim 4096 --global_crops_size 96 --local_crops_size 48 \\
      --local_crops_number 4 --momentum_teacher 0.99 --epochs 20 --warmup_epochs 2

--data_path takes folders (searched recursively) and WebDataset tar shards; braces and wildcards
work: --data_path 'shards/train-{000..012}.tar' or 'https://example.org/train-{000..012}.tar'

@FILE reads options from a file: the args.txt that the authors publish, `key: value` lines, a JSON
object or a command line. What follows it wins. Several processes: torchrun scripts/train.py ...
"""

# What may differ between the runs that a checkpoint strings together. Another --epochs bends the
# schedules from the present step on; all else equal, a resumed run repeats the uninterrupted one.
RESUMABLE = frozenset(
    {
        "resume",
        "allow_changes",
        "init",
        "epochs",
        "stop_after",
        "max_minutes",
        "num_workers",
        "max_bad_images",
        "cache_gb",
        "output_dir",
        "saveckp_freq",
        "knn",
        "knn_every",
        "knn_train_images",
        "knn_exclude",
        "threads",
        "device",
        "dist_url",
        "local_rank",
        "bf16",
        "use_fp16",
        "tensorboard",
        "on_collapse",
        "collapse_window",
        # Their product with the number of processes may not: see run_state.
        "batch_size_per_gpu",
        "accumulate",
    }
)
# These decide what the weights are, so that not even --allow_changes changes them.
STRUCTURAL = frozenset(
    {
        "arch",
        "patch_size",
        "out_dim",
        "use_bn_in_head",
        "norm_last_layer",
        "global_crops_size",
        "optimizer",
    }
)


def _flag(value: str) -> bool:
    if value.lower() in {"true", "1", "on"}:
        return True
    if value.lower() in {"false", "0", "off"}:
        return False
    raise argparse.ArgumentTypeError(f"expected true or false, got {value!r}")


def _auto_flag(value: str) -> bool | str:
    return "auto" if value.lower() == "auto" else _flag(value)


def _default_workers() -> int:
    """The authors' ten, or as many as there are cores."""
    return min(10, os.cpu_count() or 1)


class _Parser(argparse.ArgumentParser):
    def parse_args(self, args: Any = None, namespace: Any = None) -> argparse.Namespace:
        options, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self._refuse(unknown)
        return options

    def _refuse(self, unknown: list[str]) -> NoReturn:
        known = [name for action in self._actions for name in action.option_strings]
        messages = []
        for name in (u.split("=")[0] for u in unknown if u.startswith("--")):
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            messages.append(f"unknown option {name}" + (f"; the nearest is {near[0]}" * bool(near)))
        self.error(". ".join(messages) or f"unexpected argument {unknown[0]!r}")


def build_parser() -> argparse.ArgumentParser:
    """Parser of train.py."""
    parser = _Parser(
        prog="train.py",
        usage="train.py --data_path PATH ... --output_dir FOLDER [option ...], or train.py --help",
        description="Train a backbone with DINO (arXiv:2104.14294) on your own images.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_network(parser.add_argument_group("network").add_argument)
    _add_optimisation(parser.add_argument_group("optimisation").add_argument)
    _add_views(parser.add_argument_group("views").add_argument)
    _add_data(parser.add_argument_group("data").add_argument)
    _add_run(parser.add_argument_group("run").add_argument)
    _add_seeing(parser.add_argument_group("seeing what happens").add_argument)
    return parser


def _add_network(add: Any) -> None:
    add("--arch", type=canonical_arch, default="vit_small", choices=arch_names(), help="backbone")
    add("--patch_size", type=int, default=16, choices=[8, 16], help="pixels, of a ViT")
    add("--out_dim", type=int, default=65536, help="prototypes K; 4096 suits small sets")
    add("--norm_last_layer", type=_flag, default=True, help="keep prototypes at norm 1")
    add("--use_bn_in_head", type=_flag, default=False, help="batch normalisation in the head")
    add("--drop_path_rate", type=float, default=0.1, help="stochastic depth of the student")
    add(
        "--init",
        type=Path,
        help="start from a checkpoint (ours or the authors'), a backbone or a model's folder",
    )


def _add_optimisation(add: Any) -> None:
    add("--momentum_teacher", type=float, default=0.996, help="cosine from here to 1")
    add("--center_momentum", type=float, default=0.9, help="EMA of the centre; 1 = no centring")
    add("--warmup_teacher_temp", type=float, default=0.04, help="of the first epoch")
    add("--teacher_temp", type=float, default=0.04, help="sharpening; above 0.07 is unstable")
    add("--warmup_teacher_temp_epochs", type=int, default=0, help="epochs from one to the other")
    add("--student_temp", type=float, default=0.1, help="of the student")
    add(
        "--use_fp16",
        type=_auto_flag,
        default="auto",
        help="fp16 with loss scaling: true, false or auto, which is true on a GPU",
    )
    add("--bf16", type=_flag, default=False, help="bfloat16 instead, which needs no scaling")
    add("--weight_decay", type=float, default=0.04, help="of matrices, at the start")
    add("--weight_decay_end", type=float, default=0.4, help="at the end, by a cosine")
    add("--clip_grad", type=float, default=3.0, help="norm per parameter; 0 = off")
    add("--batch_size_per_gpu", type=int, default=64, help="images per process and pass")
    add("--accumulate", type=int, default=1, help="passes per step, for a larger batch")
    add("--epochs", type=int, default=100, help="passes over the images")
    add("--freeze_last_layer", type=int, default=1, help="epochs with a frozen last layer")
    add("--lr", type=float, default=0.0005, help="at batch 256, scaled linearly with the batch")
    add("--warmup_epochs", type=int, default=10, help="epochs of a rate rising from 0")
    add("--min_lr", type=float, default=1e-6, help="rate at the end, by a cosine")
    add("--optimizer", default="adamw", choices=OPTIMIZERS, help="adamw, sgd or lars")


def _add_views(add: Any) -> None:
    area = "range of a view's share of the image's area"
    add("--global_crops_scale", type=float, nargs=2, default=[0.4, 1.0], help=area)
    add("--local_crops_number", type=int, default=8, help="small views; 0 = none")
    add("--local_crops_scale", type=float, nargs=2, default=[0.05, 0.4], help=area)
    add("--global_crops_size", type=int, default=224, help="side of the two large views, pixels")
    add("--local_crops_size", type=int, default=96, help="side of small views, pixels")


def _add_data(add: Any) -> None:
    add(
        "--data_path",
        nargs="+",
        required=True,
        help="folders, tar shards, URLs of shards, or indices of shards (.json)",
    )
    add(
        "--augment",
        default="batch",
        choices=AUGMENT_CHOICES,
        help="draw views in batches on the device, or one by one by PIL in the workers",
    )
    add("--cache_gb", type=float, default=4.0, help="keep decoded images up to this size; 0 = off")
    add("--max_bad_images", type=float, default=0.01, help="share that may be unreadable")
    add("--stream", action="store_true", help="read local shards in sequence, too")
    add("--samples_per_epoch", type=int, default=0, help="of streamed shards; 0 = count them")
    add("--shuffle_buffer", type=int, default=1000, help="streamed images to draw the next from")
    add(
        "--num_workers",
        type=int,
        default=_default_workers(),
        help="processes that prepare images; 0 = none (default 10, at most one per core)",
    )


def _add_run(add: Any) -> None:
    add("--output_dir", type=Path, required=True, help="checkpoint.pth and log.jsonl go here")
    add("--saveckp_freq", type=int, default=20, help="also keep a checkpoint every N epochs")
    add("--seed", type=int, default=0, help="of weights, order and views")
    add("--threads", type=int, default=0, help="CPU threads of PyTorch; 0 = its own choice")
    add("--device", default="auto", help="auto, cpu or cuda")
    add("--dist_url", default="env://", help="where processes meet, without torchrun")
    add("--local_rank", type=int, default=0, help="torchrun says it in the environment")
    add("--resume", action="store_true", help="continue output_dir/checkpoint.pth")
    add(
        "--allow_changes",
        action="store_true",
        help="let --resume go on with another learning rate, temperature and the like",
    )
    add("--stop_after", type=int, default=0, help="pause after this epoch; --resume goes on")
    add("--max_minutes", type=float, default=0.0, help="save and stop after this time; 0 = off")


def _add_seeing(add: Any) -> None:
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
    add("--tensorboard", type=_flag, default=True, help="write output_dir/tensorboard")
    add("--on_collapse", default="stop", choices=["stop", "warn"], help="stop, or warn and go on")
    add(
        "--collapse_window",
        type=int,
        default=200,
        help="steps over which a collapse must show; 0 = do not look",
    )


def parse_options(argv: Sequence[str]) -> argparse.Namespace:
    """Parses and checks a command line; a wrong value ends the program with a message."""
    parser = build_parser()
    try:
        arguments = expand_option_files(argv)
    except OptionFileError as error:
        parser.error(str(error))
    options = parser.parse_args([_underscored(argument) for argument in arguments])
    side = crop_multiple(options.arch, options.patch_size)
    divides = not (options.global_crops_size % side or options.local_crops_size % side)
    checks = {
        "--epochs must be at least 1": options.epochs >= 1,
        "--batch_size_per_gpu must be at least 1": options.batch_size_per_gpu >= 1,
        "--accumulate must be at least 1": options.accumulate >= 1,
        "--out_dim must be at least 2": options.out_dim >= 2,
        "--warmup_epochs must not exceed --epochs": 0 <= options.warmup_epochs <= options.epochs,
        "--momentum_teacher must be in [0, 1]": 0 <= options.momentum_teacher <= 1,
        "--center_momentum must be in [0, 1]": 0 <= options.center_momentum <= 1,
        "--drop_path_rate must be in [0, 1)": 0 <= options.drop_path_rate < 1,
        "temperatures must be positive": min(
            options.teacher_temp, options.warmup_teacher_temp, options.student_temp
        )
        > 0,
        f"crop sizes must be multiples of --patch_size, {side}": divides,
        "--bf16 true and --use_fp16 true exclude each other": not (
            options.bf16 and options.use_fp16 is True
        ),
        "--knn_every must be at least 1": options.knn_every >= 1,
        "--num_workers must not be negative": options.num_workers >= 0,
        "--seed must be in [0, 2**32)": 0 <= options.seed < 2**32,
        "--max_bad_images must be in [0, 1]": 0 <= options.max_bad_images <= 1,
        "--cache_gb must not be negative": options.cache_gb >= 0,
        "--samples_per_epoch must not be negative": options.samples_per_epoch >= 0,
        "--shuffle_buffer must be at least 1": options.shuffle_buffer >= 1,
        "--max_minutes must not be negative": options.max_minutes >= 0,
        "--collapse_window must not be negative": options.collapse_window >= 0,
        "--allow_changes needs --resume": options.resume or not options.allow_changes,
    }
    for message, holds in checks.items():
        if not holds:
            parser.error(message)
    return options


def _underscored(argument: str) -> str:
    """`--max-minutes` is `--max_minutes`."""
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.partition("=")
    return "--" + name[2:].replace("-", "_") + equals + value
