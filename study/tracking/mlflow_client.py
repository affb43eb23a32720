"""MLflow's client, its sqlite file and its models, as a study uses them."""

from __future__ import annotations

import json
import logging
import os
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from study.record import files, kept
from study.record.errors import StudyError, first_line
from study.record.tracking_uri import masked, scrubbed, sqlite_file
from study.tracking.mlflow_run import DESCRIPTION
from study.tracking.tracker import Serving

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.models import Model

BEST = "best"
"""The alias of the network that was registered last under a study's name."""

_LONGEST_NAME, _LONGEST_DIGEST = 500, 36  # letters, MLflow's limits of a data set
_WEIGHTS = "weights"  # the tag of a logged model that says which it has
_NETWORK = "network"  # the folder of the network's files in a logged model
_NEEDED = ["torch", "numpy", "pandas", "pillow", "tifffile"]  # MLflow finds out by loading the model in a process

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
    # Each error of a database with its stack, which is raised as well.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    create_database(uri)
    return mlflow.MlflowClient(tracking_uri=uri)


def reason(error: BaseException, uri: str) -> str:
    """Return why MLflow could not do something, a line without the secrets of its URI; of a database what that said."""
    of_database = getattr(error.__cause__, "orig", None)  # SQLAlchemy's own words are of its session
    return scrubbed(first_line(of_database or error), uri)


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


def log_model(client: MlflowClient, uri: str, run_id: str, folder: Path, serving: Serving) -> None:
    """Store a network in two flavours, once: for `mlflow.pytorch.load_model` and for `mlflow.pyfunc.load_model`.

    One that cannot be asked about images has the first alone.

    Args:
        client: Of that URI.
        uri: The tracking URI.
        run_id: The MLflow run.
        folder: The network's, for `models.load`.
        serving: How it is asked about images.
    """
    import mlflow
    from mlflow.models import Model

    weights = kept.fingerprint(folder / kept.NETWORK[0])
    if _has_model(client, run_id, weights):
        return
    mlflow.set_tracking_uri(uri)
    with mlflow.start_run(run_id=run_id):
        Model.log(None, _Flavours, name="model", tags={_WEIGHTS: weights}, folder=folder, serving=serving)


class _Flavours:
    """Both flavours of a network, as MLflow's `Model.log` takes what writes one."""

    @staticmethod
    def save_model(path: str, mlflow_model: Model, folder: Path, serving: Serving) -> None:
        """Write a model to the folder `path`, with the packages of this project that either flavour needs.

        For `mlflow.pytorch` the network is pickled, with the classes of a user's own file in it: what loads is the
        network itself, with `encode`, `decode` or `probabilities`. (MLflow's other format gives an exported graph,
        which has no methods and cannot be put in evaluation mode.) For `mlflow.pyfunc` its files are copied, for
        `models.load`, which unpickles no objects.

        The signature says what comes out alone. One of inputs would keep images out: as tensors MLflow takes no lists,
        no file's bytes alone and no arrays in a data frame; as columns no array of four axes.
        """
        import mlflow.pyfunc
        import mlflow.pytorch
        from mlflow.models import infer_signature

        import models
        import search_spaces
        import study

        answer = serving.example(folder)
        with _own_by_value():
            mlflow.pytorch.save_model(
                models.load(folder),
                path,
                mlflow_model=mlflow_model,
                signature=None if answer is None else infer_signature(model_output=answer),
                pip_requirements=_NEEDED,
                serialization_format="pickle",
                code_paths=[package.__path__[0] for package in (models, search_spaces, study)],
            )
        if answer is None:
            del mlflow_model.flavors[mlflow.pyfunc.FLAVOR_NAME]  # MLflow's own, which knows nothing of images
        else:
            (Path(path) / _NETWORK).mkdir()
            for name in kept.OF_NETWORK:
                if (folder / name).is_file():
                    shutil.copy(folder / name, Path(path) / _NETWORK)
            mlflow.pyfunc.add_to_model(
                mlflow_model,
                loader_module=serving.module,
                data=_NETWORK,
                code=mlflow_model.flavors["pytorch"]["code"],
                conda_env="conda.yaml",
                python_env="python_env.yaml",
                model_config=dict(serving.config),
            )
        mlflow_model.model_size_bytes = sum(file.stat().st_size for file in Path(path).rglob("*") if file.is_file())
        mlflow_model.save(str(Path(path) / "MLmodel"))


def register(client: MlflowClient, run_id: str, folder: Path, name: str) -> None:
    """Register the network of a folder, which is stored with a run, under a name, once; the alias `best` means it then.

    The version's description is the run's, which says what came out.

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
            said = client.get_run(run_id).data.tags.get(DESCRIPTION)
            version = client.create_model_version(
                name, model.model_uri, run_id, description=said, model_id=model.model_id
            )
        client.set_registered_model_alias(name, BEST, version.version)
    except MlflowException as error:
        uri = client.tracking_uri
        why = reason(error, uri)
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
    part = path.with_name(files.part_name(path.name, os.getpid()))
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
    for part in path.parent.glob(files.part_name(path.name)):
        try:
            os.kill(int(part.name.split(".")[-2]), 0)
        except ProcessLookupError:
            part.unlink(missing_ok=True)
        except (ValueError, OSError):
            pass  # another's file, or a process of another user
