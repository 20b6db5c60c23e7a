#!/usr/bin/env bash
# Measures the pipeline tax C1 of docs/performance.md on a given video, brought
# to 1080p at 30 frames per second as a camera would send it (H.264 High, no
# B frames, a key frame every two seconds, about 4 Mb/s with a little noise).
#
#   packaging/bench/c1.sh VIDEO [OPTION of detectd bench]...
set -euo pipefail

video=${1:?usage: packaging/bench/c1.sh VIDEO [OPTION of detectd bench]...}
shift
top=$(cd "$(dirname "$0")/../.." && pwd)
command -v ffmpeg >/dev/null || { echo "c1.sh: install ffmpeg first: apt-get install ffmpeg" >&2; exit 1; }
[ -x "$top/bin/detectd" ] || { echo "c1.sh: run make build first" >&2; exit 1; }

prepared=$top/build/bench/$(basename "${video%.*}")-1080p30.mp4
if [ ! -e "$prepared" ]; then
    mkdir -p "$(dirname "$prepared")"
    ffmpeg -nostdin -loglevel error -y -stream_loop -1 -i "$video" -an \
        -vf 'setpts=N/30/TB,scale=1920:1080,noise=alls=6:allf=t' -r 30 -frames:v 600 \
        -c:v libx264 -profile:v high -preset medium -bf 0 -g 60 -b:v 4M -maxrate 5M -bufsize 8M \
        "${prepared%.mp4}.part.mp4"
    mv "${prepared%.mp4}.part.mp4" "$prepared"
fi
exec "$top/bin/detectd" bench "$prepared" --only C1 "$@"
