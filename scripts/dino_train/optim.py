"""What happens to gradients and weights around an optimiser step."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from .lars import LARS

OPTIMIZERS = ("adamw", "sgd", "lars")
SGD_MOMENTUM = 0.9


def param_groups(model: nn.Module) -> list[dict[str, Any]]:
    """Splits trainable parameters: weights decay, biases and norms (1-d) do not.

    The first group is the one whose weight decay follows the schedule.
    """
    decayed, plain = [], []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            is_plain = name.endswith(".bias") or parameter.ndim == 1
            (plain if is_plain else decayed).append(parameter)
    return [{"params": decayed}, {"params": plain, "weight_decay": 0.0}]


def build_optimizer(name: str, model: nn.Module) -> torch.optim.Optimizer:
    """Creates an optimiser over param_groups(model); the schedules set its rate and decay.

    Args:
        name: adamw, sgd (momentum 0.9) or lars.
        model: whose trainable parameters it moves.

    Raises:
        ValueError: if the name is unknown.
    """
    groups = param_groups(model)
    if name == "adamw":
        return torch.optim.AdamW(groups, fused=True)
    if name == "sgd":
        return torch.optim.SGD(groups, lr=0.0, momentum=SGD_MOMENTUM)
    if name == "lars":
        return LARS(groups)
    raise ValueError(f"unknown optimizer {name!r}; choose from {', '.join(OPTIMIZERS)}")


def clip_gradients(model: nn.Module, limit: float) -> Tensor:
    """Scales each parameter's gradient to an l2 norm of at most `limit` (official: per tensor).

    Args:
        model: gradients are scaled in place.
        limit: 0 leaves them as they are.

    Returns:
        The l2 norm of all gradients together before that: a scalar, not finite if any is not.
    """
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    norms = torch._foreach_norm(gradients)
    if limit > 0:
        for gradient, norm in zip(gradients, norms, strict=True):
            gradient.mul_((limit / (norm + 1e-6)).clamp(max=1.0))
    return torch.stack(norms).norm()


def cancel_last_layer_gradients(head: nn.Module) -> None:
    """Freezes the prototypes for this step; without a gradient an optimiser leaves them."""
    for parameter in head.last_layer.parameters():
        parameter.grad = None


@torch.no_grad()
def update_teacher(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """EMA of the paper: theta_t <- m theta_t + (1 - m) theta_s.

    Args:
        teacher: updated in place.
        student: source, same architecture.
        momentum: m in [0, 1].
    """
    pairs: Iterable = zip(teacher.parameters(), student.parameters(), strict=True)
    for old, new in pairs:
        old.mul_(momentum).add_(new, alpha=1 - momentum)
