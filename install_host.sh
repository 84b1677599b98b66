#!/bin/sh
# Sets up spatialhist for this machine in a virtual environment: Linux, macOS, Windows (Git Bash).
#
#   sh install_host.sh            this checkout, with everything to test, document and change it
#   sh install_host.sh '.[encoders]'  what pip is given instead: only the package, with an extra
#
# Variables: VENV             where the environment goes (.venv); what was there is replaced
#            PYTHON           the interpreter, 3.11 or newer
#            DEVICE           cpu, cuda or mps: do not look, take this one; an error where pip finds another build of torch
#            TORCH_INDEX_URL  the package index that torch is taken from
set -eu
cd "$(dirname "$0")"

VENV=${VENV:-.venv}
CUDA_INDEX_FOR_WINDOWS=https://download.pytorch.org/whl/cu130
CPU_INDEX=https://download.pytorch.org/whl/cpu

usable_python() {
    "$1" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    # 3.11 first: constraints.txt is the set of versions tested on it
    for name in ${PYTHON:-python3.11 python3.12 python3.13 python3 python}; do
        if usable_python "$name"; then
            echo "$name"
            return
        fi
    done
    echo "spatialhist needs Python 3.11 or newer with venv; none was found. Name one: PYTHON=/path/to/python" >&2
    return 1
}

find_device() {
    if [ "$(uname -s)-$(uname -m)" = Darwin-arm64 ]; then
        echo mps
    elif nvidia-smi -L >/dev/null 2>&1; then
        echo cuda
    else
        echo cpu
    fi
}

# PyPI's torch is built for CUDA on Linux, for CPU on Windows, and for MPS on macOS
torch_index() {
    case "$(uname -s)-$1" in
        Linux-cpu) echo "$CPU_INDEX" ;;
        MINGW*-cuda | MSYS*-cuda) echo "$CUDA_INDEX_FOR_WINDOWS" ;;
    esac
}

pip_install() {
    "$VENV_PYTHON" -m pip install --quiet --quiet --disable-pip-version-check --constraint constraints.txt "$@"
}

python=$(find_python)
device=${DEVICE:-$(find_device)}
index=${TORCH_INDEX_URL:-$(torch_index "$device")}
echo "spatialhist: $("$python" --version), device $device, environment $VENV; installing takes a few minutes"

"$python" -m venv --clear "$VENV"
VENV_PYTHON=$VENV/bin/python
[ -x "$VENV_PYTHON" ] || VENV_PYTHON=$VENV/Scripts/python.exe

"$VENV_PYTHON" -m pip install --quiet --quiet --upgrade "pip>=25.1"
# torch alone and before the rest: nothing that needs it may choose another build, and nothing else comes from its index;
# where that cannot be reached pip goes on without it, and without a warning if it does not try again
pip_install --no-deps ${index:+--retries 0 --extra-index-url "$index"} torch
# who names a device gets its build or an error; who names none gets a torch that computes, and is told which
"$VENV_PYTHON" scripts/check_torch_build.py "$device" || [ -z "${DEVICE:-}" ] || exit 1
[ $# -gt 0 ] || set -- --group dev --group test --group doc --editable .
pip_install "$@"

"$VENV_PYTHON" - "$device" <<'PYTHON'
import sys

import torch

asked = sys.argv[1]
sees = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}[asked]
print(f"spatialhist: torch {torch.__version__} will compute on {asked if sees else 'cpu'}")
if not sees:
    print(f"spatialhist: this torch does not see {asked}; TORCH_INDEX_URL names another build", file=sys.stderr)
PYTHON
