#!/usr/bin/env python3
"""Measures how fast a machine draws views, and how long training waits for them."""

from dino_train.bench_command import main

if __name__ == "__main__":
    raise SystemExit(main())
