#!/usr/bin/env bash
# Prints the tag of an image: Serin's version, and a hash of everything that the image is made of. The same sources give the same
# tag on any machine and day, and a change of anything else changes no tag.
#
#   images/tag.sh controller|train|serve
set -euo pipefail
image=${1:-}
cd "$(dirname "$0")/.."
if [ -z "$image" ] || [ ! -f "images/$image/Dockerfile" ]; then
    echo "images/tag.sh: found '$image', expected one of: controller, train, serve" >&2
    exit 2
fi
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
hash=$(
    {
        printf '%s\n' "images/$image/Dockerfile" .dockerignore constraints.txt overrides.txt pyproject.toml README.md LICENSE
        # What .dockerignore lets through of src.
        find src -type f ! -path '*/__pycache__/*' ! -name '*.pyc' ! -path '*.egg-info/*'
    } | LC_ALL=C sort | tr '\n' '\0' | xargs -0 sha256sum | sha256sum | cut -c1-12
)
echo "$version-$hash"
