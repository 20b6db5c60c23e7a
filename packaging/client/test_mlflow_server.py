"""Copying from a real MLflow server, and the credentials that clients have to show."""

import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

pytest.importorskip("flask", reason="the server of MLflow is not installed")

from test_mlflow import MlflowClient, MlflowException, daemon, detector, mlflow  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's own


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A real MLflow server with two models, and the client that made them."""
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = (folder / "log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
         "--backend-store-uri", f"sqlite:///{folder}/m.db", "--artifacts-destination", str(folder / "artifacts")],
        stdout=log, stderr=subprocess.STDOUT, cwd=folder, env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}, start_new_session=True,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    before = mlflow.get_tracking_uri()
    try:
        for _ in range(300):
            assert process.poll() is None, (folder / "log").read_text()
            try:
                urllib.request.urlopen(url + "/health", timeout=5)
                break
            except (urllib.error.URLError, TimeoutError):
                time.sleep(0.2)
        mlflow.set_tracking_uri(url)
        fill()
        yield url
    finally:
        mlflow.set_tracking_uri(before)
        os.killpg(process.pid, 15)  # with its workers
        process.wait(60)
        log.close()


def fill():
    mlflow.set_experiment("yard")
    for bias in (0.25, 0.5):
        with mlflow.start_run():
            mlflow.onnx.log_model(detector(bias), name="model", registered_model_name="Yard Watch")
    client = MlflowClient()
    client.set_registered_model_alias("Yard Watch", "champion", 2)
    client.set_registered_model_tag("Yard Watch", "site", "north")
    client.update_registered_model("Yard Watch", description="of the yard")
    client.set_model_version_tag("Yard Watch", "1", "detectd.licence", "MIT")
    client.update_model_version("Yard Watch", "1", description="the first")
    client.create_registered_model("by hand")
    client.create_model_version("by hand", "s3://bucket/elsewhere")


def test_import(server, detectd, tmp_path):
    models = ("models", "--data", tmp_path / "data")
    said = refused(detectd, *models, "import", "mlflow", server)
    assert "copied 2 versions, 0 were here already, 1 left out, 1 failed" in said
    assert "by hand/1: its files are at s3://bucket/elsewhere" in said
    # What finds the same in every picture does not pass the self-check that aliases ask for.
    assert "Yard Watch@champion:" in said
    assert "self-check" in said
    detectd.run(*models, "rules", "yard-watch@champion", "--self-check", "any")
    assert "Yard Watch@champion: names yard-watch@2" in detectd.run(*models, "import", "mlflow", server, "Yard Watch")
    shown = detectd.json(*models, "show", "yard-watch@1", "--json")
    assert (shown["licence"], shown["family"], shown["tags"]) == ("MIT", "yolov8", {"detectd.licence": "MIT"})
    assert shown["source"] == f"{server} models:/Yard Watch/1"
    text = detectd.run(*models, "show", "yard-watch@champion")
    assert "yard-watch@2" in text
    assert "of the yard" in text
    assert "site=north" in text

    again = detectd.run(*models, "import", "mlflow", server, "Yard Watch")
    assert "copied 0 versions, 2 were here already, 0 left out, 0 failed" in again

    MlflowClient(server).set_registered_model_alias("Yard Watch", "champion", 1)
    assert "--move moves it" in refused(detectd, *models, "import", "mlflow", server, "Yard Watch")
    assert "yard-watch@1" in detectd.run(*models, "import", "mlflow", server, "Yard Watch", "--move")
    assert "yard-watch@1" in detectd.run(*models, "show", "yard-watch@champion")
    assert 'no registered model "none"' in detectd.fails(*models, "import", "mlflow", server, "none")


def refused(detectd, *args):
    """What is said on standard output by a command that fails."""
    done = subprocess.run([pathlib.Path(__file__).parents[2] / "bin" / "detectd", *map(str, args)], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    return done.stdout


def test_import_into_a_running_daemon(server, detectd, tmp_path):
    MlflowClient(server).set_registered_model_alias("Yard Watch", "champion", 2)
    with daemon(tmp_path / "data"):
        models = ("models", "--data", tmp_path / "data")
        assert "copied 2 versions" in refused(detectd, *models, "import", "mlflow", server, "Yard Watch")
        detectd.run(*models, "rules", "yard-watch@champion", "--self-check", "any")
        detectd.run(*models, "import", "mlflow", server, "Yard Watch")
        assert "yard-watch@2" in detectd.run(*models, "show", "yard-watch@champion")
        # The files are there already: each is its own version, not the newest.
        MlflowClient(server).set_registered_model_alias("Yard Watch", "champion", 1)
        detectd.run(*models, "import", "mlflow", server, "Yard Watch", "--move")
        assert "yard-watch@1" in detectd.run(*models, "show", "yard-watch@champion")


def test_credentials_are_asked_for(tmp_path, monkeypatch):
    settings = tmp_path / "detectd.yaml"
    settings.write_text("mlflow: {user: ada, password: secret, token: t0ken}\n")
    with daemon(tmp_path / "data", "--config", settings) as url:
        client = MlflowClient(url)
        with pytest.raises(MlflowException, match="MLFLOW_TRACKING_USERNAME"):
            client.search_registered_models()
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "wrong")
        with pytest.raises(MlflowException):
            client.search_registered_models()
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secret")
        assert client.search_registered_models()
        monkeypatch.delenv("MLFLOW_TRACKING_USERNAME")
        monkeypatch.delenv("MLFLOW_TRACKING_PASSWORD")
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t0ken")
        assert client.search_registered_models()
