#!/usr/bin/env bash
# Makes .venv with everything that Serin needs, from the versions in constraints.txt. Safe to run again.
#
# Takes the CUDA builds of torch and vLLM where a GPU answers, and the CPU builds elsewhere.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "$(uname -s)" != Linux ]; then
    echo "serin: vLLM and bitsandbytes have wheels for Linux only, this is $(uname -s)." >&2
    echo "Use a container: docker run --rm -it -v \"\$PWD\":/serin -w /serin python:3.11 make demo" >&2
    exit 78
fi

python=""
for candidate in python3.11 python3.12 python3; do
    if command -v "$candidate" >/dev/null &&
        "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "serin: found no Python 3.11 or 3.12; install one and run make again." >&2
    exit 78
fi

[ -x .venv/bin/python ] || "$python" -m venv .venv
[ -x .venv/bin/uv ] || .venv/bin/python -m pip install --quiet --disable-pip-version-check "$(grep '^uv==' constraints.txt)"

if command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1; then
    serve=serve-cuda
    export UV_TORCH_BACKEND=auto
else
    serve=serve-cpu
    # A CPU build of torch that pip is configured to find is taken from there; otherwise uv knows PyTorch's own index.
    links=$(.venv/bin/python -m pip config get global.find-links 2>/dev/null || true)
    if [ -n "$links" ] && ls "$links"/torch-*+cpu-*.whl >/dev/null 2>&1; then
        export UV_FIND_LINKS=$links
    else
        export UV_TORCH_BACKEND=cpu
    fi
fi

echo "serin: setting up .venv with the $serve builds; this takes one to five minutes." >&2
# Bytecode is compiled here, once: vLLM and Ray import half a minute of sources in every process otherwise, also where
# PYTHONDONTWRITEBYTECODE is set.
.venv/bin/uv pip install --compile-bytecode --python .venv/bin/python \
    --constraint constraints.txt --override overrides.txt --editable ".[train,report,semantic,tracking,harness,cluster,controller,$serve,dev]"
touch .venv/.complete
