#!/usr/bin/env python3
"""Measures what a trained network's features are worth."""

from dino_train.evaluate_command import main

if __name__ == "__main__":
    raise SystemExit(main())
