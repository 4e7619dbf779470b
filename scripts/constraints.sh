#!/usr/bin/env bash
# Writes constraints.txt anew: the CUDA set is resolved first (it pins more), then the CPU set within it, and both stand
# in one file of plain name==version lines. To move a version, give it as NAME==VERSION.
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
printf '%s\n' "$@" > "$scratch/wanted"
moved=$(sed 's/==.*//' "$scratch/wanted" | paste -sd'|')
grep '==' constraints.txt | grep -Ev "^(${moved:-none})==" > "$scratch/kept" || true

resolve() { # EXTRA OUTPUT CONSTRAINTS...
    local extra=$1 output=$2
    shift 2
    .venv/bin/uv pip compile --quiet --no-header --no-annotate --no-emit-index-url --python-version 3.11 \
        --extra train --extra report --extra semantic --extra tracking --extra harness --extra cluster --extra controller --extra dev --extra "$extra" --override overrides.txt \
        "${@/#/--constraint=}" --output-file "$output" pyproject.toml
}

resolve serve-cuda "$scratch/cuda" "$scratch/kept" "$scratch/wanted"
links=$(.venv/bin/python -m pip config get global.find-links 2>/dev/null || true)
if [ -n "$links" ]; then export UV_FIND_LINKS=$links; else export UV_TORCH_BACKEND=cpu; fi
sed 's/ ;.*//' "$scratch/cuda" > "$scratch/cuda-plain"
resolve serve-cpu "$scratch/cpu" "$scratch/cuda-plain"
{
    echo "# Every version that Serin is built and tested with, for all extras. Made by 'make constraints'."
    cat "$scratch/cuda-plain" "$scratch/cpu" | sed -e 's/ ;.*//' -e 's/+cpu$//' | sort -u
} > "$scratch/constraints"
mv "$scratch/constraints" constraints.txt
