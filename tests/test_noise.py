"""Where random numbers come from, and dropout that asks for its masks there."""

import pytest
import torch
from torch import nn

from models import noise
from models._layers import Dropout

CPU = torch.device("cpu")
KINDS = {
    "uniform": lambda: noise.uniform((3, 4), CPU),
    "normal": lambda: noise.normal((3, 4), CPU),
    "integers": lambda: noise.integers(-2, 2, (3, 4), CPU),
    "kept": lambda: noise.kept(0.3, (3, 5), CPU)[0],
}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_come_from_the_generator_of_the_block_and_from_the_global_state_outside(kind):
    state = torch.get_rng_state()
    draws = []
    for seed in (0, 0, 1):
        with noise.drawn_from(generator(seed)):
            draws.append(KINDS[kind]())
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert torch.equal(torch.get_rng_state(), state)
    KINDS[kind]()
    assert not torch.equal(torch.get_rng_state(), state)


def test_what_was_recorded_can_be_drawn_again_by_any_generator_and_played_back():
    with noise.recorded(generator(5)) as draws:
        first = [make() for make in KINDS.values()]
    again, other = ([(draw, draw(source)) for source in [generator(seed)] for draw in draws] for seed in (5, 6))
    with noise.played_back(again):
        assert all(torch.equal(make(), numbers) for make, numbers in zip(KINDS.values(), first, strict=True))
    with noise.played_back(other):
        assert not any(torch.equal(make(), numbers) for make, numbers in zip(KINDS.values(), first, strict=True))


def test_numbers_that_were_not_drawn_are_not_given():
    with noise.recorded(generator()) as draws:
        noise.uniform((3,), CPU)
    drawn = [(draw, draw(generator())) for draw in draws]
    with pytest.raises(RuntimeError, match="was asked for"), noise.played_back(drawn):
        noise.uniform((4,), CPU)
    with pytest.raises(RuntimeError, match="was asked for"), noise.played_back([]):
        noise.uniform((3,), CPU)
    with pytest.raises(RuntimeError, match="not asked for"), noise.played_back(drawn):
        pass


def test_integers_reach_both_ends():
    with noise.drawn_from(generator()):
        assert noise.integers(-1, 1, (200,), CPU).unique().tolist() == [-1, 0, 1]


@pytest.mark.parametrize("probability", [0.0, 1e-4, 0.2, 0.5, 0.9, 0.999, 1 - 1e-9])
def test_a_mask_keeps_the_share_that_it_says(probability):
    n = 400_003  # no multiple of the four masks of a number
    with noise.drawn_from(generator()):
        mask, share = noise.kept(probability, (n,), CPU)
    assert share == pytest.approx(1 - probability, abs=2**-16)
    assert 0 < share <= 1
    assert mask.double().mean().item() == pytest.approx(share, abs=5 * (share * (1 - share) / n) ** 0.5 + 1e-9)


def test_the_masks_of_one_number_do_not_go_together():
    with noise.drawn_from(generator()):
        mask = noise.kept(0.4, (100_000, 4), CPU)[0].double()
    correlations = torch.corrcoef(mask.T) - torch.eye(4)
    assert correlations.abs().max() < 5 / 100_000**0.5
    assert mask.mean(0) == pytest.approx([0.6] * 4, abs=0.01)


@pytest.mark.parametrize("shape", [(64, 50), (8, 6, 10, 10)])
def test_dropout_keeps_the_mean_and_scales_what_it_keeps(shape):
    layer, features = Dropout(0.2), torch.ones(shape)
    dropped = layer(features)
    values = dropped.unique()
    assert values[0] == 0
    assert values[1:].tolist() == pytest.approx([1.25], rel=1e-4)
    assert dropped.mean().item() == pytest.approx(1, abs=0.06)
    assert torch.equal(layer.eval()(features), features)


def test_dropout_of_nothing_draws_nothing_and_looks_like_pytorchs():
    features = torch.rand(3, 4)
    with noise.recorded(generator()) as draws:
        assert Dropout(0.0)(features) is features
    assert draws == []
    assert repr(Dropout(0.25)) == repr(nn.Dropout(0.25))
    assert Dropout(0.25).state_dict() == {}


def test_gradients_pass_where_values_do():
    features = torch.ones(200, requires_grad=True)
    dropped = Dropout(0.5)(features)
    dropped.sum().backward()
    assert torch.equal(features.grad, dropped.detach())


def test_dropout_keeps_the_memory_format_and_the_precision():
    features = torch.rand(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    assert Dropout(0.5)(features).is_contiguous(memory_format=torch.channels_last)
    assert Dropout(0.5)(features.bfloat16()).dtype == torch.bfloat16
