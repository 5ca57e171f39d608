"""The committed model and golden files agree with each other and with this code."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from dino_train.export import PARITY_TOLERANCE, measure_parity
from dino_train.golden_command import expected_answer
from dino_train.golden_command import main as golden
from dino_train.import_onnx import ModelFolder, load_backbone, open_model_folder
from dino_train.model_card import TRAINING_LOG, model_card
from dino_train.scenes import golden_scenes

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "test" / "golden"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def folder() -> ModelFolder:
    return open_model_folder(ROOT / "models" / EXPECTED["model"])


def test_golden_answers_belong_to_the_committed_model(folder):
    assert EXPECTED["sha256"] == folder.manifest["file"]["sha256"]
    assert EXPECTED["model"] == folder.manifest["name"] == folder.path.name


def test_golden_answers_are_what_pytorch_computes_from_the_committed_files(folder):
    vit = load_backbone(folder)
    preprocessing = folder.manifest["preprocessing"]
    for stored in EXPECTED["images"]:
        path = GOLDEN / stored["file"]
        fresh = expected_answer(vit, path, preprocessing["resize"], preprocessing["crop"])
        assert np.linalg.norm(stored["embedding"]) == pytest.approx(1, abs=1e-5)
        np.testing.assert_allclose(fresh["embedding"], stored["embedding"], atol=1e-4)
        assert fresh["attention"]["size"] == stored["attention"]["size"]
        np.testing.assert_allclose(
            fresh["attention"]["values"], stored["attention"]["values"], atol=1e-4
        )


def test_committed_pictures_are_the_drawn_scenes():
    scenes = golden_scenes()
    assert {image["file"] for image in EXPECTED["images"]} == set(scenes)
    for name, (image, options) in scenes.items():
        with Image.open(GOLDEN / name) as stored:
            assert stored.width != stored.height
            buffer = io.BytesIO()
            image.save(buffer, stored.format, **options)
            fresh = np.asarray(Image.open(buffer), np.int16)
            assert np.abs(fresh - np.asarray(stored, np.int16)).max() <= 2


def test_pictures_cover_both_formats_and_a_turned_photo():
    with Image.open(GOLDEN / "night-exif6.jpg") as turned:
        assert turned.getexif()[0x0112] == 6
        assert turned.height > turned.width
        upright = ImageOps.exif_transpose(turned)
        assert upright.width > upright.height
    assert {Path(i["file"]).suffix for i in EXPECTED["images"]} == {".jpg", ".png"}


def test_the_committed_model_equals_pytorch_on_this_machine(folder):
    parity = measure_parity(load_backbone(folder), folder.onnx_path.read_bytes())
    assert max(parity["maxAbsDiff"].values()) <= PARITY_TOLERANCE
    assert max(folder.manifest["parity"]["maxAbsDiff"].values()) <= PARITY_TOLERANCE


def test_the_committed_model_beats_its_untrained_start(folder):
    results = folder.manifest["evaluation"]["knn"]
    assert {r["dataset"] for r in results} == {"caltech101", "flowers"}
    for result in results:
        assert result["top1"] > result["untrainedTop1"] + 0.03, result


def test_the_model_card_and_the_log_belong_to_the_manifest(folder):
    card = (folder.path / "README.md").read_text(encoding="utf-8")
    assert card == model_card(folder.manifest, has_log=True)
    lines = (folder.path / TRAINING_LOG).read_text(encoding="utf-8").splitlines()
    epochs = [json.loads(line)["epoch"] for line in lines]
    assert epochs == list(range(1, folder.manifest["training"]["epochs"] + 1))


def test_golden_command_writes_the_same_answers_elsewhere(folder, tmp_path):
    assert golden(["--model", str(folder.path), "--out", str(tmp_path)]) == 0
    fresh = json.loads((tmp_path / "expected.json").read_text(encoding="utf-8"))
    assert [i["file"] for i in fresh["images"]] == [i["file"] for i in EXPECTED["images"]]
    for new, old in zip(fresh["images"], EXPECTED["images"], strict=True):
        assert np.dot(new["embedding"], old["embedding"]) > 0.9999


def test_golden_command_names_a_missing_model(tmp_path, capsys):
    assert golden(["--model", str(tmp_path / "none"), "--out", str(tmp_path)]) == 1
    assert "is not a model folder" in capsys.readouterr().err
