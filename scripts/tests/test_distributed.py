"""Several processes train as one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import run_options, write_scenes

from dino_train.checkpoint import read_checkpoint
from dino_train.train_command import main

ROOT = Path(__file__).resolve().parents[2]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]


def micro_run(pictures: Path, out: Path, *extra: str) -> list[str]:
    """Options that a process of its own understands: the nano network is known to tests alone."""
    options = run_options(
        pictures, out, "--global_crops_size", "16", "--local_crops_size", "8",
        "--freeze_last_layer", "0", "--threads", "1", *extra,
    )  # fmt: skip
    return ["vit_micro" if option == "vit_nano" else option for option in options]


def read_log(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.usefixtures("one_thread")
def test_two_processes_have_the_loss_curve_of_one_with_their_batch_and_one_goes_on(tmp_path):
    pictures = write_scenes(tmp_path / "train", 6, seed=1, scenes=4)

    def small_run(out: str, *extra: str) -> list[str]:
        return micro_run(pictures, tmp_path / out, "--epochs", "3", *extra)

    two = [*TORCHRUN, "scripts/train.py", *small_run("two", "--batch_size_per_gpu", "4")]
    done = subprocess.run(
        [*two, "--stop_after", "2", "--knn", "p", str(pictures), str(pictures)],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert main(small_run("one", "--batch_size_per_gpu", "8")) == 0
    one, half = read_log(tmp_path / "one"), read_log(tmp_path / "two")
    assert [line["epoch"] for line in half] == [1, 2]
    for a, b in zip(one, half, strict=False):
        for name in ("loss", "teacher_entropy", "kl", "student_entropy"):
            assert b[name] == pytest.approx(a[name], rel=1e-3), name
        assert b["lr"] == a["lr"]
    state = read_checkpoint(tmp_path / "two/checkpoint.pth")
    assert state["global_batch"] == 8
    assert not any(key.startswith("module.") for key in state["student"])
    # The same steps in two passes of a single process.
    again = small_run("two", "--batch_size_per_gpu", "4", "--accumulate", "2", "--resume")
    assert main(again) == 0
    assert read_log(tmp_path / "two")[2]["loss"] == pytest.approx(one[2]["loss"], rel=1e-3)
    whole = read_checkpoint(tmp_path / "one/checkpoint.pth")
    parts = read_checkpoint(tmp_path / "two/checkpoint.pth")
    for key, value in whole["teacher"].items():
        torch.testing.assert_close(parts["teacher"][key], value, rtol=0.01, atol=2e-4)
    center = parts["criterion"]["center"]
    torch.testing.assert_close(center, whole["criterion"]["center"], rtol=0.02, atol=1e-4)


def test_another_batch_over_all_processes_is_refused_on_resuming(tmp_path, capsys, one_thread):
    pictures = write_scenes(tmp_path / "train", 4, seed=1, scenes=2)
    arguments = micro_run(pictures, tmp_path / "run", "--epochs", "2", "--batch_size_per_gpu", "4",
                          "--max_minutes", "0.0001")  # fmt: skip
    assert main(arguments) == 0
    assert main([*arguments, "--resume", "--accumulate", "2"]) == 1
    assert "a step took 4 images" in capsys.readouterr().err
