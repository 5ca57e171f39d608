"""The reference masks are what papers and authors state, and the committed cases are theirs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dino_train.reference_masks import (
    case_document,
    component_of,
    drawn_cases,
    keys_of,
    lost,
    mask_text,
    tokencut,
)

CASES = json.loads(
    (
        Path(__file__).resolve().parents[2] / "test/unit/segmentation/key-masks-reference.json"
    ).read_text(encoding="utf-8")
)["cases"]


def text_of(mask):
    return None if mask is None else mask_text(mask)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_committed_masks_are_those_of_the_committed_keys(case):
    grid = (case["height"], case["width"])
    assert text_of(tokencut(keys_of(case), grid)) == case["tokencut"]
    assert text_of(lost(keys_of(case), grid)) == case["lost"]


def test_committed_cases_without_a_model_are_the_drawn_ones():
    stored = {case["name"]: case for case in CASES}
    for name, grid, keys in drawn_cases():
        fresh = case_document(name, grid, keys)
        assert (fresh["height"], fresh["width"]) == (stored[name]["height"], stored[name]["width"])
        # A rounding error may tip a number to the next whole one.
        np.testing.assert_allclose(keys_of(fresh), keys_of(stored[name]), atol=1)


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


@pytest.mark.parametrize("grid", [(1, 1), (3, 4)])
def test_patches_that_are_all_alike_hold_no_object(grid):
    keys = np.ones((grid[0] * grid[1], 5))
    assert tokencut(keys, grid) is None
    assert lost(keys, grid) is None
    assert tokencut(0 * keys, grid) is None
    assert lost(0 * keys, grid) is None
