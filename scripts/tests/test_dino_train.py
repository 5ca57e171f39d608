"""`dino train`: from drawn photos to a model that the server lists."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import write_scenes

from dino_train.checkpoint import read_checkpoint

ROOT = Path(__file__).resolve().parents[2]
DINO = ROOT / "dist" / "cli" / "dino.js"
NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(
    NODE is None or not DINO.is_file(), reason="the service is not built"
)

SIZES = "--global_crops_size 32 --local_crops_size 16 --local_crops_number 1 --out_dim 64"
REST = "--batch_size_per_gpu 8 --warmup_epochs 0 --num_workers 0 --threads 1 --device cpu"
SMALL = f"{SIZES} {REST}".split()


def dino(*words: str) -> list[str]:
    return [str(NODE), str(DINO), *words]


def environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("DINO_")}


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        dino(*words), cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )


def training(photos: Path, data: Path, *more: str) -> list[str]:
    return ["train", str(photos), "--name", "mine", "--data-dir", str(data), "--python",
            sys.executable, *SMALL, *more]  # fmt: skip


def test_an_interrupted_training_goes_on_and_ends_as_a_model_that_the_server_lists(tmp_path):
    photos, data = write_scenes(tmp_path / "photos", 3, seed=1, scenes=4), tmp_path / "data"
    # So many epochs that the interrupt comes in between.
    first = subprocess.Popen(
        dino(*training(photos, data, "--epochs", "5000")), cwd=ROOT, env=environment(),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    log = data / "training/mine/log.jsonl"
    deadline = time.monotonic() + 120
    while not log.exists() and first.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    first.send_signal(signal.SIGINT)
    _, errors = first.communicate(timeout=120)
    assert first.returncode == 130, errors
    assert "the same command goes on" in errors
    assert not (data / "models/mine").exists()
    reached = read_checkpoint(data / "training/mine/checkpoint.pth")["epoch"]
    assert reached >= 1

    # Fewer epochs than it has: nothing is left to train.
    second = run(*training(photos, data, "--epochs", str(reached + 1), "--json"))
    assert second.returncode == 0, second.stderr
    told = json.loads(second.stdout)
    manifest = json.loads((data / "models/mine/manifest.json").read_text())
    assert told["manifest"] == manifest
    assert told["folder"] == str(data / "models/mine")
    assert manifest["architecture"]["variant"] == "vit_micro"
    assert manifest["preprocessing"]["crop"] == 32
    assert manifest["training"]["epochs"] == reached + 1
    assert manifest["parity"]["photos"] > 0
    (knn,) = manifest["evaluation"]["knn"]
    assert (knn["trainImages"], knn["leaveOneOut"]) == (12, True)
    assert (data / "models/mine/README.md").read_text().startswith("# mine\n")

    listed = run("models", "list", "--data-dir", str(data), "--json")
    assert listed.returncode == 0, listed.stderr
    models = {model["id"]: model for model in json.loads(listed.stdout)}
    assert models["mine"]["fingerprint"] == manifest["file"]["sha256"] == told["fingerprint"]

    again = run(*training(photos, data))
    assert again.returncode == 1
    assert "There is a model mine" in again.stderr


def test_a_step_that_fails_ends_the_chain_with_its_reason(tmp_path):
    photos = write_scenes(tmp_path / "photos", 1, seed=1, scenes=2)
    done = run(*training(photos, tmp_path / "data"))
    assert done.returncode == 1
    assert "2 images are fewer than a batch of 8" in done.stderr
    assert not (tmp_path / "data/models/mine").exists()


def test_evaluate_hands_its_words_to_the_script(tmp_path):
    done = run("evaluate", "knn", "--model", str(tmp_path), "--data", "p", "a", "b", "--json")
    assert done.returncode == 1
    assert "is not a model folder" in done.stderr
    assert "python scripts/evaluate.py knn" in run("evaluate", "knn", "--help").stdout
