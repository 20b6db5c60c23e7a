#!/usr/bin/env bash
# Puts detectd and the shared libraries it needs, but for the C library's own, into a
# folder that runs on another distribution of the same processor, and prints its name:
#
#   bundle.sh [FOLDER]     default: build/bundle/detectd
#
# Run make build first. That system needs a C library no older than this one's.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-build/bundle/detectd}
[ -x bin/detectd ] || {
    echo "there is no bin/detectd: run make build" >&2
    exit 1
}
[ ! -e "$folder" ] || {
    echo "$folder is there already: remove it, or name another folder" >&2
    exit 1
}
part=$folder.part
rm -rf "$part"
mkdir -p "$part/program" "$part/libraries"
cp -r bin/. "$part/program"
missing=$(ldd bin/detectd | awk '/not found/ {print $1}')
[ -z "$missing" ] || {
    echo "libraries are missing here: $missing" >&2
    exit 1
}
# The loader and the C library come from the system: they belong together, and the
# GPU's driver is built for that system's.
glibc='^(ld-linux.*|lib(c|m|mvec|dl|rt|pthread|resolv|util|anl|nss_[a-z]+|BrokenLocale|thread_db))\.so'
ldd bin/detectd | awk '$2 == "=>" {print $1, $3}' | while read -r name path; do
    [[ $name =~ $glibc ]] || cp --dereference "$path" "$part/libraries/$name"
done
cat >"$part/detectd" <<'START'
#!/bin/sh
# Starts detectd with the libraries beside it.
here=$(dirname "$(readlink -f "$0")")
LD_LIBRARY_PATH=$here/libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
exec "$here/program/detectd" "$@"
START
chmod 0755 "$part/detectd"
cp LICENSE NOTICE "$part/"
# ldd has mapped what was linked; that it starts is seen only by starting it.
env -i "$part/detectd" version >/dev/null
mv "$part" "$folder"
echo "$folder"
