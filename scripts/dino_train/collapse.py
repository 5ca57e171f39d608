"""Telling a collapse from learning, by the paper's section 5.3."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from .loss import max_entropy

# Shares of ln K. The KL divergence of a run that learns stays far above; a fresh network's is near
# zero as well, which is why the watch begins after the warm-up.
KL_SHARE = 0.005
UNIFORM_SHARE = 0.99
ONE_OUTPUT_SHARE = 0.02
LOSS_SHARE = 0.02

ADVICE_UNIFORM = (
    "lower --teacher_temp and --warmup_teacher_temp (0.02 to 0.04), fewer prototypes (--out_dim), "
    "--momentum_teacher 0.99 for short runs"
)
ADVICE_ONE_OUTPUT = (
    "keep --center_momentum at 0.9, lower --lr, lengthen --warmup_epochs, raise --momentum_teacher"
)
ADVICE_ALIKE = (
    "lower --lr, fewer prototypes (--out_dim), and with few images start from trained weights "
    "(--init)"
)


class CollapseWatch:
    """Looks at the last steps of a run for one of three ends of learning.

    Args:
        out_dim: number of prototypes K.
        window: steps over which a collapse must show; 0 looks at nothing.
        first_step: steps before it, the warm-up, are not looked at.
    """

    def __init__(self, out_dim: int, window: int, first_step: int) -> None:
        self.limit = max_entropy(out_dim)
        self.window = window
        self.first_step = first_step
        self.recent: deque[tuple[float, float, float]] = deque(maxlen=max(window, 1))

    def add(self, step: int, metrics: Mapping[str, float]) -> None:
        """Takes the metrics of a step of the whole run, counted from 0."""
        if self.window and step >= self.first_step:
            self.recent.append((metrics["loss"], metrics["teacher_entropy"], metrics["kl"]))

    def suspicion(self) -> str | None:
        """What the steps seen so far look like, even if they are fewer than the window."""
        if not self.recent:
            return None
        loss, entropy, kl = (sum(v) / len(self.recent) for v in zip(*self.recent, strict=True))
        if kl < KL_SHARE * self.limit:
            if entropy > UNIFORM_SHARE * self.limit:
                seen = f"entropy {entropy:.3f} of {self.limit:.3f}, KL {kl:.4f}"
                return f"outputs are uniform ({seen}): {ADVICE_UNIFORM}"
            if entropy < ONE_OUTPUT_SHARE * self.limit:
                return f"one output wins (entropy {entropy:.4f}, KL {kl:.4f}): {ADVICE_ONE_OUTPUT}"
            return f"student and teacher agree on every image (KL {kl:.4f}): {ADVICE_ALIKE}"
        if abs(loss - self.limit) < LOSS_SHARE * self.limit:
            seen = f"{loss:.3f} of {self.limit:.3f}"
            return f"the loss stands at ln K ({seen}): {ADVICE_UNIFORM}"
        return None

    def finding(self) -> str | None:
        """The collapse that the whole window shows, with advice; None while there is none."""
        return self.suspicion() if self.window and len(self.recent) == self.window else None

    def state_dict(self) -> dict[str, Any]:
        """The steps seen, for a checkpoint."""
        return {"recent": [list(values) for values in self.recent]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from a checkpoint."""
        self.recent.extend(tuple(values) for values in state["recent"])
