"""LARS: layer-wise adaptive rates (You, Gitman & Ginsburg 2017, arXiv:1708.03888)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

TRUST = 0.001


class LARS(torch.optim.Optimizer):
    """SGD with momentum whose step is, for each weight matrix, a share of the matrix's own norm.

    With gradient g of a tensor w of more than one dimension (algorithm 1 of the paper, with the
    decay inside the ratio as the DINO authors have it):

        d = g + decay * w
        d = d * trust * |w| / |d|      where both norms are positive
        m = momentum * m + d
        w = w - lr * m

    Tensors of one dimension, biases and norms, take d = g: neither decayed nor adapted. Unlike in
    torch.optim.SGD the learning rate scales the momentum at the step, not as it builds up.

    Args:
        params: parameters or groups of them.
        lr: >= 0; the schedule sets it before each step.
        weight_decay: >= 0.
        momentum: in [0, 1).
        trust: the paper's eta, > 0.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.0,
        weight_decay: float = 0.0,
        momentum: float = 0.9,
        trust: float = TRUST,
    ) -> None:
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "trust": trust,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Takes a step; a parameter without a gradient stays where it is."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, group)
        return loss

    def _move(self, parameter: Tensor, group: dict[str, Any]) -> None:
        direction = parameter.grad
        if parameter.ndim > 1:
            direction = direction.add(parameter, alpha=group["weight_decay"])
            weight_norm, norm = parameter.norm(), direction.norm()
            ratio = group["trust"] * weight_norm / norm
            known = (weight_norm > 0) & (norm > 0)
            direction = direction * torch.where(known, ratio, torch.ones_like(ratio))
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        state["momentum"].mul_(group["momentum"]).add_(direction)
        parameter.add_(state["momentum"], alpha=-group["lr"])
