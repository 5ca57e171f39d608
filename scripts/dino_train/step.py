"""One optimisation step of DINO (paper, algorithm 1)."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .distributed import Group, without_sync
from .head import DINONetwork
from .loss import DINOLoss
from .optim import cancel_last_layer_gradients, clip_gradients, update_teacher

# Loss scaling halves its factor after each overflow; below this nothing is left to gain.
LOWEST_SCALE = 2.0**-14
METRICS = ("loss", "teacher_entropy", "kl", "student_entropy", "feature_std")

Batch = list[Tensor]
"""Views of B images on the device, [views * B, 3, S, S] per resolution, globals first."""


class NotFiniteError(RuntimeError):
    """Numbers overflowed; the weights are still those from before the step."""


@dataclass(frozen=True)
class StepSettings:
    """What the schedules say for a step.

    Attributes:
        lr: learning rate, already scaled with the batch.
        weight_decay: of matrices.
        momentum: of the teacher.
        teacher_temp: temperature tau_t.
        freeze_last_layer: leave the prototypes alone.
    """

    lr: float
    weight_decay: float
    momentum: float
    teacher_temp: float
    freeze_last_layer: bool


@dataclass(frozen=True)
class Precision:
    """Number format of the forward passes.

    Attributes:
        dtype: bfloat16 or float16, or None for float32 throughout.
    """

    dtype: torch.dtype | None

    def autocast(self, device: torch.device) -> torch.autocast:
        """Context in which a network runs."""
        return torch.autocast(
            device.type, self.dtype or torch.bfloat16, enabled=self.dtype is not None
        )

    @property
    def name(self) -> str:
        """fp32, bf16 or fp16."""
        return {None: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}[self.dtype]


def choose_precision(options: argparse.Namespace, device: torch.device) -> Precision:
    """--bf16, else --use_fp16, which `auto` makes true on a GPU alone: a CPU gains nothing."""
    if options.bf16:
        return Precision(torch.bfloat16)
    half = device.type == "cuda" if options.use_fp16 == "auto" else options.use_fp16
    return Precision(torch.float16 if half else None)


class TrainStep:
    """Student, teacher and optimiser moving together.

    Args:
        student: trains; `wrapped` is the same network, whose gradients the group averages.
        teacher: follows the student; in training mode, as the authors have it.
        criterion: loss with its centre.
        optimizer: over the student.
        group: processes of the run.
        precision: of the forward passes.
        clip_grad: limit of the gradient's norm per parameter; 0 is none.
    """

    def __init__(
        self,
        student: DINONetwork,
        wrapped: nn.Module,
        teacher: DINONetwork,
        criterion: DINOLoss,
        optimizer: torch.optim.Optimizer,
        *,
        group: Group,
        precision: Precision,
        clip_grad: float,
    ) -> None:
        self.student = student
        self.wrapped = wrapped
        self.teacher = teacher
        self.criterion = criterion
        self.optimizer = optimizer
        self.group = group
        self.precision = precision
        self.clip_grad = clip_grad
        self.scaler = torch.amp.GradScaler(
            group.device.type, enabled=precision.dtype == torch.float16
        )

    def __call__(
        self, settings: StepSettings, batches: Sequence[Batch], stop: bool = False
    ) -> tuple[dict[str, float], bool]:
        """Takes a step on the mean loss over the batches of all processes.

        Args:
            settings: of the schedules.
            batches: of this process, all of one size; more than one accumulate their gradients.
            stop: whether this process was asked to stop.

        Returns:
            METRICS over all processes, and whether any process was asked to stop.

        Raises:
            NotFiniteError: in all processes, before anything has moved.
        """
        for index, group in enumerate(self.optimizer.param_groups):
            group["lr"] = settings.lr
            if index == 0:
                group["weight_decay"] = settings.weight_decay
        self.optimizer.zero_grad(set_to_none=True)
        sums: Tensor | None = None
        centers = []
        for number, batch in enumerate(batches):
            last = number + 1 == len(batches)
            metrics, center = self._pass(batch, settings.teacher_temp, len(batches), last)
            sums = metrics if sums is None else sums + metrics
            centers.append(center)
        message = torch.cat((sums / len(batches), sums.new_tensor([float(stop)])))
        values = self.group.mean(message).tolist()
        metrics, stopped = dict(zip(METRICS, values, strict=False)), values[-1] > 0
        if not math.isfinite(metrics["loss"]):
            raise NotFiniteError(f"loss is {metrics['loss']}")
        self._move(settings)
        self.criterion.move_center(self.group.mean(torch.stack(centers).mean(dim=0)))
        update_teacher(self.teacher, self.student, settings.momentum)
        return metrics, stopped

    def _pass(
        self, batch: Batch, teacher_temp: float, passes: int, last: bool
    ) -> tuple[Tensor, Tensor]:
        count = 2 * sum(len(views) for views in batch) // len(batch[0])
        with without_sync(self.wrapped, last):
            with self.precision.autocast(self.group.device):
                with torch.no_grad():
                    features = self.teacher.backbone(batch[0])
                    targets = self.teacher.head(features)
                logits = self.wrapped(batch)
            terms = self.criterion(logits, targets, count, teacher_temp)
            self.scaler.scale(terms.loss / passes).backward()
        # Spread of unit features: about 1/sqrt(D) when healthy, 0 when all images look alike.
        spread = F.normalize(features.float(), dim=-1).std(dim=0).mean()
        values = (
            terms.loss.detach(),
            terms.teacher_entropy,
            terms.kl,
            terms.student_entropy,
            spread,
        )
        return torch.stack(values), targets.float().mean(dim=0, keepdim=True)

    def _move(self, settings: StepSettings) -> None:
        self.scaler.unscale_(self.optimizer)
        norm = clip_gradients(self.student, self.clip_grad)
        if self.scaler.is_enabled():
            # An overflow is expected at times: the scaler leaves out the step and scales less.
            if self.scaler.get_scale() < LOWEST_SCALE:
                raise NotFiniteError("gradients overflow in fp16 at any scale")
        elif not math.isfinite(norm.item()):
            raise NotFiniteError(f"the gradient's norm is {norm.item()}")
        if settings.freeze_last_layer:
            cancel_last_layer_gradients(self.student.head)
        self.scaler.step(self.optimizer)
        self.scaler.update()
