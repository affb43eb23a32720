"""Inverse max pooling: where the values go, and that the gradient comes back from exactly there."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from models.flowers import InverseMaxPool2d, unpool_2x2, unpool_3x3

VALUES = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])


def test_2x2_puts_each_value_in_the_top_left_cell_of_its_block():
    assert unpool_2x2(VALUES).tolist() == [[[[1, 0, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]]]]


def test_3x3_puts_the_values_on_even_coordinates():
    assert unpool_3x3(VALUES).tolist() == [[[[1, 0, 2], [0, 0, 0], [3, 0, 4]]]]


@pytest.mark.parametrize("kernel_size", [2, 3])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 4, 5), (3, 2, 7, 1)])
def test_it_is_what_a_loop_over_the_cells_gives(kernel_size, memory_format, shape):
    features = torch.rand(shape, generator=torch.Generator().manual_seed(0)).contiguous(memory_format=memory_format)
    one_by_one = torch.zeros(*shape[:2], *(2 * size - (kernel_size == 3) for size in shape[2:]))
    for row in range(shape[2]):
        for column in range(shape[3]):
            one_by_one[:, :, 2 * row, 2 * column] = features[:, :, row, column]
    assert torch.equal(InverseMaxPool2d(kernel_size)(features), one_by_one)


@pytest.mark.parametrize(
    ("kernel_size", "padding", "size"), [(2, 0, 100), (2, 0, 50), (3, 1, 25), (3, 1, 13), (3, 1, 7)]
)
def test_it_undoes_the_size_of_its_max_pooling(kernel_size, padding, size):
    pooled = functional.max_pool2d(torch.zeros(1, 1, size, size), kernel_size, 2, padding)
    assert InverseMaxPool2d(kernel_size)(pooled).shape[2:] == (size, size)


@pytest.mark.parametrize("kernel_size", [2, 3])
def test_its_gradients_are_exact(kernel_size):
    unpool = InverseMaxPool2d(kernel_size)
    features = torch.rand(2, 3, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(unpool, features)
    assert torch.autograd.gradgradcheck(unpool, features)
    unpool(features).sum().backward()
    assert torch.equal(features.grad, torch.ones_like(features))


def test_other_kernels_are_refused():
    with pytest.raises(ValueError, match="2 or 3, not 4"):
        InverseMaxPool2d(4)
