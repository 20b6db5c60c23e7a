"""detectd finds what the plain reference finds: on generated pictures always, and
on real ones with their average precision where DETECTD_TEST_DATA names a folder with

    models/yolox_nano_416_coco.onnx     Megvii's YOLOX-nano
    coco/train128/images/*.jpg          128 pictures of COCO train2017
    coco/train128/labels/*.txt          their objects: class, centre and size, 0 to 1
"""

import json
import math
import random

import pytest
from PIL import Image, ImageDraw

import coco
import reference
from conftest import ROOT

DEFAULT = ROOT / "build" / "share" / "default.onnx"
FLOOR = 0.001  # detectd eval's least score


def overlap(a, b):
    w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0
    return w * h / (a[2] * a[3] + b[2] * b[3] - w * h)


def partners(found, others, least, iou, score):
    """How many of found score at least least, and how many of those have a partner
    in others: same label, overlap of at least iou, score no further than score."""
    strong = [d for d in found if d[1] >= least]
    return len(strong), sum(
        any(o[0] == d[0] and overlap(o[2], d[2]) >= iou and abs(o[1] - d[1]) <= score for o in others) for d in strong
    )


def detect(detectd, model, folder, score, *more):
    """What detectd detect finds, by the name of the picture."""
    lines = detectd.run("detect", "--json", "--model", model, "--score", score, *more, folder).splitlines()
    return {
        line["source"].rsplit("/", 1)[-1]: [(d["label"], d["score"], d["box"]) for d in line["detections"]]
        for line in map(json.loads, lines)
    }


def agree(detectd, model, plain, folder, *, least, iou, score):
    """The share of detections that both find, as (of detectd's, of the reference's)."""
    ours, counts = detect(detectd, model, folder, least / 2), [0, 0, 0, 0]
    for name, found in ours.items():
        wanted = plain.detect(folder / name, least / 2)
        for i, (a, b) in enumerate([(found, wanted), (wanted, found)]):
            n, both = partners(a, b, least, iou, score)
            counts[2 * i] += n
            counts[2 * i + 1] += both
    assert counts[0] > 0
    assert counts[2] > 0
    return counts[1] / counts[0], counts[3] / counts[2], counts[2]


def draw(path, seed, width, height):
    """A picture of coloured shapes on a gradient. PNG keeps it as it is."""
    rnd = random.Random(seed)
    picture = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    pen = ImageDraw.Draw(picture)
    for _ in range(12):
        x, y, size = rnd.randint(0, width), rnd.randint(0, height), rnd.randint(20, height // 2)
        colour = tuple(rnd.randint(0, 255) for _ in range(3))
        shape = rnd.choice([pen.ellipse, pen.rectangle])
        shape([x, y, x + size, y + int(size * rnd.uniform(0.3, 1.5))], fill=colour, outline=(0, 0, 0))
    picture.save(path)


def test_generated_pictures(detectd, tmp_path):
    """Without the losses of JPEG, boxes and scores are the same but for rounding."""
    for i, (w, h) in enumerate([(640, 480), (300, 300), (333, 517), (801, 600), (200, 150), (64, 48)]):
        draw(tmp_path / f"{i}.png", i, w, h)
    ours, plain, count = detect(detectd, DEFAULT, tmp_path, 0.05), reference.SSD(DEFAULT), 0
    assert len(ours) == 6
    for name, found in ours.items():
        wanted = plain.detect(tmp_path / name, 0.05)
        n, both = partners(wanted, found, 0.06, iou=0.98, score=0.005)
        assert both == n, name
        n, both = partners(found, wanted, 0.06, iou=0.98, score=0.005)
        assert both == n, name
        count += n
    assert count >= 20, "the pictures are too dull to compare anything"


def test_eval_runs_the_model(detectd, tmp_path, write_json):
    """detectd eval on a folder is detectd detect, counted by pycocotools."""
    images, categories = [], [{"id": i, "name": label.upper()} for i, label in enumerate(reference.COCO_LABELS, 1)]
    for i in (11, 5, 7):
        draw(tmp_path / f"{i}.png", i, 640, 480)
        images.append({"id": i, "file_name": f"{i}.png", "width": 640, "height": 480})
    annotations = []
    for name, found in detect(detectd, DEFAULT, tmp_path, 0.05).items():
        for label, _, box in found[:3]:
            annotations.append({
                "id": len(annotations) + 1, "image_id": int(name.split(".")[0]), "bbox": [round(v) for v in box],
                "category_id": reference.COCO_LABELS.index(label) + 1, "area": box[2] * box[3], "iscrowd": 0,
            })  # fmt: skip
    truth = {"images": images, "categories": categories, "annotations": annotations}
    got = evaluate(detectd, write_json, tmp_path, DEFAULT, truth, tmp_path)
    assert got["ap50"] > 0.5


def evaluate(detectd, write_json, tmp_path, model, truth, folder):
    """Runs detectd eval and holds its figures against pycocotools on its own results."""
    saved = tmp_path / "results.json"
    got = detectd.json(
        "eval", "--json", "--model", model, "--annotations", write_json("gt.json", truth),
        "--images", folder, "--results", saved, "--score", FLOOR,
    )  # fmt: skip
    assert got["images"] == len(truth["images"])
    assert got["images_per_second"] > 0
    for name, want in zip(coco.FIGURES, coco.figures(truth, json.loads(saved.read_text())), strict=True):
        assert math.isclose(got[name], want, rel_tol=0, abs_tol=1e-6), name
    return got


def yolo_truth(folder):
    """COCO's form of a folder with images/ and labels/."""
    truth = {
        "images": [], "annotations": [],
        "categories": [{"id": i, "name": name} for i, name in enumerate(reference.COCO_LABELS, 1)],
    }  # fmt: skip
    for number, path in enumerate(sorted((folder / "images").glob("*.jpg")), 1):
        with Image.open(path) as picture:
            width, height = picture.size
        truth["images"].append({"id": number, "file_name": path.name, "width": width, "height": height})
        labels = folder / "labels" / f"{path.stem}.txt"
        for line in labels.read_text().splitlines() if labels.exists() else []:
            kind, x, y, w, h = line.split()
            w, h = float(w) * width, float(h) * height
            truth["annotations"].append({
                "id": len(truth["annotations"]) + 1, "image_id": number, "category_id": int(kind) + 1, "iscrowd": 0,
                "bbox": [float(x) * width - w / 2, float(y) * height - h / 2, w, h], "area": w * h,
            })  # fmt: skip
    return truth


def real_pictures(detectd, write_json, tmp_path, test_data, model, plain):
    folder = test_data / "coco" / "train128"
    truth = yolo_truth(folder)
    if len(truth["images"]) != 128 or not model.exists():
        pytest.skip(f"DETECTD_TEST_DATA has no 128 pictures in coco/train128, or no {model.name}: AP is not compared")
    got = evaluate(detectd, write_json, tmp_path, model, truth, folder / "images")
    ids = {c["name"]: c["id"] for c in truth["categories"]}
    found = [
        {"image_id": image["id"], "category_id": ids[label], "bbox": box, "score": score}
        for image in truth["images"]
        for label, score, box in plain.detect(folder / "images" / image["file_name"], FLOOR)
    ]
    want = coco.figures(truth, found)[0]
    ours, theirs, count = agree(detectd, model, plain, folder / "images", least=0.3, iou=0.9, score=0.05)
    print(
        f"\n{model.name}: AP {got['ap']:.4f}, reference {want:.4f}; AP50 {got['ap50']:.4f};",
        f"of {count} boxes {theirs:.1%} the same ({ours:.1%} the other way), {got['images_per_second']:.0f} pictures/s",
    )
    assert abs(got["ap"] - want) <= 0.003
    assert min(ours, theirs) >= 0.95


def test_default_model_on_coco(detectd, write_json, tmp_path, test_data):
    real_pictures(detectd, write_json, tmp_path, test_data, DEFAULT, reference.SSD(DEFAULT))


def test_yolox_on_coco(detectd, write_json, tmp_path, test_data):
    model = test_data / "models" / "yolox_nano_416_coco.onnx"
    if not model.exists():
        pytest.skip("DETECTD_TEST_DATA has no models/yolox_nano_416_coco.onnx")
    real_pictures(detectd, write_json, tmp_path, test_data, model, reference.YOLOX(model))
