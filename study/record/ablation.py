"""What earned a winner's gain over the default: the steps of a path between the two, and what may be said of each.

The path changes a parameter at a time (Fawcett and Hoos, "Analysing differences between algorithm configurations
through ablation", Journal of Heuristics 22, 2016; Biedenkapp et al., "Efficient parameter importance analysis via
ablation with surrogates", AAAI 2017). Every number here is of validation data, on seeds that chose no step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from study.record import metrics
from study.record.intervals import LEAST_SEEDS, Difference, Sample, difference, from_one_seed, holm, told_apart
from study.record.tables import Row
from study.record.words import DIGITS, counted, counted_each, number

FILE = "ablation.csv"
ALL = "all"
"""The parameter of the last row, which is the whole way from the default to the winner."""
AND = " + "
"""Between the parameters of one step."""
COLUMNS = (
    *("step", "parameter", "change", "before", "after", "value", "n", "gain", "gain_low", "gain_high", "test", "p"),
    *("p_holm", "told_apart", "alone", "alone_low", "alone_high"),
    *("interaction", "interaction_low", "interaction_high", "interaction_p", "interaction_p_holm", "interacts"),
)


@dataclass(frozen=True)
class Trained:
    """A config by its id, with the objective on validation data by the seeds that report, as far as they completed."""

    id: str
    sample: Sample


@dataclass(frozen=True)
class Step:
    """A change on the path.

    Attributes:
        parameters: what it gives the winner's values to: one, or several that went together.
        change: the keys of the config that it changes, in words.
        before, after: the configs on both sides.
        alone: the default with this change alone; None where the space has no such config, or it is `after`.
    """

    parameters: tuple[str, ...]
    change: str
    before: Trained
    after: Trained
    alone: Trained | None = None


def rows(steps: Sequence[Step], metric: str) -> list[Row]:
    """Return a row per step, in order, and a last one from the default to the winner; more of a gain is better.

    A gain is compared in pairs or not by the project's rule (`study.record.intervals`). An interaction is the gain on
    the path minus the gain from the default alone, seed by seed on the seeds that all four configs have, by a t-test
    of one sample. Intervals are of each number by itself, at 95 %; p values are corrected (Holm) over the steps, and
    over the interactions.
    """
    default = steps[0].before
    gains = [_gain(step.before, step.after, metric) for step in steps]
    interactions = [_interaction(step, default, metric) for step in steps]
    found = []
    corrected = zip(gains, holm(_p(gains)), interactions, holm(_p(interactions)), strict=True)
    for place, (step, (gain, p, interaction, p_of_interaction)) in enumerate(zip(steps, corrected, strict=True), 1):
        alone = gain if place == 1 else step.alone and _gain(default, step.alone, metric)
        found.append(
            {
                "step": place,
                "parameter": AND.join(step.parameters),
                **_of_step(step, gain, p),
                **_columns("alone", alone or None),
                **_columns("interaction", interaction),
                "interaction_p": interaction and interaction.p,
                "interaction_p_holm": p_of_interaction,
                "interacts": interaction and told_apart(interaction, p_of_interaction),
            }
        )
    whole = Step((ALL,), "the default to the winner", default, steps[-1].after)
    gain = _gain(whole.before, whole.after, metric)
    last = {"step": None, "parameter": ALL, **_of_step(whole, gain, gain.p if gain else None)}
    return [*found, {**dict.fromkeys(COLUMNS), **last}]


def _of_step(step: Step, gain: Difference | None, p: float | None) -> Row:
    values = list(step.after.sample.values.values())
    return {
        "change": step.change,
        "before": step.before.id,
        "after": step.after.id,
        "value": sum(values) / len(values) if values else None,
        "n": gain.n if gain else 0,
        **_columns("gain", gain),
        "test": gain and gain.test,
        "p": gain and gain.p,
        "p_holm": p,
        "told_apart": bool(gain and told_apart(gain, p)),
    }


def _gain(before: Trained, after: Trained, metric: str) -> Difference | None:
    """Return how much better `after` is, None where one of the two has no completed seed."""
    if not (before.sample.values and after.sample.values):
        return None
    better_is_less = metrics.sign(metrics.mode(metric)) > 0
    pair = (before.sample, after.sample) if better_is_less else (after.sample, before.sample)
    return difference(*pair)


def _interaction(step: Step, default: Trained, metric: str) -> Difference | None:
    """Return the gain on the path minus the gain alone, None where there is nothing to compare."""
    if step.alone is None or step.before.id == default.id:
        return None
    on_path, alone = step.before.sample.minus(step.after.sample), default.sample.minus(step.alone.sample)
    both = on_path and alone and on_path.minus(alone)
    if not both:
        return None
    sign = metrics.sign(metrics.mode(metric))
    return difference(Sample({seed: sign * value for seed, value in both.values.items()}), Sample({}, exact=0.0))


def _p(differences: Sequence[Difference | None]) -> list[float | None]:
    return [one.p if one else None for one in differences]


def _columns(name: str, found: Difference | None) -> Row:
    low, high = (found and found.ci95) or (None, None)
    return {name: found and found.mean, f"{name}_low": low, f"{name}_high": high}


def flattery(metric: str, found: float, fresh: Mapping[int, float]) -> Difference:
    """Return how much better the search's own value of a config was than the mean over fresh seeds.

    It is of one seed and has that one's luck, so the interval and the test are those of a new seed.

    Args:
        metric: The objective.
        found: Of the one seed that the search trained, and chose by.
        fresh: By seeds that chose nothing.
    """
    sign = metrics.sign(metrics.mode(metric))
    return from_one_seed([sign * value for value in fresh.values()], sign * found)


def sentences(table: Sequence[Row], metric: str) -> list[str]:
    """Return what the rows of an ablation say, in sentences no surer than its seeds."""
    *steps, whole = table
    seeds = counted_each([row["n"] for row in table if row["n"]] or [0], "seed")
    told = [row for row in steps if row["told_apart"]]
    earned, lost = [[_said(row) for row in told if (row["gain"] > 0) == positive] for positive in (True, False)]
    said = [
        f"Gains in {metrics.label(metric)}, each over the config before, on {seeds} that chose no step; more is better."
    ]
    said.append(f"Earned: {'; '.join(earned)}." if earned else "No step earned a gain that can be told from noise.")
    said += [f"Lost: {'; '.join(lost)}."] if lost else []
    if earned and len(told) < len(steps):
        others = len(steps) - len(told)
        said.append(f"The other {counted(others, 'step') if others > 1 else 'step'} cannot be told from noise.")
    said.append(f"From the default to the winner: {_of(whole, 'gain')}{_unsure(whole)}.")
    if few := [row["parameter"] for row in steps if 0 < row["n"] < LEAST_SEEDS]:
        said.append(f"Fewer than {LEAST_SEEDS} seeds, as others failed, tell nothing from noise: {', '.join(few)}.")
    said += _interactions(steps)
    said.append(
        f"p after Holm's correction over {counted(sum(row['p'] is not None for row in steps), 'step')}; "
        "each interval is of its own step alone, at 95 %."
    )
    return said


def _said(row: Row) -> str:
    return f"{row['parameter']} {_of(row, 'gain')}, p = {number(row['p_holm'], 2)}"


def _unsure(row: Row) -> str:
    if row["told_apart"]:
        return ""
    few = f" by {counted(row['n'], 'seed')}" if 0 < row["n"] < LEAST_SEEDS else ""
    return f", which cannot be told from noise{few}"


def _interactions(steps: Sequence[Row]) -> list[str]:
    tested = [row for row in steps if row["interaction"] is not None]
    if not tested:
        return []
    named = [
        f"{row['parameter']} gains {number(row['gain'], DIGITS)} on the path and {number(row['alone'], DIGITS)} from "
        f"the default alone, a difference of {_of(row, 'interaction')}, p = {number(row['interaction_p_holm'], 2)}"
        for row in tested
        if row["interacts"]
    ]
    if named:
        return [f"Interactions: {'; '.join(named)}."]
    return [f"Of {counted(len(tested), 'interaction')} none can be told from noise, which does not show that none is."]


def _of(row: Row, name: str) -> str:
    """Return a number of a row with its interval, "0.0123 (0.0101 to 0.0145)"."""
    mean, low, high = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
    if mean is None:
        return "unknown, as no seed completed"
    return number(mean, DIGITS) + ("" if low is None else f" ({number(low, DIGITS)} to {number(high, DIGITS)})")


def flattery_sentence(metric: str, config: str, found: float, fresh: Mapping[int, float]) -> str:
    """Return by how much the search's own value of the winner flattered it, in a sentence."""
    gap = flattery(metric, found, fresh)
    mean = sum(fresh.values()) / len(fresh)
    beside = (
        f"The search saw {config} at {number(found, DIGITS)} by one seed, the confirmation at {number(mean, DIGITS)} "
        f"in the mean of {counted(len(fresh), 'fresh seed')}"
    )
    if not told_apart(gap, gap.p):
        few = f" by fewer than {LEAST_SEEDS} seeds" if len(fresh) < LEAST_SEEDS else ""
        return f"{beside}: whether the search's value flattered it cannot be told from noise{few}."
    word = "better" if gap.mean > 0 else "worse"
    low, high = gap.ci95 or (gap.mean, gap.mean)
    ends = sorted((abs(low), abs(high)))
    span = f"{number(ends[0], DIGITS)} to {number(ends[1], DIGITS)}"
    return f"{beside}: the search's value is {word} by {number(abs(gap.mean), DIGITS)} ({span})."
