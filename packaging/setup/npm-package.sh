#!/usr/bin/env bash
# Fetches one version of an npm package without running its scripts, checks it
# against a pinned digest and prints the path of the archive.
#
#   npm-package.sh NAME VERSION SHA512
#
# SHA512 is the registry's "integrity" without its prefix, in base64.
set -euo pipefail

name=$1 version=$2 want=$3
folder=build/npm
archive=$folder/$name-$version.tgz

digest() { openssl dgst -sha512 -binary "$1" | base64 --wrap=0; }
# Node is needed anyway, openssl may be missing.
command -v openssl >/dev/null || digest() {
    node -e 'const c=require("crypto"),f=require("fs");process.stdout.write(c.createHash("sha512").update(f.readFileSync(process.argv[1])).digest("base64"))' "$1"
}

mkdir -p "$folder"
if ! [ -f "$archive" ] || [ "$(digest "$archive")" != "$want" ]; then
    echo "fetching $name $version from npm" >&2
    npm pack "$name@$version" --silent --pack-destination "$folder" >/dev/null </dev/null
fi
got=$(digest "$archive")
if [ "$got" != "$want" ]; then
    rm -f "$archive"
    echo "$name $version from npm is not the package that was pinned (sha512 $got, want $want)" >&2
    exit 1
fi
echo "$archive"
