#!/usr/bin/env bash
# Fetches an ONNX Runtime that knows other execution providers than the CPU, from
# PyPI, and prints the file for runtime.library in config.yaml.
#
#   gpu.sh cuda       build/onnxruntime-gpu: CUDA 13 and TensorRT, driver 580 or later
#   gpu.sh cuda12     the same of CUDA 12, in build/onnxruntime-cuda12, driver 525 or later
#   gpu.sh openvino   build/onnxruntime-openvino: Intel's OpenVINO (0.2 GB)
#
# The wheels are checked against pinned digests and only unpacked. Ends with 3 when
# PyPI cannot be reached.
set -euo pipefail
cd "$(dirname "$0")/../.."

case ${1:-} in
cuda) folder=build/onnxruntime-gpu ;;
cuda12) folder=build/onnxruntime-cuda12 ;;
openvino) folder=build/onnxruntime-openvino ;;
*)
    echo "usage: gpu.sh cuda|cuda12|openvino" >&2
    exit 2
    ;;
esac
pins=packaging/setup/$1.txt
library=$folder/libonnxruntime.so.1

case $(uname -s)-$(uname -m) in
Linux-x86_64) ;;
*)
    echo "there are no such wheels for $(uname -sm): set runtime.library in config.yaml to a libonnxruntime of your own" >&2
    exit 1
    ;;
esac

finish() {
    echo "runtime.library: $(realpath "$library")"
    exit 0
}
if cmp --silent "$pins" "$folder/pins.txt" && [ -f "$library" ]; then
    finish
fi

python3 -c 'import ensurepip, venv' 2>/dev/null || {
    echo "Python's venv is missing (on Debian: apt-get install python3-venv)" >&2
    exit 1
}
work=$(mktemp --directory -p build)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
fetch=("$work/venv/bin/python" -m pip --disable-pip-version-check --quiet --no-input --retries 1 --timeout 60
    download --no-deps --only-binary :all: --python-version 3.12)
for tag in manylinux_2_28 manylinux_2_27 manylinux_2_17 manylinux2014 manylinux_2_12 manylinux2010; do
    fetch+=(--platform "${tag}_x86_64")
done
echo "fetching the packages of $pins from PyPI" >&2
"${fetch[@]}" --require-hashes --dest "$work/wheels" --requirement "$pins" >&2 || {
    # Is it the list, or the way there? One tiny package tells.
    "${fetch[@]}" --dest "$work/probe" iniconfig==2.3.1 >/dev/null 2>&1 || {
        echo "PyPI cannot be reached" >&2
        exit 3
    }
    echo "the packages of $pins cannot be fetched" >&2
    exit 1
}

mkdir "$work/lib"
"$work/venv/bin/python" - "$work" <<'PY'
import pathlib
import re
import shutil
import sys
import zipfile

work = pathlib.Path(sys.argv[1])
for wheel in sorted((work / "wheels").glob("*.whl")):
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            name = entry.filename.rsplit("/", 1)[-1]
            if re.match(r"lib.+\.so(\.|$)", name) and ".alt.so" not in name:
                with archive.open(entry) as source, open(work / "lib" / name, "wb") as out:
                    shutil.copyfileobj(source, out)
            elif re.search(r"(^onnxruntime|\.dist-info|/licenses)/(LICENSE|License|ThirdPartyNotices)[^/]*$", entry.filename):
                with archive.open(entry) as source, open(work / "lib" / f"{wheel.name.split('-')[0]}-{name}", "wb") as out:
                    shutil.copyfileobj(source, out)
PY
# The loader looks for the name without the release. The providers look beside it.
mv "$work"/lib/libonnxruntime.so.1.* "$work/lib/libonnxruntime.so.1"
cp "$pins" "$work/lib/pins.txt"
rm -rf "$folder"
mv "$work/lib" "$folder"
finish
