"""Writes the schemas of this folder anew, from checkouts of KubeRay and of Kubernetes' Python client.

    python keep_schemas.py KUBERAY 1.7.0 CLIENT 1.36

KUBERAY is a checkout of that tag; CLIENT one whose kubernetes/swagger.json.unprocessed is of that Kubernetes.
"""

import gzip
import json
import sys
from pathlib import Path

import yaml

HERE = Path(__file__).parent
KINDS = {  # of Kubernetes itself, by where its OpenAPI document has them
    "Deployment": "io.k8s.api.apps.v1.Deployment",
    "NetworkPolicy": "io.k8s.api.networking.v1.NetworkPolicy",
    "PersistentVolumeClaim": "io.k8s.api.core.v1.PersistentVolumeClaim",
    "Service": "io.k8s.api.core.v1.Service",
}


def bare(schema):
    """Return a schema without its words, which are most of it; a property may be called description, too."""
    if isinstance(schema, list):
        return [bare(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: bare(part) for name, part in value.items()} if key in ("properties", "definitions") else bare(value)
        for key, value in schema.items()
        if not (key == "description" and isinstance(value, str))
    }


def of_kuberay(checkout):
    """Return the schemas of RayCluster and RayJob, version v1, by kind."""
    found = {}
    for plural in ("rayclusters", "rayjobs"):
        file = checkout / "helm-chart" / "kuberay-operator" / "crds" / f"ray.io_{plural}.yaml"
        definition = yaml.load(file.read_text(), Loader=yaml.CSafeLoader)["spec"]
        (version,) = [version for version in definition["versions"] if version["name"] == "v1"]
        found[definition["names"]["kind"]] = bare(version["schema"]["openAPIV3Schema"])
    return found


def of_kubernetes(checkout):
    """Return the schemas of KINDS by kind, and all that they refer to."""
    document = json.loads((checkout / "kubernetes" / "swagger.json.unprocessed").read_text())["definitions"]
    needed, waiting = {}, list(KINDS.values())
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed[name] = bare(document[name])
            waiting += [part.split('"')[0] for part in json.dumps(needed[name]).split("#/definitions/")[1:]]
    return {"definitions": needed} | {kind: {"$ref": f"#/definitions/{name}"} for kind, name in KINDS.items()}


def keep(name, schemas):
    """Write schemas; the same ones are the same bytes."""
    text = json.dumps(schemas, sort_keys=True, separators=(",", ":")).encode()
    (HERE / f"{name}.json.gz").write_bytes(gzip.compress(text, mtime=0))


if __name__ == "__main__":
    kuberay, kuberay_version, client, kubernetes_version = sys.argv[1:]
    keep(f"kuberay-{kuberay_version}", of_kuberay(Path(kuberay)))
    keep(f"kubernetes-{kubernetes_version}", of_kubernetes(Path(client)))
