"""Where a checkpoint's weights come from."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import torch


def provenance(
    command: str,
    images_by_source: Mapping[str, int],
    epochs: int,
    seconds: float,
    device: torch.device,
    seed: int,
) -> dict[str, Any]:
    """The manifest's account of a training run.

    Args:
        command: what to type to repeat it.
        images_by_source: images per folder or shard, by file name.
        epochs: completed.
        seconds: spent in training, without evaluation.
        device: that trained.
        seed: of the run.
    """
    return {
        "method": "DINO (arXiv:2104.14294)",
        "command": command,
        "data": [{"name": name, "images": n} for name, n in images_by_source.items()],
        "epochs": epochs,
        "seconds": round(seconds),
        "hardware": hardware_name(device),
        "date": date.today().isoformat(),
        "seed": seed,
    }


def hardware_name(device: torch.device) -> str:
    """The GPU's name, or the number and kind of CPU cores."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{os.cpu_count()} {platform.machine().replace('_', '-')} CPU cores"


def plain_options(options: argparse.Namespace) -> dict[str, Any]:
    """Options as plain values, which is all that a checkpoint is allowed to hold."""
    return {k: str(v) if isinstance(v, Path) else v for k, v in vars(options).items()}
