"""What detectd feeds its models is what the plain reference feeds them: exactly for
pictures without loss, and with the differences that JPEG explains, measured one by
one. "make client" prints the table of docs/models.md; what it says of real pictures
needs DETECTD_TEST_DATA, see test_reference.py.

Differences are in levels of a colour, 0 to 255, whatever the model's scale.
"""

import numpy
import pytest
from PIL import Image

import reference
from test_reference import DEFAULT, draw

SIZES = [(640, 480), (300, 300), (333, 517), (801, 600), (200, 150), (64, 48)]


def tensors(detectd, model, folder, out):
    """What detectd feeds the model, by the name of the picture without its ending."""
    detectd.run("models", "tensor", model, folder, "--out", out)
    return {path.stem: numpy.load(path) for path in sorted(out.glob("*.npy"))}


class Difference:
    """Sums up |a - b| over pictures."""

    def __init__(self):
        self.count = self.equal = self.near = self.sum = self.worst = 0

    def add(self, a, b, step):
        assert a.shape == b.shape
        gap = numpy.abs(a.astype(numpy.float64) - b) / step
        self.count += gap.size
        self.equal += int((a == b).sum())
        self.near += int((gap <= 1).sum())
        self.sum += gap.sum()
        self.worst = max(self.worst, gap.max())

    @property
    def mean(self):
        return self.sum / self.count

    def __str__(self):
        return (
            f"max {self.worst:.4f}, mean {self.mean:.6f}, {self.equal / self.count:.2%} equal,"
            f" {self.near / self.count:.2%} within one level"
        )


def convert(pictures, folder, ending, **how):
    """Writes pictures in another form, and returns the folder."""
    folder.mkdir()
    for path in pictures:
        with Image.open(path) as picture:
            mode = "L" if how.get("grey") else "RGB"
            more = {k: v for k, v in how.items() if k != "grey"}
            picture.convert(mode).save(folder / f"{path.stem}.{ending}", **more)
    return folder


def compare(detectd, model, plain, folder, out):
    """detectd against the reference, and, for JPEG in colour, against the reference
    that converts the colours after resizing, as detectd does."""
    ours = tensors(detectd, model, folder, out)
    rgb, late = Difference(), Difference()
    for path in sorted(folder.iterdir()):
        got = ours[path.stem]
        rgb.add(got, plain.tensor(reference.load(path)), plain.step)
        with Image.open(path) as picture:
            colour = picture.format == "JPEG" and picture.mode == "RGB"
        if colour:
            late.add(got, plain.tensor(reference.load_planes(path), reference.colours), plain.step)
    assert rgb.count > 0
    return rgb, late


def table(detectd, model, plain, pictures, tmp_path, real=None):
    """The differences by what causes them."""
    forms = {
        "png": convert(pictures, tmp_path / "png", "png"),
        "grey": convert(pictures, tmp_path / "grey", "jpg", grey=True, quality=90),
        "444": convert(pictures, tmp_path / "444", "jpg", quality=90, subsampling=0),
        "420": convert(pictures, tmp_path / "420", "jpg", quality=90, subsampling=2),
    }
    if real:
        forms["as they are"] = real
    found = {}
    for name, folder in forms.items():
        found[name] = compare(detectd, model, plain, folder, tmp_path / f"{name}.out")
        print(f"\n{model.name}, {name}: {found[name][0]}", end="")
        if found[name][1].count:
            print(f"\n{model.name}, {name}, colours after resizing: {found[name][1]}", end="")
    return found


def check(found):
    assert found["png"][0].worst < 0.001
    assert found["grey"][0].worst <= 2
    assert found["grey"][0].mean < 0.1
    assert found["444"][1].mean < 0.1
    assert found["444"][0].mean < 0.5
    assert found["420"][0].mean < 2.5


def test_generated_pictures(detectd, tmp_path):
    """The default model: sizes that grow, shrink and stay, stretched."""
    pictures = []
    for i, (w, h) in enumerate(SIZES):
        pictures.append(tmp_path / f"{i}.png")
        draw(pictures[-1], i, w, h)
    check(table(detectd, DEFAULT, reference.SSD(DEFAULT), pictures, tmp_path))


def test_averaged_pictures(detectd, tmp_path):
    """A picture that shrinks to less than a third is averaged by detectd, on purpose."""
    (tmp_path / "in").mkdir()
    draw(tmp_path / "in" / "large.png", 1, 1800, 1500)  # 6 and 5 times 300
    got = tensors(detectd, DEFAULT, tmp_path / "in", tmp_path / "out")["large"]
    plain, picture = reference.SSD(DEFAULT), reference.load(tmp_path / "in" / "large.png")
    mean = picture.reshape(300, 5, 300, 6, 3).mean(axis=(1, 3))
    gap = Difference()
    gap.add(got, plain.tensor(mean), plain.step)
    assert gap.worst < 0.01


@pytest.mark.parametrize("name", ["default", "yolox"])
def test_real_pictures(detectd, tmp_path, test_data, name):
    model = DEFAULT if name == "default" else test_data / "models" / "yolox_nano_416_coco.onnx"
    real = test_data / "coco" / "train128" / "images"
    pictures = sorted(real.glob("*.jpg"))
    if len(pictures) != 128 or not model.exists():
        pytest.skip(f"DETECTD_TEST_DATA has no 128 pictures in coco/train128, or no {model.name}: no tensor is compared")
    plain = reference.SSD(model) if name == "default" else reference.YOLOX(model)
    check(table(detectd, model, plain, pictures, tmp_path, real))
