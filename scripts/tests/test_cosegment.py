"""The reference co-segmentation is what the paper states, and the committed cases are its own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dino_train.reference_masks.cosegment import CosegmentOptions, cluster_by_elbow, cosegment
from dino_train.reference_masks.cosegment_cases import drawn_looks, found_document, look_of

FILE = Path(__file__).resolve().parents[2] / "test/unit/segmentation/cosegment-reference.json"
CASES = json.loads(FILE.read_text(encoding="utf-8"))["cases"]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_committed_masks_are_those_of_the_committed_features(case):
    found = found_document([look_of(image) for image in case["images"]])
    assert found == {name: case[name] for name in found}


@pytest.mark.parametrize("kind", ["common", "missing"])
def test_the_common_object_is_found_and_the_odd_one_is_not(kind):
    looks, truths = drawn_looks(np.random.default_rng(5), kind)
    masks, _ = cosegment([look[1:] for look in looks])
    for mask, truth in zip(masks, truths, strict=True):
        assert (mask == truth.ravel()).all()


def test_what_is_salient_in_one_image_alone_is_common_where_one_vote_is_enough():
    looks, _ = drawn_looks(np.random.default_rng(5), "alone")
    images = [look[1:] for look in looks]
    nothing = [mask.sum() for mask in cosegment(images, CosegmentOptions(saliency=0.9))[0]]
    assert nothing == [0, 0, 0, 0]
    one = [mask.sum() for mask in cosegment(images, CosegmentOptions(saliency=0.9, votes=0.25))[0]]
    assert one == [0, 9, 0, 0]


def test_groups_far_apart_get_a_cluster_each_and_one_more_ends_the_search():
    rng = np.random.default_rng(3)
    middles = 10 * np.eye(4)[:, :3]
    rows = np.vstack([middle + 0.01 * rng.standard_normal((30, 3)) for middle in middles])
    labels, count = cluster_by_elbow(rows, elbow=0.75, most=14)
    assert count == 5
    groups = [set(part) for part in np.split(labels, 4)]
    assert sum(map(len, groups)) == 5
    assert len(set.union(*groups)) == 5
