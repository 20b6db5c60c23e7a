"""OpenVINO finds what the CPU provider finds. It runs on every x86 processor, so it
is tried for real: packaging/setup/gpu.sh fetches it from PyPI."""

import json
import subprocess

import pytest

from conftest import ROOT
from test_reference import DEFAULT, draw, partners


@pytest.fixture(scope="session")
def openvino():
    """The library with OpenVINO, or a skip."""
    done = subprocess.run([ROOT / "packaging/setup/gpu.sh", "openvino"], capture_output=True, text=True, check=False)
    if done.returncode == 3:
        pytest.skip("PyPI cannot be reached: OpenVINO is not tried")
    assert done.returncode == 0, done.stderr
    return done.stdout.split(": ", 1)[1].strip()


def detect(detectd, library, provider, model, folder):
    """What is found with the library on a provider, by the name of the picture."""
    lines = detectd.run(
        "detect", "--json", "--library", library, "--provider", provider, "--model", model, "--score", 0.05, folder,
    ).splitlines()  # fmt: skip
    return {
        line["source"].rsplit("/", 1)[-1]: [(d["label"], d["score"], d["box"]) for d in line["detections"]]
        for line in map(json.loads, lines)
    }


def compare(detectd, library, model, folder):
    ours = detect(detectd, library, "openvino", model, folder)
    plain = detect(detectd, library, "cpu", model, folder)
    assert ours.keys() == plain.keys()
    counts, equal, worst = [0, 0], True, 0.0
    for name, found in ours.items():
        equal = equal and found == plain[name]
        for a, b in ((found, plain[name]), (plain[name], found)):
            n, both = partners(a, b, 0.06, iou=0.98, score=0.005)
            counts[0] += n
            counts[1] += both
        for d, o in zip(found, plain[name], strict=False):
            worst = max(worst, abs(d[1] - o[1]))
    print(f"\n{model.name}: {counts[1]} of {counts[0]} boxes have a partner, scores at most {worst:.2g} apart")
    assert counts[0] >= 40, "the pictures are too dull to compare anything"
    assert counts[1] == counts[0]
    assert not equal, "two libraries that agree to the last digit are probably the same"


def test_openvino_on_generated_pictures(detectd, openvino, tmp_path):
    for i, (w, h) in enumerate([(640, 480), (300, 300), (333, 517), (801, 600), (200, 150), (64, 48)]):
        draw(tmp_path / f"{i}.png", i, w, h)
    compare(detectd, openvino, DEFAULT, tmp_path)


def test_openvino_on_coco(detectd, openvino, test_data):
    model = test_data / "models" / "yolox_nano_416_coco.onnx"
    if not model.exists():
        pytest.skip("DETECTD_TEST_DATA has no models/yolox_nano_416_coco.onnx")
    for each in (DEFAULT, model):
        compare(detectd, openvino, each, test_data / "coco" / "train128" / "images")


def test_doctor_tries_openvino(detectd, openvino, tmp_path):
    report = detectd.json("doctor", "--json", "--library", openvino, "--data", tmp_path, "--listen", "127.0.0.1:0")
    assert report["can_run"]
    states = {line["name"]: line["text"] for line in report["lines"] if line["group"] == "onnxruntime"}
    assert states["cpu"] == states["openvino"] == "works"
    assert states["cuda"] == "not in this library"
