"""The committed JPEGs and what is expected of them are those that Pillow makes on this machine."""

from __future__ import annotations

import json
from pathlib import Path

from dino_train.golden_pixels import expected, main, pictures

FOLDER = Path(__file__).resolve().parents[2] / "test" / "golden" / "pixels"
CASES = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))["cases"]


def test_pillow_scales_the_committed_files_as_recorded():
    fresh = json.loads(json.dumps(list(expected(FOLDER))))
    assert fresh == CASES


def test_every_picture_is_there_and_its_scalings_differ():
    assert {path.name for path in FOLDER.glob("*.jpg")} == set(pictures())
    of_one = [case["sha256"] for case in CASES if case["file"] == "420.jpg"]
    assert len(set(of_one)) == len(of_one) == 6
    assert {case["shrink"] for case in CASES} == {1, 2, 4, 8}


def test_the_command_writes_all_of_it_elsewhere(tmp_path):
    assert main(["--out", str(tmp_path)]) == 0
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {path.name for path in FOLDER.iterdir()}
