"""Where a cluster is, and what only that place can tell: by files, programs and a server that play it."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from study.cluster import place
from study.cluster.place import Mount, Spot, here, mount_of, slurm_job, spot_of
from study.record.errors import StudyError

NOWHERE = Path("/nowhere")


def launched(folder, provider):
    file = folder / "ray_bootstrap_config.yaml"
    file.write_text(f"cluster_name: a\nprovider: {provider}\n")
    return file


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"SLURM_JOB_ID": "12", "KUBERNETES_SERVICE_HOST": "10.0.0.1"}, ("SLURM", "SLURM job 12")),
        (
            {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "RAY_CLUSTER_NAME": "study-x1"},
            ("Kubernetes", "Kubernetes, KubeRay's cluster study-x1"),
        ),
        (
            {"KUBERNETES_SERVICE_HOST": "10.0.0.1"},
            ("Kubernetes", "Kubernetes, a pod that KubeRay has not started"),
        ),
    ],
)
def test_a_job_and_a_pod_are_known_by_their_environment(environ, words):
    found = here(3, environ, NOWHERE)
    assert (found.kind, found.words) == words


@pytest.mark.parametrize(
    ("provider", "kind"),
    [
        ("{type: aws, region: us-west-2}", "AWS"),
        ("{type: external, module: study.cluster.instance_types.TypesInTurn}", "AWS"),
        ("{type: gcp, region: us-central1}", "Google Cloud"),
        ("{type: local, head_ip: 10.0.0.1}", "own machines"),
    ],
)
def test_the_head_of_a_launched_cluster_is_known_by_its_file(tmp_path, provider, kind):
    assert here(1, {}, launched(tmp_path, provider)).kind == kind


def test_without_any_sign_the_number_of_nodes_counts():
    assert here(1, {}, NOWHERE).kind == "one machine"
    assert here(2, {}, NOWHERE).kind == "own machines"


TABLE = """\
20 1 0:50 / / rw,relatime - overlay overlay rw
21 20 0:60 / /mnt/study rw shared:5 - nfs4 server:/export rw
22 20 254:0 /pods/1/volumes/kubernetes.io~empty-dir/a /mnt/a\\040b rw - ext4 /dev/vda rw
23 20 254:0 / /mnt/study/inner rw - tmpfs tmpfs rw
24 20 254:0 / /mnt/stud rw - ext4 /dev/vdb rw
"""


@pytest.mark.parametrize(
    ("path", "mount", "own"),
    [
        ("/home/me/results", Mount("/", "overlay"), True),
        ("/mnt/study/results/not/yet", Mount("/mnt/study", "nfs4"), False),
        ("/mnt/study", Mount("/mnt/study", "nfs4"), False),
        ("/mnt/study/inner/x", Mount("/mnt/study/inner", "tmpfs"), True),
        ("/mnt/study2", Mount("/", "overlay"), True),
        ("/mnt/a b/c", Mount("/mnt/a b", "ext4", "/pods/1/volumes/kubernetes.io~empty-dir/a"), True),
    ],
)
def test_the_mount_of_a_path_and_whether_it_goes_with_the_machine(tmp_path, path, mount, own):
    table = tmp_path / "mountinfo"
    table.write_text(TABLE)
    found = mount_of(Path(path), table)
    assert found == mount
    assert found.is_own_disk is own


def test_a_link_is_followed_to_its_mount_and_a_kernel_that_does_not_say_is_none(tmp_path):
    table, link = tmp_path / "mountinfo", tmp_path / "results"
    table.write_text(TABLE)
    link.symlink_to("/mnt/study/results")
    assert mount_of(link, table) == Mount("/mnt/study", "nfs4")
    assert mount_of(link, NOWHERE) is None


@contextmanager
def metadata(answers):
    """Play a metadata service: answers by method and path, and 404 for others."""

    class Service(BaseHTTPRequestHandler):
        def do_GET(self):
            needed = {"X-aws-ec2-metadata-token": "t", "Metadata-Flavor": "Google"}
            body = answers.get((self.command, self.path))
            if self.command == "GET" and not any(self.headers.get(key) == value for key, value in needed.items()):
                body = None
            self.send_response(200 if body else 404)
            self.end_headers()
            self.wfile.write((body or "").encode())

        do_PUT = do_GET  # noqa: N815

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


AWS = {("PUT", "/latest/api/token"): "t"}
LIFE = ("GET", "/latest/meta-data/instance-life-cycle")
PREEMPTIBLE = ("GET", "/computeMetadata/v1/instance/scheduling/preemptible")


@pytest.mark.parametrize(
    ("kind", "answers", "is_spot"),
    [
        ("AWS", {**AWS, LIFE: "spot"}, True),
        ("AWS", {**AWS, LIFE: "on-demand"}, False),
        ("AWS", {LIFE: "spot"}, None),
        ("Google Cloud", {PREEMPTIBLE: "TRUE"}, True),
        ("Google Cloud", {PREEMPTIBLE: "FALSE"}, False),
        ("Google Cloud", {}, None),
    ],
)
def test_a_machine_of_a_cloud_says_whether_it_may_be_taken_away(tmp_path, kind, answers, is_spot):
    with metadata(answers) as address:
        assert spot_of(kind, address, tmp_path) == Spot(is_spot, is_heard=False)


def test_what_waits_for_the_notice_is_found_among_the_processes(tmp_path):
    for number, command in (("1", "init"), ("7", "bash\0-c\0until curl ...; ray drain-node --address=a")):
        (tmp_path / number).mkdir()
        (tmp_path / number / "cmdline").write_text(command)
    with metadata({**AWS, LIFE: "spot"}) as address:
        assert spot_of("AWS", address, tmp_path) == Spot(True, is_heard=True)


def test_nobody_gives_a_notice_elsewhere():
    assert all(spot_of(kind) is None for kind in ("SLURM", "Kubernetes", "own machines", "one machine"))


# As SLURM 22.05 and later say it.
JOB = (
    "JobId=7 JobName=study UserId=me(1000) Requeue={requeue} Restarts=0 BatchFlag={batch} Reboot=0 TimeLimit=04:00:00\n"
)
SCONTROL = """#!/bin/sh
case "$1 $2 $3" in
    "show job 7") printf '%s' "{job}";;
    "write batch_script 7") printf '#!/bin/bash\\n#SBATCH --signal=B:USR1@60\\n';;
    *) echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1;;
esac
"""


@pytest.fixture
def scontrol(tmp_path, monkeypatch):
    """Return a function that puts a `scontrol` on the path, which knows job 7."""

    def play(requeue=1, batch=1):
        program = tmp_path / "scontrol"
        program.write_text(SCONTROL.format(job=JOB.format(requeue=requeue, batch=batch)))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    return play


def test_slurm_says_what_it_does_with_a_job(scontrol):
    scontrol()
    assert slurm_job("7") == place.SlurmJob(True, "04:00:00", "#!/bin/bash\n#SBATCH --signal=B:USR1@60\n")
    scontrol(requeue=0)
    assert not slurm_job("7").requeues
    scontrol(batch=0)
    assert slurm_job("7").script == ""


def test_slurm_that_does_not_know_the_job_or_is_not_there_says_so(scontrol, monkeypatch, tmp_path):
    scontrol()
    with pytest.raises(StudyError, match=r"scontrol show job fails .*Invalid job id"):
        slurm_job("8")
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(StudyError, match="scontrol show job does not answer"):
        slurm_job("7")
