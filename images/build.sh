#!/usr/bin/env bash
# Builds an image under the tag that its sources have, and prints its whole name.
#
#   images/build.sh controller                                           here, as serin-controller:TAG and serin-controller:dev
#   images/build.sh --push registry.example.com/serin controller         and sends it there
#
# SOURCE_DATE_EPOCH gives every file and layer one time (reproducible-builds.org/specs/source-date-epoch). To pin the base image
# as well, give it by digest: BASE=python:3.11-slim-bookworm@sha256:... images/build.sh controller
set -euo pipefail
registry=""
if [ "${1:-}" = --push ]; then
    registry=${2:?"images/build.sh --push: which registry? such as registry.example.com/serin"}
    shift 2
fi
cd "$(dirname "$0")/.."
image=${1:-}
case "$image" in
    controller | train | serve) ;;
    *)
        echo "images/build.sh: found '$image', expected one of: controller, train, serve" >&2
        exit 2
        ;;
esac
tag=$(images/tag.sh)
name="${registry:+$registry/}serin-$image"
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-0}
arguments=(--file images/Dockerfile --target "$image" --tag "$name:$tag" --build-arg "SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH")
arguments+=(--label "org.opencontainers.image.version=$tag")
if [ -n "${BASE:-}" ]; then arguments+=(--build-arg "BASE=$BASE" --label "org.opencontainers.image.base.name=$BASE"); fi
if [ -n "$registry" ]; then
    # Where the image goes to a registry, BuildKit writes that time into the layers' files too.
    arguments+=(--output type=registry,rewrite-timestamp=true)
else
    arguments+=(--tag "serin-$image:dev" --load)
fi
docker buildx build "${arguments[@]}" . >&2
echo "$name:$tag"
