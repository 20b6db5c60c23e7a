"""The plain way to run a detector: Pillow, numpy and ONNX Runtime, written from the
papers and the models' own descriptions, slow and simple. detectd must find what it
finds.

What differs by intent, and why the boxes are not the same to the last digit:
- a JPEG is resized here as RGB after libjpeg has blown up its colours; detectd
  resizes the planes of the file as they are and converts the few pixels left;
- pictures that shrink to less than a third are averaged by detectd, not sampled;
- ONNX Runtime's versions differ, so sums are added in another order.
"""

import json

import numpy
import onnxruntime
from PIL import Image, ImageOps

COCO_LABELS = (
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,"
    "parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,handbag,"
    "tie,suitcase,frisbee,skis,snowboard,sports ball,kite,baseball bat,baseball glove,skateboard,surfboard,"
    "tennis racket,bottle,wine glass,cup,fork,knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,"
    "hot dog,pizza,donut,cake,chair,couch,potted plant,bed,dining table,toilet,tv,laptop,mouse,remote,keyboard,"
    "cell phone,microwave,oven,toaster,sink,refrigerator,book,clock,vase,scissors,teddy bear,hair drier,toothbrush"
).split(",")


def load(path):
    """The picture as float RGB, upright."""
    with Image.open(path) as picture:
        return numpy.asarray(ImageOps.exif_transpose(picture).convert("RGB"), numpy.float32)


def load_planes(path):
    """The Y, Cb and Cr of a JPEG as libjpeg blows them up, as floats."""
    with Image.open(path) as picture:
        picture.draft("YCbCr", picture.size)
        assert picture.mode == "YCbCr"
        return numpy.asarray(picture, numpy.float32)


def colours(planes):
    """RGB of Y, Cb and Cr, as JFIF says, cut to 0 to 255 and not rounded."""
    y, cb, cr = (planes[..., i] - (0, 128, 128)[i] for i in range(3))
    rgb = numpy.stack([y + 1.402 * cr, y - (0.114 * 1.772 * cb + 0.299 * 1.402 * cr) / 0.587, y + 1.772 * cb], axis=-1)
    return numpy.clip(rgb, 0, 255).astype(numpy.float32)


def resize(picture, width, height):
    """Bilinear with half-pixel centres; the edge is repeated."""

    def axis(size, out):
        at = numpy.clip((numpy.arange(out) + 0.5) * (size / out) - 0.5, 0, size - 1)
        low = numpy.floor(at).astype(int)
        return low, numpy.minimum(low + 1, size - 1), (at - low).astype(numpy.float32)

    y0, y1, wy = axis(picture.shape[0], height)
    x0, x1, wx = axis(picture.shape[1], width)
    rows = picture[y0] * (1 - wy)[:, None, None] + picture[y1] * wy[:, None, None]
    return rows[:, x0] * (1 - wx)[:, None] + rows[:, x1] * wx[:, None]


def suppress(boxes, scores, classes, iou, keep):
    """Indices of the boxes (x0, y0, x1, y1) that no better one of the same class
    overlaps by more than iou, best first, keep of them at most."""
    order = numpy.argsort(-scores, kind="stable")
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept = []
    while len(order) and len(kept) < keep:
        best, rest = order[0], order[1:]
        kept.append(best)
        low = numpy.maximum(boxes[best, :2], boxes[rest, :2])
        high = numpy.minimum(boxes[best, 2:], boxes[rest, 2:])
        inter = numpy.prod(numpy.maximum(high - low, 0), axis=1)
        same = classes[rest] == classes[best]
        order = rest[~(same & (inter > iou * (area[best] + area[rest] - inter)))]
    return kept


class Model:
    """What both models share. They set labels, iou and keep, and step, the value of
    one level of a colour in their input."""

    def __init__(self, path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def detect(self, path, min_score):
        """(label, score, [x, y, w, h]) of the picture at path, best first."""
        picture = load(path)
        height, width = picture.shape[:2]
        boxes, scores, classes = self.candidates(picture, min_score)
        found = []
        for i in suppress(boxes, scores, classes, self.iou, self.keep):
            x0, x1 = numpy.clip(boxes[i, 0::2], 0, width)
            y0, y1 = numpy.clip(boxes[i, 1::2], 0, height)
            if x1 > x0 and y1 > y0:
                found.append((self.labels[classes[i]], float(scores[i]), [float(v) for v in (x0, y0, x1 - x0, y1 - y0)]))
        return found


class SSD(Model):
    """The default model: SSD with anchors, as the contract in the file tells."""

    def __init__(self, path):
        super().__init__(path)
        self.contract = json.loads(self.session.get_modelmeta().custom_metadata_map["detectd.contract"])
        assert self.contract["family"] == "ssd"
        assert self.contract["input"]["resize"] == "stretch"
        assert self.contract["params"]["yx_order"] == 1
        self.labels, self.iou, self.keep = (self.contract[k] for k in ("labels", "nms_iou", "max_boxes"))
        self.step = self.contract["input"]["scale"] / self.contract["input"]["std"][0]

    def tensor(self, picture, late=lambda x: x):
        """The input for a picture; late is done to its colours once it is resized."""
        c = self.contract["input"]
        x = late(resize(picture, c["width"], c["height"]))
        x = (x * numpy.float32(c["scale"]) - numpy.float32(c["mean"])) / numpy.float32(c["std"])
        return x.transpose(2, 0, 1)

    def candidates(self, picture, min_score):
        height, width = picture.shape[:2]
        name = self.contract["input"]["name"]
        out = self.session.run(["boxes", "scores", "anchors"], {name: self.tensor(picture)[None]})
        codes, scores, anchors = out[0][0], out[1][0], out[2].reshape(-1, 4)
        # Faster R-CNN's box code with variances: centre by size, size as a logarithm.
        size = anchors[:, 2:] - anchors[:, :2]
        centre = anchors[:, :2] + size / 2 + codes[:, :2] / 10 * size
        size = size * numpy.exp(codes[:, 2:] / 5)
        corners = numpy.concatenate([centre - size / 2, centre + size / 2], axis=1)[:, [1, 0, 3, 2]]
        corners = corners * numpy.float32([width, height, width, height])
        ids = numpy.array([-1, *self.contract["label_ids"]])  # column 0 is the background
        rows, columns = numpy.nonzero((scores >= min_score) & (ids >= 0))
        return corners[rows], scores[rows, columns], ids[columns]


class YOLOX(Model):
    """Megvii's export: BGR, 0 to 255, scaled to fit and put top left on grey 114."""

    labels, iou, keep, step = COCO_LABELS, 0.45, 100, 1

    def size(self, picture):
        """The side of the input, and the height and width of the picture in it."""
        side = self.session.get_inputs()[0].shape[2]
        ratio = min(side / picture.shape[0], side / picture.shape[1])
        return side, *(max(1, round(v * ratio)) for v in picture.shape[:2])

    def tensor(self, picture, late=lambda x: x):
        """The input for a picture; late is done to its colours once it is resized."""
        side, h, w = self.size(picture)
        x = numpy.full((side, side, 3), 114, numpy.float32)
        x[:h, :w] = late(resize(picture, w, h))[:, :, ::-1]
        return x.transpose(2, 0, 1)

    def candidates(self, picture, min_score):
        side, h, w = self.size(picture)
        out = self.session.run(None, {self.session.get_inputs()[0].name: self.tensor(picture)[None]})[0][0]
        grid = numpy.concatenate([
            [(i, j, stride) for j in range(side // stride) for i in range(side // stride)] for stride in (8, 16, 32)
        ]).astype(numpy.float32)  # fmt: skip
        centre = (out[:, :2] + grid[:, :2]) * grid[:, 2:]
        size = numpy.exp(out[:, 2:4]) * grid[:, 2:]
        scores, classes = out[:, 4] * out[:, 5:].max(axis=1), out[:, 5:].argmax(axis=1)
        keep = scores >= min_score
        corners = numpy.concatenate([centre - size / 2, centre + size / 2], axis=1)
        scale = numpy.float32([picture.shape[1] / w, picture.shape[0] / h] * 2)
        return (corners * scale)[keep], scores[keep], classes[keep]
