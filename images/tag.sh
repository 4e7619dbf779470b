#!/usr/bin/env bash
# Prints the tag of the images: Serin's version, and a hash of everything that they are made of. The same sources give the same tag
# on any machine and day, and a change of anything else changes no tag.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
hash=$(
    {
        printf '%s\n' images/Dockerfile .dockerignore constraints.txt overrides.txt pyproject.toml README.md LICENSE
        # What .dockerignore lets through of src.
        find src -type f ! -path '*/__pycache__/*' ! -name '*.pyc' ! -path '*.egg-info/*'
    } | LC_ALL=C sort | tr '\n' '\0' | xargs -0 sha256sum | sha256sum | cut -c1-12
)
echo "$version-$hash"
