"""A training run: epochs, checkpoints and the log around the steps."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from .board import Board
from .checkpoint import CheckpointError
from .collapse import CollapseWatch
from .data import DataError
from .distributed import Group, choose_device
from .initial_weights import load_initial_weights
from .knn_probe import MAIN, embedder, load_probes, measure
from .loss import DINOLoss
from .networks import build_network
from .optim import build_optimizer
from .provenance import plain_options, provenance
from .run_data import global_batch, open_views
from .run_schedules import RunSchedules
from .run_state import (
    CHECKPOINT,
    LOG,
    Progress,
    keep_last_good,
    last_good,
    read_run,
    resumed_command,
    save_run,
    trim_log,
)
from .step import Batch, NotFiniteError, StepSettings, TrainStep, choose_precision
from .stopping import StopRequest

# Curves need no more, and writing them takes time.
STEPS_PER_POINT = 10


class TrainingError(RuntimeError):
    """Training cannot go on."""


class Trainer:
    """One training run: state, checkpoints and the log. The steps are in step.py.

    Args:
        options: of options.parse_options.
        command: the command line, for the manifest.
        group: processes of the run; this one alone by default.

    Raises:
        DataError: if images are missing, unreadable or fewer than a batch.
        CheckpointError: if --resume cannot continue the run in output_dir, or --init does not fit.
    """

    def __init__(
        self, options: argparse.Namespace, command: str, group: Group | None = None
    ) -> None:
        self.started = time.monotonic()
        self.options = options
        self.command = command
        self.group = group or Group(0, 1, choose_device(options.device))
        self.device = self.group.device
        self.folder: Path = options.output_dir
        if (self.folder / CHECKPOINT).exists() and not options.resume:
            raise CheckpointError(
                f"{self.folder / CHECKPOINT} exists; continue it with --resume or choose another "
                "--output_dir"
            )
        if options.threads:
            torch.set_num_threads(options.threads)
        self.views = open_views(options, self.group)
        self.batch = global_batch(options, self.group.world)
        self.steps = len(self.views) // options.accumulate
        if not self.steps:
            raise DataError(
                f"{self.views.images} images are fewer than a batch of {self.batch}; lower "
                "--batch_size_per_gpu or --accumulate, or add images"
            )
        self.probes = load_probes(options) if self.group.is_main else []
        self._build_networks()
        self.schedules = RunSchedules(options, self.batch, self.steps)
        self.watch = CollapseWatch(options.out_dim, options.collapse_window, self.schedules.warm_up)
        self.progress = Progress()
        self.stopped: str | None = None
        # Of this leg in the present epoch.
        self.pass_seconds = 0.0
        if options.resume:
            self._resume()
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.group.is_main:
            trim_log(self.folder / LOG, self.progress.epoch)

    def _build_networks(self) -> None:
        o, group = self.options, self.group
        torch.manual_seed(o.seed)
        student = build_network(o, o.drop_path_rate)
        teacher = build_network(o)
        if o.init and not o.resume:
            taken = load_initial_weights(o.init, student, o)
            if group.is_main:
                print(taken, flush=True)
        self.student = group.synchronise_batch_norm(student).to(self.device)
        self.teacher = group.synchronise_batch_norm(teacher).to(self.device)
        self.teacher.load_state_dict(self.student.state_dict())
        self.teacher.requires_grad_(False)
        self.criterion = DINOLoss(o.out_dim, o.student_temp, o.center_momentum).to(self.device)
        self.optimizer = build_optimizer(o.optimizer, self.student)
        self.take_step = TrainStep(
            self.student,
            group.wrap(self.student),
            self.teacher,
            self.criterion,
            self.optimizer,
            group=group,
            precision=choose_precision(o, self.device),
            clip_grad=o.clip_grad,
        )

    def run(self) -> None:
        """Trains to the last epoch (or --stop_after), saving and logging after every epoch.

        When asked to stop by a signal or --max_minutes, it finishes the step, saves and returns
        with the reason in `stopped`.

        Raises:
            TrainingError: if the loss stops being finite, or training collapses.
            CheckpointError: if the state cannot be saved.
        """
        last = self.options.epochs
        if self.options.stop_after:
            last = min(last, self.options.stop_after)
        board = self._open_board()
        try:
            with StopRequest(self.options.max_minutes, self.started) as stop:
                while self.progress.epoch < last and not self.stopped:
                    if self._train_epoch(board, stop):
                        self._close_epoch(board)
                    else:
                        self._save()
        finally:
            if board:
                board.close()

    def _open_board(self) -> Board | None:
        if not self.options.tensorboard or not self.group.is_main:
            return None
        done = self.progress.epoch * self.steps + self.progress.step
        return Board(self.folder / "tensorboard", done)

    def _train_epoch(self, board: Board | None, stop: StopRequest) -> bool:
        """Takes the steps that are left of an epoch; False if asked to stop before its end."""
        o, p = self.options, self.progress
        started, before = time.monotonic(), p.epoch_seconds
        with tqdm(
            total=self.steps * self.batch,
            initial=p.step * self.batch,
            unit="img",
            desc=f"epoch {p.epoch + 1}/{o.epochs}",
            disable=not self.group.is_main,
        ) as bar:
            for batches in self._batches():
                iteration = p.epoch * self.steps + p.step
                settings = self.schedules[iteration]
                # Each step's stochastic depth depends on nothing that came before it.
                torch.manual_seed((o.seed * 1_000_003 + iteration) * 1009 + self.group.rank)
                metrics, stopped = self._step(settings, batches, stop.reason is not None)
                p.step += 1
                p.sums.update(metrics)
                self.pass_seconds = time.monotonic() - started
                p.epoch_seconds = before + self.pass_seconds
                bar.update(self.batch)
                bar.set_postfix(loss=f"{metrics['loss']:.4f}", refresh=False)
                if board and (iteration + 1) % STEPS_PER_POINT == 0:
                    board.add_step(iteration + 1, metrics, settings.lr)
                self._look_for_collapse(iteration, metrics)
                # Several processes hear of it a step later, all at once.
                if stopped or (self.group.world == 1 and stop.reason):
                    self.stopped = stop.reason or "as another process was asked to"
                    if p.step < self.steps:
                        return False
        return True

    def _batches(self) -> Iterator[list[Batch]]:
        """Batches of this process for each step that is left of the epoch."""
        passes = self.options.accumulate
        self.views.set_epoch(self.progress.epoch, self.progress.step * passes)
        loaded = iter(self.views)
        for _ in range(self.progress.step, self.steps):
            yield list(islice(loaded, passes))

    def _step(
        self, settings: StepSettings, batches: list[Batch], stop: bool
    ) -> tuple[dict[str, float], bool]:
        try:
            return self.take_step(settings, batches, stop)
        except NotFiniteError as error:
            kept = last_good(self.folder)
            raise TrainingError(
                f"{error} in epoch {self.progress.epoch + 1}, step {self.progress.step}; "
                f"{kept[0].lower()}{kept[1:]}. Lower --lr, --teacher_temp or "
                "--clip_grad, or switch --bf16 or --use_fp16 off, and go on with --resume "
                "--allow_changes"
            ) from error

    def _look_for_collapse(self, iteration: int, metrics: dict[str, float]) -> None:
        self.watch.add(iteration, metrics)
        finding = self.watch.finding()
        if not finding:
            return
        message = f"training has collapsed in epoch {iteration // self.steps + 1}: {finding}"
        if self.options.on_collapse == "stop":
            kept = last_good(self.folder)
            raise TrainingError(f"{message}. {kept}. --on_collapse warn goes on")
        if self.group.is_main:
            tqdm.write(f"train.py: {message}")
        self.watch.recent.clear()

    def _close_epoch(self, board: Board | None) -> None:
        """Logs, measures and saves at the end of an epoch."""
        o, p = self.options, self.progress
        line = self._log_line()
        p.seconds += p.epoch_seconds
        p.close_epoch()
        if self.probes and (p.epoch == o.epochs or p.epoch % o.knn_every == 0):
            by_k = self.measure_knn()
            line["knn"] = {name: values[str(MAIN)] for name, values in by_k.items()}
            line["knn_by_k"] = by_k
        line["total_seconds"] = round(p.seconds, 1)
        if self.group.is_main:
            # The log goes first: a resumed run drops lines beyond its checkpoint, but could not
            # make up for a missing one.
            with (self.folder / LOG).open("a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
        if board:
            board.add_epoch(p.epoch * self.steps, line)
        self._save()

    def _log_line(self) -> dict[str, Any]:
        p = self.progress
        last = self.schedules[(p.epoch + 1) * self.steps - 1]
        return {
            "epoch": p.epoch + 1,
            **{key: total / self.steps for key, total in p.sums.items()},
            "lr": last.lr,
            "weight_decay": last.weight_decay,
            "momentum": last.momentum,
            "teacher_temp": last.teacher_temp,
            "images_per_second": round(self.steps * self.batch / p.epoch_seconds, 2),
            "seconds": round(p.epoch_seconds, 1),
            "input_wait": round(self.views.input_wait / self.pass_seconds, 4),
            "bad_images": len(self.views.bad_images),
        }

    def measure_knn(self) -> dict[str, dict[str, float]]:
        """k-NN top-1 of the teacher in [0, 1], per labelled set and number of neighbours."""
        embed = embedder(self.teacher.backbone, self.take_step.precision, self.device)
        return measure(self.probes, embed)

    def _save(self) -> None:
        p = self.progress
        if self.group.is_main:
            if self.options.on_collapse == "stop":
                keep_last_good(self.folder, self.watch.suspicion() is not None)
            state = {
                "options": plain_options(self.options),
                **p.state_dict(),
                "global_batch": self.batch,
                "student": self.student.state_dict(),
                "teacher": self.teacher.state_dict(),
                "criterion": self.criterion.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "scaler": self.take_step.scaler.state_dict(),
                "watch": self.watch.state_dict(),
                "training": provenance(
                    self.command,
                    self.views.images_by_source,
                    p.epoch,
                    p.seconds + p.epoch_seconds,
                    self.device,
                    self.options.seed,
                ),
            }
            save_run(self.folder, state, self.options.saveckp_freq)
        self.group.wait()

    def _resume(self) -> None:
        state = read_run(self.options, self.batch, self.views.images_by_source)
        self.student.load_state_dict(state["student"])
        self.teacher.load_state_dict(state["teacher"])
        self.criterion.load_state_dict(state["criterion"])
        self.optimizer.load_state_dict(state["optimizer"])
        if state.get("scaler"):
            self.take_step.scaler.load_state_dict(state["scaler"])
        if "watch" in state:
            self.watch.load_state_dict(state["watch"])
        self.progress = Progress.of(state)
        self.command = resumed_command(state, self.options, self.command)
