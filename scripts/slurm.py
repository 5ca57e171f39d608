#!/usr/bin/env python3
"""Submits train.py to a Slurm cluster, one process per GPU."""

from dino_train.slurm_command import main

if __name__ == "__main__":
    raise SystemExit(main())
