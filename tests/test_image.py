"""The image, where there is no container engine: the Dockerfile's own steps in an unpacked Debian, and a study in it.

Debian's minimal system with its Python takes the place of the image that the Dockerfile begins with, and a root file
system that of an image's layers. `RUN` is `chroot` in namespaces of its own; the study runs as the image's user, in a
network namespace that has nothing but loopback.
"""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
SYSTEM = ("python3.11", "python3.11-venv", "python3-distutils", "ca-certificates")
PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.cluster,
    pytest.mark.skipif(
        os.geteuid() != 0 or not shutil.which("debootstrap"), reason="needs root and Debian's debootstrap"
    ),
]

# Of a study in the background: healthy once the image's own check says so, and what the study ended with.
WATCHED = """
{study} > said.txt 2>&1 & study=$!
until {check}; do kill -0 $study || break; sleep 1; done && echo healthy
wait $study; echo status $?; cat said.txt
"""


def instructions():
    """Return (word, rest) of each of the Dockerfile's instructions."""
    lines = [line for line in (REPOSITORY / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [tuple(line.split(maxsplit=1)) for line in joined if line.strip()]


class Root:
    """A root file system and the settings that the instructions have made so far."""

    def __init__(self, base: Path, path: Path) -> None:
        subprocess.run(["cp", "-a", "--reflink=auto", base, path], check=True)
        self.path, self.env, self.user, self.folder = path, {"PATH": PATH}, "0", "/"
        self.check = self.command = ""

    def run(self, script: str, *, user: str | None = None, network: bool = True) -> str:
        """Run a shell script inside, in namespaces of its own, and return what it printed."""
        at = shlex.quote(str(self.path))
        mounts = [("proc", "-t proc proc"), ("dev", "--rbind /dev"), ("dev/shm", "-t tmpfs -o size=2g tmpfs")]
        before = [f"mount {options} {at}/{place}" for place, options in mounts] + ["ip link set lo up"] * (not network)
        inside = f"chroot --userspec={user or self.user} {at} sh -c {shlex.quote(f'cd {self.folder}; {script}')}"
        words = ["unshare", "--mount", "--pid", "--fork", "--ipc", *([] if network else ["--net"])]
        env = self.env | {"HOME": self.folder if self.folder != "/" else "/root"}
        if network:  # what pip has to know on this machine
            env |= {name: value for name, value in os.environ.items() if name.startswith("PIP_") and "CERT" not in name}
        done = subprocess.run(
            [*words, "sh", "-c", " && ".join([*before, f"exec {inside}"])],
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{script}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """The root file system that the Dockerfile's instructions make."""
    folder = tmp_path_factory.mktemp("image")
    base = folder / "debian"
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(SYSTEM)}", "bookworm", str(base)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"Debian's packages cannot be had: {made.stdout[-300:]}{made.stderr[-300:]}")
    (base / "usr/local/bin/python").symlink_to("/usr/bin/python3.11")  # as the image that it stands for has it
    shutil.copy("/etc/resolv.conf", base / "etc/resolv.conf")
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", base / "etc/ssl/certs/ca-certificates.crt")
    stages: dict[str, Root] = {}
    root = None
    for word, rest in instructions():
        if word == "FROM":
            root = stages[rest.partition(" AS ")[2] or "image"] = Root(base, folder / f"stage{len(stages)}")
            continue
        assert root is not None
        if word == "RUN":
            root.run(rest)
        elif word == "ENV":
            for pair in shlex.split(rest):
                name, _, value = pair.partition("=")
                root.env[name] = value.replace("$PATH", root.env["PATH"])
        elif word == "COPY":
            copy(root, stages, rest)
        elif word == "USER":
            root.user = rest
        elif word == "WORKDIR":
            root.folder = rest
        elif word == "HEALTHCHECK":
            root.check = rest.partition("CMD ")[2]
        elif word == "CMD":
            root.command = rest
        else:
            pytest.fail(f"the Dockerfile has an instruction that this test does not know: {word}")
    return stages["image"]


def copy(root: Root, stages: dict[str, Root], rest: str) -> None:
    """Do what a COPY instruction says: from another stage, or from the checkout what .dockerignore leaves of it."""
    *options, source, target = shlex.split(rest)
    to = root.path / target.lstrip("/") if target != "." else root.path
    if options:
        (option,) = options
        stage = stages[option.removeprefix("--from=")]
        to.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", stage.path / source.lstrip("/"), to], check=True)
    elif source == ".":
        lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
        kept = [line[1:] for line in lines if line.startswith("!")]
        to.mkdir(parents=True)
        tracked = subprocess.run(
            ["git", "ls-files", "-z", *kept], cwd=REPOSITORY, capture_output=True, text=True, check=True
        ).stdout
        for name in filter(None, tracked.split("\0")):
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, to / name)
    else:
        shutil.copy(REPOSITORY / source, to / source if to.is_dir() else to)


def test_the_images_command_lists_the_spaces(image):
    assert image.command == '["study", "list"]'
    assert "digits_ae" in image.run("study list")


def test_a_study_runs_in_the_image_as_its_user_without_a_network(image):
    assert image.user == "1000"
    study = "study run --space digits_ae --smoke --name inside --tracking-uri sqlite:////home/study/mlflow.db"
    said = image.run(WATCHED.format(study=study, check=image.check), network=False)
    assert "status 0" in said, said[-3000:]
    assert said.startswith("healthy"), said[:3000]
    assert "of PCA's error" in said
    assert image.run("id -u").strip() == "1000"
    inside = image.path / "home/study/results/inside"
    assert (inside / "best").is_dir()
    assert inside.stat().st_uid == 1000
    image.run("cd /tmp && study --help && python -c 'import torchvision'", network=False)
    touch = ["chroot", "--userspec=1000", str(image.path), "touch", "/opt/ray-tune-study/x"]
    assert subprocess.run(touch, check=False, capture_output=True).returncode != 0
