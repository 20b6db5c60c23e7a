#!/usr/bin/env bash
# Installs the Debian packages that a list needs, only those that are missing.
#
#   packages.sh build    what building and running detectd needs
#   packages.sh test     what its tests need besides
#
# Works as root or through sudo; otherwise it prints the command to run. What is
# there already is found by its use (a command, a pkg-config module), not by its
# package name, so that other distributions pass when they have it.
set -euo pipefail

# package=command:NAME, package=module:NAME (of pkg-config) or package=python:NAME
build=(
    gcc=command:gcc
    "g++=command:g++"
    pkg-config=command:pkg-config
    libopencv-dev=module:opencv4
    libavcodec-dev=module:libavcodec
    libavdevice-dev=module:libavdevice
    libavfilter-dev=module:libavfilter
    libavformat-dev=module:libavformat
    libavutil-dev=module:libavutil
    libswscale-dev=module:libswscale
)
test=(
    chromium=command:chromium
    git=command:git
    python3-venv=python:ensurepip
)

found() {
    case $1 in
    command:*) command -v "${1#*:}" >/dev/null ;;
    python:*) python3 -c "import ${1#*:}" 2>/dev/null ;;
    module:*) command -v pkg-config >/dev/null && pkg-config --exists "${1#*:}" ;;
    esac
}

command -v go >/dev/null || {
    echo "Go 1.26 or later is needed: https://go.dev/dl/" >&2
    exit 1
}
node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || a == 20 && b >= 19 ? 0 : 1)' 2>/dev/null || {
    echo "Node.js 20.19 or later, with npm, is needed: https://nodejs.org/" >&2
    exit 1
}

case ${1:-} in
build) list=("${build[@]}") ;;
test) list=("${test[@]}") ;;
*)
    echo "usage: packages.sh build|test" >&2
    exit 2
    ;;
esac

missing=()
for entry in "${list[@]}"; do
    found "${entry#*=}" || missing+=("${entry%%=*}")
done
[ ${#missing[@]} -gt 0 ] || exit 0

install=(apt-get install --yes --no-install-recommends "${missing[@]}")
give_up() {
    printf '%s Run this as root, then make again:\n\n    %s\n\n' "$1" "${install[*]}" >&2
    exit 1
}

command -v apt-get >/dev/null || give_up "Packages are missing (these are their names on Debian 12)."
if [ "$(id -u)" = 0 ]; then
    root=(env)
elif sudo -n true 2>/dev/null; then
    root=(sudo -n)
elif [ -t 0 ] && command -v sudo >/dev/null; then
    echo "detectd needs these packages: ${missing[*]}" >&2
    root=(sudo)
else
    give_up "Packages are missing, and there is no root or sudo to install them."
fi

echo "installing ${missing[*]}" >&2
wait=(-o DPkg::Lock::Timeout=300)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# An update that cannot reach every source is no reason to stop: the lists may do.
"${root[@]}" apt-get "${wait[@]}" --quiet update >"$log" 2>&1 || cat "$log" >&2
if ! "${root[@]}" env DEBIAN_FRONTEND=noninteractive "${install[0]}" "${wait[@]}" --quiet "${install[@]:1}" >"$log" 2>&1 </dev/null; then
    tail -n 30 "$log" >&2
    give_up "Installing packages failed."
fi
