"""Energy: counters of a made-up machine, added up without counting twice, and what the report says of them."""

import ctypes
import math

import pytest
from recorded_studies import made_up_trial, write_study

from analysis.page.background import energy
from analysis.study_files import read_study
from study.cluster import nvml
from study.record import tables
from study.record.events import EnergySpent
from study.record.folder import StudyFolder
from study.record.journal import Journal, read_state
from study.search.energy import EnergyAccount
from study.worker.energy import EnergyLog, gpu_counters, processor_counters
from study.worker.job import EnergyReading


def zone(powercap, name, says, joules, most=262_143):
    folder = powercap / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "name").write_text(f"{says}\n")
    (folder / "max_energy_range_uj").write_text(f"{most * 1_000_000}\n")
    (folder / "energy_uj").write_text(f"{joules * 1_000_000}\n")


@pytest.fixture
def powercap(tmp_path):
    """Two packages, the memory and the cores of the first, and what is no part of them or counts them again."""
    zone(tmp_path, "intel-rapl:0", "package-0", 262_000)
    zone(tmp_path, "intel-rapl:1", "package-1", 10)
    zone(tmp_path, "intel-rapl:0:0", "core", 5)
    zone(tmp_path, "intel-rapl:0:1", "dram", 7)
    zone(tmp_path, "intel-rapl:2", "psys", 90)
    zone(tmp_path, "intel-rapl-mmio:0", "package-0", 262_000)
    return tmp_path


def spent(account):
    return {event.host: event.joules for event in account.taken()}


def test_packages_and_memory_are_read_over_the_end_of_a_counter(powercap):
    log, account = EnergyLog(processor_counters(powercap)), EnergyAccount()
    zone(powercap, "intel-rapl:0", "package-0", 57)  # 262,000 → 262,143, which is 0, → 57
    zone(powercap, "intel-rapl:1", "package-1", 40)
    zone(powercap, "intel-rapl:0:1", "dram", 11)
    for reading in log.take():
        account.add(reading)
    (joules,) = spent(account).values()
    assert joules == {"processor": pytest.approx(143 + 57 + 30), "memory": pytest.approx(4)}
    assert spent(account) == {}


def test_a_machine_without_counters_or_whose_counters_are_roots_alone_tells_nothing(powercap, tmp_path):
    assert processor_counters(tmp_path / "none") == {}
    (powercap / "intel-rapl:1" / "energy_uj").unlink()  # as unreadable as another user's, also for root
    assert set(processor_counters(powercap)) == {"processor intel-rapl:0", "memory intel-rapl:0:1"}
    account = EnergyAccount()
    for reading in EnergyLog({}).take():
        account.add(reading)
    (joules,) = spent(account).values()
    assert joules == {}


def test_processes_of_a_machine_do_not_count_its_energy_twice():
    account = EnergyAccount()

    def read(host, at, joules):
        account.add(EnergyReading(host, at, {"processor package": (joules, 1000.0)}))

    read("a", 0.0, 100.0)
    read("a", 10.0, 200.0)  # one process, from before its epoch to after it
    read("a", 1.0, 110.0)  # another one, whose epoch lay within the first one's
    read("a", 12.0, 230.0)
    read("b", 3.0, 990.0)
    read("b", 5.0, 20.0)
    assert spent(account) == {"a": {"processor": 130.0}, "b": {"processor": 30.0}}


class Nvml:
    """Plays the driver's library with one GPU, "GPU-abc", that has taken `joules`."""

    joules = 1.5

    def nvmlInit_v2(self):  # noqa: N802 - NVML's own name, as those below
        return 0

    def nvmlDeviceGetHandleByUUID(self, uuid, device):  # noqa: N802
        return 0 if uuid == b"GPU-abc" else 6

    def nvmlDeviceGetTotalEnergyConsumption(self, device, found):  # noqa: N802
        assert isinstance(device, ctypes.c_void_p)
        found._obj.value = int(self.joules * 1000)
        return 0

    def nvmlDeviceGetMemoryInfo_v2(self, device, found):  # noqa: N802
        memory = found._obj
        if memory.version != 0x2000028:  # nvmlMemory_v2: 40 bytes, version 2
            return 25
        memory.total, memory.reserved, memory.free, memory.used = 80 << 30, 1 << 29, 30 << 30, 49 << 30
        return 0


def test_a_gpus_counter_is_in_millijoules_and_one_that_nvml_does_not_know_has_none():
    (name, counter), *_ = gpu_counters("abc", Nvml()).items()
    assert (name, counter()) == ("GPU abc", (1.5, math.inf))
    assert gpu_counters("MIG", Nvml()) == {}
    assert gpu_counters(None) == {}


def test_the_memory_of_a_gpu_that_processes_use_is_without_what_the_driver_keeps():
    assert nvml.Gpu("abc", Nvml()).used() == 49 << 30
    with pytest.raises(OSError, match="NVML says 6"):
        nvml.Gpu("MIG", Nvml())


def test_a_counter_that_a_driver_began_again_counts_from_there():
    account = EnergyAccount()
    for at, joules in enumerate([900.0, 950.0, 10.0, 30.0]):
        account.add(EnergyReading("a", float(at), {"GPU abc": (joules, math.inf)}))
    assert spent(account) == {"a": {"GPU": 70.0}}


@pytest.fixture
def recorded(tmp_path):
    """Return a function that writes a study whose journal has these events, and reads it for the report."""

    def written(*events):
        path = write_study(tmp_path, "night", [made_up_trial(0, epochs=[{"val_mse": 0.5}])])
        folder = StudyFolder(path)
        journal = Journal(folder.journal)
        for event in events:
            journal.append(event)
        journal.close()
        tables.write(folder, read_state(folder.journal))
        return read_study("night", tmp_path)

    return written


def test_the_report_has_the_joules_of_the_machines_that_tell(recorded):
    study = recorded(
        EnergySpent("a", {"processor": 30_000.0}), EnergySpent("a", {"processor": 6_000.0, "memory": 1_800.0})
    )
    assert study.about["energy"] == {
        "machines": 1,
        "joules": {"memory": 1_800.0, "processor": 36_000.0},
        "told_by": {"memory": 1, "processor": 1},
    }
    assert "36 kJ (10 Wh) for the processors and 1.8 kJ (0.5 Wh) for their memory" in energy(study)


def test_the_report_says_of_which_machines_nothing_is_known(recorded):
    study = recorded(EnergySpent("a", {}), EnergySpent("b", {"GPU": 7_200.0}))
    assert "7.2 kJ (2 Wh) for the GPUs (1 of 2 machines)" in energy(study)
    assert energy(study).endswith("None of the 2 machines tells its processors' energy.")


def test_the_report_of_a_machine_that_does_not_tell_says_so(recorded):
    assert energy(recorded(EnergySpent("a", {}))) == "This machine does not tell its energy."


def test_a_study_that_recorded_none_says_that(recorded):
    assert energy(recorded()) == "The energy that this took was not recorded."
