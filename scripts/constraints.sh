#!/usr/bin/env bash
# Resolves every extra but serve-cuda together and writes constraints.txt as plain name==version lines.
#
# Left out: a local version such as +cpu (one file serves CPU and CUDA builds), and triton, which each torch build pins.
set -euo pipefail
cd "$(dirname "$0")/.."
links=$(.venv/bin/python -m pip config get global.find-links 2>/dev/null || true)
if [ -n "$links" ]; then export UV_FIND_LINKS=$links; else export UV_TORCH_BACKEND=cpu; fi
resolved=$(mktemp)
trap 'rm -f "$resolved"' EXIT
cp constraints.txt "$resolved"
.venv/bin/uv pip compile --quiet --no-header --no-annotate --no-emit-index-url --python-version 3.11 \
    --extra train --extra report --extra serve-cpu --extra dev --override overrides.txt "$@" \
    --output-file "$resolved" pyproject.toml
{
    echo "# Every version that Serin is built and tested with, for all extras. Made by 'make constraints'."
    sed -e 's/+cpu$//' -e '/^triton==/d' "$resolved"
    echo "uv==$(.venv/bin/uv --version | cut -d' ' -f2)"
} > constraints.txt
