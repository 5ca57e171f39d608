"""What training does to features, and the two collapses of the paper's section 5.3."""

from __future__ import annotations

import json
import math
from pathlib import Path
from statistics import mean

import pytest
from conftest import OUT_DIM, run_options, write_scenes

from dino_train.checkpoint import read_checkpoint
from dino_train.options import parse_options
from dino_train.trainer import Trainer, TrainingError

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
    untrained = trainer.measure_knn()["scenes"]
    trainer.run()
    last = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    # The mean over 10 to 200 neighbours: one number of them alone jumps by a few images.
    assert mean(last["knn_by_k"]["scenes"].values()) > mean(untrained.values()) + 0.03
    # Neither collapse: the teacher is neither one-hot nor uniform, and views still differ.
    assert 0.3 * math.log(OUT_DIM) < last["teacher_entropy"] < 0.97 * math.log(OUT_DIM)
    assert last["kl"] > 0.1


def collapse(pictures: Path, out: Path, *extra: str) -> str:
    """Trains until the collapse is seen, and returns the message of the stop."""
    with pytest.raises(TrainingError) as stop:
        train(pictures, out, "--epochs", "8", "--collapse_window", "48", *extra)
    # What the last good state holds is from before the first sign.
    good = read_checkpoint(out / "last_good.pth")
    assert 1 <= good["epoch"] < 8
    assert f"The last good state is in {out / 'last_good.pth'}" in str(stop.value)
    return str(stop.value)


def test_without_centring_the_teacher_collapses_to_one_output(pictures, tmp_path):
    assert "one output wins" in collapse(pictures, tmp_path, "--center_momentum", "1")


def test_without_sharpening_the_teacher_collapses_to_the_uniform(pictures, tmp_path, capsys):
    temperature = ["--warmup_teacher_temp", "0.1", "--teacher_temp", "0.1"]
    message = collapse(pictures, tmp_path / "stop", *temperature)
    assert "outputs are uniform" in message
    assert "lower --teacher_temp" in message
    # A warning goes on to the end.
    options = ["--epochs", "3", "--collapse_window", "20", "--on_collapse", "warn", *temperature]
    _, last = train(pictures, tmp_path / "warn", *options)
    assert last["epoch"] == 3
    assert "train.py: training has collapsed in epoch 2: outputs are uniform" in (
        capsys.readouterr().out
    )


# docs/training.md, "Small sets".
RECIPE = ("--out_dim 64 --teacher_temp 0.02 --warmup_teacher_temp 0.02 --momentum_teacher 0.99 "
          "--lr 0.004")  # fmt: skip
# What the authors have for a million images; 1,024 prototypes stand for their 65,536.
DEFAULTS = "--out_dim 1024 --teacher_temp 0.04 --momentum_teacher 0.996 --lr 0.0005"


def test_few_images_learn_nothing_with_the_defaults_and_something_with_the_recipe(tmp_path):
    write_scenes(tmp_path / "train", 2, seed=3)
    length = ["--epochs", "18", "--warmup_epochs", "3", "--collapse_window", "20"]
    with pytest.raises(TrainingError, match="loss stands at ln K"):
        train(tmp_path, tmp_path / "defaults", *length, *DEFAULTS.split())
    trainer, last = train(tmp_path, tmp_path / "recipe", *length, *RECIPE.split())
    assert trainer.watch.suspicion() is None
    assert last["loss"] < 0.9 * math.log(OUT_DIM)
    assert last["kl"] > 0.2
    # Nor have the features grown alike: fresh ones spread by 0.053.
    assert last["feature_std"] > 0.04
