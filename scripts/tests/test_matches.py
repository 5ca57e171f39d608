"""The reference matches are what they say, and the committed cases are theirs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dino_train.reference_matches import (
    answers,
    best_buddies,
    case_document,
    cosines,
    drawn_pairs,
    features_of,
    log_bins,
    mirrored,
    shifted,
)

CASES = json.loads(
    (
        Path(__file__).resolve().parents[2] / "test/unit/segmentation/matches-reference.json"
    ).read_text(encoding="utf-8")
)["cases"]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_committed_answers_are_those_of_the_committed_features(case):
    fresh = answers(*case["images"])
    for kind in ("plain", "binned"):
        for side in ("first", "second"):
            np.testing.assert_allclose(fresh[kind][side], case[kind][side], atol=2e-6)
        assert {tuple(pair[:2]) for pair in fresh[kind]["pairs"]} == {
            tuple(pair[:2]) for pair in case[kind]["pairs"]
        }


def test_committed_cases_without_a_model_are_the_drawn_ones():
    stored = {case["name"]: case for case in CASES}
    for case in drawn_pairs():
        fresh = case_document(case)
        for image, other in zip(fresh["images"], stored[case[0]]["images"], strict=True):
            features, grid = features_of(image)
            assert grid == features_of(other)[1]
            # A rounding error may tip a number to the next whole one.
            np.testing.assert_allclose(features, features_of(other)[0], atol=1)


def test_best_buddies_by_hand():
    similarity = np.array([[0.9, 0.1, 0.3], [0.95, 0.2, 0.8]])
    # Row 0 likes column 0 best, which likes row 1 better.
    assert best_buddies(similarity) == [(1, 0, 0.95)]
    assert best_buddies(np.array([[0.1, 0.7], [0.8, 0.2]])) == [(1, 0, 0.8), (0, 1, 0.7)]


def test_contents_that_move_are_found_where_they_went():
    rng = np.random.default_rng(5)
    grid = (6, 8)
    keys = rng.standard_normal((48, 16))
    moved = cosines(keys, shifted(keys, grid, 1, 3))
    for row, column, score in best_buddies(moved):
        y, x = divmod(row, 8)
        assert divmod(column, 8) == ((y + 1) % 6, (x + 3) % 8)
        assert score == pytest.approx(1)
    assert len(best_buddies(cosines(keys, mirrored(keys, grid)))) == 48


def test_log_bins_hold_neighbours_and_means_and_end_at_the_edge():
    features = np.arange(35.0).reshape(35, 1)
    bins = log_bins(features, (5, 7))
    assert bins.shape == (35, 17)
    # Patch 17 lies in the middle, (2, 3): its neighbours, then means around (0 or 4, 0, 3 or 6).
    assert bins[17, :9].tolist() == [9, 10, 11, 16, 17, 18, 23, 24, 25]
    assert bins[17, 9:].tolist() == [4, 6.5, 9, 14.5, 19.5, 25, 27.5, 30]
    assert bins[0, :9].tolist() == [0, 0, 1, 0, 0, 1, 7, 7, 8]
