#!/usr/bin/env bash
# Makes a Python environment at build/venv with exactly the packages of a list of
# pins, from PyPI. Ends with 3 when PyPI cannot be reached.
#
#   python.sh REQUIREMENTS
set -euo pipefail

requirements=$(realpath "$1")
cd "$(dirname "$0")/../.."

venv=build/venv
stamp=$venv/requirements.txt
if cmp --silent "$requirements" "$stamp" && "$venv/bin/python" -c '' 2>/dev/null; then
    exit 0
fi

python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
    echo "Python 3.11 or later is needed for the client tests (on Debian 12: apt-get install python3-venv)" >&2
    exit 1
}
python3 -c 'import ensurepip, venv' 2>/dev/null || {
    echo "Python's venv is missing (on Debian: apt-get install python3-venv)" >&2
    exit 1
}

rm -rf "$venv"
python3 -m venv "$venv"
pip=("$venv/bin/python" -m pip --disable-pip-version-check --quiet --no-input --retries 1 --timeout 20)
echo "fetching the Python packages of $(basename "$(dirname "$requirements")") from PyPI (about 200 MB unpacked)" >&2
"${pip[@]}" install --no-deps --only-binary :all: --requirement "$requirements" >&2 || {
    # Is it the list, or the way there? One tiny package tells.
    first=$(grep --max-count=1 '^[a-z].*==' "$requirements")
    "${pip[@]}" download --no-deps --only-binary :all: --dest "$venv/probe" "$first" >/dev/null 2>&1 || exit 3
    echo "the packages of $requirements cannot be installed" >&2
    exit 1
}
cp "$requirements" "$stamp"
