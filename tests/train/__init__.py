"""Training. What its tests share: pictures to tell apart, and a network in which everything random has a part."""

import numpy as np

import minigrad as mg
from minigrad import data, nn, optim
from minigrad.nn import functional as F
from minigrad.train import Training, fit

rng = np.random.default_rng(0)
X = rng.standard_normal((70, 1, 6, 6)).astype(np.float32)
Y = (X.mean(axis=(1, 2, 3)) > 0).astype(np.int64)


def network():
    """Dropout and running statistics."""
    mg.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.2), nn.Linear(144, 2)
    )


def loader(**options):
    """Shuffled and augmented; 5 batches, the last smaller."""
    return data.DataLoader((X, Y), 16, shuffle=True, seed=1, augment=data.random_flip(), **options)


def run(model, make=optim.Adam, epochs=4, **options):
    """fit, with a schedule."""
    optimizer = make(model.parameters(), lr=0.01)
    options = {"schedule": optim.schedules.cosine(20), **options}
    return fit(model, F.cross_entropy, loader(), optimizer, epochs, **options)


def line(epochs=1, optimizer=None, model=None, loss=F.mse_loss, **options):
    """fit, of a straight line: a millisecond."""
    x = np.linspace(-1, 1, 32).reshape(32, 1)
    model = nn.Linear(1, 1, dtype="float64") if model is None else model
    optimizer = optim.SGD(model.parameters(), 0.1) if optimizer is None else optimizer
    return fit(model, loss, data.DataLoader((x, 2 * x + 1), 16), optimizer, epochs, **options)


def weights(model):
    return {k: v.copy() for k, v in model.state_dict().items()}


def same(a, b):
    assert a.keys() == b.keys()
    for k in a:
        np.testing.assert_array_equal(a[k], b[k], err_msg=k)


def scripted(monkeypatch, **numbers):
    """Validation brings these numbers, an epoch each."""
    values = {name: iter(sequence) for name, sequence in numbers.items()}
    monkeypatch.setattr(Training, "evaluate", lambda self, data: {name: next(v) for name, v in values.items()})
