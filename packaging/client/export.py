"""Exports one detector as its makers' own code does, with random weights:

    export.py NAME FILE.onnx

NAME is a key of EXPORTS. It is run by the Python that has the makers' packages, which
need not be the one that runs the tests: see test_exports.py. Ends with 3 when the
package is missing.
"""

import pathlib
import shutil
import sys

SIDE = 320


def ssdlite(path):
    """torchvision's SSDLite320 with its raw heads."""
    import torch
    import torchvision

    whole = torchvision.models.detection.ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None).eval().requires_grad_(False)

    class Heads(torch.nn.Module):
        def forward(self, images):
            heads = whole.head(list(whole.backbone(images).values()))
            return heads["bbox_regression"], heads["cls_logits"]

    legacy = {"dynamo": False} if torch.__version__ >= "2.5" else {}
    torch.onnx.export(
        Heads(), torch.rand(1, 3, SIDE, SIDE), path, input_names=["images"], output_names=["boxes", "scores"],
        opset_version=13, **legacy,
    )  # fmt: skip


def ultralytics(name, **more):
    """AGPL code that is run here, and shipped nowhere."""

    def export(path):
        from ultralytics import YOLO

        made = YOLO(name + ".yaml").export(format="onnx", imgsz=SIDE, simplify=False, opset=13, device="cpu", **more)
        shutil.move(made, path)

    return export


def rfdetr(path):
    from rfdetr import RFDETRNano

    folder = pathlib.Path(path).with_suffix(".d")
    RFDETRNano(pretrain_weights=None, device="cpu").export(output_dir=str(folder), verbose=False)
    shutil.move(next(folder.glob("*.onnx")), path)


def libre(name, size):
    """Apache-2.0 detectors as the MIT package libreyolo builds and exports them."""

    def export(path):
        import libreyolo

        model = getattr(libreyolo, name)(None, size=size, device="cpu")
        shutil.move(model.export(format="onnx", simplify=False, dynamic=False, output_path=path), path)

    return export


EXPORTS = {
    "ssdlite": ssdlite,
    "yolov5n": ultralytics("yolov5n"),
    "yolov8n": ultralytics("yolov8n"),
    "yolo11n": ultralytics("yolo11n"),
    "yolov10n": ultralytics("yolov10n"),
    "yolo26n": ultralytics("yolo26n"),
    "yolov10n-end2end": ultralytics("yolov10n", end2end=True),
    "yolo26n-end2end": ultralytics("yolo26n", end2end=True),
    "rfdetr": rfdetr,
    "yolox": libre("LibreYOLOX", "n"),
    "dfine": libre("LibreDFINE", "n"),
    "deim": libre("LibreDEIM", "n"),
}

if __name__ == "__main__":
    try:
        import torch

        torch.manual_seed(7)
        torch.set_num_threads(1)
        EXPORTS[sys.argv[1]](sys.argv[2])
    except ModuleNotFoundError as missing:
        print(missing, file=sys.stderr)
        sys.exit(3)
