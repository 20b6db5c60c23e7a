"""detectd eval gives the figures of the real pycocotools."""

import math

import numpy
import pytest

import coco
import sets

HAND_MADE = sets.hand_made()
RANDOM = 50


def compare(detectd, write_json, truth, found):
    run = coco.evaluate(truth, found)
    got = detectd.json(
        "eval", "--json", "--annotations", write_json("gt.json", truth), "--detections", write_json("dt.json", found)
    )
    for name, want in zip(coco.FIGURES, run.stats, strict=True):
        assert math.isclose(got[name], want, rel_tol=0, abs_tol=1e-6), name

    precision = run.eval["precision"]  # threshold, recall, category, area, most
    names = {c["id"]: c["name"] for c in truth["categories"]}
    counted = [a["category_id"] for a in truth["annotations"] if not a["iscrowd"]]
    assert len(got["per_class"]) == len(names)
    for k, (category, entry) in enumerate(zip(sorted(names), got["per_class"], strict=True)):
        assert entry["label"] == names[category]
        assert entry["instances"] == counted.count(category)
        assert entry["ap"] == pytest.approx(numpy.mean(precision[:, :, k, 0, 2]), abs=1e-6)
        assert entry["ap50"] == pytest.approx(numpy.mean(precision[0, :, k, 0, 2]), abs=1e-6)


@pytest.mark.parametrize("name", HAND_MADE)
def test_hand_made(detectd, write_json, name):
    compare(detectd, write_json, *HAND_MADE[name])


@pytest.mark.parametrize("seed", range(100, 100 + RANDOM))
def test_random(detectd, write_json, seed):
    compare(detectd, write_json, *sets.at_random(seed))


def test_large_set(detectd, write_json):
    """Classes with hundreds of objects, where the 101 recalls fall between them."""
    compare(detectd, write_json, *sets.at_random(1, images=150, categories=8, objects=20, noise=30))
