"""The k-NN vote and the evaluation command."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import run_options, write_scenes

from dino_train.data import DataError
from dino_train.evaluate_command import main as evaluate
from dino_train.export import ExportOptions, export_model
from dino_train.knn import knn_accuracy, load_labelled_set
from dino_train.train_command import main as train


def test_vote_equals_the_formula_computed_by_hand():
    rng = np.random.default_rng(0)
    bank = F.normalize(torch.from_numpy(rng.standard_normal((60, 8))).float(), dim=1)
    queries = F.normalize(torch.from_numpy(rng.standard_normal((40, 8))).float(), dim=1)
    labels = torch.from_numpy(rng.integers(0, 5, 60))
    truth = torch.from_numpy(rng.integers(0, 5, 40))
    right = 0
    for query, answer in zip(queries.tolist(), truth.tolist(), strict=True):
        scored = sorted(
            ((sum(a * b for a, b in zip(query, row, strict=True)), label)
             for row, label in zip(bank.tolist(), labels.tolist(), strict=True)),
            reverse=True,
        )[:7]  # fmt: skip
        votes = [0.0] * 5
        for score, label in scored:
            votes[label] += math.exp(score / 0.07)
        right += votes.index(max(votes)) == answer
    assert knn_accuracy(bank, labels, queries, truth, 5, k=7) == pytest.approx(right / 40)


def test_more_neighbours_than_images_and_unknown_classes_are_handled():
    bank = torch.eye(3)
    labels, truth = torch.tensor([0, 1, 2]), torch.tensor([0, 1, -1])
    assert knn_accuracy(bank, labels, bank, truth, 3, k=20) == pytest.approx(2 / 3)


def test_left_out_of_its_own_vote_an_image_is_what_its_neighbours_are():
    # Two pairs, and one that is nearest to the first pair.
    features = F.normalize(torch.tensor([[1.0, 0], [1, 0.1], [0, 1], [0.1, 1], [1, 0.3]]), dim=1)
    labels = torch.tensor([0, 0, 1, 1, 1])
    assert knn_accuracy(features, labels, features, labels, 2, k=1) == 1.0
    alone = knn_accuracy(features, labels, features, labels, 2, k=1, leave_one_out=True)
    assert alone == pytest.approx(4 / 5)


def test_data_without_labels_is_refused(tmp_path):
    folder = write_scenes(tmp_path / "p", 2, seed=1, scenes=2)
    flat = folder / "scene-00"
    with pytest.raises(DataError, match="has no label"):
        load_labelled_set("p", [str(folder)], [str(flat)], 32, 32)


def test_bank_is_subsampled_evenly_and_labels_can_be_left_out(tmp_path):
    folder = str(write_scenes(tmp_path / "p", 4, seed=1, scenes=4))
    data = load_labelled_set("p", [folder], [folder], 36, 32, ["scene-03"], max_train_images=6)
    assert data.train_images.shape == (6, 32, 32, 3)
    assert data.train_labels.bincount().tolist() == [2, 2, 2]
    assert len(data.val_labels) == 12


@pytest.mark.usefixtures("one_thread")
def test_command_measures_checkpoint_and_model_alike_beside_the_untrained_start(
    micro, tmp_path, capsys
):
    pictures = write_scenes(tmp_path / "p", 6, seed=1, scenes=4)
    run = run_options(pictures, tmp_path / "run", "--epochs", "1")
    assert train([*run, "--knn", "p", str(pictures), str(pictures)]) == 0
    checkpoint, model = tmp_path / "run/checkpoint.pth", tmp_path / "model"
    export_model(checkpoint, model, ExportOptions(name="mine", description="", crop=32))
    data = ["--data", "p", str(pictures), str(pictures), "--json"]
    capsys.readouterr()
    assert evaluate(["knn", "--checkpoint", str(checkpoint), "--crop", "32", *data]) == 0
    (from_checkpoint,) = json.loads(capsys.readouterr().out)
    assert evaluate(["knn", "--model", str(model), "--write_manifest", *data]) == 0
    (from_model,) = json.loads(capsys.readouterr().out)
    assert from_checkpoint == from_model
    assert (from_model["trainImages"], from_model["valImages"]) == (24, 24)
    log = json.loads((tmp_path / "run/log.jsonl").read_text())
    assert from_model["top1"] == pytest.approx(log["knn"]["p"], abs=1e-6)
    both = ["knn", "--model", str(model), *data, "--k", "3", "20"]
    assert evaluate(both) == 0
    by_k = json.loads(capsys.readouterr().out)
    assert [r["k"] for r in by_k] == [3, 20]
    assert by_k[1] == from_model
    stored = json.loads((model / "manifest.json").read_text())["evaluation"]["knn"]
    assert stored == [{k: v for k, v in from_model.items() if k != "crop"}]
    assert (model / "training-log.jsonl").read_text() == (tmp_path / "run/log.jsonl").read_text()
    assert evaluate(["card", "--model", str(model)]) == 0
    card = (model / "README.md").read_text()
    assert f"{from_model['top1']:.1%} | {from_model['untrainedTop1']:.1%}" in card
    assert json.loads((model / "manifest.json").read_text())["file"]["sha256"] in card


def test_command_names_what_is_wrong(tmp_path, capsys):
    data = ["--data", "p", str(tmp_path), str(tmp_path)]
    assert evaluate(["knn", "--model", str(tmp_path), *data]) == 1
    assert "is not a model folder" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        evaluate(["knn", "--checkpoint", "x", "--write_manifest", *data])
    assert "--write_manifest needs --model" in capsys.readouterr().err
