"""detectd takes what the makers' own code exports: `models add` recognises it, and
detectd reads from the raw outputs what a few plain lines of numpy read.

The exports are made here, with random weights, by export.py. That needs packages which
are too large to be fetched for a test (torch, and the makers' own), so it is run by a
Python that has them:

    DETECTD_EXPORT_PYTHON=~/exports/bin/python make client

of an environment such as

    pip install torch torchvision onnx onnxscript ultralytics rfdetr libreyolo transformers

and without that by Debian's python3, if python3-torch, python3-torchvision and
python3-onnx are installed: then torchvision's models are tried, and the rest is skipped.
"""

import os
import pathlib
import subprocess

import numpy
import onnxruntime
import pytest
from PIL import Image

from test_reference import detect, draw, overlap

EXPORT = pathlib.Path(__file__).with_name("export.py")
PYTHON = os.environ.get("DETECTD_EXPORT_PYTHON", "/usr/bin/python3")
MEAN, STD = numpy.float32([0.485, 0.456, 0.406]), numpy.float32([0.229, 0.224, 0.225])
BEST = 50


def corners(boxes):
    """Centre and size become corners."""
    return numpy.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], axis=1)


def sigmoid(x):
    return 1 / (1 + numpy.exp(-x))


def yolov8(x, run, side):
    (out,) = run(x / 255)
    return corners(out[0, :4].T), out[0, 4:].T


def end2end(x, run, side):
    (out,) = run(x / 255)
    scores = numpy.zeros((len(out[0]), 80), numpy.float32)
    scores[numpy.arange(len(out[0])), out[0, :, 5].astype(int)] = out[0, :, 4]
    return out[0, :, :4], scores


def yolox(x, run, side):
    (out,) = run(x[:, ::-1].copy())
    rows = out[0]
    if rows[-1, 0] < side / 2:  # in grid units
        grid = numpy.concatenate([
            [(i, j, s) for j in range(side // s) for i in range(side // s)] for s in (8, 16, 32)
        ]).astype(numpy.float32)  # fmt: skip
        rows = rows.copy()
        rows[:, :2] = (rows[:, :2] + grid[:, :2]) * grid[:, 2:]
        rows[:, 2:4] = numpy.exp(rows[:, 2:4]) * grid[:, 2:]
    return corners(rows[:, :4]), rows[:, 4:5] * rows[:, 5:]


def rfdetr(x, run, side):
    boxes, logits = run((x / 255 - MEAN[:, None, None]) / STD[:, None, None])
    scores = sigmoid(logits[0])
    coco = [i for i in range(91) if i not in (0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83)]
    return corners(boxes[0]) * side, scores[:, coco]


def queries(x, run, side):
    logits, boxes = run(x / 255)
    return corners(boxes[0]) * side, sigmoid(logits[0])


def chosen(x, run, side):
    """RT-DETR's deploy mode, told the size of the picture."""
    labels, boxes, values = run(x / 255, orig_target_sizes=numpy.int64([[side, side]]))
    scores = numpy.zeros((len(labels[0]), 80), numpy.float32)
    scores[numpy.arange(len(labels[0])), labels[0]] = values[0]
    return boxes[0], scores


def distances(x, run, side):
    """Generalised focal loss: a side of a box is as far as its distribution's mean. From
    the corner of a cell in NanoDet-Plus, from its middle in PicoDet."""
    (out,) = run((x[::-1] - 255 * MEAN[::-1, None, None]) / (255 * STD[::-1, None, None]))
    cells = numpy.concatenate([
        [(i, j, s) for j in range(-(-side // s)) for i in range(-(-side // s))] for s in (8, 16, 32, 64)
    ]).astype(numpy.float32)  # fmt: skip
    e = numpy.exp(out[0][:, 80:].reshape(-1, 4, 8))
    sides = (e / e.sum(axis=2, keepdims=True)) @ numpy.arange(8, dtype=numpy.float32) * cells[:, 2:]
    middle = (cells[:, :2] + 0.5) * cells[:, 2:]
    return numpy.concatenate([middle - sides[:, :2], middle + sides[:, 2:]], axis=1), out[0][:, :80]


def ssd(x, run, side):
    """Only the scores: the boxes follow from torchvision's own anchors."""
    _, logits = run(x / 127.5 - 1)
    e = numpy.exp(logits[0] - logits[0].max(axis=1, keepdims=True))
    return None, (e / e.sum(axis=1, keepdims=True))[:, 1:]


PLAIN = ["input.mean=0", "input.std=1", "activation=sigmoid"]

# Name in export.py, family, plain reading, keys that detectd asks for.
CASES = [
    ("ssdlite", "ssdheads", ssd, []),
    ("yolov5n", "yolov8", yolov8, []),  # as Ultralytics builds it today, without objectness
    ("yolov8n", "yolov8", yolov8, []),
    ("yolo11n", "yolov8", yolov8, []),
    ("yolov10n", "yolov8", yolov8, []),
    ("yolo26n", "yolov8", yolov8, []),
    ("yolov10n-end2end", "end2end", end2end, []),
    ("yolo26n-end2end", "end2end", end2end, []),
    ("rfdetr", "rfdetr", rfdetr, []),
    ("yolox", "yolox", yolox, []),
    ("dfine", "rfdetr", queries, PLAIN),
    ("deim", "rfdetr", queries, PLAIN),
    ("rtdetr", "rtdetr", chosen, ["labels=coco"]),
    ("rtdetrv2", "rtdetr", chosen, ["labels=coco"]),
    ("rtdetr-raw", "rfdetr", queries, PLAIN),
    ("rtdetrv2-raw", "rfdetr", queries, PLAIN),
    ("picodet", "nanodet", distances, []),
]

# Keys that nothing in the file tells, so that detectd cannot ask for them.
UNTOLD = {"picodet": ["params.offset=0.5"]}


@pytest.mark.parametrize(("name", "family", "read", "keys"), CASES, ids=[c[0] for c in CASES])
def test_export(detectd, tmp_path, name, family, read, keys):
    model = tmp_path / f"{name}.onnx"
    if not pathlib.Path(PYTHON).exists():
        pytest.skip(f"no {PYTHON} to export models with: set DETECTD_EXPORT_PYTHON")
    done = subprocess.run([PYTHON, "-W", "ignore", EXPORT, name, model.name], cwd=tmp_path, capture_output=True, text=True,
                          timeout=300, check=False)  # fmt: skip
    if done.returncode == 3:
        pytest.skip(f"{PYTHON} cannot export {name}, {done.stderr.strip().splitlines()[-1]}: set DETECTD_EXPORT_PYTHON")
    assert done.returncode == 0, done.stderr[-2000:]

    data, given = tmp_path / "data", [arg for key in keys for arg in ("--contract", key)]
    if keys:  # it asks instead of guessing
        refused = detectd.fails("models", "--data", data, "add", model)
        for key in keys:
            assert f"--contract {key.split('=')[0]}=" in refused
    given += [arg for key in UNTOLD.get(name, []) for arg in ("--contract", key)]
    detectd.run("models", "--data", data, "add", model, *given)
    contract = detectd.json("models", "--data", data, "show", name, "--json")["contract"]
    assert contract["family"] == family

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    spec = session.get_inputs()[0]
    side = spec.shape[2]
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    draw(pictures / "a.png", 3, side, side)  # of the input's size: what differs is the reading
    x = numpy.asarray(Image.open(pictures / "a.png"), numpy.float32).transpose(2, 0, 1)
    boxes, scores = read(x, lambda v, **more: session.run(None, {spec.name: v[None].astype(numpy.float32), **more}), side)

    # Nothing is suppressed, as with random weights all scores are about the same.
    everything = [*given, "--contract", "nms_iou=0", "--contract", f"max_boxes={BEST}"]
    detectd.run("models", "--data", data, "add", "--name", "all", model, *everything)
    found = detect(detectd, "all", pictures, 1e-7, "--data", data)["a.png"]
    assert found
    labels = contract["labels"]
    best = numpy.sort(scores.ravel())[::-1]
    for label, score, box in found:
        near = numpy.argwhere(abs(scores[:, labels.index(label)] - score) < 2e-3)[:, 0]
        assert len(near), f"{name}: {label} {score}"
        if boxes is not None:
            kept = numpy.clip(boxes[near], 0, side)
            assert any(overlap((*b[:2], *(b[2:] - b[:2])), box) > 0.97 for b in kept), f"{name}: {label} {score} {box}"
    if family != "ssdheads":  # whose boxes may lie outside of the picture
        assert found[0][1] > best[0] - 2e-3
        assert len(found) >= min(BEST, len(scores)) * 0.8
