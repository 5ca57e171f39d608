"""Curves of runs, from their logs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .model_card import TRAINING_LOG
from .run_state import LOG

Line = Mapping[str, Any]
KNN_STYLES = {"10": ":", "20": "-", "100": "--", "200": "-."}


class PlotError(RuntimeError):
    """There is nothing to draw, or it cannot be drawn."""


def read_log(run: Path) -> list[Line]:
    """The lines of a run's log.

    Args:
        run: folder of the run or of the model that came of it, or a log file itself.

    Raises:
        PlotError: if there is no log, or it is empty or damaged.
    """
    path = run
    if not run.is_file():
        path = run / TRAINING_LOG if (run / TRAINING_LOG).exists() else run / LOG
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError as error:
        raise PlotError(f"no log at {path}; train.py writes it after each epoch") from error
    except (OSError, ValueError) as error:
        raise PlotError(f"cannot read {path}: {error}") from error
    if not lines or not all(isinstance(line, dict) and "epoch" in line for line in lines):
        raise PlotError(f"{path} holds no epochs")
    return lines


def draw_curves(runs: Mapping[str, Sequence[Line]]) -> Figure:
    """Draws six panels over epochs, one colour per run.

    Args:
        runs: lines of the log by the name of the run.
    """
    figure = Figure(figsize=(12, 7), layout="constrained")
    panels = figure.subplots(2, 3).flat
    titles: list[tuple[str, Callable[[Axes, str, str, Sequence[Line]], None]]] = [
        ("loss (nats)", _series("loss")),
        ("entropy (nats): teacher solid, student dashed", _entropies),
        ("KL of student from teacher (nats)", _series("kl")),
        ("feature standard deviation", _series("feature_std")),
        ("k-NN top-1 (%): k 20 solid; 10, 100, 200", _knn),
        ("learning rate", _series("lr")),
    ]
    for panel, (title, draw) in zip(panels, titles, strict=True):
        for number, (name, lines) in enumerate(runs.items()):
            draw(panel, name, f"C{number}", lines)
        panel.set_title(title, fontsize=10)
        panel.set_xlabel("epoch", fontsize=9)
        panel.grid(alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
        if panel.get_legend_handles_labels()[0]:
            panel.legend(fontsize=8, frameon=False)
        if not panel.lines:
            panel.text(0.5, 0.5, "not measured", ha="center", transform=panel.transAxes)
    return figure


def _points(lines: Sequence[Line], key: str) -> tuple[list[int], list[float]]:
    pairs = [(line["epoch"], line[key]) for line in lines if key in line]
    return [epoch for epoch, _ in pairs], [value for _, value in pairs]


def _plot(panel: Axes, epochs: list[int], values: list[float], **style: Any) -> None:
    if epochs:
        # A single point would not show as a line.
        panel.plot(epochs, values, marker="." if len(epochs) < 15 else "", **style)


def _series(key: str) -> Callable[[Axes, str, str, Sequence[Line]], None]:
    def draw(panel: Axes, name: str, color: str, lines: Sequence[Line]) -> None:
        _plot(panel, *_points(lines, key), color=color, label=name)

    return draw


def _entropies(panel: Axes, name: str, color: str, lines: Sequence[Line]) -> None:
    _plot(panel, *_points(lines, "teacher_entropy"), color=color, label=name)
    _plot(panel, *_points(lines, "student_entropy"), color=color, linestyle="--")


def _knn(panel: Axes, name: str, color: str, lines: Sequence[Line]) -> None:
    sets = dict.fromkeys(data for line in lines for data in line.get("knn", {}))
    for number, data in enumerate(sets):
        markers = "osD^v"[number % 5]
        measured = [line for line in lines if data in line.get("knn", {})]
        for k, style in KNN_STYLES.items():
            points = [
                (line["epoch"], 100 * value)
                for line in measured
                if (value := _accuracy(line, data, k)) is not None
            ]
            if points:
                main = k == "20"
                panel.plot(
                    *zip(*points, strict=True), color=color, linestyle=style,
                    marker=markers if main else "", markersize=4, alpha=1 if main else 0.5,
                    linewidth=1.5 if main else 0.8, label=f"{name}: {data}" if main else None,
                )  # fmt: skip


def _accuracy(line: Line, data: str, k: str) -> float | None:
    by_k = line.get("knn_by_k", {}).get(data, {})
    # Logs of the first version have k 20 alone.
    return by_k.get(k, line["knn"][data] if k == "20" else None)
