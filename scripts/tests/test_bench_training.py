"""The benchmark of the input runs and adds up; how fast anything is, is not tested."""

from __future__ import annotations

import json

import pytest
from conftest import run_options, write_scenes

from dino_train.bench_command import PLAIN, WAYS, main

pytestmark = pytest.mark.usefixtures("micro", "one_thread")


def test_every_way_is_measured_against_the_plain_one(tmp_path, capsys):
    data = write_scenes(tmp_path / "p", 2, seed=1, scenes=4)
    options = run_options(data, tmp_path / "unused", "--batch_size_per_gpu", "4")
    assert main([*options, "--rounds", "2", "--steps", "1", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert list(report["ways"]) == list(WAYS)
    for row in report["ways"].values():
        assert row["input"] > row["training"] > 0
        assert 0 < row["wait"] < 1
    assert report["ways"][PLAIN]["input_ratio"] == report["ways"][PLAIN]["training_ratio"] == 1
    assert not (tmp_path / "unused").exists()


def test_missing_data_is_a_plain_error(tmp_path, capsys):
    options = run_options(tmp_path / "none", tmp_path / "unused")
    assert main(options) == 1
    assert capsys.readouterr().err.startswith("bench_training.py: no such folder")
