"""What an evaluation refuses."""

from __future__ import annotations


class EvaluationError(RuntimeError):
    """The data has the wrong layout, or the model cannot give what the evaluation needs."""
