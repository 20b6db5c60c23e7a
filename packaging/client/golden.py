"""Writes the golden sets of detect/eval/testdata: each with its ground truth, its
detections and the twelve figures as the real pycocotools computes them.

    build/venv/bin/python packaging/client/golden.py
"""

import json
import pathlib

import coco
import sets

TARGET = pathlib.Path(__file__).parents[2] / "detect" / "eval" / "testdata"
RANDOM = range(1, 7)


def main():
    TARGET.mkdir(parents=True, exist_ok=True)
    named = sets.hand_made()
    named.update({f"random-{seed}": sets.at_random(seed, images=6, categories=5, objects=6, noise=3) for seed in RANDOM})
    for name, (truth, found) in named.items():
        golden = {"figures": coco.figures(truth, found), "annotations": truth, "detections": found}
        (TARGET / f"{name}.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
