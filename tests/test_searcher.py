import math
import os
from collections import Counter

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from ray.tune.search import Searcher

import search_spaces
from search_spaces import Context
from study.cluster.resources import Limits
from study.record import journal
from study.record.errors import StudyError
from study.record.events import EpochEnded, RunEnded, RunStarted, StudyStarted
from study.record.journal import Journal, Recorder, read_state
from study.search.job_list import JobList
from study.search.sampling import sampler_for_trial
from study.search.searcher import SearchPlan, StudySearcher
from study.settings.algorithms import MULTI_OBJECTIVE_SAMPLERS, SAMPLERS, Sampler
from study.worker.job import Job, Report, StepResult, ending, job_of, jobs_of, tune_result

SPACE = search_spaces.get("digits_ae")
CIFAR = search_spaces.get("cifar_ae")


class Driver:
    """Plays Tune: asks the searcher, invents the results, and keeps the journal as the real driver does."""

    def __init__(self, folder, *, space=SPACE, reported=True, never=lambda: None, **changes):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        path = folder / "journal.jsonl"
        begun = path.exists()
        self.recorder = Recorder(Journal(path), read_state(path))
        if not begun:
            self.recorder.record(StudyStarted(settings={}))
        settings = {
            "objectives": ("val_mse",), "sampler": "tpe", "seed": 3, "trials": 12, "epochs": 4,
            "limits": Limits(changes.pop("max_params", 10**9), 2**36),
        } | changes  # fmt: skip
        self.plan = plan = SearchPlan(space=space, context=Context(space.image_shape, 10, reported), **settings)
        self.searcher = StudySearcher(plan, self.recorder, folder / "optuna.log", never)
        self.asked = 0

    @property
    def state(self):
        return self.recorder.state

    def ask(self):
        """Return (Tune's trial id, our job), or FINISHED."""
        self.asked += 1
        config = self.searcher.suggest(f"tune{self.asked}")
        return config if config == Searcher.FINISHED else (f"tune{self.asked}", job_of(config))

    def report(self, tune_id, job, epoch, value=None, last=False):
        value = error_of(job, epoch) if value is None else value
        metrics = {"val_mse": value, "seconds": 0.1}
        self.recorder.record(EpochEnded(id=job.id, epoch=epoch, metrics=metrics))
        report = Report(epoch, metrics, sizes=self.state.runs[job.id].sizes)
        tell = self.searcher.on_trial_complete if last else self.searcher.on_trial_result
        tell(tune_id, self.result(job, report))
        if last:
            status, reason = ending(report, job.epochs)
            self.recorder.record(RunEnded(id=job.id, status=status, reason=reason, final={}))

    def fail(self, tune_id, job, report):
        result = self.result(job, report) if report else None
        self.searcher.on_trial_complete(tune_id, result, error=report is None)
        reason, by_machine = (report.failed, report.by_machine) if report else ("the worker died", True)
        self.recorder.record(RunEnded(id=job.id, status="failed", reason=reason, final={}, by_machine=by_machine))

    def result(self, job, report):
        return tune_result(StepResult({job.id: report}), self.plan.objectives)

    def run(self, epochs=4):
        tune_id, job = self.ask()
        for epoch in range(1, epochs + 1):
            self.report(tune_id, job, epoch, last=epoch == epochs)
        return job

    def optuna_trials(self):
        storage = JournalStorage(JournalFileBackend(str(self.folder / "optuna.log")))
        return optuna.load_study(study_name=self.folder.name, storage=storage).trials


def error_of(job, epoch):
    """A made-up validation error that depends on the config, so that a model-based sampler has something to model."""
    return abs(math.log(job.config["lr"]) + 6) / 10 + 1 / job.config["latent_size"] + 1 / epoch


def test_the_default_and_the_reported_networks_come_first(tmp_path):
    driver = Driver(tmp_path / "s", space=CIFAR, trials=20)
    points = {point.key: point.config for point in CIFAR.points(Context(CIFAR.image_shape, 10))}
    keys = []
    for _ in range(len(points) + 1):
        _, job = driver.ask()
        keys.append(driver.state.runs[job.id].key)
    assert keys == [*points, None]
    assert keys[:2] == ["default", "cifar_ae/1+1"]
    assert all(driver.state.trials[index].config == points[key] for index, key in enumerate(keys[:-1]))


def test_the_number_of_trials_is_exact_and_then_it_is_finished(tmp_path):
    driver = Driver(tmp_path / "s", trials=5)
    jobs = [driver.run() for _ in range(5)]
    assert driver.ask() == Searcher.FINISHED
    assert [job.id for job in jobs] == ["t0000", "t0001", "t0002", "t0003", "t0004"]
    assert len({job.seed for job in jobs}) == 5


def test_nothing_starts_after_the_budget_is_spent(tmp_path):
    assert Driver(tmp_path / "s", never=lambda: "time budget").ask() == Searcher.FINISHED


def test_optuna_is_told_the_truth(tmp_path):
    driver = Driver(tmp_path / "s")
    driver.run(epochs=4)  # the whole budget
    driver.run(epochs=2)  # stopped by the scheduler
    tune_id, job = driver.ask()  # failed in its second epoch
    driver.report(tune_id, job, 1)
    driver.fail(tune_id, job, Report(1, done=True, failed="NonFiniteLossError"))
    tune_id, job = driver.ask()  # in its first
    driver.fail(tune_id, job, Report(0, done=True, failed="NonFiniteLossError"))
    tune_id, job = driver.ask()  # there was no memory left
    driver.fail(tune_id, job, Report(0, done=True, failed="out of memory", by_machine=True))
    tune_id, job = driver.ask()  # its worker died
    driver.fail(tune_id, job, None)
    again = Driver(tmp_path / "s")  # from the journal
    for trials in (driver.optuna_trials(), again.optuna_trials()):
        assert [trial.state.name for trial in trials] == ["COMPLETE", "PRUNED", "PRUNED", "PRUNED", "FAIL", "FAIL"]
        assert trials[0].value == trials[0].intermediate_values[4]
        assert sorted(trials[1].intermediate_values) == [1, 2]
        assert sorted(trials[2].intermediate_values) == [1, 2]
        assert math.isnan(trials[2].intermediate_values[2])
        assert sorted(trials[3].intermediate_values) == [1]
        assert math.isnan(trials[3].intermediate_values[1])
        assert trials[2].value is None
        assert trials[4].intermediate_values == {}


def test_networks_that_are_too_large_are_refused_before_they_are_trials(tmp_path):
    driver = Driver(tmp_path / "s", space=CIFAR, max_params=500_000, trials=6)
    jobs = [driver.run() for _ in range(6)]
    refused = driver.state.refused
    assert [event.key for event in refused[:3]] == ["default", "cifar_ae/1+1", "cifar_ae/1+2"]
    assert "3,420,367 parameters, more than --max-params 500,000" in [event.reason for event in refused]
    assert all(driver.state.runs[job.id].params <= 500_000 for job in jobs)
    states = Counter(trial.state for trial in driver.optuna_trials())
    assert states[TrialState.FAIL] == len(refused)
    assert states[TrialState.COMPLETE] == 6


def test_a_sampler_that_insists_on_large_networks_is_overruled(tmp_path, monkeypatch):
    class Insisting(optuna.samplers.RandomSampler):
        """Asks for the largest dense network whatever it is told."""

        def sample_independent(self, study, trial, name, distribution):
            if isinstance(distribution, optuna.distributions.CategoricalDistribution):
                return "dense" if "dense" in distribution.choices else distribution.choices[0]
            return distribution.high

    def insisting(name, seed, number, given=0):
        return Insisting(number) if name == "tpe" else sampler_for_trial(name, seed, number, given)

    monkeypatch.setattr("study.search.searcher.sampler_for_trial", insisting)
    driver = Driver(tmp_path / "s", space=CIFAR, max_params=2_000_000, trials=8)
    jobs = [driver.run() for _ in range(8)]
    assert driver.state.trials[-1].key is None  # the reported networks that are small enough came first
    assert len(jobs) == 8
    assert len(driver.state.refused) >= 10


def test_a_limit_that_no_network_can_keep_ends_the_study(tmp_path):
    with pytest.raises(
        StudyError, match=r"200 networks in a row were refused, the last one with .* more than --max-params 5"
    ):
        Driver(tmp_path / "s", max_params=5, sampler="random").ask()


@pytest.mark.parametrize("sampler", sorted(MULTI_OBJECTIVE_SAMPLERS))
def test_a_resumed_search_of_several_objectives_draws_what_an_uninterrupted_one_draws(tmp_path, sampler):
    options = {"objectives": ("val_mse", "params"), "sampler": sampler, "trials": 30}
    through = Driver(tmp_path / "through", **options)
    expected = [through.run().config for _ in range(26)]
    first = Driver(tmp_path / "resumed", **options)
    got = [first.run().config for _ in range(23)]
    second = Driver(tmp_path / "resumed", **options)
    assert got + [second.run().config for _ in range(3)] == expected


def test_a_search_for_the_smallest_network_goes_on(tmp_path):
    first = Driver(tmp_path / "s", objectives=("params",))
    first.run()
    tune_id, job = first.ask()
    first.report(tune_id, job, 1)
    second = Driver(tmp_path / "s", objectives=("params",))
    tune_id, again = second.ask()
    for epoch in (2, 3, 4):
        second.report(tune_id, again, epoch, last=epoch == 4)
    assert [trial.value for trial in second.optuna_trials()] == [run.params for run in second.state.trials]


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_a_resumed_search_draws_what_an_uninterrupted_one_draws(tmp_path, sampler):
    through = Driver(tmp_path / "through", sampler=sampler)
    expected = [through.run().config for _ in range(12)]
    first = Driver(tmp_path / "resumed", sampler=sampler)
    got = [first.run().config for _ in range(7)]
    second = Driver(tmp_path / "resumed", sampler=sampler)  # the driver was killed and reads the journal
    got += [second.run().config for _ in range(5)]
    assert got == expected
    assert [trial.params for trial in second.optuna_trials()] == [trial.params for trial in through.optuna_trials()]


def test_an_unfinished_trial_goes_on_first_and_is_counted_once(tmp_path):
    first = Driver(tmp_path / "s", trials=4)
    first.run()
    tune_id, job = first.ask()
    first.report(tune_id, job, 1)
    second = Driver(tmp_path / "s", trials=4)
    tune_id, again = second.ask()
    assert (again.id, again.config, again.seed) == (job.id, job.config, job.seed)
    for epoch in (1, 2, 3, 4):  # the checkpoint's epoch is reported once more
        second.report(tune_id, again, epoch, last=epoch == 4)
    assert [epoch["epoch"] for epoch in second.state.runs[job.id].epochs] == [1, 2, 3, 4]
    second.run()
    second.run()
    assert second.ask() == Searcher.FINISHED
    assert [trial.state.name for trial in second.optuna_trials()] == ["COMPLETE"] * 4


def test_an_unfinished_trial_goes_on_to_its_next_result_where_the_budget_is_spent(tmp_path):
    first = Driver(tmp_path / "s", trials=4)
    tune_id, job = first.ask()
    first.report(tune_id, job, 1)
    second = Driver(tmp_path / "s", trials=4, never=lambda: "time budget")
    tune_id, again = second.ask()
    assert again.id == job.id
    assert second.ask() == Searcher.FINISHED


def test_several_objectives_give_optuna_their_values(tmp_path):
    driver = Driver(tmp_path / "s", objectives=("val_mse", "params"), sampler="nsga2", trials=3)
    for _ in range(3):
        driver.run()
    assert all(len(trial.values) == 2 for trial in driver.optuna_trials())


def test_a_trial_of_several_objectives_that_was_stopped_has_the_values_that_it_had_then(tmp_path):
    driver = Driver(tmp_path / "s", objectives=("val_mse", "latent_size"), sampler="nsga2")
    job = driver.run(epochs=2)
    again = Driver(tmp_path / "s", objectives=("val_mse", "latent_size"), sampler="nsga2")  # from the journal
    for trials in (driver.optuna_trials(), again.optuna_trials()):
        assert [trial.state.name for trial in trials] == ["COMPLETE"]
        assert trials[0].values == [error_of(job, 2), job.config["latent_size"]]


@pytest.mark.parametrize("name", sorted(SAMPLERS))
def test_every_sampler_is_repeatable_by_seed_and_number(name):
    def draw(seed, number):
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(sampler=sampler_for_trial(name, seed, number))
        return study.ask({"x": optuna.distributions.FloatDistribution(0, 1)}).params["x"]

    assert draw(1, 2) == draw(1, 2)
    assert len({draw(1, 2), draw(1, 3), draw(2, 2)}) == 3


@pytest.mark.parametrize("name", ["QMCSampler", "optuna.samplers:QMCSampler"])
def test_a_sampler_is_added_by_one_line(name, monkeypatch):
    monkeypatch.setitem(SAMPLERS, "qmc", Sampler("quasi-random", name, {"scramble": True}))
    assert isinstance(sampler_for_trial("qmc", 0, 1), optuna.samplers.QMCSampler)


@pytest.mark.parametrize("name", ["tpe", "gp"])
def test_the_random_start_of_a_sampler_that_models_follows_the_given_configurations(tmp_path, name):
    """With nine given ones, trials 9 to 18 are what the random sampler would draw, and the later ones are not."""
    driver, random = (Driver(tmp_path / of, space=CIFAR, sampler=of, trials=21) for of in (name, "random"))
    pairs = [(driver.run().config, random.run().config) for _ in range(21)]
    assert [run.key is not None for run in driver.state.trials] == [True] * 9 + [False] * 12
    assert [one == other for one, other in pairs] == [True] * 19 + [False] * 2


@pytest.mark.parametrize("directions", [["minimize"], ["minimize", "minimize"]], ids=["one", "several"])
def test_tpe_models_parameters_together_whatever_optunas_default(directions):
    sampler = sampler_for_trial("tpe", 0, 30)
    study = optuna.create_study(sampler=sampler, directions=directions)
    x = {"x": optuna.distributions.FloatDistribution(0, 1)}
    for n in range(20):
        study.add_trial(optuna.create_trial(params={"x": n / 20}, distributions=x, values=[n] * len(directions)))
    assert sampler.infer_relative_search_space(study, study.trials[0]) == x  # empty if each is drawn by itself


def test_the_journal_has_all_that_a_search_is_made_of(tmp_path):
    driver = Driver(tmp_path / "s", trials=2)
    driver.run()
    event = next(event for event in journal.read(tmp_path / "s" / "journal.jsonl") if isinstance(event, RunStarted))
    assert {"number", "params", "distributions", "system_attrs"} == event.optuna.keys()


def test_a_job_list_gives_its_jobs_in_order_and_says_when_one_begins():
    begun = []
    jobs = [Job(f"t0000-s{number}", {}, number, 1, test=True) for number in (1, 2)]
    searcher = JobList([(job,) for job in jobs], lambda job: begun.append(job.id), "val_mse")
    assert job_of(searcher.suggest("a")) == jobs[0]
    assert begun == ["t0000-s1"]
    assert job_of(searcher.suggest("b")) == jobs[1]
    assert searcher.suggest("c") == Searcher.FINISHED


def declined(reason, too_large=False):
    return tune_result(StepResult(declined=reason, too_large=too_large), ("val_mse",))


def replicates(count):
    return tuple(Job(f"t0000-s{number}", {}, number, 1, test=True) for number in range(1, count + 1))


def test_a_group_that_is_declined_comes_back_job_by_job_and_nothing_is_finished_before():
    searcher = JobList([replicates(3)], lambda job: None, "val_mse")
    assert jobs_of(searcher.suggest("a")) == list(replicates(3))
    assert searcher.suggest("b") is None  # it may come back
    searcher.on_trial_complete("a", declined("not faster"))
    assert [job_of(searcher.suggest(name)).id for name in "cde"] == ["t0000-s1", "t0000-s2", "t0000-s3"]
    assert searcher.suggest("f") == Searcher.FINISHED


def test_a_group_that_was_too_large_comes_back_in_halves_until_each_job_is_by_itself():
    searcher = JobList([replicates(3)], lambda job: None, "val_mse")
    sizes, asked = [], 0
    while (config := searcher.suggest(str(asked))) != Searcher.FINISHED:
        if config is not None:
            sizes.append(len(jobs_of(config)))
            searcher.on_trial_complete(str(asked), declined("out of memory", too_large=True))
        asked += 1
    assert sizes == [3, 1, 2, 1, 1]


def test_a_group_that_ends_otherwise_does_not_come_back():
    searcher = JobList([replicates(2)], lambda job: None, "val_mse")
    searcher.suggest("a")
    searcher.on_trial_complete("a", tune_result(StepResult(), ("val_mse",)))
    assert searcher.suggest("b") == Searcher.FINISHED


def test_what_others_wrote_into_the_storage_stays_and_times_and_values_are_the_journals(tmp_path):
    first = Driver(tmp_path / "s", trials=5)
    first.run()
    first.run(epochs=2)  # in the middle of which the driver dies
    tune_id, job = first.ask()
    first.report(tune_id, job, 1)
    study = first.searcher._study
    study.set_user_attr("asked by", "me")
    first.searcher._storage.set_study_system_attr(study._study_id, "dashboard:0:note:0", "a good one")
    first.searcher._storage.set_trial_user_attr(2, "look", "here")
    before = first.optuna_trials()
    second = Driver(tmp_path / "s", trials=5)
    assert second.searcher._study.user_attrs == {"asked by": "me"}
    system = second.searcher._storage.get_study_system_attrs(second.searcher._study_id)
    assert system["dashboard:0:note:0"] == "a good one"
    after = second.optuna_trials()
    assert after[2].user_attrs.pop("look") == "here"
    assert [trial.user_attrs for trial in after] == [
        {"id": run.id, "parameters": run.params} | ({"key": run.key} if run.key else {}) for run in second.state.trials
    ]
    del before[2].user_attrs["look"]
    assert [trial.user_attrs for trial in before] == [trial.user_attrs for trial in after]
    assert [trial.values for trial in after] == [trial.values for trial in before]
    runs = second.state.trials
    assert [trial.datetime_start.timestamp() for trial in after] == pytest.approx([run.started for run in runs])
    ended = [trial.datetime_complete and trial.datetime_complete.timestamp() for trial in after]
    assert ended == [run.ended and pytest.approx(run.ended) for run in runs]


def test_what_others_wrote_stays_where_the_folder_was_renamed(tmp_path):
    first = Driver(tmp_path / "s", trials=1)
    first.run()
    first.searcher._study.set_user_attr("asked by", "me")
    (tmp_path / "s").rename(tmp_path / "renamed")
    assert Driver(tmp_path / "renamed", trials=1).searcher._study.user_attrs == {"asked by": "me"}


def test_a_storage_that_cannot_be_read_is_kept_aside(tmp_path):
    Driver(tmp_path / "s", trials=1).run()
    log = tmp_path / "s" / "optuna.log"
    log.write_text("cut off" + log.read_text())
    damaged = log.read_text()
    assert Driver(tmp_path / "s", trials=1).searcher._study.user_attrs == {}
    assert (tmp_path / "s" / "optuna.log.unreadable").read_text() == damaged


def test_a_driver_that_dies_as_it_writes_the_storage_anew_leaves_what_others_wrote(tmp_path, monkeypatch):
    first = Driver(tmp_path / "s", trials=3)
    first.run()
    first.run()
    first.searcher._storage.set_study_system_attr(first.searcher._study_id, "dashboard:0:note:0", "a good one")
    (tmp_path / f"s/.optuna.log.{os.getpid()}.part").write_text("half a line of another who was killed")
    monkeypatch.setattr(StudySearcher, "_frozen", lambda *arguments: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        Driver(tmp_path / "s", trials=3)
    monkeypatch.undo()
    second = Driver(tmp_path / "s", trials=3)
    system = second.searcher._storage.get_study_system_attrs(second.searcher._study_id)
    assert system["dashboard:0:note:0"] == "a good one"
    second.run()
    assert len(second.optuna_trials()) == 3
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == ["journal.jsonl", "optuna.log"]


@pytest.mark.parametrize("content", [b"", b"no journal\n", b'{"op_code": 0, "cut'])
def test_a_storage_that_cannot_be_read_is_written_anew(tmp_path, content):
    Driver(tmp_path / "s", trials=2).run()
    (tmp_path / "s" / "optuna.log").write_bytes(content)
    second = Driver(tmp_path / "s", trials=2)
    second.run()
    assert len(second.optuna_trials()) == 2
