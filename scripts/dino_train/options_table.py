"""Writes the table of options in docs/training.md: python -m dino_train.options_table."""

from __future__ import annotations

import argparse
from pathlib import Path

from .options import build_parser

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/training.md"
BEGIN, END = "<!-- options: begin -->", "<!-- options: end -->"
# https://github.com/facebookresearch/dino/blob/main/main_dino.py, where ours are not the same.
AUTHORS_OTHERS = {
    "use_fp16": "true",
    "num_workers": "10",
    "data_path": "/path/to/imagenet/train/",
    "output_dir": ".",
}
AUTHORS_SAME = frozenset(
    {
        "arch",
        "patch_size",
        "out_dim",
        "norm_last_layer",
        "momentum_teacher",
        "use_bn_in_head",
        "warmup_teacher_temp",
        "teacher_temp",
        "warmup_teacher_temp_epochs",
        "weight_decay",
        "weight_decay_end",
        "clip_grad",
        "batch_size_per_gpu",
        "epochs",
        "freeze_last_layer",
        "lr",
        "warmup_epochs",
        "min_lr",
        "optimizer",
        "drop_path_rate",
        "global_crops_scale",
        "local_crops_number",
        "local_crops_scale",
        "saveckp_freq",
        "seed",
        "dist_url",
        "local_rank",
    }
)


def options_table() -> str:
    """The table in Markdown, aligned as Prettier has it."""
    rows = [("option", "default", "the authors'", "meaning")]
    for action in build_parser()._actions:
        if action.dest == "help":
            continue
        name = action.dest
        default = _default(action)
        authors = AUTHORS_OTHERS.get(name, "the same" if name in AUTHORS_SAME else "")
        rows.append((f"`--{name}`", default, authors, (action.help or "").replace("|", r"\|")))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [_line(row, widths) for row in rows]
    rule = "| " + " | ".join("-" * width for width in widths) + " |"
    return "\n".join([lines[0], rule, *lines[1:]])


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
    return "| " + " | ".join(cells) + " |"


def _default(action: argparse.Action) -> str:
    if action.dest == "num_workers":
        return "10 or the cores"
    if action.required:
        return "needed"
    value = action.default
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "" if value is None else str(value)


def with_table(document: str) -> str:
    """A document with the table between its marks written anew."""
    head, rest = document.split(BEGIN)
    return f"{head}{BEGIN}\n\n{options_table()}\n\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    DOCUMENT.write_text(with_table(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
