#!/usr/bin/env python3
"""Draws the curves of runs and pages of attention maps of their checkpoints."""

from dino_train.plot_command import main

if __name__ == "__main__":
    raise SystemExit(main())
