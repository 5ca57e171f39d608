#!/usr/bin/env python3
"""Draws the golden test's pictures and computes what the service must answer for them."""

from dino_train.golden_command import main

if __name__ == "__main__":
    raise SystemExit(main())
