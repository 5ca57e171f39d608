"""The whole state of a run in one file, and going on from it."""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .checkpoint import CheckpointError, read_checkpoint, save_checkpoint
from .options import RESUMABLE, STRUCTURAL, build_parser
from .provenance import plain_options

CHECKPOINT = "checkpoint.pth"
LAST_GOOD = "last_good.pth"
LOG = "log.jsonl"


@dataclass
class Progress:
    """Where a run is.

    Attributes:
        epoch: completed epochs.
        step: completed steps of the next one.
        seconds: spent in training by earlier epochs and legs.
        epoch_seconds: of them, in the unfinished epoch.
        sums: metrics of the unfinished epoch, summed over its steps.
    """

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    epoch_seconds: float = 0.0
    sums: Counter[str] = field(default_factory=Counter)

    def close_epoch(self) -> None:
        """Moves to the start of the next epoch."""
        self.epoch += 1
        self.step = 0
        self.epoch_seconds = 0.0
        self.sums = Counter()

    def state_dict(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "seconds": self.seconds,
            "epoch_seconds": self.epoch_seconds,
            "sums": dict(self.sums),
        }

    @classmethod
    def of(cls, state: dict[str, Any]) -> Progress:
        """Reads a checkpoint; those of the first version were written between epochs only."""
        return cls(
            state["epoch"],
            state.get("step", 0),
            state["seconds"],
            state.get("epoch_seconds", 0.0),
            Counter(state.get("sums", {})),
        )


def read_run(options: argparse.Namespace, batch: int, images: dict[str, int]) -> dict[str, Any]:
    """Reads the checkpoint of output_dir for --resume.

    Args:
        options: of this leg.
        batch: images per step over all processes.
        images: number per source, of this leg's data.

    Raises:
        CheckpointError: if there is none, or it belongs to another run.
    """
    state = read_checkpoint(options.output_dir / CHECKPOINT)
    old, new = state["options"], plain_options(options)
    defaults = vars(build_parser().parse_args(["--data_path", "", "--output_dir", ""]))
    changed = [k for k in new if k not in RESUMABLE and old.get(k, defaults[k]) != new[k]]
    if options.allow_changes:
        changed = [k for k in changed if k in STRUCTURAL]
    differences = [f"--{k} was {old.get(k, defaults[k])}, is {new[k]}" for k in changed]
    before = state.get("global_batch", old["batch_size_per_gpu"])
    if before != batch:
        differences.append(
            f"a step took {before} images (--batch_size_per_gpu times --accumulate times "
            f"processes), now {batch}"
        )
    if differences:
        raise CheckpointError(
            "--resume needs the options of the first run; these differ: " + ", ".join(differences)
        )
    if state.get("step", 0):
        found = {data["name"]: data["images"] for data in state["training"]["data"]}
        if found != images:
            raise CheckpointError(
                f"--resume within an epoch needs the same images; they were {found}, are {images}"
            )
    return state


def resumed_command(state: dict[str, Any], options: argparse.Namespace, command: str) -> str:
    """What repeats a run of several legs: the first command where later ones changed nothing."""
    first = state["training"]["command"]
    if state["options"]["epochs"] == options.epochs and not options.allow_changes:
        return first
    return f"{first} --stop_after {state['epoch']} && {command}"


def trim_log(path: Path, epoch: int) -> None:
    """Drops lines beyond a checkpoint: a kill between log and checkpoint would leave one twice."""
    if path.exists():
        lines = path.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if json.loads(line)["epoch"] <= epoch]
        path.write_text("".join(line + "\n" for line in kept), encoding="utf-8")


def save_run(folder: Path, state: dict[str, Any], keep_every: int) -> None:
    """Writes checkpoint.pth, and a numbered copy every `keep_every` completed epochs."""
    save_checkpoint(folder / CHECKPOINT, state)
    if keep_every and not state["step"] and state["epoch"] % keep_every == 0:
        save_checkpoint(folder / f"checkpoint{state['epoch']:04d}.pth", state)


def keep_last_good(folder: Path, suspicious: bool) -> None:
    """Puts the present checkpoint aside, once, before a doubtful one takes its place.

    Args:
        folder: of the run.
        suspicious: whether the state about to be saved looks like a collapse; if not, what was put
            aside before is not needed any more.
    """
    source, target = folder / CHECKPOINT, folder / LAST_GOOD
    if not suspicious:
        target.unlink(missing_ok=True)
    elif not target.exists() and source.exists():
        try:
            # Saving renames a new file over the old name, so a second name keeps the old content.
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)


def last_good(folder: Path) -> str:
    """A sentence about where the last state before a collapse is."""
    for name in (LAST_GOOD, CHECKPOINT):
        if (folder / name).exists():
            return f"The last good state is in {folder / name}"
    return "Nothing was saved before it"
