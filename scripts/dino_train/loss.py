"""DINO loss: cross-entropy between views, with centring and sharpening of the teacher."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class LossTerms:
    """Loss of a batch and what tells collapse from learning (paper, section 5.3 and figure 7).

    Attributes:
        loss: scalar with gradient, in nats.
        teacher_entropy: mean entropy of the teacher's outputs, in nats, in [0, ln K]. It tends to
            0 without centring and to ln K without sharpening.
        kl: mean KL divergence from teacher to student over the counted pairs, in nats, >= 0. It
            tends to 0 in either collapse.
        student_entropy: mean entropy of the student's outputs, in nats, in [0, ln K].
    """

    loss: Tensor
    teacher_entropy: Tensor
    kl: Tensor
    student_entropy: Tensor


class DINOLoss(nn.Module):
    """Cross-entropy of equation (3), with the centre of equation (4).

    Args:
        out_dim: number of prototypes K.
        student_temp: student temperature tau_s, > 0.
        center_momentum: m of equation (4), in [0, 1]; 1 leaves the centre at 0, which switches
            centring off.
    """

    center: Tensor

    def __init__(
        self, out_dim: int, student_temp: float = 0.1, center_momentum: float = 0.9
    ) -> None:
        super().__init__()
        if not 0.0 <= center_momentum <= 1.0:
            raise ValueError(f"center_momentum must be in [0, 1], got {center_momentum}")
        if student_temp <= 0:
            raise ValueError(f"student_temp must be positive, got {student_temp}")
        self.student_temp = student_temp
        self.center_momentum = center_momentum
        self.register_buffer("center", torch.zeros(1, out_dim))

    def forward(
        self, student: Tensor, teacher: Tensor, views: int, teacher_temp: float
    ) -> LossTerms:
        """Averages H(P_t(x), P_s(x')) over teacher views x and student views x' != x.

        Args:
            student: [views * B, K] logits, view-major, the two global views first.
            teacher: [2 * B, K] logits of the global views in the same order. No gradient flows
                into them.
            views: number of student views V >= 2.
            teacher_temp: teacher temperature tau_t, > 0.

        Returns:
            The mean over the 2 * (V - 1) counted pairs and the batch.

        Raises:
            ValueError: if the shapes do not fit together.
        """
        if views < 2 or student.shape[0] % views or teacher.shape[0] * views != 2 * len(student):
            raise ValueError(
                f"{views} views do not fit logits {list(student.shape)} and {list(teacher.shape)}"
            )
        log_student = F.log_softmax(student.float() / self.student_temp, dim=-1).chunk(views)
        centred = (teacher.detach().float() - self.center) / teacher_temp
        target = F.softmax(centred, dim=-1)
        entropy = -(target * F.log_softmax(centred, dim=-1)).sum(dim=-1).mean()
        targets = target.chunk(2)
        total = student.new_zeros((), dtype=torch.float32)
        for teacher_view, student_view in counted_pairs(views):
            total = total - (targets[teacher_view] * log_student[student_view]).sum(-1).mean()
        loss = total / len(counted_pairs(views))
        with torch.no_grad():
            # View by view: the whole would hold another copy of all logits.
            by_view = [-(view.exp() * view).sum(dim=-1).mean() for view in log_student]
        return LossTerms(loss, entropy, loss.detach() - entropy, torch.stack(by_view).mean())

    @torch.no_grad()
    def update_center(self, teacher: Tensor) -> None:
        """Moves the centre towards the mean of the teacher's logits [2 * B, K] (equation 4)."""
        self.move_center(teacher.float().mean(dim=0, keepdim=True))

    @torch.no_grad()
    def move_center(self, mean: Tensor) -> None:
        """Moves the centre towards a mean of logits [1, K] over all processes and micro-batches."""
        self.center.mul_(self.center_momentum).add_(mean, alpha=1 - self.center_momentum)


def counted_pairs(views: int) -> list[tuple[int, int]]:
    """Pairs (teacher view, student view) that enter the loss: all but a view with itself."""
    return [(t, s) for t in range(2) for s in range(views) if s != t]


def max_entropy(out_dim: int) -> float:
    """Entropy in nats of the uniform distribution over K outputs: ln K."""
    return math.log(out_dim)
