"""Odd pictures come out in the colours and the position that Pillow gives them."""

import numpy
import pytest
from PIL import Image, ImageOps

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]
SIDE = 64


def quarters():
    picture = Image.new("RGB", (2 * SIDE, SIDE))
    for i, colour in enumerate(COLOURS):
        x, y = i % 2 * SIDE, i // 2 * SIDE // 2
        picture.paste(colour, (x, y, x + SIDE, y + SIDE // 2))
    return picture


def deep(picture):
    return Image.fromarray(numpy.asarray(picture.convert("L")).astype(numpy.uint16) * 257)


CASES = {
    "rgb.jpg": lambda p: p,
    "cmyk.jpg": lambda p: p.convert("CMYK"),  # with Adobe's mark, inverted
    "grey.jpg": lambda p: p.convert("L"),
    "grey.png": lambda p: p.convert("L"),
    "deep.png": deep,
    "alpha.png": lambda p: p.convert("RGBA"),
    "palette.png": lambda p: p.convert("P"),
    "bits.png": lambda p: p.convert("1", dither=Image.Dither.NONE),
    "rgb.webp": lambda p: p,
    "rgb.bmp": lambda p: p,
    "rgb.gif": lambda p: p,
}


TURNED = [("rgb.jpg", 3), ("rgb.jpg", 8), ("cmyk.jpg", 6), ("deep.png", 6), ("alpha.png", 8), ("rgb.webp", 6)]


@pytest.mark.parametrize(("name", "orientation"), [*((name, 1) for name in CASES), *TURNED])
def test_picture(detectd, tmp_path, name, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    more = {"exif": exif} if orientation > 1 else {}
    CASES[name](quarters()).save(tmp_path / name, quality=95, **more)
    detectd.run("detect", "--score", 0.99, "--save", tmp_path / "out", tmp_path / name)
    with Image.open(tmp_path / name) as picture:
        picture = ImageOps.exif_transpose(picture)
        if picture.mode.startswith("I"):
            picture = Image.fromarray((numpy.asarray(picture) // 257).astype(numpy.uint8))
        want = picture.convert("RGB")
    with Image.open(tmp_path / "out" / (name.rsplit(".", 1)[0] + ".jpg")) as picture:
        got = picture.convert("RGB")
    assert got.size == want.size
    for x in (want.width // 4, want.width * 3 // 4):
        for y in (want.height // 4, want.height * 3 // 4):
            assert numpy.abs(numpy.subtract(got.getpixel((x, y)), want.getpixel((x, y)))).max() < 16, (x, y)
