"""What training does to features, and the two collapses of the paper's section 5.3."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from conftest import OUT_DIM, run_options, write_scenes

from dino_train.options import parse_options
from dino_train.trainer import Trainer

pytestmark = pytest.mark.usefixtures("micro", "one_thread")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    write_scenes(folder / "train", 24, seed=1)
    write_scenes(folder / "val", 12, seed=2)
    return folder


def train(pictures: Path, out: Path, *extra: str) -> tuple[Trainer, dict]:
    arguments = run_options(pictures / "train", out, *extra)
    trainer = Trainer(parse_options(arguments), "")
    trainer.run()
    return trainer, json.loads((out / "log.jsonl").read_text().splitlines()[-1])


def test_training_raises_knn_above_the_untrained_network(pictures, tmp_path):
    knn = ["--knn", "scenes", str(pictures / "train"), str(pictures / "val"), "--knn_every", "99"]
    arguments = run_options(pictures / "train", tmp_path, "--epochs", "20", *knn)
    trainer = Trainer(parse_options(arguments), "")
    untrained = trainer.measure_knn()["scenes"]["20"]
    trainer.run()
    last = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert last["knn"]["scenes"] > untrained + 0.05
    # Neither collapse: the teacher is neither one-hot nor uniform, and views still differ.
    assert 0.3 * math.log(OUT_DIM) < last["teacher_entropy"] < 0.97 * math.log(OUT_DIM)
    assert last["kl"] > 0.1


def test_without_centring_the_teacher_collapses_to_one_output(pictures, tmp_path):
    _, last = train(pictures, tmp_path, "--epochs", "8", "--center_momentum", "1")
    assert last["teacher_entropy"] < 0.05 * math.log(OUT_DIM)
    assert last["kl"] < 0.05


def test_without_sharpening_the_teacher_collapses_to_the_uniform(pictures, tmp_path):
    temperature = ["--warmup_teacher_temp", "0.1", "--teacher_temp", "0.1"]
    _, last = train(pictures, tmp_path, "--epochs", "8", *temperature)
    assert last["teacher_entropy"] > 0.99 * math.log(OUT_DIM)
    assert last["kl"] < 0.01
