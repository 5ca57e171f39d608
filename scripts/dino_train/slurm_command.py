"""Command line of slurm.py: train.py as a job of many processes, requeued until it is done."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

try:
    import submitit
except ModuleNotFoundError as error:
    raise SystemExit("slurm.py needs submitit: pip install submitit") from error

from .options import parse_options
from .run_state import CHECKPOINT
from .train_command import train

EXAMPLE = """example:
  python scripts/slurm.py --nodes 2 --ngpus 8 --partition gpu --timeout 1440 \\
      --data_path 'shards/train-{000..146}.tar' --output_dir runs/large --arch vit_small

All options that are not Slurm's go to train.py. A job that is preempted, or runs out of time,
saves its state and is queued again; so does the same command later, with --resume.
"""


class TrainTask:
    """One process of the job; submitit sends it to the nodes.

    Args:
        arguments: of train.py.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        self.arguments = list(arguments)

    def __call__(self) -> str:
        """Trains until done or asked to stop; returns where it came to."""
        # Each process picks its GPU by its local rank, so all of them stay visible.
        submitit.helpers.TorchDistributedEnvironment().export(
            set_cuda_visible_devices=False, overwrite=True
        )
        trainer = train(self.legs_arguments())
        if trainer.stopped == f"on {signal.SIGUSR2.name}":
            # Saved by now: submitit's own handler, in place again, queues the job once more.
            os.kill(os.getpid(), signal.SIGUSR2)
        return f"epoch {trainer.progress.epoch}, step {trainer.progress.step}"

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """What submitit queues after a preemption."""
        return submitit.helpers.DelayedSubmission(TrainTask(self.arguments))

    def legs_arguments(self) -> list[str]:
        """Arguments of this leg: the first starts the run, later ones go on with it."""
        options = parse_options(self.arguments)
        if options.resume or not (options.output_dir / CHECKPOINT).exists():
            return self.arguments
        return [*self.arguments, "--resume"]


def build_parser() -> argparse.ArgumentParser:
    """Options of slurm.py; names and defaults are those of the DINO authors' launcher."""
    parser = argparse.ArgumentParser(
        prog="slurm.py",
        usage="slurm.py [--nodes N] [--ngpus N] [Slurm's options] OPTIONS OF train.py",
        description="Submit train.py to a Slurm cluster, one process per GPU.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--ngpus", type=int, default=8, help="GPUs, and processes, per node")
    add("--nodes", type=int, default=2)
    add("--timeout", type=int, default=2800, help="minutes of a job")
    add("--partition", default="", help="where to submit")
    add("--account", default="")
    add("--constraint", default="", help="for example the kind of GPU")
    add(
        "--use_volta32",
        action="store_const",
        dest="constraint",
        const="volta32gb",
        help="the authors' name for --constraint volta32gb",
    )
    add("--comment", default="", help="for the scheduler")
    add("--cpus_per_gpu", type=int, default=10, help="for the workers that prepare images")
    add("--mem_gb_per_gpu", type=int, default=40)
    add("--job_dir", type=Path, help="logs of the job (default: OUTPUT_DIR/slurm)")
    add("--local", action="store_true", help="run on this machine, to try it out; --ngpus 0 on CPU")
    return parser


def slurm_parameters(args: argparse.Namespace) -> dict[str, Any]:
    """What submitit asks Slurm for."""
    tasks = max(args.ngpus, 1)
    parameters: dict[str, Any] = {
        "name": "dino",
        "nodes": args.nodes,
        "tasks_per_node": tasks,
        "gpus_per_node": args.ngpus,
        "cpus_per_task": args.cpus_per_gpu,
        "mem_gb": args.mem_gb_per_gpu * tasks,
        "timeout_min": args.timeout,
    }
    if args.local:
        return parameters
    # The signal comes two minutes before the end: a step and a save take seconds.
    parameters["slurm_signal_delay_s"] = 120
    for key in ("partition", "account", "constraint", "comment"):
        if getattr(args, key):
            parameters[f"slurm_{key}"] = getattr(args, key)
    return parameters


def main(argv: Sequence[str] | None = None) -> int:
    """Submits the job and prints its number; with --local waits for its end."""
    args, arguments = build_parser().parse_known_args(argv)
    # Wrong options fail here, not in the queue.
    options = parse_options(arguments)
    folder = args.job_dir or options.output_dir / "slurm"
    folder.mkdir(parents=True, exist_ok=True)
    # The nodes find this package where it lies here: jobs inherit the environment.
    paths = [str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    try:
        executor = submitit.AutoExecutor(folder, cluster="local" if args.local else "slurm")
        executor.update_parameters(**slurm_parameters(args))
        job = executor.submit(TrainTask(arguments))
        print(f"job {job.job_id}: train.py {shlex.join(arguments)}\nlogs in {folder}", flush=True)
        if args.local:
            print("\n".join(job.results()))
    except (RuntimeError, submitit.core.utils.FailedJobError) as error:
        print(f"slurm.py: {error}", file=sys.stderr)
        return 1
    return 0
