"""The checkpoints that the service's reader is tested on are what PyTorch writes and reads."""

from __future__ import annotations

import json

from reading_fixtures import EXPECTED, FOLDER, SAVERS, expected, write

COMMITTED = json.loads(EXPECTED.read_text(encoding="utf-8"))


def test_pytorch_reads_the_recorded_values_from_the_committed_files():
    assert expected(FOLDER) == COMMITTED


def test_files_written_anew_hold_the_same_values(tmp_path):
    write(tmp_path)
    assert expected(tmp_path) == COMMITTED
    assert set(COMMITTED) == set(SAVERS)
