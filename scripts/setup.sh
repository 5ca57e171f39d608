#!/bin/sh
# Makes or refreshes .venv at the root of the repository with the exact packages of scripts/requirements.lock.
set -eu
cd "$(dirname "$0")/.."
stamp=.venv/requirements.lock.installed
if [ -f "$stamp" ] && cmp -s "$stamp" scripts/requirements.lock; then
  exit 0
fi
[ -x .venv/bin/python ] || python3 -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check -r scripts/requirements.lock
cp scripts/requirements.lock "$stamp"
