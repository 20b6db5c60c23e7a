#!/usr/bin/env bash
# Puts ONNX Runtime's shared library (CPU) at build/onnxruntime/libonnxruntime.so.1.
# It comes from Microsoft's npm package, the only registry that carries it for
# both kinds of processor without a Python.
set -euo pipefail
cd "$(dirname "$0")/../.."

version=1.30.0
sha512=twhs1C2C/BFkz1yc5OY0KIU2GUq6DURO7hD4bx5Q2Qy3nAMJwRXW8xU3NVczE29VA9lolLOYepoD8fjTGOfIqw==
library=build/onnxruntime/libonnxruntime.so.1

case $(uname -s)-$(uname -m) in
Linux-x86_64) platform=linux/x64 ;;
Linux-aarch64) platform=linux/arm64 ;;
*)
    echo "no ONNX Runtime for $(uname -sm): set runtime.library in config.yaml to one of your own" >&2
    exit 1
    ;;
esac

archive=$(packaging/setup/npm-package.sh onnxruntime-node "$version" "$sha512")
mkdir -p "$(dirname "$library")"
tar --extract --gzip --to-stdout --file "$archive" "package/bin/napi-v6/$platform/libonnxruntime.so.1" >"$library.part"
mv "$library.part" "$library"
echo "$version" >build/onnxruntime/VERSION
rm -f "$archive"
