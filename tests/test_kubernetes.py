"""cluster-kubernetes.yaml and the Dockerfile, without a cluster: the schemas, what belongs together, what is closed."""

import copy
import gzip
import json
import re
from functools import cache
from pathlib import Path

import jsonschema
import pytest
import yaml
from hosts.host import REPOSITORY

from study.settings import command_line

SCHEMAS = Path(__file__).parent / "kubernetes"
FILE = REPOSITORY / "cluster-kubernetes.yaml"
DOCUMENTS = list(yaml.safe_load_all(FILE.read_text()))
KINDS = {  # by group and version, the schemas of its kinds
    "ray.io/v1": "kuberay-1.7.0",
    "apps/v1": "kubernetes-1.36",
    "networking.k8s.io/v1": "kubernetes-1.36",
    "v1": "kubernetes-1.36",
}


def name_of(document):
    return f"{document['kind']}-{document['metadata']['name']}"


def named(kind, name):
    (found,) = [document for document in DOCUMENTS if name_of(document) == f"{kind}-{name}"]
    return found


def strict(schema):
    """A schema that refuses keys which it does not know, as kubectl does; the server by itself would drop them."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string":
        return {"type": ["integer", "string"]}
    made = {key: strict(value) for key, value in schema.items()}
    open_to_all = {"additionalProperties", "x-kubernetes-preserve-unknown-fields"} & schema.keys()
    if isinstance(schema.get("properties"), dict) and "type" in schema and not open_to_all:
        made["additionalProperties"] = False
    return made


@cache
def schema_of(version, kind):
    kept = json.loads(gzip.decompress((SCHEMAS / f"{KINDS[version]}.json.gz").read_bytes()))
    schema = strict(kept[kind])
    return {**schema, "definitions": strict(kept["definitions"])} if "definitions" in kept else schema


def errors(document):
    schema = schema_of(document["apiVersion"], document["kind"])
    found = jsonschema.Draft7Validator(schema).iter_errors(document)
    return [f"{'.'.join(map(str, error.path))}: {error.message}" for error in found]


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_document_is_what_its_schema_says(document):
    assert errors(document) == []


@pytest.mark.parametrize(
    ("kind", "name", "path", "wrong"),
    [
        ("RayCluster", "study", ("spec", "enableInTreeAutoscalling"), True),
        ("RayCluster", "study", ("spec", "workerGroupSpecs", 0, "maxReplicas"), "4"),
        ("RayCluster", "study", ("spec", "headGroupSpec", "template", "spec", "containers", 0, "volumeMount"), []),
        ("RayCluster", "study", ("spec", "authOptions", "mode"), "secret"),
        ("RayJob", "night", ("spec", "clusterSelector"), "study"),
        ("Deployment", "study-mlflow", ("spec", "template", "spec", "containers", 0, "readinessProb"), {}),
        ("NetworkPolicy", "study-mlflow", ("spec", "podSelectors"), {}),
        ("PersistentVolumeClaim", "study-storage", ("spec", "accessModes"), "ReadWriteMany"),
        ("Service", "study-mlflow", ("spec", "ports", 0, "port"), "5000"),
    ],
)
def test_a_misspelt_key_and_a_wrong_value_are_found(kind, name, path, wrong):
    document = copy.deepcopy(named(kind, name))
    *parents, last = path
    target = document
    for parent in parents:
        target = target[parent]
    target[last] = wrong
    assert len(errors(document)) == 1


def pod_specs():
    """Every pod that the file makes, by the labels that policies and services know it by."""
    cluster = named("RayCluster", "study")["spec"]
    groups = {"head": cluster["headGroupSpec"], **{group["groupName"]: group for group in cluster["workerGroupSpecs"]}}
    found = {name: group["template"]["spec"] for name, group in groups.items()}
    for document in DOCUMENTS:
        if document["kind"] == "Deployment":
            found[document["metadata"]["name"]] = document["spec"]["template"]["spec"]
    return found


@pytest.mark.parametrize(("name", "pod"), pod_specs().items(), ids=pod_specs().keys())
def test_no_pod_runs_as_root_or_can_become_it(name, pod):
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        assert "memory" in container["resources"]["limits"]


def test_what_is_named_in_one_document_is_in_another():
    claims = {document["metadata"]["name"] for document in DOCUMENTS if document["kind"] == "PersistentVolumeClaim"}
    mounted = {}
    for name, pod in pod_specs().items():
        for volume in pod["volumes"]:
            mounted[volume["name"]] = volume["persistentVolumeClaim"]["claimName"]
            assert mounted[volume["name"]] in claims
        for container in pod["containers"]:
            assert all(mount["name"] in mounted for mount in container["volumeMounts"]), name
    for document in DOCUMENTS:
        if document["kind"] == "Service":
            name = document["metadata"]["name"]
            (container,) = pod_specs()[name]["containers"]
            ports = {port["port"] for port in document["spec"]["ports"]}
            assert ports == {port["containerPort"] for port in container["ports"]}
            assert document["spec"]["selector"] == {"app": name}
            assert "type" not in document["spec"]  # within the cluster alone
    job = named("RayJob", "night")["spec"]
    assert job["clusterSelector"] == {"ray.io/cluster": "study"}
    assert job["submissionMode"] == "HTTPMode"  # any word to the schema; the operator knows this one beside a selector


def test_every_node_has_the_shared_storage_at_the_same_place_and_the_study_is_written_there():
    places = {name: pod_specs()[name]["containers"][0]["volumeMounts"] for name in ("head", "gpu", "study-mlflow")}
    assert all(mounts == [{"name": "study", "mountPath": "/mnt/study"}] for mounts in places.values())
    (access,) = named("PersistentVolumeClaim", "study-storage")["spec"]["accessModes"]
    assert access == "ReadWriteMany"
    program, verb, *words = named("RayJob", "night")["spec"]["entrypoint"].split()
    assert (program, verb) == ("study", "run")
    line = command_line.parse(words)
    assert line.or_resume
    assert line.given["storage"].startswith("/mnt/study/")
    assert line.given["name"] == "night"


def test_workers_come_when_trials_wait_and_go_when_idle_and_trials_run_on_them_alone():
    cluster = named("RayCluster", "study")["spec"]
    assert cluster["enableInTreeAutoscaling"] is True
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    (workers,) = cluster["workerGroupSpecs"]
    assert (workers["replicas"], workers["minReplicas"]) == (0, 0)
    assert workers["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1


def test_servers_are_reached_by_who_needs_them_and_secrets_are_in_no_file():
    allowed = {}
    for document in DOCUMENTS:
        if document["kind"] == "NetworkPolicy":
            rules = document["spec"]["ingress"]
            assert "Ingress" in document["spec"]["policyTypes"]
            allowed[document["metadata"]["name"]] = [
                (peer["podSelector"]["matchLabels"], [port["port"] for port in rule.get("ports", [])])
                for rule in rules
                for peer in rule["from"]
            ]
    ray = {"ray.io/cluster": "study"}
    assert allowed == {
        "study-postgres": [({"app": "study-mlflow"}, [5432])],
        "study-mlflow": [(ray, [5000])],
        "study-ray": [(ray, []), ({"app.kubernetes.io/name": "kuberay-operator"}, [8265])],
    }
    assert named("RayCluster", "study")["spec"]["authOptions"] == {"mode": "token", "secretName": "study-token"}
    assert not any(document["kind"] == "Secret" for document in DOCUMENTS)
    text = FILE.read_text()
    for secret, key in (("study-token", "auth_token"), ("study-postgres", "password")):
        assert f"{secret}:{key}" in text  # made by hand, once
    for pod in pod_specs().values():
        for container in pod["containers"]:
            secret = [entry for entry in container.get("env", []) if "PASSWORD" in entry["name"]]
            assert all("secretKeyRef" in entry["valueFrom"] for entry in secret)


def test_the_server_of_mlflow_knows_what_it_is_told():
    from mlflow.cli import server

    known = {option for parameter in server.params for option in parameter.opts}
    variables = {parameter.envvar for parameter in server.params if getattr(parameter, "envvar", None)}
    (container,) = pod_specs()["study-mlflow"]["containers"]
    assert container["command"][:2] == ["mlflow", "server"]
    assert {word for word in container["command"] if word.startswith("--")} <= known
    assert "MLFLOW_BACKEND_STORE_URI" in variables & {entry["name"] for entry in container["env"]}


def test_the_version_of_ray_is_that_of_the_image_and_of_the_tests():
    tested, image = (
        dict(re.findall(r"^([A-Za-z0-9._-]+)(?:\[[a-z,]+\])?==([^ \n]+)", (REPOSITORY / file).read_text(), re.M))
        for file in ("constraints.txt", "requirements-image.txt")
    )
    assert named("RayCluster", "study")["spec"]["rayVersion"] == image["ray"] == tested["ray"]
    canonical = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in tested.items()}
    differing = {name for name, version in image.items() if canonical.get(name, version) != version}
    assert differing == set()


def test_every_package_of_the_image_has_its_hash():
    text = (REPOSITORY / "requirements-image.txt").read_text().replace("\\\n", " ")
    lines = text.splitlines()
    assert len(lines) > 50
    assert all(re.match(r"[a-z0-9._-]+(\[[a-z,]+\])?==", line) and "--hash=sha256:" in line for line in lines)
    for name in ("ray", "aiohttp-cors", "psycopg2-binary"):  # the second is of ray[default], by whose server jobs come
        assert any(line.startswith(f"{name}==") for line in lines)


def test_the_image_is_not_root_asks_after_itself_and_has_the_project_alone():
    lines = (REPOSITORY / "Dockerfile").read_text().splitlines()
    users = [line for line in lines if line.startswith("USER ")]
    assert users == ["USER 1000"]
    assert any("--require-hashes" in line for line in lines)
    assert any(line.startswith("HEALTHCHECK ") for line in lines)
    python = {re.match(r"FROM python:([0-9.]+)-slim-", line)[1] for line in lines if line.startswith("FROM ")}
    assert python == {"3.11"}  # constraints.txt is of it
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    kept = {line[1:] for line in ignored if line.startswith("!")}
    assert all((REPOSITORY / name).exists() for name in kept)
    assert {"study", "models", "search_spaces", "analysis", "pyproject.toml", "requirements-image.txt"} <= kept


def test_every_choice_is_marked_where_it_has_to_be_made():
    text = FILE.read_text()
    assert text.count("CHOOSE/ray-tune-study:") == 3
    assert text.count("# CHOOSE") >= 3
