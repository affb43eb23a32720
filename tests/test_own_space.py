"""A space in a file of one's own: what is read of it, what is refused and how, and that nothing runs unasked."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cloudpickle
import mlflow
import numpy as np
import pytest
import torch
from PIL import Image
from recorded_studies import made_up_seeds, made_up_trial, write_study
from study_processes import (
    environment,
    epochs_of,
    kill_with_children,
    run,
    start,
    state_of,
    summary_of,
    table,
    wait_for,
)
from test_searcher import Driver
from test_served import asked, logged

import models
import search_spaces
from analysis import compare, report
from models import own, registry
from study import check_space, new_space, predict
from study import run as run_command
from study.data import image_data, own_file
from study.driver import inputs, own_space
from study.evaluation import served
from study.record.errors import DataError, UsageError
from study.record.folder import StudyFolder
from study.record.journal import read_state
from study.settings import command_line
from study.settings.resolve import resumed_settings, settings_of
from study.tracking import mlflow_client
from study.training import checkpoint

FILES = Path(__file__).parent / "own_spaces"


@pytest.fixture(autouse=True)
def nothing_in_use():
    """Let each test begin and end as a process does, with no file in use."""

    def forget():
        registry.extend({})
        search_spaces._families.extend({})
        for slot in (own._in_use, own_file._in_use, search_spaces._own):
            slot.clear()
        for name in [name for name in sys.modules if name.startswith("own_space_")]:
            del sys.modules[name]

    forget()
    yield
    forget()


def use(file, name=None):
    return own_file.use(own_file.read(file), name)


def written(folder, *parts, file="mine.py", of="stripes.py"):
    """Write one of the files under another name, with changes: pairs of a text and what it becomes."""
    text = (FILES / of).read_text()
    for before, after in parts:
        assert before in text
        text = text.replace(before, after)
    (folder / file).write_text(text)
    return folder / file


@pytest.mark.parametrize("file", sorted(FILES.glob("*.py")), ids=lambda file: file.stem)
def test_a_file_is_a_space_like_the_built_in_ones(file):
    space = use(file).space
    assert search_spaces.get(file.stem) is space
    assert space.name == file.stem
    assert file.stem not in search_spaces.names()
    line = command_line.parse(["--space", str(file), "--trials", "2"])
    settings = settings_of(line.given)
    assert (settings.space, settings.space_file) == (file.stem, str(file.absolute()))
    assert settings.objectives == (space.family_facts.metric,)
    data = image_data.of_settings(vars(settings))
    own_space.check(space, search_spaces.Context(data.image_shape, data.num_classes))


def test_only_one_file_counts_at_a_time():
    use(FILES / "stripes.py")
    assert "wavy" in models.FAMILIES["ae"].architectures
    use(FILES / "vq.py")
    assert "wavy" not in models.FAMILIES["ae"].architectures
    assert search_spaces.FAMILY_FACTS["vqvae"].metric == "val_mse"
    with pytest.raises(search_spaces.UnknownSpace):
        search_spaces.get("stripes")


def test_the_record_of_a_file_is_what_json_reads_back():
    """A tracker is told it again when the study goes on, and refuses another value."""
    said = use(FILES / "vq.py").to_json()
    assert json.loads(json.dumps(said)) == said
    assert search_spaces.FamilyFacts.from_json(said["facts"]) == search_spaces.get("vq").family_facts


def test_images_of_a_function_are_read_and_split_as_own_images_are():
    use(FILES / "stripes.py")
    data = image_data.load("stripes", Path("none"))
    assert data.image_shape == (1, 10, 12)
    assert data.class_names == ("rows", "columns")
    assert sum(data.sizes.values()) == 240
    assert data.train.images.dtype == np.uint8
    assert data.digest == image_data.load("stripes", Path("none")).digest


TORCH_DATASET = """
    class Pairs:
        def __len__(self): return 30
        def __getitem__(self, i): return np.full((10, 12), i, 'uint8'), i % 2
    return Pairs()
"""
HUGGING_FACE = """
    import datasets
    from PIL import Image
    images = np.arange(30 * 120, dtype='uint8').reshape(30, 10, 12)
    columns = {'image': [Image.fromarray(image) for image in images], 'label': [n % 2 for n in range(30)]}
    kinds = datasets.Features({'image': datasets.Image(), 'label': datasets.ClassLabel(names=['rows', 'columns'])})
    whole = datasets.Dataset.from_dict(columns, features=kinds)
    return datasets.DatasetDict(train=whole.select(range(20)), validation=whole.select(range(20, 30)))
"""
DICTS = """
    class Dicts:
        def __len__(self): return 30
        def __getitem__(self, i): return {'img': np.full((10, 12), i, 'uint8'), 'label': i % 2, 'caption': 'a stripe'}
    return Dicts()
"""
GIVEN = """
    images = np.arange(40 * 120, dtype='uint8').reshape(40, 10, 12)
    return {'train': (images[:30], np.arange(30) % 2), 'test': (images[30:], np.arange(10) % 2)}
"""


@pytest.mark.parametrize(
    ("body", "sizes"),
    [
        (TORCH_DATASET, {"train": 22, "val": 4, "test": 4}),
        (DICTS, {"train": 22, "val": 4, "test": 4}),
        (HUGGING_FACE, {"train": 17, "val": 10, "test": 3}),
        (GIVEN, {"train": 26, "val": 4, "test": 10}),
        ("    return np.random.default_rng(0).random((20, 10, 12))\n", {"train": 14, "val": 3, "test": 3}),
    ],
    ids=["torch Dataset", "dicts", "Hugging Face", "given splits", "floats without labels"],
)
def test_a_function_may_give_its_images_in_several_ways(body, sizes, tmp_path):
    if "datasets" in body:
        pytest.importorskip("datasets")
    given = "    rng = np.random.default_rng(0)\n    labels"
    use(written(tmp_path, (given, body + given)))
    data = image_data.load("stripes", tmp_path)
    assert data.sizes == sizes


def gives(folder, body):
    """Let a file be in use whose `load_data` is this text, of images (40, 10, 12) and labels of two classes."""
    given = "    rng = np.random.default_rng(0)\n    labels"
    made = "    images = np.random.default_rng(0).integers(0, 256, (40, 10, 12), dtype='uint8')\n"
    use(written(folder, (given, f"{made}    labels = np.arange(40) % 2\n{body}\n{given}")))


UNLIKE = [
    ("{'train': (images[:30], labels[:30]), 'test': images[30:]}", "test without labels beside train with labels"),
    ("{'train': (images[:30], None), 'test': (images[30:], labels[30:])}", "train without labels beside test with"),
    ("{'train': (images[:30], labels[:31]), 'test': (images[30:], labels[31:])}", "images (30, 10, 12) with labels"),
    (
        "{'train': (images[:30], labels[:30]), 'test': (images[30:].astype('uint16') * 257, labels[30:])}",
        "gives images whose white is not the same value: train uint8, test uint16; give all as one dtype",
    ),
    ("[(image > 99, 0) if number else (image, 1) for number, image in enumerate(images)]", "value: uint8 and bool;"),
]


@pytest.mark.parametrize(("given", "expected"), UNLIKE)
def test_images_that_do_not_belong_together_are_refused_by_name(given, expected, tmp_path):
    gives(tmp_path, f"    return {given}")
    with pytest.raises(DataError) as refused:
        image_data.load("stripes", tmp_path)
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "given",
    ["(images, None)", "{'train': (images[:30], None), 'test': images[30:]}", "[(image, None) for image in images]"],
)
def test_labels_that_are_none_are_no_labels(given, tmp_path):
    gives(tmp_path, f"    return {given}")
    assert image_data.load("stripes", tmp_path).class_names == ("images",)


def test_images_of_several_formats_are_joined_where_their_range_is_said(tmp_path):
    gives(tmp_path, "    return {'train': images[:30], 'test': images[30:].astype('uint16')}")
    data = image_data.load("stripes", tmp_path, value_range=(0, 255))
    assert data.test.images.max() > 0.9 * data.train.images.max()


@pytest.mark.parametrize(("mode", "channels"), [("P", 3), ("RGBA", 3), ("LA", 1), ("1", 1), ("RGB", 3)])
def test_pictures_of_a_data_set_are_read_as_those_of_a_folder(mode, channels, tmp_path):
    rng = np.random.default_rng(0)
    colours = [Image.fromarray(rng.integers(0, 256, (10, 12, 4), dtype=np.uint8)) for _ in range(12)]
    pictures = [colour.convert("RGB").quantize(8) if mode == "P" else colour.convert(mode) for colour in colours]
    for number, picture in enumerate(pictures):
        (tmp_path / "all" / "a").mkdir(parents=True, exist_ok=True)
        picture.save(tmp_path / "all" / "a" / f"{number:02d}.png")
    body = "    from PIL import Image\n    return [Image.open(file) for file in sorted(data_dir.glob('all/a/*'))]\n"
    given = "    rng = np.random.default_rng(0)\n    labels"
    use(written(tmp_path, (given, body + given), ('Stripes", (1,', f'Stripes", ({channels},')))
    found, folder = image_data.load("stripes", tmp_path), image_data.load(str(tmp_path / "all"), tmp_path)
    assert found.image_shape == (channels, 10, 12)
    assert np.array_equal(found.train.images, folder.train.images)


NOT_FOUND = "--space '{file}' cannot be read: No such file or directory"
ERRORS = [
    (("import models\n", "import models\nx = 1 +\n"), "--space {file}, line 7: SyntaxError: invalid syntax"),
    (("import models\n", "import no_such_thing\n"), "line 6: ModuleNotFoundError: No module named 'no_such_thing'"),
    (("SPACE =", "SPAC ="), "{file} defines no SPACE; it needs SPACE = search_spaces.Space(...)"),
    (("    trials=4,\n", ""), "line 62: TypeError: Space.__init__() missing 1 required positional argument: 'trials'"),
    (("SPACE = search_spaces.Space(", "SPACE = dict("), "line 62: SPACE must be a search_spaces.Space, not {{"),
    (
        ('    family="ae",\n    desc', '    family="gan",\n    desc'),
        "SPACE must be of one of the families ae, vae, class",
    ),
    (('"wavy": models', '"conv": models'), "line 50: ARCHITECTURES must be without 'conv', a name that ae has already"),
    (
        ("ARCHITECTURES = {", "ARCHITECTURES = {'b': 3, "),
        "line 50: ARCHITECTURES must be a dict of models.Architecture",
    ),
    (
        ("    trials=4,", "    trials='16',"),
        "line 62: SPACE must be a Space whose trials are a whole number of at least 1, not '16'",
    ),
    (("    trials=4,", "    trials=0,"), "a Space whose trials are a whole number of at least 1, not 0"),
    (("    epochs=3,", "    epochs=20.5,"), "a Space whose epochs are a whole number of at least 1, not 20.5"),
    (
        ("    trials=4,", "    trials=4, pretrain_epochs=-1,"),
        "pretrain_epochs are a whole number of at least 0, not -1",
    ),
    (
        ("    search=search,", "    search={},"),
        "a Space whose search is a function of (ask, context, reported), not {{}}",
    ),
    (("    default={", "    default=not {"), "a Space whose default is a dict, not False"),
    (('"stripes", "S', '"digits", "S'), "line 62: SPACE must be of data with a name of their own, as load_data reads"),
]


@pytest.mark.parametrize(("change", "expected"), ERRORS, ids=[expected[:40] for _, expected in ERRORS])
def test_what_a_file_lacks_is_said_with_its_line(change, expected, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = written(tmp_path, change)
    assert run_command.main(["--space", str(file), "--name", "night"]) == 2
    said = capsys.readouterr().err
    assert expected.format(file=file) in said
    assert len(said.splitlines()) == 1
    assert os.listdir(tmp_path) == ["mine.py"]


def test_a_file_that_is_not_there_or_has_a_space_s_name_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"cannot be read: No such file"):
        use(tmp_path / "none.py")
    with pytest.raises(UsageError, match="has the name of a built-in space; rename it"):
        use(written(tmp_path, file="digits_ae.py"))


CODINGS = {
    "UTF-8 with a mark": lambda text: text.encode("utf-8-sig"),
    "Latin-1": lambda text: ("# -*- coding: latin-1 -*-\n" + text).encode("latin-1"),
    "lines of Windows": lambda text: text.replace("\n", "\r\n").encode(),
}


@pytest.mark.parametrize("encoded", CODINGS.values(), ids=CODINGS)
def test_a_file_is_read_in_the_coding_that_python_reads_it_in_and_so_is_its_copy(encoded, tmp_path):
    text = (FILES / "stripes.py").read_text().replace("two convolutions", "zwei Größen")
    (tmp_path / "mine.py").write_bytes(encoded(text))
    found = use(tmp_path / "mine.py")
    assert found.space.description == "zwei Größen"
    own_space.keep(folder := StudyFolder(tmp_path / "night"))
    assert own_file.read(folder.code).digest == found.code.digest
    images, out = saved(tmp_path / "best", tmp_path / "mine.py")
    assert torch.equal(models.load(tmp_path / "best")(images), out)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("é = 1".encode("latin-1"), "is no Python file: invalid or missing encoding declaration"),
        (b"\n\n\nx = '\xe9'", "is no Python file: 'utf-8' codec can't decode"),
        (b"# coding: base64\n", "is no Python file: 'base64' is not a text encoding"),
        (b"# coding: klingon\n", "is no Python file: unknown encoding: klingon"),
    ],
)
def test_a_file_in_no_known_coding_is_one_line(content, expected, tmp_path):
    (tmp_path / "mine.py").write_bytes(content)
    with pytest.raises(UsageError) as refused:
        use(tmp_path / "mine.py")
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)


UNBUILDABLE = [
    (("(2, 8)", "(0, 8)"), r"latent_size must be a whole number of at least 1, not 0; the drawn config \d+ cannot be"),
    (('ask.integer("features", (2, 16)', 'ask.integer("feature", (2, 16)'), "lacks the key 'features'|cannot express"),
    (
        ("features * 5 * 6, code", "features * 6 * 6, code"),
        r"mine.py, line \d+: RuntimeError: .*; the default cannot be",
    ),
    (('latent_size"])\n\n\ndef decoder', 'latent_size"] + 1)\n\n\ndef decoder'), "RuntimeError|have the shape"),
]


@pytest.mark.parametrize(("change", "expected"), UNBUILDABLE, ids=["bounds", "key", "layer", "code"])
def test_a_config_that_cannot_be_trained_is_named(change, expected, tmp_path):
    file = written(tmp_path, change)
    space = use(file).space
    with pytest.raises(UsageError, match=expected):
        own_space.check(space, search_spaces.Context(space.image_shape, 2))


def test_a_file_for_a_built_in_data_set_is_checked_before_ray_starts(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(inputs, "ray_joined", lambda *_: pytest.fail("Ray starts"))
    file = written(tmp_path, ("        return self.decode(self.encode(images))", "        return odd"), of="vq.py")
    assert run_command.main(["--space", str(file), "--name", "night"]) == 2
    assert "mine.py, line " in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["mine.py"]


def test_a_config_that_fails_later_is_refused_and_named(tmp_path):
    """A corner that no draw before the study has come to; the study goes on with other configs."""
    odd = 'def encoder(config, image_shape):\n    assert config["latent_size"] < 7, "seven"\n'
    space = use(written(tmp_path, ("def encoder(config, image_shape):\n", odd))).space
    driver = Driver(tmp_path / "study", space=space, sampler="random", trials=12)
    jobs = [driver.ask()[1] for _ in range(12)]
    assert all(job.config["latent_size"] < 7 for job in jobs)
    refused = driver.state.refused
    assert refused
    assert {event.reason for event in refused} == {"cannot be built: AssertionError: seven"}


def test_code_that_looks_at_values_is_measured_by_running_it(tmp_path):
    looks = "        if x.sum().item() < -1:\n            return x\n        return self.linear(self."
    use(written(tmp_path, ("        return self.linear(self.", looks)))
    config = search_spaces.get("mine").default
    use(FILES / "stripes.py")
    plain = models.count_activations(config, (1, 10, 12), 2)
    use(tmp_path / "mine.py")
    assert models.count_activations(config, (1, 10, 12), 2) == plain


def saved(folder, file=FILES / "stripes.py"):
    """Save an untrained network of a file as a study leaves it, and return its folder and its output."""
    space = use(file).space
    torch.manual_seed(0)
    network = models.build(space.default, space.image_shape, 2).eval()
    models.save(network, space.default, space.image_shape, 2, folder)
    images = torch.rand(3, *space.image_shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return images, network(images)


def test_a_network_of_one_s_own_is_saved_with_its_code_and_loads_alone(tmp_path, nothing_in_use):
    images, expected = saved(tmp_path / "best")
    script = f"""
import sys, torch, models
assert not [name for name in sys.modules if name.startswith("own_space")]
network = models.load({str(tmp_path / "best")!r}, trust=True)
torch.save(network(torch.load({str(tmp_path / "images.pt")!r})), {str(tmp_path / "out.pt")!r})
"""
    torch.save(images, tmp_path / "images.pt")
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[1], env=environment())
    torch.testing.assert_close(torch.load(tmp_path / "out.pt"), expected)  # another process may use other threads


def test_a_pickled_network_has_its_classes_in_it(tmp_path):
    """What MLflow keeps of a study loads where nobody has the file."""
    images, expected = saved(tmp_path)
    with mlflow_client._own_by_value():
        pickled = cloudpickle.dumps((models.load(tmp_path), images))
    (tmp_path / "network.pickle").write_bytes(pickled)
    script = f"""
import pickle, sys, torch
network, images = pickle.load(open({str(tmp_path / "network.pickle")!r}, "rb"))
assert not [name for name in sys.modules if name.startswith("own_space")]
torch.save(network(images), {str(tmp_path / "out.pt")!r})
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[1], env=environment())
    torch.testing.assert_close(torch.load(tmp_path / "out.pt"), expected)  # another process may use other threads


def test_mlflow_answers_by_a_network_of_one_s_own_where_trust_was_said_alone(tmp_path):
    saved(tmp_path / "best")
    model = logged(tmp_path, tmp_path / "best")
    image = np.random.default_rng(0).integers(0, 256, (10, 12), dtype=np.uint8)
    expected = served.Served(tmp_path / "best").predict(image)
    (answer,) = asked(tmp_path, model.model_uri, [image], "alone", '{"trust": true}')
    for column in ("mse", "codes"):
        np.testing.assert_allclose(answer[column][0], expected[column][0], atol=1e-6)
    with pytest.raises(AssertionError, match=r"is code of its own, which loading runs; model_config="):
        asked(tmp_path, model.model_uri, [image], "alone")


def test_a_network_that_says_nothing_of_images_goes_to_mlflow_as_what_it_is(tmp_path, capsys):
    """An embedding is neither classes nor an image: nothing is there for `pyfunc` to answer, or `study predict`."""
    file = written(
        tmp_path,
        ("    def probabilities(self, images):\n        return self(images).softmax(1)\n\n", ""),
        of="proxies.py",
    )
    space = use(file).space
    own_space.tried("default", space.default, search_spaces.Context(space.image_shape, 10))
    network = models.build(space.default, space.image_shape, 10).eval()
    models.save(network, space.default, space.image_shape, 10, tmp_path / "best")
    model = logged(tmp_path, tmp_path / "best")
    images = torch.rand(3, *space.image_shape)
    with torch.no_grad():
        torch.testing.assert_close(mlflow.pytorch.load_model(model.model_uri)(images), network(images))
    info = mlflow.models.get_model_info(model.model_uri)
    assert (list(info.flavors), info.signature) == (["pytorch"], None)
    Image.new("L", (8, 8)).save(tmp_path / "one.png")
    assert predict.main(["--model", str(tmp_path / "best"), str(tmp_path / "one.png"), "--trust"]) == 2
    nothing = "gives neither probabilities of classes nor images: there is nothing to show"
    assert nothing in capsys.readouterr().err
    with pytest.raises(UsageError, match=nothing):
        served.Served(tmp_path / "best", trust=True)


def test_a_network_of_a_built_in_architecture_needs_no_trust(tmp_path):
    space = search_spaces.get("digits_ae")
    use(FILES / "stripes.py")
    network = models.build(space.default, space.image_shape, 10)
    models.save(network, space.default, space.image_shape, 10, tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["config.json", "model.pt"]
    models.load(tmp_path)


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """A study's folder as one leaves it, from elsewhere, with code that leaves a file behind where it is run."""
    monkeypatch.chdir(tmp_path)
    trap = f"open({str(tmp_path / 'trapped')!r}, 'w').close()\n"
    code = own.OwnCode(Path("space.py"), (FILES / "stripes.py").read_text() + trap)
    folder = StudyFolder(tmp_path / "results" / "night")
    config = {
        "family": "ae",
        "architecture": "wavy",
        "latent_size": 4,
        "features": 4,
    }
    run_of = {"epochs": [{"val_mse": 0.3, "train_loss": 0.4}], "config": config, "params": 900}
    runs = [
        made_up_trial(0, **run_of),
        made_up_trial(1, **run_of),
        *made_up_seeds("t0000", {"val_mse": [0.2, 0.3], "test_mse": [0.2, 0.3]}, config=config),
    ]
    use(FILES / "stripes.py")
    settings = settings_of(command_line.parse(["--space", str(FILES / "stripes.py"), "--name", "night"]).given)
    about = {"own": {**own_file.own().to_json(), "digest": code.digest}}
    data = {
        "name": "stripes",
        "digest": "d",
        "image_shape": [1, 10, 12],
        "class_names": ["a", "b"],
        "sizes": {"train": 168, "val": 36},
    }
    write_study(folder.path.parent, "night", runs, settings=settings.to_json(), data=data, **about)
    saved(folder.best)
    for path in (folder.code, folder.best / "space.py"):
        path.write_text(code.source)
    described = json.loads((folder.best / "config.json").read_text())
    (folder.best / "config.json").write_text(json.dumps({**described, "code": code.digest}))
    for slot in (own._in_use, own_file._in_use, search_spaces._own):
        slot.clear()
    yield folder
    assert not (tmp_path / "trapped").exists(), "the code of the folder was run"


def test_predict_runs_no_code_unasked(hostile, capsys, tmp_path):
    Image.fromarray(np.zeros((10, 12), np.uint8)).save(tmp_path / "a.png")
    assert predict.main(["--model", str(hostile.best), str(tmp_path / "a.png")]) == 2
    assert "is code of its own, which loading runs; --trust, or trust=True" in capsys.readouterr().err
    with pytest.raises(models.UntrustedCodeError):
        models.load(hostile.best)


@pytest.mark.parametrize("config", [None, {}, {"trust": False}, {"trust": "false"}, {"trust": 1}])
def test_mlflow_runs_no_code_unasked(config, hostile):
    with pytest.raises(models.UntrustedCodeError, match=re.escape('model_config={"trust": True} says that it may')):
        served._load_pyfunc(str(hostile.best), config)


def test_with_trust_it_is_run(hostile, tmp_path):
    Image.fromarray(np.zeros((10, 12), np.uint8)).save(tmp_path / "a.png")
    assert predict.main(["--model", str(hostile.best), str(tmp_path / "a.png"), "--trust"]) == 0
    (tmp_path / "trapped").unlink()


def test_an_encoder_of_a_foreign_study_runs_no_code_unasked(hostile):
    with pytest.raises(UsageError, match=r"--encoder-from 'night'.*--trust"):
        checkpoint.load_encoder(hostile.path.parent, "night", (1, 10, 12))


def test_a_damaged_encoder_is_one_line_that_names_the_file(hostile, tmp_path):
    state = hostile.best / "model.pt"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(UsageError, match=r"--encoder-from 'night' cannot be read: .*model\.pt is damaged"):
        checkpoint.load_encoder(hostile.path.parent, "night", (1, 10, 12), trust=True)
    (tmp_path / "trapped").unlink()


def test_report_and_compare_work_from_the_record_alone(hostile, capsys):
    assert report.main(["night"]) == 0
    assert compare.main(["night", "night"]) in (0, 2)
    assert "Traceback" not in capsys.readouterr().err
    assert (hostile.report / "index.html").is_file()


def test_a_study_from_elsewhere_goes_on_only_where_that_is_asked_for(hostile, capsys):
    assert run_command.main(["--resume", "night", "--trials", "9"]) == 2
    assert "was not begun here" in capsys.readouterr().err


def test_a_resumed_study_goes_on_with_its_own_copy(tmp_path, monkeypatch):
    file = written(tmp_path)
    use(file)
    settings = settings_of(command_line.parse(["--space", str(file), "--name", "night"]).given)
    folder = StudyFolder(tmp_path / "results" / "night")
    write_study(folder.path.parent, "night", [], settings=settings.to_json(), own=own_file.own().to_json())
    own_space.keep(folder)
    state = read_state(folder.journal)
    written(tmp_path, ("(2, 16), log=True", "(2, 99), log=True"))
    with pytest.raises(
        UsageError, match=r"not the study's file: line 57 was .*\(2, 16\).* is .*\(2, 99\).*; leave it out"
    ):
        own_space.use_again(folder, state, str(file), trust=False)
    own_space.use_again(folder, state, None, trust=True)
    assert own_file.own().name == "mine.py"
    assert resumed_settings({"trials": 9}, state.settings)[0].trials == 9
    same = written(tmp_path, file="copy.py")
    own_space.use_again(folder, state, str(same), trust=False)
    folder.code.write_text("SPACE = None")
    with pytest.raises(UsageError, match=r"space\.py has changed since the study began"):
        own_space.use_again(folder, state, None, trust=True)
    built_in = type(state).fold([dataclasses.replace(state.about, own=None, settings={"space": "digits_ae"})])
    with pytest.raises(UsageError, match="differs; the study's is digits_ae"):
        own_space.use_again(folder, built_in, str(same), trust=False)


def test_new_space_writes_a_short_file_that_passes_every_check(tmp_path, capsys):
    file = tmp_path / "mine.py"
    assert new_space.main([str(file)]) == 0
    assert len(file.read_text().splitlines()) < 60
    assert new_space.main([str(file)]) == 2
    capsys.readouterr()
    status = check_space.main([str(file)])
    lines = capsys.readouterr().out.splitlines()
    assert status == 0, lines
    assert sum(not line.startswith(" ") for line in lines) == 9
    assert max(map(len, lines)) <= 80
    assert "refuses" not in "".join(lines)


def test_check_space_says_what_does_not_hold(tmp_path, capsys):
    random = "        return self.linear(x.new_tensor(np.random.rand(len(x), 1)) * 0.01 + self."
    file = written(tmp_path, ("        return self.linear(self.", random))
    assert check_space.main([str(file)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if " NO " in line]


@pytest.mark.parametrize(
    ("change", "noes", "line"),
    [
        (  # a last layer of another width
            ('config["width"], channels * height * width)', 'config["width"], 7)'),
            ["each network can be built", "loss, gradient and metrics", "images of awkward shapes"],
            "RuntimeError: unflatten",
        ),
        (  # what a step on four images does not come to
            (
                "nn.Flatten()",
                "type('Few', (nn.Flatten,), {'forward': lambda self, x: x.flatten(1) if len(x) <= 4 else x.gone})()",
            ),
            ["the same seed, the same numbers", "resumed as if uninterrupted", "seeds together as each alone"],
            "mine.py, line 13: AttributeError: 'Tensor' object has no attribute 'gone'",
        ),
    ],
    ids=["layer", "batch"],
)
def test_check_space_says_in_a_line_what_goes_wrong_in_the_file(change, noes, line, tmp_path, capsys):
    (tmp_path / "mine.py").write_text(new_space.TEMPLATE.replace(*change))
    assert check_space.main([str(tmp_path / "mine.py")]) == 1
    said = capsys.readouterr()
    told = [one for one in said.out.splitlines() if not one.startswith(" ")]
    assert [one[:33].strip() for one in told if one[33:].startswith("NO")] == noes
    assert line in " ".join(said.out.split())
    assert len(told) == (9 if "AttributeError" in line else 6)  # a network that does not train is not trained again
    assert not said.err


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("    ask.integer", r"200 configs can be drawn NO --space \S+/mine.py, line \d+: SystemExit: 3"),
        (
            "    return Decoder(",
            r"each network can be built NO --space \S+/mine.py, line \d+: SystemExit: 3; the default",
        ),
        ("    rng = np.random", r"its images can be read NO --space \S+/mine.py, line \d+: SystemExit: 3"),
    ],
)
def test_a_file_that_would_end_the_command_is_a_fault_of_the_file(place, line, tmp_path, monkeypatch, capsys):
    file = written(tmp_path, (place, f"    sys.exit(3)\n{place}"), ("import models\n", "import sys\nimport models\n"))
    assert check_space.main([str(file)]) == 1
    assert re.search(line, " ".join(capsys.readouterr().out.split()))
    monkeypatch.chdir(tmp_path)
    assert run_command.main(["--space", str(file), "--name", "night", "--dry-run"]) == 2
    assert "SystemExit: 3" in capsys.readouterr().err


def test_check_space_tries_nothing_on_images_that_cannot_be_read(tmp_path, capsys):
    new_space.main([str(tmp_path / "mine.py")])
    capsys.readouterr()
    assert check_space.main([str(tmp_path / "mine.py"), "--data", str(tmp_path / "gone")]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert said == f"its images can be read NO --data {tmp_path / 'gone'}: no such folder or file"


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--data", "photos", "--image-size", "12"], "yes 3×12×12 in 2 classes; train 4, val 2, test 2"),
        (["--data", "photos"], "NO images differ in size"),
        (["--image-size", "12"], "NO --image-size is for images of one's own"),
        (["--data", "scans.npy"], "NO {folder}/scans.npy has pixels of int32; say with --value-range"),
        (["--data", "scans.npy", "--value-range", "0,9"], "yes 1×9×9 in 1 classes; train 8, val 2, test 2"),
        (["--data", "photos", "--image-size", "12", "--labels", "x.csv"], "NO --labels"),
    ],
)
def test_check_space_reads_images_as_a_study_is_told_to(options, line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for number, size in enumerate([(20, 30), (40, 25), (31, 31), (18, 50)] * 2):
        folder = tmp_path / "photos" / f"class{number // 4}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.effect_noise(size, 50 + number).convert("RGB").save(folder / f"{number}.png")
    np.save("scans.npy", np.random.default_rng(0).integers(0, 10, (12, 9, 9), dtype=np.int32))
    new_space.main(["mine.py"])
    monkeypatch.setattr(check_space._Suite, "_draw", lambda suite: "")  # whose configs the other checks need
    capsys.readouterr()
    assert check_space.main(["mine.py", *options]) == (0 if line.startswith("yes") else 1)
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith(f"its images can be read {line.format(folder=tmp_path)}")


@pytest.mark.parametrize("file", sorted(FILES.glob("*.py")), ids=lambda file: file.stem)
@pytest.mark.slow
def test_each_file_keeps_what_a_space_promises(file, capsys):
    assert check_space.main([str(file)]) == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    "of",
    [
        "mixer.py",  # images and networks of its own in a built-in family
        pytest.param("vq.py", marks=pytest.mark.slow),  # a family of its own, compared with PCA
        pytest.param("proxies.py", marks=pytest.mark.slow),  # one that classifies
    ],
)
def test_a_whole_study_of_one_s_own_file(of, tmp_path, monkeypatch, capsys):
    """Search, kill, resume with more trials, confirm with seeds together, report, and predict."""
    file = written(tmp_path, file="mine.py", of=of)
    argv = ["--trials", "2", "--epochs", "2", "--confirm", "1x2", "--fuse", "on", "--name", "night", "--seed", "5"]
    process = start(tmp_path, "--space", str(file), *argv)
    wait_for(lambda: epochs_of(state_of(tmp_path)) >= 1, process)
    kill_with_children(process)
    study = tmp_path / "results" / "night"
    assert (study / "space.py").read_bytes() == file.read_bytes()
    file.unlink()
    done = run(tmp_path, "--resume", "night", "--trials", "3")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (study / "best" / "space.py").read_bytes() == (study / "space.py").read_bytes()
    assert {row["status"] for row in table(study / "trials.csv")} <= {"completed", "stopped"}
    assert len(table(study / "trials.csv")) == 3
    assert len({row["seed"] for row in table(study / "confirm.csv")}) >= 2
    summary = summary_of(tmp_path)
    assert summary["space"] == "mine"
    assert summary["ratio_to_pca"] > 0
    about = json.loads((study / "study.json").read_text())
    family = {"vq.py": "vqvae", "proxies.py": "metric_learning"}.get(of, "ae")
    assert about["own"]["family"] == family
    assert about["own"]["facts"]["metric"] == summary["metric"] == ("val_accuracy" if of == "proxies.py" else "val_mse")
    assert "MLflow does not have all" not in done.stdout
    assert report.main(["night", "--storage", str(study.parent)]) == 0
    monkeypatch.chdir(tmp_path)
    channels, height, width = about["data"]["image_shape"]
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)
    Image.fromarray(pixels if channels == 3 else pixels[..., 0]).save("one.png")
    capsys.readouterr()
    assert predict.main(["--model", str(study / "best"), "one.png", "--trust"]) == 0
    said = capsys.readouterr().out
    if of == "proxies.py":
        assert {line.split()[-1] for line in said.splitlines()[1:]} <= set(about["data"]["class_names"])
    else:
        assert "one-reconstruction.png" in said
        assert {path.name for path in (study / "samples").iterdir()} >= {"reconstructions.npz", "reconstructions.png"}
