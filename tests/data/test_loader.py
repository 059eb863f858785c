"""Batches, splits and standardization."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.data import DataLoader, Standardize, train_test_split


@given(st.integers(0, 20), st.integers(1, 7), st.booleans(), st.booleans())
def test_every_example_once(n, batch, shuffle, drop_last):
    x, y = np.arange(n), np.arange(n) * 10
    loader = DataLoader((x, y), batch, shuffle, drop_last, seed=0)
    batches = list(loader)
    assert len(batches) == len(loader)
    assert all(len(a) == batch for a, _ in batches[:-1])
    seen = [i for a, _ in batches for i in a.tolist()]
    assert len(set(seen)) == len(seen) == (n - n % batch if drop_last else n)
    assert all((b == a * 10).all() for a, b in batches)
    if not shuffle:
        assert seen == list(range(len(seen)))


def test_shuffling_is_repeatable_and_differs_between_epochs():
    order = lambda loader: [i for (a,) in loader for i in a.tolist()]
    a, b = (DataLoader(np.arange(50), 8, shuffle=True, seed=3) for _ in range(2))
    first, second = order(a), order(a)
    assert first != second
    assert [order(b), order(b)] == [first, second]
    c = DataLoader(np.arange(50), 8, shuffle=True, seed=3)
    c.epoch = 1
    assert order(c) == second, "an epoch can be resumed"
    assert order(DataLoader(np.arange(50), 8, shuffle=True)) != order(DataLoader(np.arange(50), 8, shuffle=True))


def test_batches_are_tensors_of_the_arrays_dtype():
    (x, y), *_ = DataLoader([np.ones((4, 2), "f"), mg.arange(4)], 2)
    assert (x.dtype, y.dtype, x.shape) == (np.float32, np.int64, (2, 2))


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"one length, but have \[2, 3\]"):
        DataLoader((np.ones(2), np.ones(3)))
    with pytest.raises(ValueError, match="at least 1"):
        DataLoader(np.ones(2), 0)
    with pytest.raises(ValueError, match="would leave"):
        train_test_split(np.ones(3), test_size=3)


def test_split():
    x = np.arange(20)
    a, b, ya, yb = train_test_split(x, 2 * x, test_size=0.25, seed=1)
    assert (len(a), len(b)) == (15, 5)
    assert sorted([*a, *b]) == list(range(20))
    np.testing.assert_array_equal(ya, 2 * a)
    np.testing.assert_array_equal(yb, 2 * b)
    assert len(train_test_split(x, test_size=3, seed=0)[1]) == 3


def test_standardization_uses_the_training_part_only():
    rng = np.random.default_rng(0)
    train, test = rng.normal(5, 3, (200, 4)), rng.normal(-5, 1, (50, 4))
    train[:, 2] = 7.0
    scale = Standardize.fit(train)
    z = scale(train)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(z.std(axis=0), [1, 1, 0, 1], atol=1e-12)
    np.testing.assert_allclose(
        scale(test), (test - train.mean(axis=0)) / np.where(train.std(axis=0) == 0, 1, train.std(axis=0))
    )
    np.testing.assert_allclose(scale.inverse(z), train)
    images = Standardize.fit(np.ones((3, 2, 4, 4), "f"), axis=(0, 2, 3))
    assert images.mean.shape == (1, 2, 1, 1)
