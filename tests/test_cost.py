"""What a study costs by a file of prices, and --max-cost, which ends a search by it."""

import json
import subprocess
import sys
from dataclasses import replace

import figure_examples
import pytest
from study_processes import SMALL, environment, run, state_of, summary_of
from test_budget import of_run, settings, tell

from analysis.page import headline
from study.cluster import joining, pricing
from study.cluster.resources import Resources
from study.driver import estimate, launch
from study.driver.reproductions import Machine
from study.driver.summary import summarize, text
from study.record import journal
from study.record.errors import StudyError, UsageError
from study.record.events import EpochEnded, Placed, Pretrained, RunStarted, SearchEnded, SessionStarted, StudyStarted
from study.record.folder import StudyFolder
from study.record.journal import Journal, Recorder
from study.record.prices import Cost, Part, Prices, file_of_prices
from study.record.state import StudyState
from study.search.budget import SearchBudget
from study.search.recording import Placing
from study.settings import command_line, resolve
from study.settings.resolve import space_of

PRICES = Prices("USD", {"worker": 0.8, "L4": 0.6, "gpu": 2.0, "processor": 0.04})
FILE = "currency: USD\nworker: 0.8\nprocessor: 0.04\n"


@pytest.fixture
def priced(tmp_path):
    """Return settings of a study with a file of prices, and further words."""
    file = tmp_path / "prices.yaml"
    file.write_text(FILE)
    return lambda *words: settings("--prices", str(file), *words)


def placed(run_id, **about):
    return Placed(run_id, "host", 7, 0, **about)


ON_WORKER = {"node_type": "worker", "cpus": 1.0, "share": 0.25}
ON_PROCESSOR = {"cpus": 2.0, "share": 0.5}


@pytest.mark.parametrize(
    ("part", "rate"),
    [
        (Part("worker", "L4", 0.5, 2.0, 0.25), 0.2),  # a quarter of the machine, whatever its GPU
        (Part("other", "L4", 0.5, 2.0, 0.25), 0.3),  # half of a GPU of the model
        (Part("", "H100", 2.0, 8.0, 1.0), 4.0),  # two GPUs of any model
        (Part("", "L4", 0.0, 3.0, 0.5), 0.12),  # processors of a machine whose GPU the run has not
        (Part(), None),  # of an earlier version
    ],
)
def test_an_hour_is_priced_by_the_most_particular_line_that_there_is(part, rate):
    assert PRICES.rate(part) == (rate if rate is None else pytest.approx(rate))


def test_what_has_no_price_is_counted_beside_the_amount_and_never_as_nothing():
    only_worker = Prices("EUR", {"worker": 0.8})
    seconds = {Part("worker", "", 0.0, 1.0, 0.5): 1800.0, Part("", "", 0.0, 1.0, 0.5): 600.0, Part(): 120.0}
    found = only_worker.cost(seconds)
    assert found == Cost(pytest.approx(0.2), 720.0)
    assert found.unpriced == "; 12 min of training have no price"
    assert Cost(12.3456, 0.0).unpriced == ""


def test_each_epoch_costs_what_its_machine_does_also_of_a_run_that_moved():
    state = StudyState()
    begun = RunStarted("t0000", "trial", 0, {}, 0, 2, 100, None, pretrain_budget=1)
    tell(state, begun, placed("t0000", **ON_WORKER), Pretrained("t0000", [{"seconds": 100.0}]))
    tell(state, EpochEnded("t0000", 1, {"seconds": 200.0}), placed("t0000", **ON_PROCESSOR))
    tell(state, EpochEnded("t0000", 1, {"seconds": 200.0}), EpochEnded("t0000", 2, {"seconds": 900.0}))
    tell(state, *of_run("again2", "spread", 0.1, seconds=50.0), *of_run("t0000-s1", "confirm", 0.1, seconds=7.0))
    assert state.search_s == {Part(**ON_WORKER): 300.0, Part(**ON_PROCESSOR): 900.0, Part(): 50.0}
    assert state.confirmation_s == {Part(): 7.0}
    expected = 300 * 0.8 * 0.25 / 3600 + 900 * 0.04 * 2 / 3600
    assert PRICES.cost(state.search_s) == Cost(pytest.approx(expected), 50.0)


def test_max_cost_ends_the_search_and_a_later_driver_counts_what_the_journal_says(tmp_path, priced):
    asked = priced("--max-cost", "0.05")
    first = Recorder(Journal(tmp_path / "journal.jsonl"), StudyState())
    first.record(StudyStarted(asked.to_json()))
    budget = SearchBudget(asked, first.state, first.state.search_wall_s, "processor")

    def trial(number, **about):
        begun, *later = of_run(f"t000{number}", "trial", 0.1, seconds=1800.0)
        return [begun, placed(f"t000{number}", cpus=1.0, share=0.5, **about), *later]

    for event in (*trial(0), *trial(1)):
        first.record(event)
    assert budget.spent() is None  # one processor hour: 0.04 of 0.05
    state = StudyState.fold(journal.read(tmp_path / "journal.jsonl"))
    state.apply(SessionStarted({}))
    later = SearchBudget(asked, state, state.search_wall_s, "processor")
    tell(state, *of_run("t0000-s1", "confirm", 0.1, seconds=36_000.0))  # no limit is of confirmation
    assert later.spent() is None
    tell(state, *trial(2))
    assert later.spent() == "cost"
    assert later.ending() == ("cost", "0.06 of 0.05 USD are used up")
    state.apply(SearchEnded(*later.ending()))
    more = "a larger --max-cost, which ended its search, or a larger --report-seeds than 3"
    assert launch._extended_by(asked, state) == more


def test_a_larger_cost_is_more_to_do_by_the_prices_that_the_study_has(tmp_path, priced):
    recorded = json.loads(json.dumps(priced("--max-cost", "1").to_json()))
    (tmp_path / "prices.yaml").unlink()
    given = command_line.parse(["--resume", "night", "--max-cost", "2"]).given
    now, more = resolve.resumed_settings(given, recorded)
    assert (now.max_cost, now.prices) == (2.0, {"currency": "USD", "worker": 0.8, "processor": 0.04})
    assert more == {"max_cost": 2.0}


def test_other_prices_count_for_all_of_the_study_and_are_no_more_to_do(tmp_path, priced):
    recorded = priced("--max-cost", "1").to_json()
    other = tmp_path / "other.yaml"
    other.write_text("currency: EUR\nprocessor: 1\n")
    now, more = resolve.resumed_settings(command_line.parse(["--prices", str(other)]).given, recorded)
    assert (now.prices_file, now.prices, more) == (str(other), {"currency": "EUR", "processor": 1.0}, {})
    state = StudyState()
    state.apply(StudyStarted(recorded))
    state.apply(SessionStarted({}, moved={place: now.to_json()[place] for place in launch._PLACES}))
    assert state.settings["prices"] == now.prices
    with pytest.raises(UsageError, match="--max-cost 1 needs to know what machines cost; give --prices FILE, too"):
        settings("--max-cost", "1")


def test_a_study_of_an_earlier_version_has_no_prices_and_its_epochs_no_machine():
    recorded = settings().to_json()
    for name in ("max_cost", "prices", "prices_file"):
        del recorded[name]
    now, more = resolve.resumed_settings({}, recorded)
    assert (now.max_cost, now.prices, more) == (None, None, {})
    state = StudyState()
    tell(state, RunStarted("t0000", "trial", 0, {}, 0, 1, 100, None), placed("t0000"))
    tell(state, EpochEnded("t0000", 1, {"seconds": 30.0}))
    assert PRICES.cost(state.search_s) == Cost(0.0, 30.0)


def test_the_options_are_written_as_they_are_given(tmp_path, priced):
    asked = priced("--max-cost", "1.5")
    config = tmp_path / "settings.yaml"
    config.write_text(command_line.config_text(asked, named=True))
    again = resolve.settings_of(command_line.parse(["--config", str(config)]).given)
    assert again == asked
    assert again.prices_file == str(tmp_path / "prices.yaml")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("gpu: 2.5", "has no currency; give a word of at most 10 letters, such as 'currency: USD'"),
        ("currency: 3\ngpu: 2.5", "currency 3 is not allowed; give a word of at most 10 letters"),
        ("currency: USD", "has no prices; give a line for each type of node, or for gpu or processor"),
        ("currency: USD\ngpu: cheap", "gpu 'cheap' is not allowed; give money for an hour, a number of at least 0"),
        ("currency: USD\ngpu: -1", "gpu -1 is not allowed"),
        ("currency: USD\ngpu: .inf", "gpu inf is not allowed"),
        ("currency: USD\ngpu: yes", "gpu True is not allowed"),
        ("currency: USD\nworker: {hour: 1}", "worker {'hour': 1} is not allowed"),
        ("- 1", "holds no prices; give lines such as 'currency: USD' and 'gpu: 2.5'"),
        ("currency: [", "is no YAML"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_an_unusable_file_of_prices_is_refused_with_what_is_allowed(content, words, tmp_path):
    file = tmp_path / "prices.yaml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UsageError) as refused:
        settings("--prices", str(file))
    assert str(refused.value).startswith(f"--prices '{file}'")
    assert words in str(refused.value)


def test_a_price_of_nothing_is_one_where_the_file_says_so(tmp_path):
    file = tmp_path / "prices.yaml"
    file.write_text("currency: €\nprocessor: 0\n100: 2\n")
    assert file_of_prices("--prices", str(file)) == (str(file), {"currency": "€", "processor": 0.0, "100": 2.0})


def node(name, cpus, gpus=0.0, *, alive=True, **labels):
    named = {f"ray.io/{label.replace('_', '-')}": value for label, value in labels.items()}
    resources = {"CPU": cpus, "GPU": gpus, "memory": 2.0**33}
    about = {"NodeID": name, "NodeManagerHostname": name, "NodeManagerAddress": "10.0.0.1", "Alive": alive}
    return {**about, "Resources": resources, "Labels": named}


@pytest.fixture
def nodes(monkeypatch):
    """Let the joined Ray have these nodes."""

    def set_nodes(*known):
        monkeypatch.setattr(joining, "nodes", lambda alive=True: [one for one in known if one["Alive"] or not alive])
        monkeypatch.setattr(pricing, "growth_of_cluster", lambda: None)

    return set_nodes


def test_a_machine_is_divided_among_the_runs_that_it_takes_at_once(nodes):
    nodes(
        node("a", 8.0, 2.0, node_group="worker", accelerator_type="L4", market_type="spot"),
        node("gone", 3.0, alive=False),
    )
    part_of = pricing.parts(Resources(2.0, 0.25, 4, 2**30, 8.0))
    assert part_of("a") == Part("worker", "L4", 0.25, 2.0, 1 / 4)  # by its processors
    assert pricing.parts(Resources(1.0, 0.0, 4, 2**30, 8.0))("gone") == Part("", "", 0.0, 1.0, 1 / 3)


def test_a_node_of_ray_says_its_type_as_the_autoscaler_tells_it(tmp_path):
    script = tmp_path / "node.py"
    script.write_text(
        "from study.cluster import joining, pricing\n"
        "from study.cluster.resources import Resources\n"
        "with joining.joined(None):\n"
        "    (node,) = joining.nodes()\n"
        "    part = pricing.parts(Resources(1.0, 0.0, 1, 2**30, 1.0))(node['NodeID'])\n"
        "    print(part.node_type, part.share * node['Resources']['CPU'])\n"
    )
    env = environment() | {"PYTHONPATH": str(joining.ROOT), "RAY_NODE_TYPE_NAME": "worker"}
    command = [sys.executable, str(script)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.split() == ["worker", "1.0"], done.stdout + done.stderr


def test_a_study_is_not_begun_where_a_machine_has_no_price(nodes, priced):
    divided = Resources(1.0, 0.5, 4, 2**30, 8.0)
    nodes(node("head", 0.0), node("a", 4.0, 1.0, node_group="worker"))
    assert pricing.check(priced(), divided) == []  # the head takes no runs
    assert pricing.check(settings(), divided) == []  # nobody asked what it costs
    nodes(node("a", 4.0, 1.0, node_group="worker"), node("b", 4.0, 1.0, node_group="large", accelerator_type="A100"))
    with pytest.raises(UsageError) as refused:
        pricing.check(priced(), divided)
    said = "b (10.0.0.1) has no price; a line for one of large, A100, gpu gives it one (the file has worker, processor)"
    assert str(refused.value).startswith("--prices '/")
    assert str(refused.value).endswith(f"prices.yaml': {said}")


def test_a_type_that_the_autoscaler_may_bring_without_a_price_is_said_beforehand(nodes, priced, monkeypatch):
    from study.cluster.resources import growth_of

    kind = {"max_workers": 2, "resources": {"CPU": 4, "GPU": 1}}
    cluster = {"max_workers": 4, "available_node_types": {"worker": kind, "wrker": kind}}
    nodes(node("head", 0.0))
    monkeypatch.setattr(pricing, "growth_of_cluster", lambda: growth_of(cluster, pricing.machine({"CPU": 0.0})))
    said = pricing.check(priced(), Resources(1.0, 1.0, 4, 2**30, 4.0))
    assert said == ["prices: nodes of the type wrker may come and have none, unless by their GPU's model"]
    assert pricing.check(priced(), Resources(1.0, 0.0, 4, 2**30, 4.0)) == []  # runs of processors, which have one


def test_a_machine_that_comes_without_a_price_ends_a_search_that_max_cost_limits(tmp_path, priced):
    recorder = Recorder(Journal(tmp_path / "journal.jsonl"), StudyState())
    recorder.record(StudyStarted({}))
    for name, kind in (("t0000", "trial"), ("t0000-s1", "confirm")):
        recorder.record(RunStarted(name, kind, 0, {}, 0, 1, 100, None))
    heard = []
    recorder.listen(heard.append)
    unknown, folder = Part("large", "A100", 1.0, 1.0, 1.0), StudyFolder(tmp_path / "night")

    placing = Placing(priced("--max-cost", "1"), recorder, lambda node: unknown, folder)
    with pytest.raises(StudyError) as ended:
        placing("t0000", "node")
    assert "run t0000: its machine has no price: a line for one of large, A100, gpu gives it one" in str(ended.value)
    assert "--prices FILE" in str(ended.value)
    assert heard == []
    assert placing("t0000-s1", "node") == unknown  # the confirmation has no limit; it is said
    assert [event.text.partition(":")[0] for event in heard] == ["its machine has no price"]

    heard.clear()
    placing = Placing(priced(), recorder, lambda node: unknown, folder)
    assert placing("t0000", "node") == placing("t0000-s1", "node") == unknown
    assert len(heard) == 1  # said once of each kind
    assert heard[0].text.endswith("until then its time counts as unpriced")

    placing = Placing(settings(), recorder, lambda node: unknown, folder)
    assert placing("t0000", "node") == unknown  # nobody asked


def test_the_summary_and_the_terminal_say_the_cost_and_what_is_not_in_it(tmp_path, priced):
    asked = priced()
    state = StudyState()
    tell(state, StudyStarted(asked.to_json()), *of_run("t0000", "trial", None, status="failed"))
    state.search_s = {Part("worker", "", 0.0, 1.0, 0.25): 9000.0, Part("odd", "L4", 1.0, 1.0, 1.0): 600.0}
    state.confirmation_s = {Part("", "", 0.0, 2.0, 0.5): 1800.0}
    summary = summarize(state, asked, space_of(asked), [], {})
    cost = summary["cost"]
    assert (cost["currency"], cost["unpriced_hours"]) == ("USD", pytest.approx(1 / 6))
    assert (cost["search"], cost["confirmation"]) == (pytest.approx(0.5), pytest.approx(0.04))
    shown = " ".join(text(summary, StudyFolder(tmp_path / "night"), "tensorboard:x").split())
    said = "cost 0.54 USD of training: the search 0.5, the confirmation 0.04; 10 min of training have no price; idle "
    assert f"{said}machines, their start and a head that trains nothing are not in it" in shown
    assert summarize(state, settings(), space_of(asked), [], {})["cost"] is None


def test_the_report_says_the_cost_and_what_more_time_would_bring(tmp_path):
    made = figure_examples.study(tmp_path, [figure_examples.trial(0, 0.1)])
    before = headline._cost(replace(made, summary={"wall_s": 60.0}))
    cost = {"what": "0.54 USD", "how": "the search 0.5, the confirmation 0.04"}
    more = {"what": "another hour would be expected to gain", "how": "by nothing"}
    now = replace(made, summary={"wall_s": 60.0, "cost": cost, "another_hour": more})
    found = headline._cost(now)
    assert found.value == f"{before.value}, 0.54 USD"
    assert found.detail == f"{before.detail} By the prices given: the search 0.5, the confirmation 0.04."
    said = headline._more(now)
    assert (said.value, said.detail) == ("Another hour would be expected to gain", "By nothing.")
    assert headline._more(replace(made, summary={"wall_s": 60.0})) is None  # of an earlier version


def test_a_dry_run_goes_by_a_price_only_where_it_is_known_here(tmp_path):
    def seconds(content, *words, device="cpu"):
        file = tmp_path / "prices.yaml"
        file.write_text(f"currency: USD\n{content}")
        machine = Machine("here", device, 1, 4)
        return estimate._paid_seconds(settings("--prices", str(file), "--max-cost", "2", *words), machine)

    assert seconds("processor: 0.5", "--cpus-per-trial", "2") == pytest.approx(7200.0)
    assert seconds("gpu: 4", "--gpus-per-trial", "0.5") == pytest.approx(3600.0)
    assert seconds("processor: 0.5", device="cuda") is None  # runs here have a GPU
    assert seconds("processor: 0.5\ngpu: 4") is None  # runs may have GPUs
    assert seconds("processor: 0.5\nworker: 4") is None  # this machine may be a worker


@pytest.mark.slow
def test_a_study_that_max_cost_ends_says_so_and_what_it_cost(tmp_path):
    (tmp_path / "prices.yaml").write_text("currency: USD\nprocessor: 3600\n")  # a second, a dollar
    words = ["--trials", "40", "--prices", "prices.yaml", "--max-cost", "0.2", "--confirm", "1x2"]
    done = run(tmp_path, *SMALL, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    summary, state = summary_of(tmp_path), state_of(tmp_path)
    assert summary["search_end"]["reason"] == "cost"
    assert len(state.trials) < 40
    assert summary["cost"]["search"] == pytest.approx(state.device_s)
    assert summary["cost"]["search"] >= 0.2
    assert summary["cost"]["confirmation"] > 0
    assert summary["cost"]["unpriced_hours"] == 0
    assert {part.share > 0 for part in state.search_s} == {True}
    assert "are used up" in done.stdout
    assert "cost      " in done.stdout
