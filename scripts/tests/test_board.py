"""TensorBoard files, read back as TensorBoard reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import run_options, write_scenes
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dino_train.board import Board
from dino_train.train_command import main


def read(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder))
    events.Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


@pytest.mark.usefixtures("micro", "one_thread")
def test_a_run_writes_steps_epochs_and_knn_of_every_k(tmp_path):
    pictures = write_scenes(tmp_path / "train", 6, seed=1, scenes=4)
    arguments = run_options(
        pictures, tmp_path / "run", "--batch_size_per_gpu", "4", "--epochs", "2", "--knn", "p",
        str(pictures), str(pictures), "--knn_every", "2", "--tensorboard", "true",
    )  # fmt: skip
    assert main(arguments) == 0
    scalars = read(tmp_path / "run/tensorboard")
    assert [step for step, _ in scalars["epoch/loss"]] == [6, 12]
    assert [step for step, _ in scalars["step/kl"]] == [10]
    assert {f"knn/p/k{k}" for k in (10, 20, 100, 200)} <= set(scalars)
    assert 0 <= scalars["knn/p/k20"][0][1] <= 1


def test_going_on_hides_what_an_interrupted_run_wrote_beyond_its_checkpoint(tmp_path):
    first = Board(tmp_path, 0)
    for step in range(1, 6):
        first.add_step(step, {"loss": 1.0}, 0.1)
    first.close()
    again = Board(tmp_path, 3)
    again.add_step(4, {"loss": 2.0}, 0.1)
    again.close()
    assert [value for _, value in read(tmp_path)["step/loss"]] == [1.0, 1.0, 1.0, 2.0]
