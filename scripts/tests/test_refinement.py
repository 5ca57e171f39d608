"""The reference bilateral solver is what the paper states, and the committed cases are its."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pytest

from dino_train.reference_masks import bilateral_solve, mask_text, refine_masks
from dino_train.reference_masks.bilateral import (
    BilateralOptions,
    bilateral_system,
    grid_coordinates,
)
from dino_train.reference_masks.cases import drawn_pictures, picture_document, pixels_of

CASES = json.loads(
    (
        Path(__file__).resolve().parents[2] / "test/unit/segmentation/bilateral-reference.json"
    ).read_text(encoding="utf-8")
)["cases"]


def test_committed_cases_are_the_drawn_ones():
    for (name, rgb, mask), stored in zip(drawn_pictures(), CASES, strict=True):
        fresh = picture_document(name, rgb, mask)
        np.testing.assert_array_equal(pixels_of(fresh), pixels_of(stored))
        solutions = [
            np.frombuffer(base64.b64decode(case["solution"]), "<f4") for case in (fresh, stored)
        ]
        np.testing.assert_allclose(solutions[0], solutions[1], atol=1e-6)
        without = {key: value for key, value in fresh.items() if key != "solution"}
        assert without == {key: stored[key] for key in without}


def test_cells_are_those_of_the_formula():
    rgb = np.random.default_rng(1).integers(0, 256, (9, 13, 3), dtype=np.uint8)
    options = BilateralOptions(sigma_spatial=4)
    cells = grid_coordinates(rgb, options).reshape(9, 13, 5)
    red, green, blue = rgb[5, 7].astype(float)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    # BT.601: the colour differences are (B - Y) / 1.772 and (R - Y) / 1.402, about 128.
    expected = [7 // 4, 5 // 4, luma / 16]
    expected += [(128 + (blue - luma) / 1.772) / 8, (128 + (red - luma) / 1.402) / 8]
    assert cells[5, 7].tolist() == [int(value) for value in expected]


def test_the_solution_minimises_what_the_paper_states():
    rgb = np.random.default_rng(3).integers(0, 120, (12, 15, 3), dtype=np.uint8)
    target = np.zeros((12, 15))
    target[3:9, 4:11] = 1
    options = BilateralOptions(sigma_spatial=5, sigma_luma=40, sigma_chroma=40, rounds=60)
    vertex_of, pixels, matrix = bilateral_system(rgb, options)
    smooth = (matrix - np.diag(options.confidence * pixels)) / options.smoothness
    # Equation 1, in bilateral space: smoothness of equal numbers costs nothing.
    np.testing.assert_allclose(smooth @ np.ones(len(pixels)), 0, atol=1e-9)
    # The weights are bistochastised: a pixel's weights to all others sum to 1.
    weights = np.diag(np.diag(smooth)) - smooth + np.diag(pixels - np.diag(smooth))
    np.testing.assert_allclose(weights.sum(axis=1), pixels, rtol=1e-6)

    def cost(values: np.ndarray) -> float:
        faith = options.confidence * ((values[vertex_of] - target.reshape(-1)) ** 2).sum()
        return options.smoothness * values @ smooth @ values + faith

    solved = bilateral_solve(rgb, target, options).reshape(-1)
    values = np.zeros(len(pixels))
    values[vertex_of] = solved
    rng = np.random.default_rng(4)
    for step in (1e-2, 1e-3):
        assert all(
            cost(values + step * rng.standard_normal(len(values))) > cost(values) for _ in range(20)
        )


def test_a_mask_moves_to_the_edges_of_a_drawn_shape():
    rng = np.random.default_rng(9)
    rows, columns = np.mgrid[0:48, 0:64]
    disc = (rows - 22) ** 2 + (columns - 30) ** 2 < 15**2
    plain = np.where(disc[..., None], (220, 120, 40), (40, 80, 160))
    rgb = plain + rng.integers(-6, 7, (48, 64, 3))
    coarse = disc.reshape(6, 8, 8, 8).mean(axis=(1, 3)) > 0.5
    (refined,) = refine_masks(rgb.astype(np.uint8), [coarse])
    assert (refined & disc).sum() / (refined | disc).sum() > 0.97


@pytest.mark.parametrize("inside", [False, True])
def test_all_or_nothing_stays_that(inside):
    rgb = np.random.default_rng(1).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    (refined,) = refine_masks(rgb, [np.full((2, 2), inside)])
    assert mask_text(refined) == mask_text(np.full((20, 20), inside))
