import json
import signal
from contextlib import nullcontext
from pathlib import Path

import pytest

import search_spaces
from study.driver import dry_run, inputs
from study.record.commands import hint
from study.record.errors import UsageError
from study.record.settings import Settings, options, repeat_words
from study.run import main
from study.settings import command_line, resolve
from study.settings.resolve import selected


def settings(*argv):
    return resolve.settings_of(command_line.parse(["--space", "digits_ae", *argv]).given)


@pytest.fixture
def empty_folder(tmp_path, monkeypatch):
    """Work in an empty folder; `mlflow.db` and `results` would appear in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return tmp_path


BELOW_A_FILE = "file/results"

BAD_INPUT = {
    "unknown space": (["--space", "cifar_ea"], "--space 'cifar_ea' is not known (did you mean cifar_ae?)"),
    "no space": ([], "--space is missing; allowed: cifar_ae, cifar_classifier"),
    "no trials": (["--space", "digits_ae", "--trials", "0"], "--trials '0' is not allowed; give a whole number of at"),
    "half a trial": (["--space", "digits_ae", "--trials", "1.5"], "--trials '1.5'"),
    "no epochs": (["--space", "digits_ae", "--epochs", "-3"], "--epochs '-3'"),
    "unknown sampler": (["--space", "digits_ae", "--sampler", "tpee"], "(did you mean tpe?); allowed: gp, nsga2"),
    "unknown scheduler": (["--space", "digits_ae", "--scheduler", "pbt"], "--scheduler 'pbt' is not known"),
    "unknown objective": (["--space", "digits_ae", "--objective", "val_mes"], "(did you mean val_mse?)"),
    "objective twice": (["--space", "digits_ae", "--objective", "val_mse,val_mse"], "names an objective twice"),
    "pareto with hyperband": (
        ["--space", "digits_ae", "--objective", "val_mse,params", "--scheduler", "hyperband"],
        "--scheduler hyperband takes one objective; for val_mse,params choose asha or none",
    ),
    "pareto with gp": (
        ["--space", "digits_ae", "--objective", "val_mse,params", "--sampler", "gp"],
        "--sampler gp takes one objective; for val_mse,params choose nsga2 or tpe",
    ),
    "confirm": (["--space", "digits_ae", "--confirm", "3"], "--confirm '3' cannot be read; allowed: 0, or KxR"),
    "confirm none": (["--space", "digits_ae", "--confirm", "0x3"], "--confirm '0x3' cannot be read"),
    "a time budget without a unit": (
        ["--space", "digits_ae", "--time-budget", "45"],
        "--time-budget '45' cannot be read",
    ),
    "time budget": (["--space", "digits_ae", "--time-budget", "soon"], "--time-budget 'soon' cannot be read"),
    "unknown option": (["--space", "digits_ae", "--epoch", "3"], "unrecognized arguments: --epoch 3"),
    "path as name": (["--space", "digits_ae", "--name", "../x"], "--name '../x' cannot name a study"),
    "hidden name": (["--space", "digits_ae", "--name", ".x"], "--name '.x' cannot name a study"),
    "data": (["--space", "digits_ae", "--data", "cifer"], "--data 'cifer' is not known (did you mean cifar?)"),
    "image size of digits": (["--space", "digits_ae", "--image-size", "16"], "--image-size is for images of one's own"),
    "train size": (["--space", "digits_ae", "--train-size", "5000"], "--train-size 5000 is not possible"),
    "data folder": (["--space", "digits_ae", "--data-dir", "file/x"], "--data-dir"),
    "data missing": (["--space", "digits_ae", "--data", "./nowhere"], "nowhere"),
    "gpus": (["--space", "digits_ae", "--gpus-per-trial", "-1"], "--gpus-per-trial '-1' is not allowed; give auto"),
    "unknown reported key": (
        ["--reported", "flowers/adagrat"],
        "--reported 'flowers/adagrat' is not known (did you mean flowers/adagrad?)",
    ),
    "reported of two spaces": (
        ["--reported", "fashion/*"],
        "--reported 'fashion/*' means configurations of fashion_ae and fashion_classifier; choose with --space",
    ),
    "reported of another space": (
        ["--reported", "cifar_cnn/*", "--space", "digits_ae"],
        "--reported 'cifar_cnn/*' means configurations of cifar_classifier, not of digits_ae",
    ),
    "reported and searched": (["--reported", "cifar_cnn/A", "--trials", "5"], "--trials does not go with --reported"),
    "a command that is not there": (
        ["--space", "digits_ae", "--notify", "no-such-program {name}"],
        "--notify 'no-such-program {name}': there is no program 'no-such-program'",
    ),
    "a command with an open quote": (
        ["--space", "digits_ae", "--notify", "echo 'night"],
        "is no command: No closing quotation",
    ),
    "a code of a classifier": (
        ["--space", "digits_classifier", "--latent-size", "3"],
        "--latent-size is for autoencoders and VAEs; digits_classifier is of the family classifier",
    ),
    "images of a report in a search": (["--space", "digits_ae", "--as-reported"], "--as-reported goes with --reported"),
    "reported and not run": (["--reported", "cifar_cnn/A", "--confirm", "0"], "--confirm 0 leaves nothing to do"),
    "encoder for an autoencoder": (
        ["--space", "digits_ae", "--encoder-from", "night"],
        "--encoder-from is for a classifier; digits_ae is a space of the family ae",
    ),
    "encoder of no study": (
        ["--space", "digits_classifier", "--encoder-from", "night"],
        "--encoder-from 'night': there is no study in",
    ),
    "nothing to resume": (["--resume", "night"], "--resume 'night': there is no study in"),
    "or resume what": (["--space", "digits_ae", "--or-resume"], "--or-resume goes with --name NAME"),
    "resume or resume": (["--resume", "night", "--or-resume"], "--resume only goes on: give one of them"),
    "retry failed of a new study": (["--space", "digits_ae", "--retry-failed"], "or with --or-resume"),
    "resume a path": (["--resume", "../night"], "cannot name a study"),
    "silent server": (
        ["--space", "digits_ae", "--tracking-uri", "http://127.0.0.1:9"],
        "--tracking-uri 'http://127.0.0.1:9' does not answer",
    ),
    "database in no folder": (
        ["--space", "digits_ae", "--tracking-uri", "sqlite:///nowhere/mlflow.db"],
        "there is no folder",
    ),
    "unknown uri": (["--space", "digits_ae", "--tracking-uri", "ftp://x"], "--tracking-uri 'ftp://x' is not allowed"),
    "no cluster": (
        ["--space", "digits_ae", "--address", "127.0.0.1:9"],
        "--address '127.0.0.1:9': no Ray cluster can be reached",
    ),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_one_line_and_exit_2_and_writes_nothing(case, empty_folder, capsys):
    argv, expected = BAD_INPUT[case]
    (empty_folder / "file").write_text("a file")
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert expected in err
    assert err.startswith("study: ")
    assert err.count("\n") == 1
    assert [path.name for path in empty_folder.iterdir()] == ["file"]


def test_the_names_of_samplers_and_schedulers_are_those_that_exist():
    from study.record.state import StudyState
    from study.search.sampling import sampler_for_trial
    from study.search.schedulers import build_scheduler

    for name in command_line.SAMPLERS:
        assert sampler_for_trial(name, 0, 0)
    for name in command_line.SCHEDULERS:
        assert build_scheduler(name, "val_mse", 9, StudyState())


def test_every_default_is_resolved(empty_folder):
    chosen = settings()
    space = search_spaces.get("digits_ae")
    assert (chosen.trials, chosen.epochs) == (space.trials, space.epochs)
    assert (chosen.sampler, chosen.scheduler, chosen.objectives) == ("tpe", "asha", ("val_mse",))
    assert (chosen.confirm_top, chosen.confirm_seeds) == (3, 3)
    assert chosen.tracking_uri == f"sqlite:///{empty_folder}/mlflow.db"
    assert chosen.name.startswith("digits_ae-20")


def test_a_tracker_of_files_is_kept_absolute_for_a_resume_from_another_folder(empty_folder):
    assert settings("--tracking-uri", "tensorboard:logs").tracking_uri == f"tensorboard:{empty_folder}/logs"
    assert settings("--tracking-uri", "sqlite:///~/x.db").tracking_uri == f"sqlite:///{Path.home()}/x.db"


def test_environment_variables_give_defaults_and_options_beat_them(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking:5000")
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    monkeypatch.setenv("STUDY_DATA", "/data")
    assert (settings().tracking_uri, settings().address, settings().data_dir) == (
        "http://tracking:5000",
        "auto",
        "/data",
    )
    assert settings("--tracking-uri", "sqlite:////tmp/x.db").tracking_uri == "sqlite:////tmp/x.db"


def test_a_smoke_run_can_be_changed_in_parts():
    smoke = settings("--smoke", "--trials", "3")
    assert (smoke.trials, smoke.epochs, smoke.train_size, smoke.confirm_top) == (3, 1, 256, 1)
    assert smoke.smoke


def test_several_objectives_turn_the_scheduler_off():
    assert settings("--objective", "val_mse,params", "--sampler", "nsga2").scheduler == "none"


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("1.5h", 5400), ("1d", 86400)])
def test_time_budgets_have_units(text, seconds):
    assert settings("--time-budget", text).time_budget_s == seconds


def test_settings_survive_json():
    chosen = settings("--trials", "5", "--objective", "val_mse,params")
    assert Settings.from_json(json.loads(json.dumps(chosen.to_json()))) == chosen


def resumed(recorded, *argv):
    return resolve.resumed_settings(command_line.parse(["--resume", recorded.name, *argv]).given, recorded.to_json())


def test_resuming_without_options_changes_nothing():
    recorded = settings("--name", "night", "--smoke", "--trials", "4", "--confirm", "2x2")
    assert resumed(recorded) == (recorded, {})


def test_settings_may_be_restated_if_equal():
    recorded = settings("--name", "night", "--trials", "4", "--sampler", "random")
    assert resumed(recorded, "--space", "digits_ae", "--sampler", "random", "--trials", "4") == (recorded, {})


def test_trials_may_grow():
    recorded = settings("--name", "night", "--trials", "4")
    more, changed = resumed(recorded, "--trials", "6")
    assert more.trials == 6
    assert changed == {"trials": 6}


def test_the_seeds_that_report_may_grow():
    recorded = settings("--name", "night", "--trials", "4", "--confirm", "2x4")
    assert (recorded.reporting_seeds, resumed(recorded, "--report-seeds", "4")[0].reporting_seeds) == (4, 4)
    more, changed = resumed(recorded, "--report-seeds", "6")
    assert (more.reporting_seeds, more.confirm_seeds, changed) == (6, 4, {"report_seeds": 6})
    with pytest.raises(UsageError, match="--report-seeds 5 is less than the study's 6; it may only grow"):
        resumed(more, "--report-seeds", "5")
    with pytest.raises(UsageError, match="--report-seeds 5 goes not with --confirm 0, which the study has"):
        resumed(settings("--name", "night", "--confirm", "0"), "--report-seeds", "5")
    with pytest.raises(UsageError, match="--report-seeds 5 goes not with --confirm 0: nothing is reported on"):
        settings("--confirm", "0", "--report-seeds", "5")


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (("--trials", "3"), "--trials 3 is less than the study's 4"),
        (("--space", "cifar_ae"), "--space 'cifar_ae' differs; the study's is digits_ae"),
        (("--epochs", "7"), "--epochs differs (7)"),
        (("--sampler", "gp"), "--sampler differs (gp); the study's is tpe"),
        (("--confirm", "1x1"), "--confirm differs"),
        (("--seed", "3"), "--seed differs (3); the study's is 0"),
        (("--name", "day"), "--name 'day' is another study's"),
    ],
)
def test_a_setting_that_differs_is_refused(argv, expected):
    recorded = settings("--name", "night", "--trials", "4")
    with pytest.raises(UsageError) as raised:
        resumed(recorded, *argv)
    assert expected in str(raised.value)


def test_a_pareto_study_is_given_no_patience_later():
    recorded = settings("--name", "night", "--objective", "val_mse,params")
    with pytest.raises(UsageError, match="--patience goes with one objective; the study's are val_mse,params"):
        resumed(recorded, "--patience", "9")
    assert resumed(recorded, "--time-budget", "9s")[0].time_budget_s == 9


@pytest.mark.parametrize(
    "argv", ["--time-budget 5s", "--device-hours 1", "--patience 9", "--data /own/images", "--cache-dir /cache"]
)
def test_a_study_of_reported_configurations_is_given_nothing_later_that_goes_not_with_them(argv):
    recorded = resolve.settings_of(command_line.parse(["--reported", "cifar_cnn/A", "--name", "night"]).given)
    with pytest.raises(UsageError) as refused:
        resumed(recorded, *argv.split())
    option = argv.split()[0]
    assert str(refused.value) == f"--resume night: {option} does not go with --reported, which the study has"
    assert resumed(recorded, "--data", recorded.data, "--retries", "5")[0].retries == 5


def test_reported_configurations_bring_their_space_and_their_own_epochs():
    chosen = resolve.settings_of(command_line.parse(["--reported", "flowers/final"]).given)
    assert (chosen.space, chosen.reported, chosen.trials, chosen.epochs) == (
        "flowers_classifier",
        "flowers/final",
        0,
        40,
    )
    capped = resolve.settings_of(command_line.parse(["--reported", "cifar_cnn/*", "--epochs", "3"]).given)
    assert (capped.space, capped.epochs) == ("cifar_classifier", 3)


def test_a_glob_of_two_spaces_is_settled_by_the_space():
    chosen = resolve.settings_of(command_line.parse(["--reported", "fashion/*", "--space", "fashion_classifier"]).given)
    keys = selected(chosen.reported, chosen.space)
    assert set(keys) == {"fashion/classifier_finetuned", "fashion/classifier_frozen"}


def test_a_study_of_reported_configurations_has_no_trials_to_add():
    recorded = resolve.settings_of(command_line.parse(["--reported", "cifar_cnn/A", "--name", "night"]).given)
    assert resumed(recorded) == (recorded, {})
    with pytest.raises(UsageError, match="--trials does not go with --reported"):
        resumed(recorded, "--trials", "9")


def test_list_names_every_space_with_its_size_and_metric(capsys):
    assert main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(search_spaces.names())
    assert max(map(len, lines)) <= 80
    (line,) = [line for line in lines if line.startswith("cifar_ae")]
    assert line.split() == ["cifar_ae", "CIFAR-10", "ae", "3×32×32", "val_mse", "64×30"]


@pytest.mark.parametrize("limit", ["--max-params=100000", "--constraint=params<=100000"])
def test_a_dry_run_builds_the_default_first_and_says_what_would_be_refused(capsys, empty_folder, limit):
    assert main(["--space", "cifar_ae", "--dry-run", limit]) == 0
    lines = capsys.readouterr().out.splitlines()
    heads = [line for line in lines if not line.startswith(" ")]
    assert heads[0].startswith("default")
    assert heads[1].split() == ["cifar_ae/1+1", "3,420,367", "parameters", "refused"]
    assert max(map(len, lines)) <= 80
    assert " latent_size=108, " in "".join(lines)
    assert list(empty_folder.iterdir()) == []


@pytest.mark.parametrize("doing", [["--dry-run"], []])
def test_a_code_of_more_numbers_than_an_image_is_warned_of(capsys, empty_folder, monkeypatch, doing):
    def refuse(*_, **__):
        raise UsageError("far enough")

    monkeypatch.setattr(dry_run, "_drawn", refuse)
    monkeypatch.setattr(inputs, "encoder_of", refuse)
    monkeypatch.setattr(inputs, "ray_joined", lambda *_: nullcontext())
    assert main(["--space", "digits_ae", "--latent-size", "64", *doing]) == 2
    assert capsys.readouterr().err == "study: far enough\n"
    assert main(["--space", "digits_ae", "--latent-size", "65", *doing]) == 2
    words = " ".join(capsys.readouterr().err.split())
    assert words.startswith("study: --latent-size 65 is more than the 64 numbers of an image: nothing is compressed, ")


def test_a_dry_run_is_of_a_study_that_is_to_be_begun(capsys, empty_folder):
    assert main(["--resume", "night", "--dry-run"]) == 2
    assert "--dry-run is of a study that is to be begun" in capsys.readouterr().err


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_a_name_that_a_study_has_is_refused_before_anything_is_loaded(capsys, empty_folder, monkeypatch, more):
    from study.data import image_data

    monkeypatch.setattr(image_data, "of_settings", lambda *_, **__: pytest.fail("the data were loaded"))
    journal = empty_folder / "results" / "night" / "journal.jsonl"
    journal.parent.mkdir(parents=True)
    journal.write_text("{}\n")
    assert main(["--space", "digits_ae", "--name", "night", *more]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("study: --name 'night' exists in ")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("text", ["90", "0.5", "2 hours", "h", "0s"])
def test_a_time_budget_wants_a_unit(capsys, empty_folder, text):
    assert main(["--space", "digits_ae", "--time-budget", text]) == 2
    expected = f"study: --time-budget {text!r} cannot be read; give a time such as 90s, 30m, 2h or 1d\n"
    assert capsys.readouterr().err == expected


def written(folder, text):
    file = folder / "settings.yaml"
    file.write_text(text)
    return str(file)


def test_a_file_of_settings_is_read_by_option_names_and_the_command_line_wins(empty_folder):
    file = written(
        empty_folder,
        "space: digits_vae\ntrials: 7\ntime-budget: 2h\nmax_params: 5000\nobjective: [val_nelbo, params]\n"
        "confirm: 1x2\ncpus-per-trial: 0.5\nfuse: on\nsmoke: true\ngpus-per-trial: auto\nname: null\n",
    )
    chosen = resolve.settings_of(command_line.parse(["--config", file, "--trials", "3", "--no-smoke"]).given)
    assert (chosen.space, chosen.trials, chosen.time_budget_s, chosen.max_params) == ("digits_vae", 3, 7200, 5000)
    assert (chosen.objectives, chosen.confirm_top, chosen.confirm_seeds) == (("val_nelbo", "params"), 1, 2)
    assert (chosen.cpus_per_trial, chosen.fuse, chosen.smoke, chosen.gpus_per_trial) == (0.5, "on", False, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("trails: 3", "setting 'trails' is not known (did you mean trials?)"),
        ("trials: 0", "--trials '0' is not allowed; give a whole number of at least 1"),
        ("trials: 1.5", "--trials '1.5' is not allowed"),
        ("trials: true", "--trials 'on' is not allowed"),
        ("smoke: 2", "--smoke '2' is not allowed; give true or false"),
        ("sampler: tpee", "--sampler 'tpee' is not known (did you mean tpe?)"),
        ("space: cifar_ea", "--space 'cifar_ea' is not known (did you mean cifar_ae?)"),
        ("resume: night", "setting 'resume' is not known"),
        ("trials", "holds no settings"),
        ("trials: [", "is no YAML"),
    ],
)
def test_an_unusable_file_of_settings_is_one_line(text, expected, empty_folder, capsys):
    assert main(["--config", written(empty_folder, text)]) == 2
    err = capsys.readouterr().err
    assert expected in err
    assert err.startswith("study: ")
    assert err.count("\n") == 1


def test_a_missing_file_of_settings_is_one_line(empty_folder, capsys):
    assert main(["--config", "none.yaml"]) == 2
    assert capsys.readouterr().err == "study: --config 'none.yaml' cannot be read: No such file or directory\n"


EVERY_OPTION = {
    "stall": "300s",
    "val-size": 50,
    "smoke": True,
    "name": "night",
    "seed": 5,
    "storage": "/r",
    "tracking-uri": "http://tracking:5000",
    "trials": 8,
    "epochs": 9,
    "time-budget": "5400s",
    "device-hours": 1.5,
    "constraint": "params<=1000000,lr>=0.001",
    "max-params": 123456789,
    "sampler": "nsga2",
    "scheduler": "none",
    "objective": "val_accuracy,params",
    "confirm": "2x4",
    "report-seeds": 5,
    "confirm-reported": True,
    "encoder-from": "day",
    "warm-start": "day,evening",
    "note": "I think\nthat depth: costs",
    "register": True,
    "notify": "echo {name} {status}",
    "data": "/pictures",
    "data-dir": "/d",
    "cache-dir": "/c",
    "labels": "/pictures/labels.csv",
    "value-range": "0,4095",
    "image-size": 16,
    "train-size": 100,
    "address": "auto",
    "cpus-per-trial": 0.5,
    "gpus-per-trial": 0.125,
    "max-concurrent": 3,
    "precision": "bfloat16",
    "compile": True,
    "retries": 0,
    "fuse": "off",
}


def test_what_print_config_prints_means_the_same_settings(empty_folder, capsys):
    import yaml

    assert set(EVERY_OPTION) == set(options()) - {
        *("space", "reported", "as-reported", "latent-size", "patience"),
        *("max-cost", "prices"),  # which needs a file: test_cost.py
    }
    words = [
        word
        for name, value in EVERY_OPTION.items()
        for word in ([f"--{name}"] if value is True else [f"--{name}", str(value)])
    ]
    asked = ["--space", "digits_classifier", *words]
    assert main([*asked, "--print-config"]) == 0
    printed = capsys.readouterr().out
    assert yaml.safe_load(printed) == {"space": "digits_classifier", **EVERY_OPTION}
    again = command_line.parse(["--config", written(empty_folder, printed)]).given
    assert resolve.settings_of(again) == resolve.settings_of(command_line.parse(asked).given)


def test_print_config_of_defaults_leaves_out_the_name_which_has_the_date(empty_folder, capsys):
    assert main(["--space", "digits_ae", "--print-config"]) == 0
    printed = capsys.readouterr().out
    assert "name:" not in printed
    again = resolve.settings_of(command_line.parse(["--config", written(empty_folder, printed), "--name", "x"]).given)
    assert again == settings("--name", "x")


@pytest.mark.parametrize(
    "argv",
    [
        ["--space", "digits_vae", "--objective", "val_ratio_to_pca", "--time-budget", "20h"],
        ["--space", "digits_ae", "--objective", "val_mse,params", "--sampler", "nsga2", "--confirm", "0"],
        ["--reported", "cifar_cnn/*", "--epochs", "3", "--confirm", "1x3", "--as-reported"],
        ["--space", "digits_ae", "--smoke", "--compile", "--cpus-per-trial", "2"],
        ["--space", "mnist_vae", "--latent-size", "20"],
    ],
)
def test_the_words_that_repeat_a_study_mean_its_settings(argv, empty_folder):
    chosen = resolve.settings_of(command_line.parse([*argv, "--name", "night", "--address", "auto"]).given)
    words = repeat_words(json.loads(json.dumps(chosen.to_json())))
    assert not {"--name", "--address", "--storage", "--data-dir", "--tracking-uri"} & set(words)
    again = resolve.settings_of(command_line.parse([*words, "--name", "night", "--address", "auto"]).given)
    assert again == chosen


def test_a_journal_of_an_earlier_version_is_read_with_defaults_for_what_it_lacks():
    recorded = settings("--name", "night").to_json()
    later = {"reported", "as_reported", "encoder_from", "retries", "fuse", "precision", "compile"}
    earlier = {key: value for key, value in recorded.items() if key not in later} | {"prune": 3}
    assert Settings.from_json(earlier) == Settings.from_json(recorded)


def test_every_field_has_an_option_and_every_default_is_in_the_help(capsys):
    fields = [field for option in options().values() for field in option.fields]
    assert sorted(fields) == sorted(Settings.__dataclass_fields__)
    with pytest.raises(SystemExit):
        main(["--help"])
    printed = " ".join(capsys.readouterr().out.split())
    for name, option in options().items():
        assert f"--{name}" in printed
        assert option.default is None or f"(default: {option.default})" in printed
    assert printed.count("--space cifar_ae") == 1
    assert printed.count("study/run.py --") == 3


def write_journal(recorded, storage):
    """A study that has begun, of which nothing but its settings is known."""
    from study.record.events import StudyStarted
    from study.record.journal import Journal, Recorder
    from study.record.state import StudyState

    (storage / recorded.name).mkdir(parents=True)
    journal = Journal(storage / recorded.name / "journal.jsonl")
    Recorder(journal, StudyState()).record(
        StudyStarted(
            settings=recorded.to_json(), objective={}, searched={}, data={}, encoder=None, environment={}, gpu=None
        )
    )
    journal.close()


def test_resume_prints_the_settings_that_it_would_go_on_with(empty_folder, capsys):
    write_journal(settings("--name", "night", "--trials", "4"), empty_folder / "results")
    assert main(["--resume", "night", "--trials", "6", "--print-config"]) == 0
    printed = capsys.readouterr().out
    assert "name: night\n" in printed
    assert "trials: 6\n" in printed


def test_a_resume_that_is_interrupted_before_it_goes_on_says_how_to_go_on(empty_folder, capsys, monkeypatch):
    write_journal(settings("--name", "night", "--trials", "4"), empty_folder / "results")
    monkeypatch.setattr(inputs, "load", lambda settings: signal.raise_signal(signal.SIGTERM))
    assert main(["--resume", "night"]) == 130
    assert capsys.readouterr().err == f"study: interrupted; go on with: {hint('resume', 'night')}\n"


def test_or_resume_begins_a_study_and_goes_on_with_one_that_exists(empty_folder, capsys, monkeypatch):
    from study.driver import launch

    begun = []
    monkeypatch.setattr(launch, "start", lambda settings, trust: begun.append(("start", settings.name)) or 0)
    monkeypatch.setattr(launch, "resume", lambda name, storage, *_, **__: begun.append((name, storage)) or 0)
    words = ["--space", "digits_ae", "--trials", "4", "--name", "night", "--storage", "here", "--or-resume"]
    (empty_folder / "here" / "night").mkdir(parents=True)  # of a driver that died before its first line
    assert main(words) == 0
    write_journal(settings("--name", "day", "--trials", "4"), empty_folder / "here")
    assert main([*words, "--name", "day"]) == 0
    assert begun == [("start", "night"), ("day", empty_folder / "here")]
    assert main([*words, "--name", "day", "--seed", "3", "--print-config"]) == 2
    assert capsys.readouterr().err == "study: --resume day: --seed differs (3); the study's is 0\n"


def test_study_names_its_commands_and_passes_their_words_on(capsys, empty_folder):
    from study.__main__ import main as study

    assert study([]) == study(["--help"]) == 0
    assert "leaderboard" in capsys.readouterr().out
    assert study(["lits"]) == 2
    assert capsys.readouterr().err.startswith("study: command 'lits' is not known (did you mean list?)")
    assert study(["list"]) == 0
    assert "cifar_ae" in capsys.readouterr().out
    assert study(["resume", "nihgt"]) == 2
    assert "--resume 'nihgt': there is no study in" in capsys.readouterr().err
    for words in ([], ["--storage", "results"]):
        assert study(["resume", *words]) == 2
        assert capsys.readouterr().err == "study: NAME is missing: the study's name, before any option\n"
    assert study(["run", "--space", "digits_ae", "--trials", "0"]) == 2


def test_the_help_of_a_resume_is_that_of_a_run(capsys):
    from study.__main__ import main as study

    with pytest.raises(SystemExit, match=r"^0$"):
        study(["resume", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "for which some are trained for a few batches" in said
    assert "a folder of images, or a .npy or .npz file of them" in said


def test_hints_are_commands_as_this_process_was_started(monkeypatch):
    from study.record import commands

    monkeypatch.chdir(commands._ROOT)
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    monkeypatch.setattr("sys.executable", "/bin/python")
    started = {
        "/bin/study": ("study report night", "study resume night"),
        "/elsewhere/study": ("/elsewhere/study report night", "/elsewhere/study resume night"),
        f"{commands._ROOT}/study/__main__.py": ("python -m study report night", "python -m study resume night"),
        "study/run.py": ("python analysis/report.py night", "python study/run.py --resume night"),
    }
    for program, hints in started.items():
        monkeypatch.setattr("sys.argv", [program])
        assert (commands.hint("report", "night"), commands.hint("resume", "night")) == hints
    described = commands.parser("report", "python study/run.py x").format_help()
    assert described.startswith("usage: analysis/report.py ")
    assert commands.storage_words(commands._ROOT / "results") == []
    assert commands.storage_words(commands._ROOT / "results" / "old") == ["--storage", "results/old"]


def test_every_command_is_a_module_with_a_main():
    import importlib.util

    from study.__main__ import _VERBS
    from study.record.commands import SCRIPTS

    assert set(_VERBS) == {*SCRIPTS, "resume", "list"}
    for script in SCRIPTS.values():
        spec = importlib.util.find_spec(script.removesuffix(".py").replace("/", "."))
        assert "\ndef main(argv" in spec.loader.get_source(spec.name)
