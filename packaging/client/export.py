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


def rtdetr(version, chosen):
    """RT-DETR as transformers builds it, small. Chosen: with what the makers' deploy mode
    puts behind it, labels, boxes and scores of the best; else the raw heads."""

    def export(path):
        import torch
        import transformers

        kind = {1: "RTDetr", 2: "RTDetrV2"}[version]
        resnet = transformers.RTDetrResNetConfig(
            embedding_size=32, hidden_sizes=[32, 64, 128, 256], depths=[1, 1, 1, 1], layer_type="basic",
            out_features=["stage2", "stage3", "stage4"],
        )  # fmt: skip
        config = getattr(transformers, kind + "Config")(
            backbone_config=resnet, encoder_in_channels=[64, 128, 256], encoder_hidden_dim=64, encoder_ffn_dim=128,
            d_model=64, decoder_in_channels=[64, 64, 64], decoder_ffn_dim=128, decoder_layers=2, num_queries=100,
            num_labels=80, anchor_image_size=[SIDE, SIDE],
        )  # fmt: skip
        whole = getattr(transformers, kind + "ForObjectDetection")(config).eval().requires_grad_(False)

        class Raw(torch.nn.Module):
            def forward(self, images):
                out = whole(images)
                return out.logits, out.pred_boxes

        class Chosen(torch.nn.Module):
            def forward(self, images, orig_target_sizes):
                out = whole(images)
                centre, size = out.pred_boxes.split(2, -1)
                boxes = torch.cat([centre - size / 2, centre + size / 2], -1) * orig_target_sizes.repeat(1, 2).unsqueeze(1)
                scores, index = torch.topk(out.logits.sigmoid().flatten(1), 100)
                return index % 80, boxes.gather(1, (index // 80).unsqueeze(-1).repeat(1, 1, 4)), scores

        images, sizes = torch.rand(1, 3, SIDE, SIDE), torch.tensor([[SIDE, SIDE]])
        names = {"input_names": ["pixel_values"], "output_names": ["logits", "pred_boxes"]}
        if chosen:
            names = {"input_names": ["images", "orig_target_sizes"], "output_names": ["labels", "boxes", "scores"]}
        torch.onnx.export(
            Chosen() if chosen else Raw(), (images, sizes) if chosen else (images,), path, opset_version=16,
            dynamo=False, **names,
        )  # fmt: skip

    return export


def picodet(path):
    """PicoDet's network with its head put together as NanoDet-Plus exports its own, which
    is the same: scores, and distances as distributions. NanoDet-Plus itself is no package."""
    import libreyolo
    import torch

    whole = libreyolo.LibrePICODET(None, size="s", device="cpu").model.eval().requires_grad_(False)

    class Rows(torch.nn.Module):
        def forward(self, data):
            levels = zip(*whole(data), strict=True)
            return torch.cat([torch.cat([s.sigmoid(), b], 1).flatten(2) for s, b in levels], 2).permute(0, 2, 1)

    torch.onnx.export(
        Rows(), torch.rand(1, 3, SIDE, SIDE), path, input_names=["data"], output_names=["output"], opset_version=13,
        dynamo=False,
    )  # fmt: skip


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
    "rtdetr": rtdetr(1, chosen=True),
    "rtdetrv2": rtdetr(2, chosen=True),
    "rtdetr-raw": rtdetr(1, chosen=False),
    "rtdetrv2-raw": rtdetr(2, chosen=False),
    "picodet": picodet,
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
