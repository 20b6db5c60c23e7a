"""The tracking figures of detect/mot against the real TrackEval.

The test binary of detect/mot reads sequences from standard input when DETECTD_MOT
is set, and writes them where DETECTD_MOT_WRITE says.
"""

import contextlib
import io
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import trackeval

ROOT = pathlib.Path(os.environ.get("DETECTD_ROOT", pathlib.Path(__file__).parents[2]))
OURS = {
    "HOTA": "hota", "DetA": "deta", "AssA": "assa", "DetRe": "detre", "DetPr": "detpr", "AssRe": "assre", "AssPr": "asspr",
    "LocA": "loca", "IDF1": "idf1", "IDP": "idp", "IDR": "idr", "IDTP": "idtp", "IDFP": "idfp", "IDFN": "idfn",
    "MOTA": "mota", "MOTP": "motp", "CLR_TP": "tp", "CLR_FP": "fp", "CLR_FN": "fn", "IDSW": "idsw", "Frag": "frag",
    "MT": "mt", "PT": "pt", "ML": "ml", "CLR_F1": "f1",
}  # fmt: skip


def overlaps(a, b):
    """IoU of boxes x, y, w, h."""
    if not len(a) or not len(b):
        return np.zeros((len(a), len(b)))
    a, b = np.array(a, float)[:, None], np.array(b, float)[None]
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    inter = np.clip(high - low, 0, None).prod(-1)
    return inter / (a[..., 2:].prod(-1) + b[..., 2:].prod(-1) - inter)


def data_of(frames):
    """What TrackEval's metrics take."""
    ids = {"truth": {}, "found": {}}
    data = {"gt_ids": [], "tracker_ids": [], "similarity_scores": []}
    for frame in frames:
        for side, key in (("truth", "gt_ids"), ("found", "tracker_ids")):
            known = ids[side]
            numbers = [known.setdefault(o["id"], len(known)) for o in frame[side] or []]
            data[key].append(np.array(numbers, dtype=int))
        boxes = [[o["box"] for o in frame[side] or []] for side in ("truth", "found")]
        data["similarity_scores"].append(overlaps(*boxes))
    data["num_timesteps"] = len(frames)
    for key, side in (("gt", "truth"), ("tracker", "found")):
        data[f"num_{key}_ids"] = len(ids[side])
        data[f"num_{key}_dets"] = sum(len(x) for x in data[f"{key}_ids"])
    return data


def figures(result):
    return {k: float(np.mean(v)) for k, v in result.items() if k in OURS}


def evaluate(sequences):
    """All figures of each sequence and of all combined, by TrackEval."""
    with contextlib.redirect_stdout(io.StringIO()):
        metrics = [trackeval.metrics.HOTA(), trackeval.metrics.CLEAR(), trackeval.metrics.Identity()]
        each = [{s["name"]: m.eval_sequence(data_of(s["frames"])) for s in sequences} for m in metrics]
        combined = [m.combine_sequences(r) for m, r in zip(metrics, each)]
    join = lambda parts: figures({k: v for part in parts for k, v in part.items()})  # noqa: E731
    return {s["name"]: join([e[s["name"]] for e in each]) for s in sequences}, join(combined)


def test_tracking_figures_equal_trackeval(tmp_path):
    binary, written = tmp_path / "mot.test", tmp_path / "sequences.json"
    subprocess.run(["go", "test", "-c", "-o", binary, "./detect/mot"], cwd=ROOT, check=True)
    subprocess.run([binary, "-test.run", "TestWriteSequences"], cwd=ROOT / "detect" / "mot", check=True,
                   env=os.environ | {"DETECTD_MOT_WRITE": str(written)})
    done = subprocess.run([binary], input=written.read_bytes(), capture_output=True, check=True, env=os.environ | {"DETECTD_MOT": "1"})
    ours = json.loads(done.stdout)
    theirs, combined = evaluate(json.loads(written.read_text())["sequences"])
    assert theirs.keys() == ours["sequences"].keys()
    for name, want in [*theirs.items(), ("combined", combined)]:
        got = ours["combined"] if name == "combined" else ours["sequences"][name]
        for figure, key in OURS.items():
            assert abs(want[figure] - got[key]) <= 1e-6, f"{name} {figure}: {got[key]}, TrackEval says {want[figure]}"


if __name__ == "__main__":
    # Writes detect/mot/testdata/trackeval.json from the sequences in the file named.
    sequences = json.loads(pathlib.Path(sys.argv[1]).read_text())["sequences"]
    theirs, _ = evaluate(sequences[:4])
    target = ROOT / "detect" / "mot" / "testdata" / "trackeval.json"
    target.write_text(json.dumps(theirs, indent=1) + "\n")
