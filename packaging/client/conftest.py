"""What the client tests share."""

import json
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]
BINARY = ROOT / "bin" / "detectd"


class Detectd:
    """The built program."""

    def run(self, *args):
        done = subprocess.run([BINARY, *map(str, args)], capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def fails(self, *args):
        """What it says where it has to refuse."""
        done = subprocess.run([BINARY, *map(str, args)], capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 1, done.stdout
        return done.stderr

    def json(self, *args):
        return json.loads(self.run(*args))


@pytest.fixture(scope="session")
def detectd():
    assert BINARY.exists(), "run make build first"
    return Detectd()


@pytest.fixture(scope="session")
def test_data():
    """The folder of DETECTD_TEST_DATA, or a skip."""
    folder = os.environ.get("DETECTD_TEST_DATA")
    if not folder:
        pytest.skip("DETECTD_TEST_DATA names no folder with models/ and coco/: nothing is compared on real pictures")
    return pathlib.Path(folder)


@pytest.fixture
def write_json(tmp_path):
    """Writes a value as JSON into the test's folder."""

    def write(name, value):
        path = tmp_path / name
        path.write_text(json.dumps(value))
        return path

    return write
