"""What earned the gain: planted objectives without training, whose path and contributions are known."""

import json
import zlib
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

import models
import search_spaces
from search_spaces import Between, Context, drawn
from study.driver.ablation_path import Asked, walk
from study.driver.ablation_runs import AblationRuns
from study.record import ablation
from study.record.ablation import Step, Trained, flattery, flattery_sentence, rows, sentences
from study.record.events import EpochEnded, RunEnded, RunStarted, StudyStarted
from study.record.intervals import Layers, Sample
from study.record.settings import Settings
from study.record.state import StudyState

SPACE = search_spaces.get("digits_ae")
CONTEXT = Context(SPACE.image_shape, 10)
SHARED = {"lr": 1e-3, "batch_size": 16, "activation": "relu", "schedule": "constant", "dropout": 0.1}
"""Of a winner of the default's architecture and optimizer: each a parameter by itself."""
SGD = {"optimizer": "sgd", "momentum": 0.9, "lr": 0.5}
CONV = {"architecture": "conv", "depth": 2, "width": 8, "kernel_size": 3}


def between(space=SPACE, context=CONTEXT, without=(), **winner):
    default = space.points(context)[0]
    config = {key: value for key, value in {**default.config, **winner}.items() if key not in without}
    return Between(space, context, default, space.point("t0001", config, context))


class Planted:
    """An objective of config and seed: the contributions of the winner's values, and noise that seeds bring.

    Args:
        path: The default and the winner.
        gains: What each of the winner's values takes off the error, by the config's key.
        together: What two of its values take off besides where both are there.
        noise: The standard deviation of a config's own noise, and of what all configs have of a seed.
        study: Another noise of the same objective.
    """

    def __init__(self, path, gains, together=None, noise=(0.001, 0.003), study=0):
        self.last, self.gains, self.together = path.last.config, gains, together or {}
        self.noise, self.study, self.evaluated = noise, study, []

    def has(self, config, key):
        return config.get(key) == self.last[key]

    def expected(self, config):
        gained = sum(gain for key, gain in self.gains.items() if self.has(config, key))
        both = sum(gain for keys, gain in self.together.items() if all(self.has(config, key) for key in keys))
        return 1.0 - gained - both

    def __call__(self, config, seed):
        mine = zlib.crc32(json.dumps(config, sort_keys=True).encode())
        own, shared = (np.random.default_rng([self.study, seed, part]).normal() for part in (mine, 0))
        return self.expected(config) + self.noise[0] * own + self.noise[1] * shared


@cache
def params_of(config):
    return models.count_parameters(json.loads(config), CONTEXT.image_shape, CONTEXT.num_classes)


def walked(path, objective, asked=None, fails=lambda config: False, **more):
    """Walk a path, every config of which is evaluated when it is asked for; return its steps and those configs."""
    asked = asked or Asked(5)
    trained, wanted = {}, []

    def measure(config, role):
        key = json.dumps(config, sort_keys=True)
        sample = Sample.of(path.space.metric, trained[key, role], Layers(config["architecture"], params_of(key)))
        return Trained(key, sample)

    steps = walk(path, asked, measure, "min", **more)
    while True:
        try:
            one = next(steps)
        except StopIteration as end:
            return end.value, wanted
        wanted.append(one)
        first = {"choose": 0, "report": 1000}[one.role]
        for config in one.configs:
            values = {seed: objective(config, seed) for seed in range(first, first + asked.seeds)}
            trained[json.dumps(config, sort_keys=True), one.role] = {} if fails(config) else values


def runs_of(wanted, asked):
    return asked.seeds * sum(len(one.configs) for one in wanted)


GAINS = {"lr": 0.04, "batch_size": 0.02, "activation": 0.01, "schedule": 0.0, "dropout": 0.0}


@pytest.mark.parametrize("path", ["greedy", "ranked"])
def test_the_planted_order_and_contributions_are_found_and_null_parameters_are_not_named(path):
    lies = between(**SHARED)
    steps, _ = walked(lies, Planted(lies, GAINS), Asked(5, path))
    table = rows(steps, "val_mse")
    assert [row["parameter"] for row in table[:3]] == ["lr", "batch_size", "activation"]
    assert {row["parameter"] for row in table[3:5]} == {"schedule", "dropout"}
    for row in table[:-1]:
        assert row["gain"] == pytest.approx(GAINS[row["parameter"]], abs=0.003)
        assert row["told_apart"] == (GAINS[row["parameter"]] > 0)
        assert row["test"] == "paired"
        assert not row["interacts"]
    assert table[-1]["parameter"] == ablation.ALL
    assert table[-1]["gain"] == pytest.approx(sum(row["gain"] for row in table[:-1]))
    assert table[-1]["gain"] == pytest.approx(0.07, abs=0.003)
    said = " ".join(sentences(table, "val_mse"))
    assert all(name in said.split("The other")[0] for name in ("lr", "batch_size", "activation"))
    assert "schedule" not in said
    assert "dropout" not in said
    assert "Of 4 interactions none can be told from noise" in said


def test_intervals_hold_the_planted_contributions_about_as_often_as_they_say():
    """Of 300 intervals at 95 % 285 hold them; fewer than 270, were they right, in less than one of 1,000 tries."""
    lies = between(**SHARED)
    tables = [rows(walked(lies, Planted(lies, GAINS, study=study))[0], "val_mse") for study in range(200, 260)]
    held = [row["gain_low"] <= GAINS[row["parameter"]] <= row["gain_high"] for table in tables for row in table[:-1]]
    assert len(held) == 300
    assert 270 <= sum(held) < 300


def test_what_more_is_better_of_is_gained_by_more():
    lies = between(**SHARED)
    planted = Planted(lies, GAINS)
    steps, _ = walked(lies, planted)

    def turned(one):
        values = {seed: -value for seed, value in one.sample.values.items()}
        return replace(one, sample=replace(one.sample, values=values))

    more = [
        replace(step, before=turned(step.before), after=turned(step.after), alone=step.alone and turned(step.alone))
        for step in steps
    ]
    numbers = ("gain", "gain_low", "gain_high", "interaction", "interaction_low", "interaction_high", "alone")
    for less, other in zip(rows(steps, "val_mse"), rows(more, "val_accuracy"), strict=True):
        for name in numbers:
            assert other[name] == (None if less[name] is None else pytest.approx(less[name]))


def test_a_planted_interaction_is_named_and_no_other():
    lies = between(**SHARED)
    planted = Planted(lies, {"lr": 0.04, "batch_size": 0.02}, {("activation", "schedule"): 0.03})
    steps, _ = walked(lies, planted)
    table = rows(steps, "val_mse")
    [named] = [row for row in table if row["interacts"]]
    assert named["parameter"] in ("activation", "schedule")
    assert named["gain"] == pytest.approx(0.03, abs=0.005)
    assert named["alone"] == pytest.approx(0.0, abs=0.005)
    assert named["interaction_low"] <= 0.03 <= named["interaction_high"]
    said = " ".join(sentences(table, "val_mse"))
    assert f"Interactions: {named['parameter']} gains" in said


def test_a_choice_flatters_and_seeds_that_chose_nothing_do_not():
    lies = between(**SHARED)
    chose, reported = [], []
    for study in range(60):
        planted = Planted(lies, {}, study=study)
        steps, _ = walked(lies, planted, Asked(3))
        first = steps[0]
        before, after = (lies.first.config, lies.config(first.parameters))
        chose.append(np.mean([planted(before, seed) - planted(after, seed) for seed in range(3)]))
        reported.append(rows(steps, "val_mse")[0]["gain"])
    error = np.std(reported, ddof=1) / np.sqrt(len(reported))
    assert np.mean(chose) > 6 * error
    assert abs(np.mean(reported)) < 3 * error


def test_where_nothing_matters_something_is_named_in_few_studies():
    """At most in 5 % where all nulls are true: of 80 studies 4 are expected, and more than 10 in one of 250 tries."""
    lies = between(**SHARED)
    tables = [rows(walked(lies, Planted(lies, {}, study=study), Asked(3))[0], "val_mse") for study in range(100, 180)]
    assert sum(any(row["told_apart"] for row in table[:-1]) for table in tables) <= 10
    assert sum(any(row["interacts"] for row in table) for table in tables) <= 10


def test_nothing_is_said_to_be_earned_by_an_interval_that_holds_0():
    lies = between(**SHARED)
    for study in range(20):
        table = rows(walked(lies, Planted(lies, {"lr": 0.003}, study=study), Asked(3))[0], "val_mse")
        for row in table:
            assert not row["told_apart"] or row["gain_low"] * row["gain_high"] > 0
        if not any(row["told_apart"] for row in table[:-1]):
            assert "No step earned a gain that can be told from noise." in sentences(table, "val_mse")


def test_a_loss_on_the_way_is_said_to_be_one():
    lies = between(**SHARED)
    table = rows(walked(lies, Planted(lies, {"lr": 0.04, "dropout": -0.02}))[0], "val_mse")
    assert table[4]["parameter"] == "dropout"
    assert table[4]["gain"] < 0
    assert any(line.startswith("Lost: dropout -0.0") for line in sentences(table, "val_mse"))


def test_what_only_the_winner_has_comes_with_its_architecture_and_its_optimizer():
    lies = between(**CONV, **SGD, batch_size=16)
    assert set(lies.parameters) == {"architecture", "optimizer", "batch_size"}
    steps, wanted = walked(lies, Planted(lies, {"optimizer": 0.05, "architecture": 0.02}))
    said = {step.parameters: step.change for step in steps}
    assert said["architecture",] == "architecture dense → conv, depth 1 → 2, width 256 → 8, kernel_size – → 3"
    assert said["optimizer",] == "optimizer adam → sgd, momentum – → 0.9, lr 0.003 → 0.5"
    assert [step.parameters for step in steps][:2] == [("optimizer",), ("architecture",)]
    for config in (config for one in wanted for config in one.configs):
        assert SPACE.point("a config", config, CONTEXT).config == config
    assert rows(steps, "val_mse")[1]["test"] == "welch"  # other layers


def test_a_parameter_waits_for_the_one_that_it_depends_on():
    """The default's optimizer has no decoupled weight decay."""
    lies = between(optimizer="adamw", weight_decay=0.1, batch_size=16)
    assert set(lies.moves(())) == {"optimizer", "batch_size"}
    steps, _ = walked(lies, Planted(lies, {"weight_decay": 0.09, "optimizer": 0.01, "batch_size": 0.03}))
    assert [step.parameters for step in steps] == [("batch_size",), ("optimizer",), ("l2",)]
    by_name = {row["parameter"]: row for row in rows(steps, "val_mse")}
    assert by_name["l2"]["alone"] is None
    assert by_name["l2"]["interaction"] is None
    assert by_name["optimizer"]["alone"] is not None


def test_what_only_the_default_has_goes_with_what_it_depends_on():
    lies = between(without=("width", "batch_norm", "activation"), depth=0, lr=1e-3)
    steps, _ = walked(lies, Planted(lies, {"depth": 0.02}))
    assert [step.parameters for step in steps] == [("dense_depth",), ("lr",)]
    assert steps[0].change == "depth 1 → 0, width 256 → –, batch_norm False → –, activation gelu → –"


@pytest.mark.parametrize("name", search_spaces.names())
def test_every_path_of_every_space_leads_from_the_default_to_the_winner_through_configs_of_the_space(name):
    space = search_spaces.get(name)
    context = Context(space.image_shape, len(space.data.class_names))
    default = space.points(context)[0]
    for number, config in enumerate(drawn(space, context, 12, seed=1)):
        lies = Between(space, context, default, space.point("t0001", config, context))
        taken = ()
        while left := lies.left(taken):
            moves = lies.moves(taken)
            for moved in moves.values():
                assert space.point("a config", moved, context).config == moved
            options = sorted(moves)
            taken = (*taken, *((options[number % len(options)],) if moves else left))
        assert lies.config(taken) == lies.last.config
        assert lies.config(()) == default.config


def test_a_config_that_the_study_would_refuse_is_no_step_by_itself():
    lies = replace(between(**SHARED), allowed=lambda config: config["lr"] == 0.003 or config["batch_size"] == 16)
    assert "lr" not in lies.moves(())
    steps, wanted = walked(lies, Planted(lies, {"lr": 0.9}))
    names = [step.parameters for step in steps]
    assert names.index(("batch_size",)) < names.index(("lr",))
    assert all(lies.allowed(config) for one in wanted for config in one.configs)
    never, notes = replace(lies, allowed=lambda config: False), []
    steps, _ = walked(never, Planted(never, {}), note=notes.append)
    assert [set(step.parameters) for step in steps] == [set(lies.parameters)]
    assert notes == ["Step 1 is of 5 parameters together: no config of the space has one of them without the others."]


def test_a_config_of_which_no_seed_completes_is_not_chosen():
    lies = between(**SHARED)
    planted = Planted(lies, GAINS | {"lr": 0.5})
    needs_batches = lambda config: planted.has(config, "lr") and not planted.has(config, "batch_size")  # noqa: E731
    steps, _ = walked(lies, planted, fails=needs_batches)
    assert [step.parameters for step in steps][:2] == [("batch_size",), ("lr",)]
    assert rows(steps, "val_mse")[1]["alone"] is None
    notes = []
    steps, _ = walked(lies, planted, fails=lambda config: config != lies.last.config, note=notes.append)
    assert [len(step.parameters) for step in steps] == [5]
    assert notes == ["Step 1 is of 5 parameters together: no run that would have chosen one of them completed."]
    table = rows(steps, "val_mse")
    assert table[0]["gain"] is None
    assert "unknown, as no seed completed" in " ".join(sentences(table, "val_mse"))


@pytest.mark.parametrize("path", ["greedy", "ranked"])
@pytest.mark.parametrize("most", [None, 27, 30, 45, 60, 75, 1000])
def test_the_runs_are_within_the_limit_and_what_is_left_is_one_step_with_its_gain(path, most):
    lies = between(**SHARED)
    asked = Asked(3, path, most)
    steps, wanted = walked(lies, Planted(lies, GAINS), asked)
    choosing, reporting = replace(asked, most_runs=None).runs_at_most(5)
    assert (choosing, reporting) == ((15, 30) if path == "ranked" else (42, 30))
    assert runs_of(wanted, asked) <= min(most or 1000, choosing + reporting)
    if most is None or most >= choosing + reporting:
        assert runs_of(wanted, asked) == choosing + reporting
    assert sum(len(step.parameters) for step in steps) == 5
    assert all(len(step.parameters) == 1 for step in steps[:-1])
    assert rows(steps, "val_mse")[-1]["gain"] == pytest.approx(0.07, abs=0.005)
    assert asked.least_runs(5) == 27
    assert steps[0].parameters == ("lr",)


def test_a_time_budget_ends_the_choice_and_not_the_reports():
    lies = between(**SHARED)
    asked = []

    def has_time(wanted, reports):
        asked.append((len(wanted.configs), reports))
        return len(asked) < 3

    notes = []
    steps, wanted = walked(lies, Planted(lies, GAINS), has_time=has_time, note=notes.append)
    assert asked == [(5, 4), (4, 6), (3, 8)]
    assert [len(step.parameters) for step in steps] == [1, 1, 3]
    assert wanted[-1].role == "report"
    assert notes == ["Step 3 is of 3 parameters together: --time-budget leaves no time to choose."]


def test_one_parameter_needs_no_choice():
    lies = between(lr=1e-3)
    steps, wanted = walked(lies, Planted(lies, {"lr": 0.04}))
    assert [one.role for one in wanted] == ["report"]
    assert runs_of(wanted, Asked(5)) == sum(Asked(5).runs_at_most(1)) == 10
    assert rows(steps, "val_mse")[0]["told_apart"]


def test_gains_of_fewer_seeds_than_others_are_said_to_be_so():
    """A seed of the winner has failed: what lies clear of 0 is not told from noise for that reason alone."""
    default, on_path, winner = (
        Trained(name, Sample.of("val_mse", values, Layers("dense", 10)))
        for name, values in (
            ("default", {1: 0.0200, 2: 0.0205, 3: 0.0199}),
            ("on path", {1: 0.0100, 2: 0.0104, 3: 0.0098}),
            ("winner", {1: 0.0090, 2: 0.0095}),
        )
    )
    table = rows(
        [Step(("lr",), "0.1", default, on_path), Step(("width",), "64", on_path, winner)],
        "val_mse",
    )
    said = sentences(table, "val_mse")
    assert [row["n"] for row in table] == [3, 2, 2]
    assert "on 2 to 3 seeds that chose no step" in said[0]
    assert any(line.startswith("From the default to the winner: 0.01") and "noise by 2 seeds." in line for line in said)
    assert "Fewer than 3 seeds, as others failed, tell nothing from noise: width." in said


def test_how_far_the_search_flattered_its_winner_is_said_with_its_interval():
    fresh = {1: 0.0100, 2: 0.0101, 3: 0.0102, 4: 0.0101}
    gap = flattery("val_mse", 0.0090, fresh)
    assert gap.mean == pytest.approx(0.0011)
    assert flattery("val_accuracy", 0.0112, fresh).mean == pytest.approx(0.0011)
    said = flattery_sentence("val_mse", "t0007", 0.0090, fresh)
    assert said.startswith(
        "The search saw t0007 at 0.009 by one seed, the confirmation at 0.0101 in the mean of 4 fresh"
    )
    assert "the search's value is better by 0.0011 (0.0008095 to 0.001391)" in said
    assert "is worse by 0.0009" in flattery_sentence("val_mse", "t0007", 0.0110, fresh)
    for found, seeds, why in ((0.01005, fresh, "."), (0.0090, {1: 0.01, 2: 0.0101}, " by fewer than 3 seeds.")):
        assert f"cannot be told from noise{why}" in flattery_sentence("val_mse", "t0007", found, seeds)


SETTINGS = Settings.from_json(
    {
        **{"space": "digits_ae", "name": "night", "objectives": ["val_mse"], "seed": 4, "epochs": 2, "trials": 8},
        **{"tracking_uri": "", "scheduler": "asha", "data": "digits", "data_dir": "none"},
    }
)


class KilledError(Exception):
    """The ablation is killed."""


def ablated(state, lies, objective, asked, runs=10_000):
    """Go through an ablation by its runs, as the session does, with made-up values; killed after so many runs."""
    mine = AblationRuns(state, SETTINGS, lies, ("t0000", "t0001"), asked.seeds)
    path = walk(lies, asked, mine.measured, "min")
    trained = []
    while True:
        try:
            wanted = next(path)
        except StopIteration as end:
            return end.value, trained
        for one in mine.planned(wanted.configs, wanted.role):
            job = one.job
            about = {"confirm_of": one.candidate.id, "role": one.role}
            started = RunStarted(job.id, "confirm", 0, job.config, job.seed, 2, one.candidate.params, None, **about)
            state.apply(started)
            if len(trained) == runs:
                raise KilledError
            assert not job.test
            trained.append(job.id)
            for epoch in (1, 2):
                state.apply(EpochEnded(job.id, epoch, {"val_mse": objective(job.config, job.seed)}))
            state.apply(RunEnded(job.id, "completed", None, {}))


@pytest.mark.parametrize("killed_after", [0, 3, 16, 40])
def test_an_ablation_that_was_killed_goes_on_and_ends_as_one_that_was_not(killed_after):
    lies, asked = between(**SHARED), Asked(3)
    objective = Planted(lies, GAINS)
    whole, trained = ablated(StudyState(), lies, objective, asked)
    assert len(set(trained)) == len(trained) == 72
    state = StudyState()
    state.apply(StudyStarted({}))
    with pytest.raises(KilledError):
        ablated(state, lies, objective, asked, runs=killed_after)
    again, rest = ablated(state, lies, objective, asked)
    assert len(rest) == 72 - killed_after
    assert rows(again, "val_mse") == rows(whole, "val_mse")
    assert ablated(state, lies, objective, asked)[1] == []  # nothing is left


def test_more_seeds_and_another_path_train_only_what_is_new():
    lies, state = between(**SHARED), StudyState()
    objective = Planted(lies, {"lr": 0.05, "batch_size": 0.04, "activation": 0.03, "schedule": 0.02, "dropout": 0.01})
    ablated(state, lies, objective, Asked(3))
    steps, new = ablated(state, lies, objective, Asked(3, "ranked"))
    assert new == []  # the planted gains add up: it is the same path
    steps, new = ablated(state, lies, objective, Asked(5))
    assert {name.partition("-")[2] for name in new} == {"c4", "c5", "r4", "r5"}
    assert rows(steps, "val_mse")[0]["n"] == 5
    assert rows(ablated(state, lies, objective, Asked(3))[0], "val_mse")[0]["n"] == 3


def test_seeds_of_the_two_roles_and_of_the_study_are_others():
    lies = between(**SHARED)
    mine = AblationRuns(StudyState(), SETTINGS, lies, ("t0000", "t0001"), 4)
    seeds = {role: {one.job.seed for one in mine.planned([lies.first.config], role)} for role in ("choose", "report")}
    assert len(seeds["choose"] | seeds["report"]) == 8
    assert [one.job.id for one in mine.planned([lies.first.config, lies.last.config], "report")][:3] == [
        "t0000-r1",
        "t0001-r1",
        "t0000-r2",
    ]


def test_steps_follow_each_other():
    lies = between(**SHARED)
    steps, _ = walked(lies, Planted(lies, GAINS))
    assert all(first.after == second.before for first, second in pairwise(steps))
