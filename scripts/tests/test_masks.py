"""The reference masks are what papers and authors state, and the committed cases are theirs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dino_train.reference_masks import (
    box_mask,
    component_of,
    deep_spectral,
    largest_part,
    lost,
    mask_text,
    maskcut,
    otsu,
    point_mask,
    tokencut,
)
from dino_train.reference_masks.cases import drawn_cases, keys_of, masks_of, whole_keys

CASES = json.loads(
    (
        Path(__file__).resolve().parents[2] / "test/unit/segmentation/key-masks-reference.json"
    ).read_text(encoding="utf-8")
)["cases"]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_committed_masks_are_those_of_the_committed_keys(case):
    grid = (case["height"], case["width"])
    masks = masks_of(keys_of(case), grid)
    assert masks == {method: case[method] for method in masks}


def test_committed_cases_without_a_model_are_the_drawn_ones():
    stored = {case["name"]: case for case in CASES}
    for name, grid, keys in drawn_cases():
        assert grid == (stored[name]["height"], stored[name]["width"])
        # A rounding error may tip a number to the next whole one.
        np.testing.assert_allclose(whole_keys(keys), keys_of(stored[name]), atol=1)


def test_component_follows_edges_and_not_corners():
    mask = np.array([[1, 1, 0, 1], [0, 1, 0, 1], [1, 0, 1, 1]], bool)
    assert mask_text(component_of(mask, (0, 0))) == "##.. .#.. ...."
    assert mask_text(component_of(mask, (2, 2))) == "...# ...# ..##"


def test_tokencut_cuts_off_the_smaller_of_two_groups():
    # Five patches along one axis, three along the other: no edge between the groups.
    axes = np.eye(2)
    assert mask_text(tokencut(axes[[0, 0, 1, 0, 0, 1, 1, 0]], (2, 4))) == "..#. .##."
    assert mask_text(tokencut(axes[[1, 1, 0, 1, 1, 1, 0, 0]], (2, 4))) == "..#. ..##"


def test_tokencut_keeps_the_largest_part_where_several_stand_out_equally():
    axes = np.eye(2)
    assert mask_text(tokencut(axes[[1, 0, 0, 0, 0, 0, 1, 1]], (2, 4))) == ".... ..##"


def test_tokencut_finds_a_drawn_object():
    rng = np.random.default_rng(3)
    labels = np.zeros((8, 8), int)
    labels[2:5, 3:7] = 1
    keys = (np.eye(6)[labels] + 0.2 * rng.standard_normal((8, 8, 6))).reshape(64, 6)
    assert mask_text(tokencut(keys, (8, 8))) == mask_text(labels == 1)


def test_lost_by_hand():
    keys = np.array([[1, -0.1], [1, 0.1], [0.2, 1], [-1, 1], [0.9, 0.8]])
    similarity = keys @ keys.T
    # Degrees 3, 3, 4, 1, 3: the seed is patch 3, which is like patch 2 alone.
    assert ((similarity > 0).sum(axis=1) - 1).tolist() == [3, 3, 4, 1, 3]
    # Keys 3 and 2 sum up to (-0.8, 2); patch 4 is like the sum, though not like the seed.
    assert mask_text(lost(keys, (1, 5))) == "..###"
    # Patch 2, of the highest degree, is no candidate.
    assert mask_text(lost(keys, (1, 5), candidates=4)) == "..##."


def drawn_scene():
    """Three rectangles on a ground, each along an axis of its own, with a little noise."""
    rng = np.random.default_rng(5)
    labels = np.zeros((14, 18), int)
    labels[2:7, 2:6] = 1
    labels[8:12, 10:16] = 2
    labels[1:4, 13:16] = 3
    keys = np.eye(4)[labels] + 0.04 * rng.standard_normal((14, 18, 4))
    return labels, keys.reshape(-1, 4)


def test_maskcut_finds_each_of_three_drawn_objects():
    labels, keys = drawn_scene()
    masks = maskcut(keys, labels.shape, objects=10)
    assert len(masks) == 3
    assert {mask_text(mask) for mask in masks} == {mask_text(labels == at) for at in (1, 2, 3)}
    assert len(maskcut(keys, labels.shape, objects=2)) == 2


def test_maskcut_prefers_the_side_without_three_corners():
    labels = np.ones((7, 8), int)
    labels[1:-1, 1:-1] = 0
    (first, *_) = maskcut(np.eye(2)[labels.reshape(-1)], labels.shape)
    assert mask_text(first) == mask_text(labels == 0)


def test_maskcut_ends_at_an_object_of_a_hundredth_of_the_patches():
    labels = np.zeros((20, 20), int)
    labels[3:9, 3:9] = 1
    labels[15, 10:14] = 2
    masks = maskcut(np.eye(3)[labels.reshape(-1)], labels.shape)
    assert all(mask.sum() > 4 for mask in masks[1:])


def test_deep_spectral_finds_an_object_by_its_first_eigenvector():
    labels, keys = drawn_scene()
    keys = np.where((labels.reshape(-1, 1) == 2), keys, keys[0])
    (first,) = deep_spectral(keys, labels.shape, objects=1)
    assert mask_text(first) == mask_text(labels == 2)


def test_deep_spectral_is_that_of_the_paper_where_its_graph_hangs_together():
    rng = np.random.default_rng(2)
    keys = rng.standard_normal((70, 12)) + 0.5
    with_floor = deep_spectral(keys, (7, 10), objects=5)
    without = deep_spectral(keys, (7, 10), objects=5, floor=0.0)
    assert [mask_text(mask) for mask in with_floor] == [mask_text(mask) for mask in without]


def test_otsu_by_hand():
    # Parted after the third value: 3 * 2 * (8.5 - 2)^2 = 253.5; after the second 3 * 2 * 5.17^2.
    assert otsu(np.array([9.0, 1, 8, 2, 3])) == 3
    assert otsu(np.array([4.0, 4, 4])) is None


def test_point_and_box_find_the_object_they_name():
    labels, keys = drawn_scene()
    for at, patch in ((1, 3 * 18 + 3), (2, 9 * 18 + 12), (3, 2 * 18 + 14), (0, 17 * 14)):
        expected = component_of(labels == at, divmod(patch, 18))
        assert mask_text(point_mask(keys, labels.shape, patch)) == mask_text(expected)
    box = np.zeros(labels.shape, bool)
    box[6:14, 8:18] = True
    assert mask_text(box_mask(keys, labels.shape, box)) == mask_text(labels == 2)


def test_the_largest_part_of_a_mask_is_the_first_of_equals():
    mask = np.array([[1, 1, 0, 1, 1], [0, 0, 0, 0, 0], [1, 0, 0, 0, 0]], bool)
    assert mask_text(largest_part(mask)) == "##... ..... ....."


@pytest.mark.parametrize("grid", [(1, 1), (3, 4)])
def test_patches_that_are_all_alike_hold_no_object(grid):
    keys = np.ones((grid[0] * grid[1], 5))
    assert tokencut(keys, grid) is None
    assert lost(keys, grid) is None
    assert tokencut(0 * keys, grid) is None
    assert lost(0 * keys, grid) is None
    for same in (keys, 0 * keys):
        assert maskcut(same, grid) == []
        assert deep_spectral(same, grid) == []
        assert point_mask(same, grid, 0) is None
        assert box_mask(same, grid, np.arange(len(keys)).reshape(grid) == 0) is None
