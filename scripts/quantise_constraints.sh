#!/usr/bin/env bash
# Writes src/serin/quantise/constraints.txt anew: the versions of the environment that llm-compressor has for itself. They are
# those of constraints.txt, so that little is downloaded or stored twice, but for what llm-compressor wants other versions of.
# The CUDA set is resolved first, then the CPU set within it, as scripts/constraints.sh does.
set -euo pipefail
cd "$(dirname "$0")/.."
others="transformers compressed-tensors huggingface-hub"
output=src/serin/quantise/constraints.txt
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
grep '==' constraints.txt | grep -Ev "^(${others// /|})==" > "$scratch/shared"
echo llmcompressor > "$scratch/wanted"

resolve() { # OUTPUT CONSTRAINTS
    .venv/bin/uv pip compile --quiet --prerelease disallow --no-header --no-annotate --no-emit-index-url --python-version 3.11 \
        --override overrides.txt --constraint "$2" --output-file "$1" "$scratch/wanted"
}

resolve "$scratch/cuda" "$scratch/shared"
links=$(.venv/bin/python -m pip config get global.find-links 2>/dev/null || true)
if [ -n "$links" ]; then export UV_FIND_LINKS=$links; else export UV_TORCH_BACKEND=cpu; fi
resolve "$scratch/cpu" "$scratch/cuda"
{
    echo "# Every version in the environment of llm-compressor, which 'serin quantise --set-up' makes. It stands in the package, so that"
    echo "# an installed Serin can make it too. Made by scripts/quantise_constraints.sh."
    cat "$scratch/cuda" "$scratch/cpu" | sed -e 's/ ;.*//' -e 's/+cpu$//' | sort -u
} > "$scratch/constraints"
mv "$scratch/constraints" "$output"
chmod 644 "$output"
