"""The real pycocotools, without its talk."""

import contextlib
import copy
import io

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

FIGURES = [
    "ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large",
    "ar_1", "ar_10", "ar_100", "ar_small", "ar_medium", "ar_large",
]  # fmt: skip


def evaluate(truth, found):
    """The COCOeval of a ground truth and a results list, done."""
    with contextlib.redirect_stdout(io.StringIO()):
        gt = COCO()
        gt.dataset = copy.deepcopy(truth)
        gt.createIndex()
        if found:
            dt = gt.loadRes(copy.deepcopy(found))
        else:  # loadRes takes no empty list
            dt = COCO()
            dt.dataset = {**gt.dataset, "annotations": []}
            dt.createIndex()
        run = COCOeval(gt, dt, "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return run


def figures(truth, found):
    """The twelve figures, in the order of FIGURES."""
    return [float(v) for v in evaluate(truth, found).stats]
