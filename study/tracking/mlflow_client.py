"""MLflow's client, its sqlite file and its models, as a study uses them."""

from __future__ import annotations

import json
import logging
import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from study.record import kept
from study.record.errors import StudyError, first_line
from study.record.tracking_uri import masked, scrubbed, sqlite_file

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

BEST = "best"
"""The alias of the network that was registered last under a study's name."""

_LONGEST_NAME, _LONGEST_DIGEST = 500, 36  # letters, MLflow's limits of a data set
_WEIGHTS = "weights"  # the tag of a logged model that says which it has

_ENVIRONMENT = {
    # One retry: the journal keeps what a server that is away has missed, and waiting would block the thread.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",  # asks the network, and costs time in each call
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # two lines for each run
}


def connect(uri: str) -> MlflowClient:
    """Return a quiet client that gives up soon; a sqlite file that is not there is made."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import mlflow

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    create_database(uri)
    return mlflow.MlflowClient(tracking_uri=uri)


def experiment_id(client: MlflowClient, name: str, artifacts: Path) -> str:
    """Return the id of the experiment `name`, which is made, its artifacts below `artifacts`, where there is none."""
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        return client.create_experiment(name, artifact_location=(artifacts / name).as_uri())
    if experiment.lifecycle_stage == "deleted":
        uri, number = shlex.quote(masked(client.tracking_uri)), experiment.experiment_id
        restore = f"MLFLOW_TRACKING_URI={uri} mlflow experiments restore --experiment-id {number}"
        raise StudyError(f"MLflow's experiment {name} is deleted; restore it with: {restore}")
    return experiment.experiment_id


def runs_of(client: MlflowClient, experiment_id: str, condition: str) -> set[str]:
    """Return the ids of the runs of an experiment that MLflow finds by a condition; of deleted ones none."""
    found: set[str] = set()
    token = None
    while True:
        page = client.search_runs([experiment_id], condition, max_results=1000, page_token=token)
        found |= {run.info.run_id for run in page}
        token = page.token
        if not token:
            return found


def log_data(client: MlflowClient, run_id: str, data: Mapping[str, Any]) -> None:
    """Say which data set a run is of: its name, its digest and the sizes of its splits.

    Args:
        client: Of the tracking URI.
        run_id: The MLflow run.
        data: What study.json says of the data.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    if "digest" not in data:
        return
    about = {key: data[key] for key in ("sizes", "image_shape", "split") if key in data}
    name, digest = str(data.get("name", "data"))[-_LONGEST_NAME:], str(data["digest"])[:_LONGEST_DIGEST]
    found = Dataset(name, digest, "local", json.dumps({"name": name}), profile=json.dumps(about))
    client.log_inputs(run_id, [DatasetInput(found, [InputTag("mlflow.data.context", "training")])])


def log_model(client: MlflowClient, uri: str, run_id: str, folder: Path, image_shape: tuple[int, int, int]) -> None:
    """Store a network with its signature, once, so that `mlflow.pytorch.load_model` gives it back.

    It is pickled, with the package `models` beside it, and with the classes of a user's own file in it: what loads is
    the network itself, with `encode`, `decode` or `probabilities`, and in any Python that has PyTorch. (MLflow's other
    format gives an exported graph, which has no methods and cannot be put in evaluation mode.)

    Args:
        client: Of that URI.
        uri: The tracking URI.
        run_id: The MLflow run.
        folder: The network's, for `models.load`.
        image_shape: (channels, height, width) of its float32 input in [0, 1].
    """
    import mlflow
    import mlflow.pytorch
    import numpy as np
    import torch
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    import models

    weights = kept.fingerprint(folder / kept.NETWORK[0])
    if _has_model(client, run_id, weights):
        return
    network = models.load(folder).eval()
    with torch.inference_mode():
        output = network(torch.zeros(1, *image_shape)).shape[1:]
    float32 = np.dtype(np.float32)
    signature = ModelSignature(
        inputs=Schema([TensorSpec(float32, (-1, *image_shape))]),
        outputs=Schema([TensorSpec(float32, (-1, *output))]),
    )
    mlflow.set_tracking_uri(uri)
    with mlflow.start_run(run_id=run_id), _own_by_value():
        mlflow.pytorch.log_model(
            network,
            name="model",
            signature=signature,
            input_example=np.zeros((2, *image_shape), np.float32),  # MLflow traces the network with it
            pip_requirements=["torch"],  # found out by importing the model in a new process otherwise
            tags={_WEIGHTS: weights},
            serialization_format="pickle",
            code_paths=[str(Path(models.__file__).parent)],
        )


def register(client: MlflowClient, run_id: str, folder: Path, name: str) -> None:
    """Register the network of a folder, which is stored with a run, under a name, once; the alias `best` means it then.

    Raises:
        StudyError: this MLflow's store registers no models, or refuses to.
    """
    from mlflow.exceptions import MlflowException

    weights = kept.fingerprint(folder / kept.NETWORK[0])
    model = next(one for one in _models_of(client, run_id) if one.tags.get(_WEIGHTS) == weights)
    try:
        with suppress(MlflowException):  # it is there already, or what follows says why it is not
            client.create_registered_model(name)
        known = client.search_model_versions(f"name = '{name}'")
        version = next((one for one in known if one.source == model.model_uri), None)  # not all stores keep its id
        if version is None:
            version = client.create_model_version(name, model.model_uri, run_id, model_id=model.model_id)
        client.set_registered_model_alias(name, BEST, version.version)
    except MlflowException as error:
        uri = client.tracking_uri
        why = scrubbed(first_line(error), uri)
        raise StudyError(f"--register: {masked(uri)} does not register the network {name!r}: {why}") from error


@contextmanager
def _own_by_value() -> Iterator[None]:
    """Let classes of a user's own file be pickled whole: who loads them has no such module."""
    from models.own import in_use

    code = in_use()
    if code is None:
        yield
        return
    import cloudpickle  # what MLflow pickles with

    module = code.run()
    cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def _has_model(client: MlflowClient, run_id: str, weights: str) -> bool:
    """Return whether a run has the network of these weights; delete what a driver that died left of one."""
    from mlflow.entities import LoggedModelStatus

    found = _models_of(client, run_id)
    for model in found:
        if model.status != LoggedModelStatus.READY:
            client.delete_logged_model(model.model_id)
    return any(model.status == LoggedModelStatus.READY and model.tags.get(_WEIGHTS) == weights for model in found)


def _models_of(client: MlflowClient, run_id: str) -> list[LoggedModel]:
    """Return the logged models of a run."""
    experiment = client.get_run(run_id).info.experiment_id
    return list(client.search_logged_models([experiment], filter_string=f"source_run_id = '{run_id}'"))


def create_database(uri: str) -> None:
    """Make the database of a tracking URI, with its tables, if it is a sqlite file that is not there yet.

    MLflow makes its tables in fifty steps, and can never again open a file that was left between two of them. So they
    are made in a file beside it, which then gets its name. Where another process was faster, its file stays.
    """
    path = sqlite_file(uri)
    if path is None or path.exists():
        return
    from mlflow import MlflowClient

    _remove_parts(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        MlflowClient(f"sqlite:///{part}").search_experiments(max_results=1)
        try:
            os.link(part, path)  # unlike a rename, never over another's
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _remove_parts(path: Path) -> None:
    """Remove what drivers that were killed have left of a database that they were making."""
    for part in path.parent.glob(f".{path.name}.*.part"):
        try:
            os.kill(int(part.name.split(".")[-2]), 0)
        except ProcessLookupError:
            part.unlink(missing_ok=True)
        except (ValueError, OSError):
            pass  # another's file, or a process of another user
