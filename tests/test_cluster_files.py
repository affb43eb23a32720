"""The two cluster files, without starting anything: what they have in common, and what AWS and Ray make of them."""

import copy
import re
import shlex
import subprocess
import tomllib

import pytest
import yaml
from hosts.cluster_files import shipped
from hosts.host import REPOSITORY

AWS, LOCAL = "cluster.yaml", "cluster-local.yaml"
# Where machines that one owns differ from rented ones; everything else has to be the same.
ONLY_AWS = {"max_workers", "upscaling_speed", "idle_timeout_minutes", "head_node_type", "available_node_types"}
# What Ray fills in by itself for its own providers.
ONLY_AWS |= {"cluster_synced_files", "initialization_commands", "worker_setup_commands"}
MAY_DIFFER = {"cluster_name", "provider", "auth"}


def test_the_two_files_differ_only_where_they_must():
    aws, local = shipped(AWS), shipped(LOCAL)
    assert set(aws) - set(local) == ONLY_AWS
    assert set(local) <= set(aws)
    commands = {"setup_commands", "head_start_ray_commands", "worker_start_ray_commands"}
    *aws["worker_start_ray_commands"], notice = aws["worker_start_ray_commands"]
    assert "spot/instance-action" in notice
    for key in set(local) - MAY_DIFFER - commands:
        assert aws[key] == local[key], key
    for key in commands:
        pairs = [(a, b) for a, b in zip(aws[key], local[key], strict=key != "setup_commands") if a != b]
        differing = {"setup_commands": ("mount -t nfs4",), "head_start_ray_commands": ("ray start",)}.get(key, ())
        assert len(pairs) == len(differing)
        for pair, words in zip(pairs, differing, strict=True):
            assert all(words in command for command in pair)


@pytest.mark.parametrize("name", [AWS, LOCAL, "cluster-gcp.yaml"])
def test_a_driver_is_begun_so_that_it_outlives_the_connection(name):
    heading = (REPOSITORY / name).read_text()
    assert f"#     ray submit --tmux {name} study/run.py" in heading
    assert f"ray submit {name}" not in heading
    assert shipped(name)["head_setup_commands"][0].startswith("command -v tmux > /dev/null || (sudo apt-get ")


@pytest.mark.parametrize("name", [AWS, LOCAL, "cluster-gcp.yaml", "docs/clusters.md"])
def test_a_word_with_signs_of_the_shell_comes_to_the_head_as_documented(name, monkeypatch, tmp_path):
    from ray.scripts import scripts

    (documented,) = re.findall(r"""--constraint "\S+\"""", (REPOSITORY / name).read_text())
    sent = []
    monkeypatch.setattr(scripts, "rsync", lambda *arguments, **options: None)
    monkeypatch.setattr(scripts, "exec_cluster", lambda *arguments, cmd, **options: sent.append(cmd))
    scripts.submit.main(["--tmux", AWS, "study/run.py", *shlex.split(documented)], standalone_mode=False)
    shell = ["bash", "-c", f"python() {{ printf '%s\n' \"$@\"; }}; {sent[0]}"]
    said = subprocess.run(shell, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.splitlines()
    assert said[1:] == ["--constraint", "params<=1e6"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [AWS, LOCAL])
def test_what_is_shipped_to_the_nodes_is_there(name):
    mounts = shipped(name)["file_mounts"]
    project = {remote: local for remote, local in mounts.items() if "ray-tune-study" in remote}
    assert {"study", "models", "search_spaces", "analysis", "constraints.txt", "pyproject.toml"} <= set(
        project.values()
    )
    for remote, local in project.items():
        assert remote == f"~/ray-tune-study/{local}"
        assert local == ".git" or (REPOSITORY / local).exists()
    assert mounts["~/.ray/auth_token"] == "~/.ray/auth_token"


def canonical(name):
    """Return a package's name as PEP 503 writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(file):
    """Return the exact version of each package in a requirements file, and how many hashes it has."""
    found = re.findall(
        r"^([A-Za-z0-9._-]+)(?:\[[a-z,]+\])?==([^ \n]+)((?:[^\n]*\\\n)*[^\n]*)", (REPOSITORY / file).read_text(), re.M
    )
    return {canonical(name): (version, rest.count("--hash=sha256:")) for name, version, rest in found}


def test_the_packages_of_a_cluster_are_the_tested_ones_each_with_its_hash():
    tested, shipped_ones = pins("constraints.txt"), pins("requirements-cluster.txt")
    named = re.findall(r"^[a-z0-9._-]+", (REPOSITORY / "requirements-cluster.txt").read_text(), re.M)
    assert set(named) == set(shipped_ones)
    assert all(hashes > 0 for _, hashes in shipped_ones.values())
    other = {"colorama", "pywin32", "tzdata", "waitress"}  # of other systems than the tested one
    assert {name: version for name, (version, _) in shipped_ones.items() if name not in other} == {
        name: version for name, (version, _) in tested.items() if name in set(shipped_ones) - other
    }
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["project"]["optional-dependencies"]["aws"]]
    wanted += project["build-system"]["requires"]
    assert {canonical(re.match(r"[A-Za-z0-9._-]+", line)[0]) for line in wanted} <= set(shipped_ones)


@pytest.mark.parametrize("name", [AWS, LOCAL])
def test_every_node_is_told_to_ask_for_the_token_and_no_server_listens_to_all(name):
    config = shipped(name)
    assert any("RAY_AUTH_MODE=token" in command for command in config["setup_commands"])
    text = (REPOSITORY / name).read_text()
    assert "0.0.0.0" not in text
    assert "--dashboard-host=127.0.0.1" in text
    assert "mlflow server --host 127.0.0.1" in text


def test_every_instance_gives_its_credentials_only_to_who_asks_on_it_and_has_encrypted_disks():
    for kind in shipped(AWS)["available_node_types"].values():
        node = kind["node_config"]
        assert node["MetadataOptions"]["HttpTokens"] == "required"
        assert node["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
        assert all(device["Ebs"]["Encrypted"] for device in node["BlockDeviceMappings"])


@pytest.mark.parametrize("name", [AWS, LOCAL])
def test_the_token_is_its_owner_s_alone_from_its_first_moment(name):
    assert "(umask 077; ray get-auth-token --generate)" in (REPOSITORY / name).read_text()
    assert any("chmod 700 ~/.ray" in command for command in shipped(name)["setup_commands"])


@pytest.mark.parametrize("name", [AWS, LOCAL])
def test_ray_accepts_the_file(name, monkeypatch):
    from ray.autoscaler._private.providers import _get_node_provider_cls
    from ray.autoscaler._private.util import prepare_config, validate_config

    if name == AWS:
        # What Ray asks AWS for: the resources of an instance type.
        provider = pytest.importorskip("ray.autoscaler._private.aws.node_provider")
        g6 = {"InstanceType": "g6.xlarge", "VCpuInfo": {"DefaultVCpus": 4}, "MemoryInfo": {"SizeInMiB": 16384}}
        g6["GpuInfo"] = {"Gpus": [{"Name": "L4", "Count": 1, "Manufacturer": "NVIDIA"}]}
        m7i = {"InstanceType": "m7i.large", "VCpuInfo": {"DefaultVCpus": 2}, "MemoryInfo": {"SizeInMiB": 8192}}
        monkeypatch.setattr(provider, "list_ec2_instances", lambda *arguments: [g6, m7i])
    config = prepare_config(copy.deepcopy(shipped(name)))
    validate_config(config)
    if name == AWS:
        config = _get_node_provider_cls(config["provider"]).fillout_available_node_types_resources(config)
        kinds = config["available_node_types"]
        assert kinds["head"]["resources"]["CPU"] == 0
        # Not the GPU's model: another type's is another one.
        memory = int(16 * 2**30 * 0.7)
        assert kinds["gpu_worker"]["resources"] == {"CPU": 4, "GPU": 1, "memory": memory}
        assert kinds["gpu_worker"]["max_workers"] <= config["max_workers"]
        assert kinds["gpu_worker"].get("min_workers", 0) == 0


def launches(node_config):
    """Return the node_configs that are launched where no instance type is to be had, one after the other."""
    pytest.importorskip("boto3")
    from ray.autoscaler.node_launch_exception import NodeLaunchException

    from study.cluster import instance_types

    asked = []

    def launch(config, count):
        asked.append(config)
        raise NodeLaunchException("InsufficientInstanceCapacity", "none left", None)

    with pytest.raises(NodeLaunchException):
        instance_types.in_turn(launch, node_config, 1)
    return asked


def run_instances_errors(node_config):
    """Return what EC2's own model of RunInstances says of a node_config and its alternatives, at any depth."""
    session = pytest.importorskip("botocore.session")
    from botocore.validate import ParamValidator

    shape = session.get_session().get_service_model("ec2").operation_model("RunInstances").input_shape
    reports = []
    for launched in launches(node_config):
        given = {**launched, "MinCount": 1, "MaxCount": 1}
        subnets = given.pop("SubnetIds", None)  # Ray's own: it takes one of them after the other
        assert isinstance(subnets, list)
        reports.append(ParamValidator().validate(given, shape).generate_report())
    return "".join(reports)


def test_ec2_knows_every_key_of_every_node_config():
    for kind in shipped(AWS)["available_node_types"].values():
        assert run_instances_errors(kind["node_config"]) == ""


def test_a_worker_s_instance_types_differ_in_nothing_that_a_study_counts_on():
    """Each alternative changes the instance type, or how it is paid for."""
    first, *others = launches(shipped(AWS)["available_node_types"]["gpu_worker"]["node_config"])
    assert others
    for other in others:
        assert {key for key in {*first, *other} if first.get(key) != other.get(key)} <= {
            "InstanceType",
            "InstanceMarketOptions",
        }


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (("ImageID",), "ami-1"),
        (("InstanceMarketOptions", "Markettype"), "spot"),
        (("SubnetID",), "subnet-1"),
        (("Alternatives", 0, "Instancetype"), "g5.xlarge"),
    ],
)
def test_a_misspelt_key_of_a_node_config_is_found(path, wrong):
    node_config = copy.deepcopy(shipped(AWS)["available_node_types"]["gpu_worker"]["node_config"])
    *parents, last = path
    target = node_config
    for parent in parents:
        target = target[parent]
    target[last] = wrong
    assert last in run_instances_errors(node_config)


def test_every_choice_is_marked_where_it_has_to_be_made():
    for name in (AWS, LOCAL):
        lines = (REPOSITORY / name).read_text().splitlines()
        values = yaml.safe_dump(shipped(name))
        assert values.count("CHOOSE") >= 3
        assert sum("# CHOOSE" in line or ". CHOOSE" in line for line in lines) >= 3
