"""Labels propagated through videos, and J and F against plain re-derivations."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from evaluation_fixtures import save_vit
from PIL import Image

from dino_train.evaluate_command import main as evaluate
from dino_train.evaluation.davis import list_videos, read_labels, standard_palette
from dino_train.evaluation.davis_metrics import (
    boundary_map,
    contour_accuracy,
    dilate,
    region_similarity,
    statistics,
)
from dino_train.evaluation.error import EvaluationError
from dino_train.evaluation.propagation import (
    PropagationOptions,
    follow,
    neighbourhood,
    propagate,
    to_mask,
)
from dino_train.evaluation.video_segmentation import network_size

pytestmark = pytest.mark.usefixtures("one_thread")


def square(top: int, left: int, side: int = 4, shape: tuple[int, int] = (12, 16)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[top : top + side, left : left + side] = True
    return mask


def test_region_similarity_counts_pixels():
    assert region_similarity(square(2, 2), square(2, 4)) == pytest.approx(8 / 24)
    assert region_similarity(square(2, 2) & False, square(2, 2) & False) == 1.0


def test_a_contour_is_where_the_right_and_lower_neighbours_differ():
    mask = square(2, 2, side=3, shape=(6, 6))
    by_hand = np.zeros((6, 6), bool)
    for y in range(6):
        for x in range(6):
            right, lower = min(x + 1, 5), min(y + 1, 5)
            others = (mask[y, right], mask[lower, x], mask[lower, right])
            by_hand[y, x] = any(other != mask[y, x] for other in others)
    assert np.array_equal(boundary_map(mask), by_hand)
    assert not boundary_map(np.ones((4, 4), bool)).any()


def test_dilation_reaches_as_far_as_the_radius():
    rng = np.random.default_rng(0)
    mask = rng.random((15, 20)) < 0.03
    points = np.argwhere(mask)
    for radius in (0, 1, 3, 4):
        by_hand = np.zeros_like(mask)
        for y in range(15):
            for x in range(20):
                by_hand[y, x] = ((points - (y, x)) ** 2).sum(axis=1).min() <= radius**2
        assert np.array_equal(dilate(mask, radius), by_hand), radius


def test_contour_accuracy_equals_a_search_for_the_nearest_points():
    rng = np.random.default_rng(1)
    for _ in range(5):
        masks = []
        for _ in range(2):
            top, left = rng.integers(0, 60, 2)
            masks.append(square(int(top), int(left), side=50, shape=(120, 160)))
        # The diagonal is 200 px, 0.8 % of it 1.6, rounded up 2.
        a, b = (np.argwhere(boundary_map(mask)) for mask in masks)
        distances = ((a[:, None] - b) ** 2).sum(axis=2)
        precision = (distances.min(axis=1) <= 4).mean()
        recall = (distances.min(axis=0) <= 4).mean()
        expected = 2 * precision * recall / (precision + recall) if precision + recall else 0
        assert contour_accuracy(*masks) == pytest.approx(expected)
    nothing = np.zeros((12, 16), bool)
    assert contour_accuracy(nothing, nothing) == 1.0
    assert contour_accuracy(nothing, square(2, 2)) == contour_accuracy(square(2, 2), nothing) == 0


def test_statistics_are_mean_recall_and_the_loss_from_first_to_last_quarter():
    found = statistics(np.array([1.0, 0.9, 0.8, 0.6, 0.5, 0.4, 0.3, 0.2]))
    assert found.mean == pytest.approx(4.7 / 8)
    assert found.recall == pytest.approx(4 / 8)
    # The official bins of 8 frames are 0..2 and 5..7.
    assert found.decay == pytest.approx((1.0 + 0.9 + 0.8) / 3 - (0.4 + 0.3 + 0.2) / 3)


def test_propagation_equals_the_definition_computed_patch_by_patch():
    rng = torch.Generator().manual_seed(0)
    rows, columns, dim = 3, 4, 5
    options = PropagationOptions(topk=2, size_mask_neighborhood=1, temperature=0.1)
    features = torch.nn.functional.normalize(
        torch.randn(3, rows * columns, dim, generator=rng), dim=2
    )
    labels = torch.rand(2, 3, rows * columns, generator=rng)
    near = neighbourhood(rows, columns, 1).float()
    found = propagate(features[2], list(features[:2]), list(labels), near, options)
    for q in range(rows * columns):
        candidates = []
        for frame in range(2):
            for s in range(rows * columns):
                if max(abs(s // columns - q // columns), abs(s % columns - q % columns)) <= 1:
                    similarity = float(features[frame, s] @ features[2, q])
                    candidates.append((math.exp(similarity / 0.1), labels[frame, :, s]))
        best = sorted(candidates, key=lambda item: -item[0])[:2]
        expected = sum(w * value for w, value in best) / sum(w for w, _ in best)
        torch.testing.assert_close(found[:, q], expected, rtol=1e-4, atol=1e-5)


def test_labels_come_from_the_first_frame_and_the_last_ones_alone():
    options = PropagationOptions(n_last_frames=1, size_mask_neighborhood=0, topk=1)
    # A frame is one patch; its feature says which frames it is like.
    a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    first = torch.tensor([[0.0], [1.0]])
    found = list(follow([a, b, a], first, (1, 1), options))
    assert [frame.flatten().tolist() for frame in found] == [[0, 1], [0, 1]]


def test_masks_take_the_strongest_label_after_stretching():
    labels = torch.tensor([[0.9, 0.7], [0.1, 0.3], [0.0, 0.0]])
    mask = to_mask(labels, (1, 2), 4)
    # Stretched to 0..1, background is strongest on the left and the object on the right.
    assert mask[:, 0].unique().tolist() == [0]
    assert mask[:, -1].unique().tolist() == [1]


def test_frames_are_given_as_the_authors_give_them():
    assert network_size(854, 480, 480, 16) == (832, 480)
    assert network_size(480, 854, 480, 8) == (480, 832)
    assert network_size(910, 480, 480, 14) == (910, 476)


def write_davis(root: Path, frames: int = 4) -> None:
    """A square that stands still on noise that stands still: the first mask is right throughout."""
    for folder in ("ImageSets/2017", "JPEGImages/480p/still", "Annotations/480p/still"):
        (root / folder).mkdir(parents=True)
    (root / "ImageSets/2017/val.txt").write_text("still\n")
    pixels = np.random.default_rng(0).integers(0, 256, (64, 128, 3), np.uint8)
    labels = np.zeros((64, 128), np.uint8)
    labels[16:48, 32:64] = 1
    labels[16:48, 80:112] = 2
    for number in range(frames):
        name = f"{number:05d}"
        Image.fromarray(pixels).save(root / f"JPEGImages/480p/still/{name}.jpg", quality=100)
        mask = Image.fromarray(labels, "L")
        mask.putpalette(standard_palette())
        mask.save(root / f"Annotations/480p/still/{name}.png")


def test_the_command_follows_objects_that_stand_still_and_writes_their_masks(tmp_path, capsys):
    root, out = tmp_path / "davis", tmp_path / "masks"
    write_davis(root)
    vit = save_vit(tmp_path / "vit.pth")
    arguments = ["video-segmentation", "--checkpoint", str(vit), "--data_path", str(root)]
    arguments += ["--imsize", "64", "--topk", "1", "--output_dir", str(out), "--json"]
    assert evaluate(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    # With one nearest patch, its own in the frame before, labels stay: the masks differ from the
    # truth at the edges alone, by the interpolation between patches of 16 px.
    assert (found["videos"], found["objects"]) == (1, 2)
    written = [read_labels(out / f"still/{number:05d}.png") for number in range(4)]
    truth = read_labels(root / "Annotations/480p/still/00000.png")[1]
    assert written[0][0].getpalette() == standard_palette()
    for label, entry in zip((1, 2), found["byObject"], strict=True):
        per_frame = [region_similarity(m == label, truth == label) for _, m in written[1:3]]
        assert entry["J"]["mean"] == pytest.approx(np.mean(per_frame), abs=1e-6)
        assert entry["J"]["mean"] > 0.9
        assert entry["J"]["decay"] == pytest.approx(0, abs=1e-6)
    means = [found["J-mean"], found["F-mean"]]
    assert found["J&F-mean"] == pytest.approx(np.mean(means), abs=1e-6)


def test_the_palette_is_the_one_of_voc():
    palette = np.array(standard_palette()).reshape(-1, 3)
    assert palette[:4].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]]
    assert palette[8].tolist() == [64, 0, 0]
    assert palette[255].tolist() == [224, 224, 192]


def test_folders_that_are_not_davis_are_named(tmp_path):
    with pytest.raises(EvaluationError, match="not laid out as DAVIS 2017"):
        list_videos(tmp_path, "val")
    write_davis(tmp_path / "d")
    (tmp_path / "d/Annotations/480p/still/00002.png").unlink()
    with pytest.raises(EvaluationError, match=r"there is no .*00002\.png"):
        list_videos(tmp_path / "d", "val")
    write_davis(tmp_path / "short", frames=2)
    with pytest.raises(EvaluationError, match="has 2 frames"):
        list_videos(tmp_path / "short", "val")
