"""Checkpoints: what train.py saves and the other commands read."""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .networks import backbone_like

FORMAT = "dino-train-1"
TEACHER_BACKBONE = "backbone."


class CheckpointError(RuntimeError):
    """A checkpoint is missing, unreadable or of another kind."""


@dataclass(frozen=True)
class LoadedTeacher:
    """A teacher's backbone and where it came from.

    Attributes:
        backbone: in evaluation mode, on the CPU.
        arch: of networks.arch_names().
        training: provenance for the manifest.
        options: options of the run.
    """

    backbone: nn.Module
    arch: str
    training: dict[str, Any]
    options: dict[str, Any]


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Writes a checkpoint beside its target and renames it, so that a kill leaves the old one.

    Raises:
        CheckpointError: if it cannot be written, on a full disk for one; then the old one stays.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            torch.save({"format": FORMAT, **state}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:
        temporary.unlink(missing_ok=True)
        kept = "; the one before it is untouched" if path.exists() else ""
        raise CheckpointError(
            f"cannot save {path}: {error}{kept}. Make room and go on with --resume"
        ) from error


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Reads a checkpoint onto the CPU without running pickled code.

    Raises:
        CheckpointError: if the file is missing, damaged or not from train.py.
    """
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}; train.py writes checkpoint.pth")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"cannot read checkpoint {path}: {error}") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not a checkpoint of train.py ({FORMAT})")
    return state


def load_teacher(path: Path) -> LoadedTeacher:
    """Rebuilds the teacher's backbone of a checkpoint, in evaluation mode.

    Raises:
        CheckpointError: see read_checkpoint.
    """
    state = read_checkpoint(path)
    options = state["options"]
    weights = {
        key.removeprefix(TEACHER_BACKBONE): value
        for key, value in state["teacher"].items()
        if key.startswith(TEACHER_BACKBONE)
    }
    backbone = backbone_like(options["arch"], options["patch_size"], weights)
    backbone.load_state_dict(weights)
    return LoadedTeacher(backbone.eval(), options["arch"], state["training"], options)
