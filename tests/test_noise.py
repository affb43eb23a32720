"""Where random numbers come from, and dropout that asks for its masks there."""

import pytest
import torch
from scipy import stats
from torch import nn

from models import noise
from models._layers import Dropout
from models.noise import Stream, of_images

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


def test_the_noise_of_an_image_depends_on_its_position_alone():
    whole = of_images(Stream.CODES, torch.arange(50), (3, 7))
    assert whole.shape == (50, 3, 7)
    assert whole.dtype == torch.float32
    for size in (1, 8, 50):
        parts = [of_images(Stream.CODES, indices, (3, 7)) for indices in torch.split(torch.arange(50), size)]
        assert torch.equal(torch.cat(parts), whole)
    backwards = of_images(Stream.CODES, torch.arange(49, -1, -1), (3, 7))
    assert torch.equal(backwards.flip(0), whole)
    in_parts = [of_images(Stream.CODES, torch.arange(50), (7,), first=first) for first in (0, 7, 14)]
    assert torch.equal(torch.stack(in_parts, 1), whole)
    mapped = torch.func.vmap(lambda weight: weight * of_images(Stream.CODES, torch.arange(50), (3, 7)))(torch.ones(2))
    assert torch.equal(mapped, torch.stack([whole, whole]))


def test_no_number_is_drawn_twice_and_streams_and_seeds_have_nothing_in_common():
    kinds = [(stream, seed) for stream in Stream for seed in (0, 1, 2**32 - 1)]
    draws = [of_images(stream, torch.arange(400), (50,), seed=seed).flatten() for stream, seed in kinds]
    assert all(len(drawn.unique()) > 19_900 for drawn in draws)  # of 20,000; float32 rounds some to the same
    correlations = torch.corrcoef(torch.stack(draws)) - torch.eye(len(draws))
    assert correlations.abs().max() < 5 / 20_000**0.5


@pytest.mark.parametrize(("images", "size"), [(1, 100_000), (100_000, 1), (400, 250)])
def test_the_noise_of_images_is_normal_and_independent(images, size):
    n = 100_000
    drawn = of_images(Stream.CORRUPTION, torch.arange(images), (size,)).double()
    assert drawn.mean().item() == pytest.approx(0, abs=4 / n**0.5)
    assert drawn.var().item() == pytest.approx(1, abs=4 * (2 / n) ** 0.5)
    assert drawn.pow(4).mean().item() == pytest.approx(3, abs=4 * (96 / n) ** 0.5)
    for dimension in (0, 1):  # neighbouring images, and neighbouring numbers of an image
        if drawn.shape[dimension] > 1:
            before, after = (
                drawn.narrow(dimension, 0, drawn.shape[dimension] - 1),
                drawn.narrow(dimension, 1, drawn.shape[dimension] - 1),
            )
            assert (before * after).mean().item() == pytest.approx(0, abs=4 / before.numel() ** 0.5)
    assert stats.kstest(drawn.flatten().numpy(), "norm").pvalue > 0.001


def test_the_hash_is_splitmix64s():
    # the first outputs of the reference implementation (Vigna, splitmix64.c) for the seed 1234567
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    states = torch.tensor([noise._signed(1234567 + step * noise._GAMMA) for step in range(1, 5)])
    assert [value % 2**64 for value in noise._hash(states).tolist()] == expected
    assert [noise._mixed(1234567 + step * noise._GAMMA) for step in range(1, 5)] == expected


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
