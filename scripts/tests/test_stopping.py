"""Stopping within an epoch, going on from there, and saving when that fails."""

from __future__ import annotations

import json
import os
import resource
import signal
from pathlib import Path

import pytest
import torch
from conftest import run_options, write_scenes

from dino_train.checkpoint import CheckpointError, read_checkpoint, save_checkpoint
from dino_train.step import TrainStep
from dino_train.train_command import main

pytestmark = pytest.mark.usefixtures("micro", "one_thread")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("pictures") / "train", 6, seed=1, scenes=4)


def small_run(pictures: Path, out: Path, *extra: str) -> list[str]:
    return run_options(pictures, out, "--batch_size_per_gpu", "4", "--accumulate", "2",
                       "--epochs", "2", "--drop_path_rate", "0.2", *extra)  # fmt: skip


def send_in_step(monkeypatch: pytest.MonkeyPatch, number: int, wanted: signal.Signals) -> None:
    """Lets a real signal arrive in the middle of a step, counted from 1."""
    move, done = TrainStep._move, []

    def interrupted(self, settings):
        done.append(1)
        if len(done) == number:
            os.kill(os.getpid(), wanted)
        return move(self, settings)

    monkeypatch.setattr(TrainStep, "_move", interrupted)


@pytest.mark.parametrize("wanted", [signal.SIGTERM, signal.SIGINT])
def test_a_run_stopped_within_an_epoch_ends_with_the_weights_of_an_uninterrupted_one(
    pictures, tmp_path, monkeypatch, capsys, wanted
):
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert main(small_run(pictures, tmp_path / "whole")) == 0
    with monkeypatch.context() as patch:
        # Three steps make an epoch.
        send_in_step(patch, 5, wanted)
        assert main(small_run(pictures, tmp_path / "parts")) == 0
    message = capsys.readouterr().err
    assert f"stopped on {wanted.name} after epoch 1 and 2 steps of 3; all is saved" in message
    assert message.rstrip().endswith("--resume")
    first = read_checkpoint(tmp_path / "parts/checkpoint.pth")
    assert (first["epoch"], first["step"]) == (1, 2)
    assert main(small_run(pictures, tmp_path / "parts", "--resume")) == 0
    whole = read_checkpoint(tmp_path / "whole/checkpoint.pth")
    parts = read_checkpoint(tmp_path / "parts/checkpoint.pth")
    for part in ("student", "teacher", "criterion"):
        assert all(torch.equal(v, parts[part][k]) for k, v in whole[part].items()), part
    logs = [
        [json.loads(line) for line in (tmp_path / name / "log.jsonl").read_text().splitlines()]
        for name in ("whole", "parts")
    ]
    # The epoch's means are over all its steps, those before the stop too.
    assert [line["loss"] for line in logs[0]] == [line["loss"] for line in logs[1]]
    assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


def test_a_time_budget_ends_a_leg_after_the_step_that_is_running(pictures, tmp_path, capsys):
    legs = ["--max-minutes", "0.00001"]
    assert main(small_run(pictures, tmp_path, *legs)) == 0
    assert "as --max_minutes is over after epoch 0 and 1 steps" in capsys.readouterr().err
    for _ in range(5):
        assert main(small_run(pictures, tmp_path, "--resume", *legs)) == 0
    state = read_checkpoint(tmp_path / "checkpoint.pth")
    assert (state["epoch"], state["step"]) == (2, 0)
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 2


def test_going_on_within_an_epoch_needs_the_same_images(pictures, tmp_path, capsys):
    assert main(small_run(pictures, tmp_path, "--max_minutes", "0.00001")) == 0
    fewer = str(pictures / "scene-00")
    arguments = [fewer if a == str(pictures) else a for a in small_run(pictures, tmp_path)]
    assert main([*arguments, "--resume", "--batch_size_per_gpu", "1", "--accumulate", "8"]) == 1
    assert "fewer than a batch" in capsys.readouterr().err
    more = [*arguments[:1], str(pictures), fewer, *arguments[2:]]
    assert main([*more, "--resume", "--allow_changes"]) == 1
    assert "within an epoch needs the same images" in capsys.readouterr().err


def test_a_checkpoint_of_the_first_version_goes_on(pictures, tmp_path):
    assert main(small_run(pictures, tmp_path / "whole")) == 0
    assert main(small_run(pictures, tmp_path / "old", "--stop_after", "1")) == 0
    path = tmp_path / "old/checkpoint.pth"
    state = read_checkpoint(path)
    newer = {"step", "epoch_seconds", "sums", "global_batch", "scaler", "watch"}
    old = {key: value for key, value in state.items() if key not in newer}
    for name in ("use_bn_in_head", "optimizer", "init", "accumulate", "use_fp16", "on_collapse"):
        del old["options"][name]
    old["options"]["batch_size_per_gpu"] = 8
    save_checkpoint(path, old)
    assert main(small_run(pictures, tmp_path / "old", "--resume")) == 0
    whole = read_checkpoint(tmp_path / "whole/checkpoint.pth")["teacher"]
    again = read_checkpoint(path)["teacher"]
    assert all(torch.equal(value, again[key]) for key, value in whole.items())


def test_a_full_disk_leaves_the_checkpoint_before_untouched(tmp_path):
    path = tmp_path / "checkpoint.pth"
    save_checkpoint(path, {"weights": torch.ones(10)})
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The kernel refuses to write beyond it, as it does on a full disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(CheckpointError, match=r"cannot save .*the one before it is untouched"):
            save_checkpoint(path, {"weights": torch.ones(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pth"]
