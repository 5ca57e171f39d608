"""DINO training loop (paper, algorithm 1)."""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from tqdm import tqdm

from .checkpoint import CheckpointError, read_checkpoint, save_checkpoint
from .export import normalise
from .head import DINOHead, DINONetwork
from .knn import LabelledSet, evaluate_knn, load_labelled_set
from .loader import InputOptions, ViewLoader
from .loss import DINOLoss
from .manifest import resize_for_crop
from .multicrop import MultiCropOptions
from .optim import cancel_last_layer_gradients, clip_gradients, param_groups, update_teacher
from .options import RESUMABLE
from .provenance import plain_options, provenance
from .schedules import CosineSchedule, teacher_temperature
from .vit import build_vit

KNN_NEIGHBOURS = 20


class TrainingError(RuntimeError):
    """Training cannot go on."""


def build_network(options: argparse.Namespace, drop_path_rate: float = 0.0) -> DINONetwork:
    """Builds g = h o f as the options say, with fresh weights from the global random state."""
    backbone = build_vit(
        options.arch, options.patch_size, options.global_crops_size, drop_path_rate
    )
    head = DINOHead(backbone.embed_dim, options.out_dim, options.norm_last_layer)
    return DINONetwork(backbone, head)


class Trainer:
    """One training run: state, steps, checkpoints and the log.

    Args:
        options: of options.parse_options.
        command: the command line, for the manifest.

    Raises:
        DataError: if images are missing, unreadable or fewer than a batch.
        CheckpointError: if --resume cannot continue the run in output_dir.
    """

    def __init__(self, options: argparse.Namespace, command: str) -> None:
        self.options = options
        self.command = command
        self.checkpoint_path: Path = options.output_dir / "checkpoint.pth"
        self.log_path: Path = options.output_dir / "log.jsonl"
        if self.checkpoint_path.exists() and not options.resume:
            raise CheckpointError(
                f"{self.checkpoint_path} exists; continue it with --resume or choose another "
                "--output_dir"
            )
        self.device = _choose_device(options.device)
        if options.threads:
            torch.set_num_threads(options.threads)
        self.knn_sets = self._load_knn_sets()
        crops = MultiCropOptions(
            tuple(options.global_crops_scale),
            tuple(options.local_crops_scale),
            options.local_crops_number,
            options.global_crops_size,
            options.local_crops_size,
        )
        self.views = crops.views
        self.loader = ViewLoader(
            InputOptions(
                data_path=options.data_path,
                crops=crops,
                batch_size=options.batch_size_per_gpu,
                seed=options.seed,
                device=self.device,
                num_workers=options.num_workers,
                max_bad_images=options.max_bad_images,
            )
        )
        torch.manual_seed(options.seed)
        self.student = build_network(options, options.drop_path_rate).to(self.device)
        self.teacher = build_network(options).to(self.device)
        self.teacher.load_state_dict(self.student.state_dict())
        self.teacher.requires_grad_(False)
        self.criterion = DINOLoss(
            options.out_dim, options.student_temp, options.center_momentum
        ).to(self.device)
        self.optimizer = torch.optim.AdamW(param_groups(self.student), fused=True)
        self._build_schedules()
        self.epoch = 0
        self.seconds = 0.0
        options.output_dir.mkdir(parents=True, exist_ok=True)
        if options.resume:
            self._resume()
        else:
            self.log_path.unlink(missing_ok=True)

    def _build_schedules(self) -> None:
        o, steps = self.options, len(self.loader)
        rate = o.lr * o.batch_size_per_gpu / 256
        self.learning_rates = CosineSchedule(rate, o.min_lr, o.epochs, steps, o.warmup_epochs)
        self.weight_decays = CosineSchedule(o.weight_decay, o.weight_decay_end, o.epochs, steps)
        self.momenta = CosineSchedule(o.momentum_teacher, 1.0, o.epochs, steps)

    def _load_knn_sets(self) -> list[LabelledSet]:
        o = self.options
        crop = o.global_crops_size
        return [
            load_labelled_set(
                name,
                [train],
                [val],
                resize_for_crop(crop),
                crop,
                o.knn_exclude,
                o.knn_train_images,
            )
            for name, train, val in o.knn
        ]

    def run(self) -> None:
        """Trains to the last epoch (or --stop_after), saving and logging after every epoch.

        Raises:
            TrainingError: if the loss stops being finite.
        """
        last = self.options.epochs
        if self.options.stop_after:
            last = min(last, self.options.stop_after)
        while self.epoch < last:
            started = time.monotonic()
            metrics = self._train_epoch()
            self.epoch += 1
            self.seconds += time.monotonic() - started
            done = self.epoch == self.options.epochs
            if self.knn_sets and (done or self.epoch % self.options.knn_every == 0):
                metrics["knn"] = self.measure_knn()
            metrics["total_seconds"] = round(self.seconds, 1)
            # The log goes first: a resumed run drops lines beyond its checkpoint, but could not
            # make up for a missing one.
            with self.log_path.open("a", encoding="utf-8") as log:
                log.write(json.dumps(metrics) + "\n")
            self._save()

    def _train_epoch(self) -> dict[str, Any]:
        o, epoch = self.options, self.epoch
        # Seeding by epoch makes stochastic depth the same in a resumed run.
        torch.manual_seed(o.seed * 100_003 + epoch)
        self.loader.set_epoch(epoch)
        temperature = teacher_temperature(
            epoch, o.warmup_teacher_temp, o.teacher_temp, o.warmup_teacher_temp_epochs
        )
        sums: Counter[str] = Counter()
        started = time.monotonic()
        steps = len(self.loader)
        with tqdm(
            total=steps * o.batch_size_per_gpu, unit="img", desc=f"epoch {epoch + 1}/{o.epochs}"
        ) as bar:
            for step, views in enumerate(self.loader):
                terms = self._train_step(epoch * steps + step, views, temperature)
                sums.update(terms)
                bar.update(o.batch_size_per_gpu)
                bar.set_postfix(loss=f"{terms['loss']:.4f}", refresh=False)
        seconds = time.monotonic() - started
        last = (epoch + 1) * steps - 1
        return {
            "epoch": epoch + 1,
            **{key: total / steps for key, total in sums.items()},
            "lr": self.learning_rates[last],
            "weight_decay": self.weight_decays[last],
            "momentum": self.momenta[last],
            "teacher_temp": temperature,
            "images_per_second": round(steps * o.batch_size_per_gpu / seconds, 2),
            "seconds": round(seconds, 1),
            "input_wait": round(self.loader.input_wait / seconds, 4),
            "bad_images": len(self.loader.bad_images),
        }

    def _train_step(
        self, iteration: int, views: list[torch.Tensor], temperature: float
    ) -> dict[str, float]:
        o = self.options
        rate, decay = self.learning_rates[iteration], self.weight_decays[iteration]
        for index, group in enumerate(self.optimizer.param_groups):
            group["lr"] = rate
            if index == 0:
                group["weight_decay"] = decay
        with torch.autocast(self.device.type, torch.bfloat16, enabled=o.bf16):
            with torch.no_grad():
                features = self.teacher.backbone(views[0])
                targets = self.teacher.head(features)
            logits = self.student(views)
        terms = self.criterion(logits, targets, self.views, temperature)
        loss = terms.loss.item()
        if not math.isfinite(loss):
            raise TrainingError(
                f"loss is {loss} in epoch {self.epoch + 1}, step {iteration % len(self.loader)}; "
                "the last good epoch is in checkpoint.pth. Lower --lr, --teacher_temp or "
                "--clip_grad, or switch --bf16 off"
            )
        self.optimizer.zero_grad(set_to_none=True)
        terms.loss.backward()
        clip_gradients(self.student, o.clip_grad)
        if self.epoch < o.freeze_last_layer:
            cancel_last_layer_gradients(self.student.head)
        self.optimizer.step()
        self.criterion.update_center(targets)
        update_teacher(self.teacher, self.student, self.momenta[iteration])
        # Spread of unit features: about 1/sqrt(D) when healthy, 0 when all images look alike.
        spread = F.normalize(features.float(), dim=-1).std(dim=0).mean()
        return {
            "loss": loss,
            "teacher_entropy": terms.teacher_entropy.item(),
            "kl": terms.kl.item(),
            "feature_std": spread.item(),
        }

    def embedder(self) -> Callable[[np.ndarray], np.ndarray]:
        """The teacher's backbone as a function on uint8 images, for k-NN."""
        backbone = self.teacher.backbone.eval()

        @torch.inference_mode()
        def embed(images: np.ndarray) -> np.ndarray:
            pixels = normalise(torch.from_numpy(images).to(self.device))
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.options.bf16):
                return backbone(pixels).float().cpu().numpy()

        return embed

    def measure_knn(self) -> dict[str, float]:
        """k-NN top-1 of the teacher per labelled set, in [0, 1]."""
        return {s.name: evaluate_knn(s, self.embedder(), KNN_NEIGHBOURS) for s in self.knn_sets}

    def _save(self) -> None:
        state = {
            "options": plain_options(self.options),
            "epoch": self.epoch,
            "seconds": self.seconds,
            "student": self.student.state_dict(),
            "teacher": self.teacher.state_dict(),
            "criterion": self.criterion.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "training": provenance(
                self.command,
                self.loader.images_by_source,
                self.epoch,
                self.seconds,
                self.device,
                self.options.seed,
            ),
        }
        save_checkpoint(self.checkpoint_path, state)
        frequency = self.options.saveckp_freq
        if frequency and self.epoch % frequency == 0:
            numbered = self.checkpoint_path.with_name(f"checkpoint{self.epoch:04d}.pth")
            save_checkpoint(numbered, state)

    def _resume(self) -> None:
        state = read_checkpoint(self.checkpoint_path)
        old, new = state["options"], plain_options(self.options)
        changed = [k for k in new if k not in RESUMABLE and old.get(k) != new[k]]
        if changed:
            raise CheckpointError(
                "--resume needs the options of the first run; these differ: "
                + ", ".join(f"--{k} was {old.get(k)}, is {new[k]}" for k in changed)
            )
        self.student.load_state_dict(state["student"])
        self.teacher.load_state_dict(state["teacher"])
        self.criterion.load_state_dict(state["criterion"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.seconds = state["epoch"], state["seconds"]
        # The manifest's command should repeat the run: without --resume where it changed nothing.
        first = state["training"]["command"]
        if old["epochs"] == new["epochs"]:
            self.command = first
        else:
            self.command = f"{first} --stop_after {self.epoch} && {self.command}"
        if self.log_path.exists():
            # A kill between log and checkpoint would leave an epoch twice.
            lines = self.log_path.read_text(encoding="utf-8").splitlines()
            kept = [line for line in lines if json.loads(line)["epoch"] <= self.epoch]
            self.log_path.write_text("".join(line + "\n" for line in kept), encoding="utf-8")


def _choose_device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)
