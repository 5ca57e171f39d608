"""Attention masks against masks drawn by hand."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from evaluation_fixtures import cpu_source, noise, save_vit
from PIL import Image

from dino_train.evaluate_command import main as evaluate
from dino_train.evaluation.error import EvaluationError
from dino_train.evaluation.masked_images import list_masked_images
from dino_train.evaluation.segmentation import attention_masks, jaccard

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_mask_holds_the_patches_with_the_kept_share_of_attention():
    attention = np.array([[0.4, 0.1, 0.3, 0.2], [0.05, 0.8, 0.05, 0.1]])
    # Head 0 keeps 60 %: of the ascending sums 0.1, 0.3, 0.6, 1.0 those above 0.4.
    # Head 1: of 0.05, 0.1, 0.2, 1.0 the last alone.
    kept = attention_masks(attention, 0.6)
    assert kept.tolist() == [[True, False, True, False], [False, True, False, False]]
    assert attention_masks(attention, 1.0).all()


def test_jaccard_leaves_void_pixels_out():
    mask = np.array([[True, True], [False, False]])
    truth = np.array([[True, False], [True, False]])
    everywhere = np.ones((2, 2), bool)
    assert jaccard(mask, truth, everywhere) == pytest.approx(1 / 3)
    assert jaccard(mask, truth, np.array([[True, True], [False, True]])) == pytest.approx(1 / 2)
    assert jaccard(mask & False, truth & False, everywhere) == 1.0


def write_pair(folder: Path, name: str) -> None:
    noise(32, 48, len(name)).save(folder / f"{name}.jpg")
    mask = np.zeros((32, 48), np.uint8)
    mask[8:24, 8:24] = 255
    Image.fromarray(mask).save(folder / f"{name}.mask.png")


def test_the_command_measures_what_the_attention_of_the_network_says(tmp_path, capsys):
    checkpoint = save_vit(tmp_path / "vit.pth")
    pairs = tmp_path / "pairs"
    pairs.mkdir()
    write_pair(pairs, "one")
    write_pair(pairs, "three")
    arguments = ["segmentation", "--checkpoint", str(checkpoint), "--data_path", str(pairs)]
    assert evaluate([*arguments, "--imsize", "48", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    source = cpu_source(checkpoint)
    per_image = []
    for name in ("one", "three"):
        # At 48 px the photos keep their size, so a patch is a square of 16 px of the mask.
        pixels = np.array(Image.open(pairs / f"{name}.jpg"))
        attention = source.run(pixels[None], ["attention"])["attention"][0].reshape(-1, 2, 3)
        truth = np.array(Image.open(pairs / f"{name}.mask.png")) > 0
        heads = []
        for head in attention:
            # The least share that reaches 60 % when patches are taken from the top.
            values = sorted(head.ravel().tolist(), reverse=True)
            taken, total = 0, 0.0
            while total < 0.6 * sum(values):
                total += values[taken]
                taken += 1
            mask = np.kron(head >= values[taken - 1], np.ones((16, 16))) > 0
            heads.append((mask & truth).sum() / (mask | truth).sum())
        per_image.append(heads)
    assert found["images"] == 2
    assert found["jaccardByHead"] == pytest.approx(np.mean(per_image, axis=0), abs=1e-5)
    best = np.max(per_image, axis=1).mean()
    assert found["jaccardBestHeadPerImage"] == pytest.approx(best, abs=1e-5)
    assert found["jaccardMeanOfHeads"] == pytest.approx(np.mean(per_image), abs=1e-5)


def test_voc_pairs_and_shards_are_read_alike(tmp_path):
    pairs = tmp_path / "pairs"
    pairs.mkdir()
    write_pair(pairs, "one")
    voc = tmp_path / "voc"
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (voc / folder).mkdir(parents=True)
    (voc / "ImageSets/Segmentation/val.txt").write_text("one\n")
    (voc / "JPEGImages/one.jpg").write_bytes((pairs / "one.jpg").read_bytes())
    classes = np.zeros((32, 48), np.uint8)
    classes[8:24, 8:24] = 7
    classes[8:24, 24] = 255
    indexed = Image.fromarray(classes, "P")
    indexed.putpalette([value for index in range(256) for value in (index, 0, 0)])
    indexed.save(voc / "SegmentationClass/one.png")
    with tarfile.open(tmp_path / "shard.tar", "w") as tar:
        for file in sorted(pairs.iterdir()):
            tar.add(file, f"birds/{file.name}")
    truth, counts = list_masked_images(pairs)[0].read_mask()
    assert truth.sum() == 16 * 16 and counts.all()
    (sharded,) = list_masked_images(tmp_path / "shard.tar")
    assert sharded.name == "birds/one"
    assert np.array_equal(sharded.read_mask()[0], truth)
    assert sharded.read_image().size == (48, 32)
    of_voc, counting = list_masked_images(voc)[0].read_mask()
    assert np.array_equal(of_voc, truth)
    assert (~counting).sum() == 16


@pytest.mark.parametrize("layout", ["nothing", "voc without a list", "no mask", "no folder"])
def test_wrong_layouts_are_named(tmp_path, layout):
    folder = tmp_path / "data"
    if layout != "no folder":
        folder.mkdir()
    if layout == "voc without a list":
        (folder / "JPEGImages").mkdir()
    if layout == "no mask":
        write_pair(folder, "one")
        (folder / "one.mask.png").unlink()
    message = {
        "nothing": "no images with masks",
        "voc without a list": r"no ImageSets/Segmentation/val\.txt",
        "no mask": r"has no mask .*one\.mask\.png",
        "no folder": "no such folder",
    }[layout]
    with pytest.raises(EvaluationError, match=message):
        list_masked_images(folder)
