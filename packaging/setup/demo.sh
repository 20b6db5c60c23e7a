#!/usr/bin/env bash
# Puts the demo video, pedestrians filmed from above, at build/share/demo.avi. It
# is an example of OpenCV's in Debian's package opencv-doc; when that is not
# installed, the package is fetched and only the video taken out.
set -euo pipefail
cd "$(dirname "$0")/../.."

video=usr/share/doc/opencv-doc/examples/data/vtest.avi
target=build/share/demo.avi
mkdir -p build/share

if [ -f "/$video" ]; then
    cp "/$video" "$target.part"
else
    if ! command -v apt-get >/dev/null; then
        echo "the demo video is in Debian's package opencv-doc: put it, or any other video, at $target" >&2
        exit 1
    fi
    echo "fetching the demo video (96 MB, of which 8 MB are kept)" >&2
    folder=build/apt
    rm -rf "$folder"
    mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial"
    apt=(apt-get --quiet=2 -o "APT::Sandbox::User=$(id -un)")
    # Lists of our own for a system that has none; reading them needs no root.
    own=(-o "Dir::State::lists=$PWD/$folder/lists" -o "Dir::Cache=$PWD/$folder/cache")
    (
        cd "$folder"
        "${apt[@]}" download opencv-doc 2>/dev/null || {
            "${apt[@]}" "${own[@]}" update
            "${apt[@]}" "${own[@]}" download opencv-doc
        }
    )
    dpkg-deb --fsys-tarfile "$folder"/opencv-doc_*.deb | tar --extract --to-stdout "./$video" >"$target.part"
    rm -rf "$folder"
fi
mv "$target.part" "$target"
