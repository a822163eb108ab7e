import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vasari.models.dots import pair_dots


def gathered(left, right, rows, columns):
    return (left[rows] * right[columns]).sum(1)


@given(st.integers(0, 2**31), st.integers(1, 9), st.integers(1, 9), st.integers(0, 40), st.integers(1, 20))
def test_dots_and_gradients_are_those_of_gathered_rows(seed, n, m, pairs, dim):
    torch.manual_seed(seed)
    sides = []
    left, right = torch.randn(n, dim), torch.randn(m, dim)
    rows, columns = torch.randint(n, (pairs,)), torch.randint(m, (pairs,))  # repeats and unused rows
    weights = torch.randn(pairs)
    for dots in (pair_dots, gathered):
        leaves = [left.clone().requires_grad_(), right.clone().requires_grad_()]
        found = dots(*leaves, rows, columns)
        (found * weights).sum().backward()
        sides.append([found.detach(), *(leaf.grad for leaf in leaves)])
    for fast, slow in zip(*sides, strict=True):
        torch.testing.assert_close(fast, slow, rtol=1e-4, atol=1e-5)


def test_any_number_of_threads_gives_the_same_bits():
    torch.manual_seed(0)
    left, right = torch.randn(50, 200, requires_grad=True), torch.randn(80, 200, requires_grad=True)
    rows, columns = torch.randint(50, (20_000,)), torch.randint(80, (20_000,))
    threads, found = torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            dots = pair_dots(left, right, rows, columns)
            gradients = torch.autograd.grad(dots.square().sum(), (left, right))
            found.append([dots.detach(), *gradients])
    finally:
        torch.set_num_threads(threads)
    for one, two in zip(*found, strict=True):
        assert torch.equal(one, two)
    # Long sums of large terms: their order shows in the sixth digit.
    torch.testing.assert_close(
        found[0][0], gathered(left, right, rows, columns).detach(), rtol=1e-5, atol=1e-4
    )


@pytest.mark.parametrize("wanted", ["left", "right"])
def test_only_one_side_may_want_gradients(wanted):
    sides = {"left": torch.randn(3, 4), "right": torch.randn(5, 4)}
    sides[wanted].requires_grad_()
    pair_dots(sides["left"], sides["right"], torch.tensor([0, 2]), torch.tensor([4, 4])).sum().backward()
    assert sides[wanted].grad is not None
