"""Entry points run from the repository's root as the documentation says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "command",
    [
        ["train.py"],
        ["plot.py"],
        ["slurm.py"],
        ["export_onnx.py"],
        ["evaluate.py", "knn"],
        ["golden.py"],
        ["golden_pixels.py"],
        ["bench_training.py"],
    ],
)
def test_help_shows_an_example(command):
    script = f"scripts/{command[0]}"
    done = subprocess.run(
        [sys.executable, script, *command[1:], "--help"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "example" in done.stdout
    assert f"python {script}" in done.stdout


def test_missing_data_fails_with_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "scripts/train.py", "--data_path", str(tmp_path / "none"),
         "--output_dir", str(tmp_path / "run")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == f"train.py: no such folder or tar file: {tmp_path / 'none'}\n"
