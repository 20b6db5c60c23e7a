#!/usr/bin/env bash
# Builds the S3 server that the tests of store/blob start, unless it is there.
set -euo pipefail
cd "$(dirname "$0")/../.."

version=v1.8.0
tool=build/tools/versitygw
mark=$tool-$version

[ ! -x $tool ] || [ ! -e $mark ] || exit 0
echo "building versitygw $version for the tests" >&2
mkdir -p build/tools
GOBIN=$PWD/build/tools GOFLAGS=-buildvcs=false go install github.com/versity/versitygw/cmd/versitygw@$version
touch $mark
