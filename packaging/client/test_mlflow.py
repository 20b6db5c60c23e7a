"""The MLflow API of the daemon against the real MLflow client."""

import contextlib
import json
import os
import pathlib
import re
import subprocess
import urllib.request

import numpy as np
import pytest

os.environ["MLFLOW_TRACKING_URI"] = ""  # nothing below may use the user's own server
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"

mlflow = pytest.importorskip("mlflow", reason="mlflow-skinny is not installed")
onnx = pytest.importorskip("onnx", reason="onnx is not installed")

import mlflow.onnx  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.tracking import MlflowClient  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

BINARY = pathlib.Path(__file__).parents[2] / "bin" / "detectd"
pytestmark = pytest.mark.filterwarnings("ignore")  # the client's own


def detector(bias, labels=("cat", "dog")):
    """A detector of the layout of YOLOv8 that finds the same at every place. Its
    constant is large enough to be saved beside the model."""
    rows = 4 + len(labels)
    table = np.full((1, rows, 84), bias, np.float32)
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Add", ["table", "nothing"], ["output0"]),
    ]
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 64, 64])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, rows, 84])],
        [numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.zeros(1, np.float32), "zero")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, {"names": str(dict(enumerate(labels))), "task": "detect"})
    onnx.checker.check_model(model)
    return model


@contextlib.contextmanager
def daemon(folder, *more):
    process = subprocess.Popen(
        [BINARY, "run", "--data", folder, "--listen", "127.0.0.1:0", "--no-demo", *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    seen = []
    try:
        for line in process.stdout:
            seen.append(line)
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            if found:
                break
        else:
            raise AssertionError("detectd did not start: " + "".join(seen))
        yield found.group()
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    assert BINARY.exists(), "run make build first"
    with daemon(tmp_path_factory.mktemp("data") / "data") as url:
        mlflow.set_tracking_uri(url)
        yield url


@pytest.fixture(scope="module")
def client(server):
    return MlflowClient(server)


@pytest.fixture(scope="module")
def yard(client):
    """A run that logs and registers a model."""
    mlflow.set_experiment("yard")
    with mlflow.start_run(run_name="first") as run:
        mlflow.log_params({"lr": "0.01", "epochs": 3})
        for step in range(5):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
        mlflow.log_metrics({"ap": 0.5, "nan": float("nan")})
        mlflow.set_tag("who", "me")
        info = mlflow.onnx.log_model(detector(0.25), name="model", registered_model_name="Yard Watch", tags={"detectd.licence": "MIT"})
    return run, info


def test_log_and_register(client, yard):
    run, info = yard
    version = client.get_model_version("Yard Watch", "1")
    assert version.status == "READY"
    assert version.run_id == run.info.run_id
    assert version.source == f"models:/{info.model_id}"
    files = {f.path for f in client.list_logged_model_artifacts(info.model_id)}
    assert {"MLmodel", "model.onnx"} <= files
    assert any(".data" in f or "external" in f for f in files), f"no external data in {files}: the test tests less than it says"


def test_runs(client, yard):
    run, info = yard
    got = client.get_run(run.info.run_id)
    assert got.data.params == {"lr": "0.01", "epochs": "3"}
    assert got.data.metrics["loss"] == 0.2
    assert np.isnan(got.data.metrics["nan"])
    assert got.data.tags["who"] == "me"
    assert got.info.status == "FINISHED"
    assert got.info.run_name == "first"
    assert [m.model_id for m in got.outputs.model_outputs] == [info.model_id]
    history = client.get_metric_history(run.info.run_id, "loss")
    assert [(m.step, m.value) for m in history] == [(i, 1 / (i + 1)) for i in range(5)]
    experiment = got.info.experiment_id
    found = client.search_runs([experiment], "metrics.ap > 0.4 and params.lr = '0.01' and tags.who = 'me'", order_by=["metrics.loss DESC"])
    assert [r.info.run_id for r in found] == [run.info.run_id]
    assert client.search_runs([experiment], "metrics.ap > 0.6") == []
    with pytest.raises(MlflowException, match="cannot become"):
        client.log_param(run.info.run_id, "lr", "0.02")
    client.delete_tag(run.info.run_id, "who")
    assert "who" not in client.get_run(run.info.run_id).data.tags
    client.delete_run(run.info.run_id)
    assert client.get_run(run.info.run_id).info.lifecycle_stage == "deleted"
    client.restore_run(run.info.run_id)


def test_experiments(client):
    name = client.create_experiment("lab", tags={"a": "b"})
    assert client.get_experiment(name).tags == {"a": "b"}
    assert client.get_experiment("0").name == "Default"
    client.set_experiment_tag(name, "c", "d")
    client.rename_experiment(name, "laboratory")
    assert client.get_experiment_by_name("laboratory").tags["c"] == "d"
    assert client.get_experiment_by_name("nowhere") is None
    client.delete_experiment(name)
    assert name not in {e.experiment_id for e in client.search_experiments()}
    client.restore_experiment(name)
    assert name in {e.experiment_id for e in client.search_experiments(filter_string="name LIKE 'labor%'")}
    with pytest.raises(MlflowException, match="exists"):
        client.create_experiment("laboratory")


def test_artifacts_of_runs(client, yard, tmp_path):
    run, _ = yard
    (tmp_path / "notes.txt").write_text("words")
    client.log_artifact(run.info.run_id, tmp_path / "notes.txt", "deep/er")
    assert [f.path for f in client.list_artifacts(run.info.run_id)] == ["deep"]
    assert [(f.path, f.file_size) for f in client.list_artifacts(run.info.run_id, "deep/er")] == [("deep/er/notes.txt", 5)]
    fetched = client.download_artifacts(run.info.run_id, "deep", str(tmp_path))
    assert (pathlib.Path(fetched) / "er" / "notes.txt").read_text() == "words"


def test_register_model(client, yard):
    run, info = yard
    same = mlflow.register_model(f"models:/{info.model_id}", "Yard Watch")
    assert str(same.version) == "1", "the same file is the version that has it"
    logged = mlflow.onnx.log_model(detector(0.3), name="better")
    two = mlflow.register_model(f"models:/{logged.model_id}", "Yard Watch", tags={"stage": "try"})
    assert str(two.version) == "2"
    assert client.get_model_version("Yard Watch", "2").tags == {"stage": "try"}
    by_run = mlflow.register_model(f"runs:/{run.info.run_id}/model", "by-run")
    assert str(by_run.version) == "1"


def test_find_and_describe(client, yard):
    client.update_registered_model("Yard Watch", description="finds cats")
    client.set_registered_model_tag("Yard Watch", "team", "zoo")
    client.update_model_version("Yard Watch", "1", description="the first")
    client.set_model_version_tag("Yard Watch", "1", "good", "yes")
    got = client.get_registered_model("Yard Watch")
    assert (got.description, got.tags) == ("finds cats", {"team": "zoo"})
    assert [m.name for m in client.search_registered_models("tags.team = 'zoo'")] == ["Yard Watch"]
    assert [m.name for m in client.search_registered_models("name ILIKE 'yard%'")] == ["Yard Watch"]
    assert client.search_registered_models("name LIKE 'yard%'") == []
    assert len(client.search_registered_models(max_results=1)) == 1
    assert [v.version for v in client.search_model_versions("name = 'Yard Watch' and tags.good = 'yes'")] in (["1"], [1])
    run, _ = yard
    assert client.search_model_versions(f"run_id = '{run.info.run_id}'")
    client.delete_model_version_tag("Yard Watch", "1", "good")
    client.delete_registered_model_tag("Yard Watch", "team")
    assert client.get_model_version("Yard Watch", "1").tags == {"detectd.licence": "MIT"}
    assert client.get_registered_model("Yard Watch").tags == {}
    with pytest.raises(MlflowException, match="not found"):
        client.get_registered_model("nothing")


def without_rules(server, alias):
    """Let an alias of Yard Watch name what has not passed its self-check."""
    rules = urllib.request.Request(
        f"{server}/api/v1/models/yard-watch/aliases/{alias}/rules",
        data=json.dumps({"rules": {"self_check": "any"}}).encode(),
        headers={"Content-Type": "application/json", "If-Match": '"0"'},
        method="PUT",
    )
    assert urllib.request.urlopen(rules).status == 200


def test_alias_download_load(server, client, yard, tmp_path):
    import onnxruntime

    # What finds the same in every picture does not pass the self-check that aliases ask for.
    with pytest.raises(MlflowException, match="self-check"):
        client.set_registered_model_alias("Yard Watch", "champion", "1")
    without_rules(server, "champion")
    client.set_registered_model_alias("Yard Watch", "champion", "1")
    assert str(client.get_model_version_by_alias("Yard Watch", "champion").version) == "1"
    assert client.get_registered_model("Yard Watch").aliases == {"champion": "1"}
    folder = pathlib.Path(mlflow.artifacts.download_artifacts("models:/Yard Watch@champion", dst_path=str(tmp_path)))
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    out = session.run(None, {"images": np.ones((1, 3, 64, 64), np.float32)})[0]
    np.testing.assert_array_equal(out, np.full((1, 6, 84), 0.25, np.float32))
    model = mlflow.onnx.load_model("models:/Yard Watch@champion")
    onnx.checker.check_model(model)
    with pytest.raises(MlflowException, match="champion"):
        client.delete_model_version("Yard Watch", "1")
    client.delete_registered_model_alias("Yard Watch", "champion")
    with pytest.raises(MlflowException, match="not found"):
        client.get_model_version_by_alias("Yard Watch", "champion")


def test_a_model_of_detectd(client, tmp_path):
    """The model that comes with detectd was never logged by anybody."""
    model = mlflow.onnx.load_model("models:/default/1")
    assert model.graph.node
    assert client.get_latest_versions("default")[0].version in ("1", 1)


def test_what_is_no_detector(client, yard):
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "no",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
    )
    logged = mlflow.onnx.log_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), name="no")
    with pytest.raises(MlflowException, match="no model that detectd can use") as refused:
        mlflow.register_model(f"models:/{logged.model_id}", "nothing-new")
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"
    assert client.search_model_versions("name = 'nothing-new'") == []


def test_logged_models(client, yard):
    run, info = yard
    got = client.get_logged_model(info.model_id)
    assert got.status == "READY"
    assert got.tags["detectd.licence"] == "MIT"
    client.set_logged_model_tags(info.model_id, {"a": "b"})
    assert client.get_logged_model(info.model_id).tags["a"] == "b"
    client.delete_logged_model_tag(info.model_id, "a")
    found = client.search_logged_models([run.info.experiment_id], "name = 'model'")
    assert [m.model_id for m in found] == [info.model_id]


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_credentials_are_accepted(client, monkeypatch, auth):
    if auth == "basic":
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secret")
    else:
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "secret")
    assert client.search_registered_models()


def test_copy(server, client, yard):
    """A copy has the same file, contract and run under another name."""
    without_rules(server, "candidate")
    client.set_registered_model_alias("Yard Watch", "candidate", "1")
    copied = client.copy_model_version("models:/Yard Watch@candidate", "Yard in production")
    client.delete_registered_model_alias("Yard Watch", "candidate")
    assert (copied.name, str(copied.version), copied.run_id) == ("Yard in production", "1", yard[0].info.run_id)
    assert client.copy_model_version("models:/Yard Watch/1", "Yard in production").version == copied.version, "the same file is the same version"
    assert mlflow.onnx.load_model("models:/Yard in production/1").graph.node
    again = mlflow.register_model("models:/Yard in production/1", "Yard once more")
    assert str(again.version) == "1"
    for name in ("Yard in production", "Yard once more"):
        client.delete_registered_model(name)


def test_inputs(client):
    """What a run was given is kept, and named by what it made."""
    import mlflow.data

    data = mlflow.data.from_numpy(np.zeros((2, 3), np.float32), name="street")
    with mlflow.start_run() as run:
        mlflow.log_input(data, context="training", tags={"split": "7"})
        mlflow.onnx.log_model(detector(0.75), name="model", registered_model_name="fed")
    given = client.get_run(run.info.run_id).inputs.dataset_inputs
    assert [(i.dataset.name, i.dataset.digest) for i in given] == [("street", data.digest)]
    assert {t.key: t.value for t in given[0].tags} == {"mlflow.data.context": "training", "split": "7"}
    found = client.search_runs([run.info.experiment_id], "dataset.name = 'street'")
    assert [r.info.run_id for r in found] == [run.info.run_id]
    assert client.get_model_version("fed", "1").tags["detectd.dataset"] == f"street@{data.digest}"
    client.delete_registered_model("fed")


def test_stages(client, yard):
    client.transition_model_version_stage("Yard Watch", "1", "Production")
    assert [v.current_stage for v in client.get_latest_versions("Yard Watch", ["Production"])] == ["Production"]


def test_rename_and_delete(client, yard):
    client.rename_registered_model("Yard Watch", "Garden")
    assert client.get_registered_model("Garden").name == "Garden"
    with pytest.raises(MlflowException, match="not found"):
        client.get_registered_model("Yard Watch")
    client.delete_model_version("Garden", "1")
    with pytest.raises(MlflowException, match="not found"):
        client.get_model_version("Garden", "1")
    client.delete_registered_model("Garden")
    assert "Garden" not in {m.name for m in client.search_registered_models()}
    client.create_registered_model("Garden", description="anew")
    assert client.get_registered_model("Garden").description == "anew"
    with pytest.raises(MlflowException, match="exists"):
        client.create_registered_model("Garden")


def test_what_is_not_there(client):
    with pytest.raises(MlflowException, match="not part of") as refused:
        client.create_webhook("w", "http://localhost", ["model_version.created"])
    assert refused.value.error_code == "ENDPOINT_NOT_FOUND"
