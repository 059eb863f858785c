"""Augmentation: every output is a shift or a mirror image of its input, and depends on seed, epoch and batch alone."""

import numpy as np
import pytest

from minigrad import data

x = np.random.default_rng(0).random((30, 2, 5, 6)).astype(np.float32)


def test_crops_are_shifts():
    y = data.pad_crop(2)(x, np.random.default_rng(0))
    padded = np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2)))
    seen = set()
    for image, whole in zip(y, padded, strict=True):
        found = [(i, j) for i in range(5) for j in range(5) if (whole[:, i : i + 5, j : j + 6] == image).all()]
        assert len(found) == 1
        seen.add(found[0])
    assert len(seen) > 10
    np.testing.assert_array_equal(data.pad_crop(0)(x, np.random.default_rng(0)), x)


def test_flips():
    before = x.copy()
    y = data.random_flip()(x, np.random.default_rng(0))
    flipped = [(a == b[:, :, ::-1]).all() for a, b in zip(y, x, strict=True)]
    same = [(a == b).all() for a, b in zip(y, x, strict=True)]
    assert all(a != b for a, b in zip(flipped, same, strict=True))
    assert 5 < sum(flipped) < 25
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(data.random_flip(1.0)(x, np.random.default_rng(0)), x[..., ::-1])


def test_batches_can_be_repeated_and_skipped():
    make = lambda: data.DataLoader(
        (x, np.arange(30)), 8, shuffle=True, seed=5, augment=data.compose(data.pad_crop(1), data.random_flip())
    )
    a, b = make(), make()
    for _ in range(2):
        for (p, i), (q, j) in zip(a, b, strict=True):
            np.testing.assert_array_equal(p.numpy(), q.numpy())
            np.testing.assert_array_equal(i.numpy(), j.numpy())
    third = [images.numpy() for images, _ in a]
    c = make()
    c.load_state_dict({"seed": 5, "epoch": 2})
    for k, (images, _) in enumerate(c.batches(2), start=2):
        np.testing.assert_array_equal(images.numpy(), third[k])
    assert c.state_dict() == {"seed": 5, "epoch": 3}


def test_errors():
    with pytest.raises(ValueError, match="negative"):
        data.pad_crop(-1)
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        data.random_flip(2)
    for augment in (data.pad_crop(), data.random_flip()):
        with pytest.raises(ValueError, match=r"images \(N, C, H, W\)"):
            augment(x[0], np.random.default_rng(0))
