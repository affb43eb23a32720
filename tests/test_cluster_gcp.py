"""The Google Cloud file, without starting anything: what is AWS's in it, and what Ray and Compute Engine make of it.

Compute Engine's own description of its API comes with Google's client, of the version in constraints.txt.
"""

import copy
import json
from importlib.resources import files

import pytest
import yaml
from hosts.cluster_files import shipped
from hosts.host import REPOSITORY

GCP, AWS = "cluster-gcp.yaml", "cluster.yaml"
SAME = ("max_workers", "upscaling_speed", "idle_timeout_minutes", "head_node_type", "file_mounts", "rsync_exclude")
SAME_COMMANDS = ("head_setup_commands", "head_start_ray_commands")
TYPES = {"string": str, "boolean": bool, "integer": int, "number": (int, float), "array": list, "object": dict}


def test_the_file_is_the_one_for_aws_but_for_machines_and_storage():
    gcp, aws = shipped(GCP), shipped(AWS)
    for key in (*SAME, *SAME_COMMANDS):
        assert gcp[key] == aws[key], key
    *starts, notice = gcp["worker_start_ray_commands"]
    assert starts == aws["worker_start_ray_commands"][:-1]
    assert "instance/preempted" in notice
    ours, theirs = gcp["setup_commands"], aws["setup_commands"]
    differing = [(a, b) for a, b in zip(ours, theirs, strict=True) if a != b]
    assert [command.split()[:2] for command, _ in differing] == [["test", "-e"], ["mountpoint", "-q"]]
    assert set(gcp["available_node_types"]) == set(aws["available_node_types"])
    for name, kind in gcp["available_node_types"].items():
        other = aws["available_node_types"][name]
        assert all(kind.get(key) == other.get(key) for key in ("min_workers", "max_workers"))


def test_ray_accepts_the_file():
    from ray.autoscaler._private.util import prepare_config, validate_config

    from study.cluster.resources import Machines, growth_of

    config = prepare_config(copy.deepcopy(shipped(GCP)))
    validate_config(config)
    worker = Machines(cpus=4, gpus=1, memory=int(16 * 2**30 * 0.7), count=4, name="gpu_worker")
    assert growth_of(config, Machines(0, 0, None)).kinds == [worker]


def api():
    """Return the schemas of Compute Engine's API, by name."""
    pytest.importorskip("googleapiclient")
    file = files("googleapiclient") / "discovery_cache" / "documents" / "compute.v1.json"
    return json.loads(file.read_text())["schemas"]


def errors(schemas, schema, value, path=""):
    """Say where a value is not what a schema of Google's allows: unknown keys, types and names of choices."""
    schema = schemas[schema["$ref"]] if "$ref" in schema else schema
    if not isinstance(value, TYPES[schema["type"]]) or (schema["type"] == "integer" and isinstance(value, bool)):
        # Numbers of 64 bits are strings in JSON, and may be given as numbers.
        return [] if schema.get("format") == "int64" and isinstance(value, int) else [f"{path} is no {schema['type']}"]
    if schema["type"] == "array":
        return [one for i, item in enumerate(value) for one in errors(schemas, schema["items"], item, f"{path}[{i}]")]
    if schema["type"] == "object":
        free = schema.get("additionalProperties")
        found = []
        for key, item in value.items():
            known = schema.get("properties", {}).get(key, free)
            found += [f"{path}.{key} is unknown"] if known is None else errors(schemas, known, item, f"{path}.{key}")
        return found
    return [f"{path}: {value} is not allowed"] if value not in schema.get("enum", [value]) else []


class Recorder:
    """Stands in for Google's client: keeps the instance that Ray asks for."""

    _http = None

    def instances(self):
        return self

    def insert(self, **asked):
        self.asked = asked
        return self

    def execute(self, http=None):
        return {"name": "operation"}


def asked_for(node_config):
    """Return the instance that Ray asks Compute Engine for."""
    node = pytest.importorskip("ray.autoscaler._private.gcp.node")
    provider, client = shipped(GCP)["provider"], Recorder()
    compute = node.GCPCompute(client, provider["project_id"], provider["availability_zone"], "ray-tune-study")
    compute.get_new_authorized_http = lambda http: http
    compute.create_instance(node_config, {"ray-node-name": "ray-study-worker"}, wait_for_operation=False)
    return client.asked["body"]


@pytest.mark.parametrize("kind", ["head", "gpu_worker"])
def test_compute_engine_knows_everything_that_ray_asks_for(kind):
    body = asked_for(shipped(GCP)["available_node_types"][kind]["node_config"])
    assert errors(api(), {"$ref": "Instance"}, body) == []
    zone = shipped(GCP)["provider"]["availability_zone"]
    assert body["machineType"].startswith(f"zones/{zone}/machineTypes/")
    assert all(disk["initializeParams"]["diskType"].startswith(f"zones/{zone}/") for disk in body["disks"])


@pytest.mark.parametrize(
    ("path", "wrong", "said"),
    [
        (("machinetype",), "g2-standard-4", ".machinetype is unknown"),
        (("scheduling", "provisioningModel"), "CHEAP", ".scheduling.provisioningModel: CHEAP is not allowed"),
        (("scheduling",), [{"preemptible": True}], ".scheduling is no object"),  # as Ray's own example has it
        (("disks", 0, "initializeParams", "diskSize"), 100, ".disks[0].initializeParams.diskSize is unknown"),
        (("guestAccelerators",), [{"acceleratorType": "l4", "count": 1}], ".guestAccelerators[0].count is unknown"),
    ],
)
def test_what_compute_engine_does_not_know_is_found(path, wrong, said):
    node_config = copy.deepcopy(shipped(GCP)["available_node_types"]["gpu_worker"]["node_config"])
    *parents, last = path
    target = node_config
    for parent in parents:
        target = target[parent]
    target[last] = wrong
    assert said in errors(api(), {"$ref": "Instance"}, asked_for(node_config))


def test_a_spot_worker_that_is_taken_away_leaves_nothing_and_the_head_is_no_spot_instance():
    kinds = shipped(GCP)["available_node_types"]
    scheduling = kinds["gpu_worker"]["node_config"]["scheduling"]
    assert (scheduling["provisioningModel"], scheduling["instanceTerminationAction"]) == ("SPOT", "DELETE")
    assert scheduling["onHostMaintenance"] == "TERMINATE"
    assert "scheduling" not in kinds["head"]["node_config"]
    assert all(disk["autoDelete"] for kind in kinds.values() for disk in kind["node_config"]["disks"])


def test_every_choice_is_marked_where_it_has_to_be_made():
    text = (REPOSITORY / GCP).read_text()
    assert yaml.safe_dump(shipped(GCP)).count("CHOOSE") >= 3
    assert text.count("CHOOSE") >= 8
