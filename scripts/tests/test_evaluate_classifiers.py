"""Linear classification and fine-tuning on classes that their colours tell apart."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from evaluation_fixtures import WIDTH, save_vit
from PIL import Image

from dino_train.data import DataError
from dino_train.evaluate_command import main as evaluate
from dino_train.evaluation.classification_data import count_right, load_classification_set
from dino_train.evaluation.finetune import fine_tune, warm_cosine
from dino_train.evaluation.linear import cosine_rate, last_blocks
from dino_train.evaluation.networks import load_network
from dino_train.export import normalise
from dino_train.onnx_graph import build_graph

pytestmark = pytest.mark.usefixtures("one_thread")

COLOURS = {"red": (200, 40, 40), "green": (40, 180, 60), "blue": (40, 60, 200)}


def paint(folder: Path, label: str, colour: str, count: int, seed: int) -> None:
    (folder / label).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for number in range(count):
        pixels = np.array(COLOURS[colour]) + rng.integers(-30, 31, (40, 48, 3))
        image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
        image.save(folder / label / f"{colour}{number}.png")


@pytest.fixture(scope="module")
def paints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("paints")
    for index, colour in enumerate(COLOURS):
        paint(root / "train", colour, colour, 6, index)
        paint(root / "val", colour, colour, 3, 10 + index)
    # One of ten is labelled wrongly: the best that can be had is 9 of 10.
    paint(root / "val", "red", "blue", 1, 20)
    return root


def arguments(verb: str, checkpoint: Path, paints: Path, *more: str) -> list[str]:
    data = ["--data", "paints", str(paints / "train"), str(paints / "val")]
    return [verb, "--checkpoint", str(checkpoint), *data, "--crop", "32", "--json",
            "--batch_size_per_gpu", "9", *more]  # fmt: skip


@pytest.mark.parametrize("pooled", ["true", "false"])
def test_a_linear_classifier_tells_colours_apart(tmp_path, paints, capsys, pooled):
    vit = save_vit(tmp_path / "vit.pth")
    more = ["--epochs", "8", "--lr", "0.5", "--n_last_blocks", "2", "--avgpool_patchtokens", pooled]
    assert evaluate(arguments("linear", vit, paints, *more)) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["trainImages"], found["valImages"], found["classes"]) == (18, 10, 3)
    assert found["top1"] == 0.9
    assert found["top5"] is None
    assert found["nLastBlocks"] == 2


def test_features_are_the_normalised_cls_tokens_of_the_last_blocks(tmp_path):
    vit = load_network(save_vit(tmp_path / "vit.pth", depth=3)).backbone
    x = torch.rand(2, 3, 32, 48)
    with torch.no_grad():
        found = last_blocks(vit, x, 2, True)
        assert found.shape == (2, 3 * WIDTH)
        # The last block's tokens are what the network itself gives, the one before it what a
        # network without the last block gives.
        whole = vit.features(x)
        torch.testing.assert_close(found[:, WIDTH : 2 * WIDTH], whole.embedding)
        torch.testing.assert_close(found[:, 2 * WIDTH :], whole.patch_tokens.mean(dim=1))
        vit.blocks = vit.blocks[:-1]
        torch.testing.assert_close(found[:, :WIDTH], vit(x))


def test_schedules_follow_their_formulas():
    rates = [cosine_rate(0.001, 128, epoch, 4) for epoch in range(4)]
    peak = 0.0005
    assert rates == pytest.approx(
        [peak, peak * (1 + math.sqrt(0.5)) / 2, peak / 2, peak * (1 - math.sqrt(0.5)) / 2]
    )
    assert [warm_cosine(step, 6, 2) for step in range(6)] == pytest.approx(
        [0.5, 1, 1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2]
    )


def test_top_k_counts_labels_among_the_strongest():
    logits = torch.tensor([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0], [0.0, 1.0, 2.0]])
    labels = torch.tensor([0, 1, -1])
    assert [count_right(logits, labels, k) for k in (1, 2, 5)] == [1, 2, 2]


def test_batches_show_every_image_once_in_an_order_of_the_epoch(paints):
    args = argparse.Namespace(
        data=["p", str(paints / "train"), str(paints / "val")], exclude=[], seed=3
    )
    data = load_classification_set(args, 32)
    epochs = [list(data.train_batches(epoch, 8)) for epoch in (0, 1, 0)]
    for batches in epochs:
        assert [len(images) for images, _ in batches] == [8, 8, 2]
        labels = torch.cat([labels for _, labels in batches])
        assert labels.bincount().tolist() == [6, 6, 6]
        # A crop of a red image is red, whatever was cut: labels go with their images.
        strongest = np.concatenate(
            [images.mean(axis=(1, 2)).argmax(axis=1) for images, _ in batches]
        )
        names = [data.classes[label] for label in labels]
        assert names == [("red", "green", "blue")[channel] for channel in strongest]
    assert np.array_equal(epochs[0][0][0], epochs[2][0][0])
    assert not np.array_equal(epochs[0][0][0], epochs[1][0][0])


def test_fine_tuning_changes_the_backbone_and_tells_colours_apart(tmp_path, paints, capsys):
    vit = save_vit(tmp_path / "vit.pth")
    more = ["--epochs", "10", "--lr", "0.03", "--drop_path_rate", "0"]
    assert evaluate(arguments("finetune", vit, paints, *more)) == 0
    assert json.loads(capsys.readouterr().out)["top1"] == 0.9


def test_one_step_of_fine_tuning_is_one_step_of_adamw(tmp_path, paints):
    args = argparse.Namespace(
        data=["p", str(paints / "train"), str(paints / "val")], exclude=[], seed=0, epochs=1,
        warmup_epochs=0, lr=0.01, weight_decay=0.0, label_smoothing=0.0, drop_path_rate=0.0,
        batch_size_per_gpu=18,
    )  # fmt: skip
    data = load_classification_set(args, 32)
    before = load_network(save_vit(tmp_path / "vit.pth")).backbone
    model = fine_tune(data, load_network(tmp_path / "vit.pth").backbone, args, torch.device("cpu"))
    torch.manual_seed(0)
    head = torch.nn.Linear(WIDTH, 3)
    torch.nn.init.trunc_normal_(head.weight, std=0.02)
    ((images, labels),) = data.train_batches(0, 18)
    features = before(normalise(torch.from_numpy(images)))
    logits = features @ head.weight.T
    loss = -logits.log_softmax(dim=1)[range(18), labels].mean()
    weight = before.blocks[0].mlp.fc1.weight
    (gradient,) = torch.autograd.grad(loss, weight)
    # Adam's first step goes by the learning rate along the gradient's sign.
    expected = weight - 0.01 * 18 / 256 * gradient / (gradient.abs() + 1e-8)
    torch.testing.assert_close(model.backbone.blocks[0].mlp.fc1.weight, expected, atol=2e-5, rtol=0)


def test_an_exported_model_gives_its_last_block_alone(tmp_path, paints, capsys):
    network = load_network(save_vit(tmp_path / "vit.pth"))
    model = build_graph(network.backbone, "evaluated")
    told = {"patchSize": 16, "multipleOf": 16}
    onnx.helper.set_model_props(model, {"dino_architecture": json.dumps(told)})
    onnx.save(model, tmp_path / "vit.onnx")
    given = arguments("linear", tmp_path / "vit.onnx", paints, "--epochs", "8", "--lr", "0.5")
    given[1] = "--model"
    assert evaluate([*given, "--avgpool_patchtokens", "true"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["top1"], found["nLastBlocks"]) == (0.9, 1)
    assert evaluate([*given, "--n_last_blocks", "4"]) == 1
    assert "gives the features of its last block alone" in capsys.readouterr().err


def test_what_can_not_be_evaluated_is_refused(tmp_path, paints, capsys):
    vit = save_vit(tmp_path / "vit.pth")
    assert evaluate(arguments("linear", vit, paints, "--n_last_blocks", "3")) == 1
    assert "has 2 blocks, not 3" in capsys.readouterr().err
    assert evaluate(arguments("linear", vit, paints, "--crop", "40")) == 1
    assert "--crop 40 is not a multiple of 16" in capsys.readouterr().err
    assert evaluate(arguments("linear", vit, paints, "--lr", "1e39", "--epochs", "3")) == 1
    assert "lower --lr" in capsys.readouterr().err
    args = argparse.Namespace(
        data=["p", str(paints / "train/red"), str(paints / "val")], exclude=[], seed=0
    )
    with pytest.raises(DataError, match="has no label"):
        load_classification_set(args, 32)
    paint(tmp_path / "single", "red", "red", 2, 0)
    args.data[1] = str(tmp_path / "single")
    with pytest.raises(DataError, match="one class alone"):
        load_classification_set(args, 32)
