"""Submission to Slurm: what is asked for, and a job that really runs, on this machine."""

from __future__ import annotations

import pytest
from conftest import write_scenes
from test_distributed import micro_run

from dino_train.checkpoint import read_checkpoint
from dino_train.slurm_command import TrainTask, build_parser, main, slurm_parameters

ARGUMENTS = ["--data_path", "photos", "--output_dir", "run", "--warmup_epochs", "1"]


def test_a_job_asks_for_a_process_per_gpu_on_each_node():
    command = ["--nodes", "3", "--ngpus", "4", "--partition", "gpu", "--timeout", "60", *ARGUMENTS]
    args, rest = build_parser().parse_known_args(command)
    assert rest == ARGUMENTS
    assert slurm_parameters(args) == {
        "name": "dino", "nodes": 3, "tasks_per_node": 4, "gpus_per_node": 4, "cpus_per_task": 10,
        "mem_gb": 160, "timeout_min": 60, "slurm_signal_delay_s": 120, "slurm_partition": "gpu",
    }  # fmt: skip


def test_wrong_options_of_training_fail_before_the_queue(capsys):
    with pytest.raises(SystemExit):
        main(["--nodes", "1", *ARGUMENTS, "--epoch", "3"])
    assert "unknown option --epoch; the nearest is --epochs" in capsys.readouterr().err


def test_without_a_cluster_it_says_so(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    arguments = ["photos", "--output_dir", str(tmp_path / "run")]
    assert main(["--nodes", "1", "--data_path", *arguments]) == 1
    assert "srun" in capsys.readouterr().err


def test_a_requeued_job_goes_on_where_the_first_leg_stopped(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "")
    pictures = write_scenes(tmp_path / "train", 4, seed=1, scenes=2)
    arguments = micro_run(pictures, tmp_path / "run", "--epochs", "2", "--batch_size_per_gpu", "4")
    assert TrainTask(arguments).legs_arguments() == arguments
    local = ["--local", "--nodes", "1", "--ngpus", "0", *arguments]
    assert main([*local, "--stop_after", "1"]) == 0
    assert "epoch 1, step 0" in capsys.readouterr().out
    assert (tmp_path / "run/slurm").is_dir()
    task = TrainTask(arguments).checkpoint().function
    assert task.legs_arguments() == [*arguments, "--resume"]
    assert read_checkpoint(tmp_path / "run/checkpoint.pth")["epoch"] == 1
