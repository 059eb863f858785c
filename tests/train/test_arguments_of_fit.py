"""What people give to ``fit`` by mistake, and what they hear."""

import numpy as np
import pytest

from minigrad import nn, optim, serialization
from minigrad.data import DataLoader
from minigrad.nn import functional as F
from minigrad.train import EarlyStopping, Training, fit
from minigrad.train.early_stopping import BestEpoch
from tests import host_only

pytestmark = host_only


def parts(seed=0):
    x = np.random.default_rng(seed).standard_normal((32, 2)).astype(np.float32)
    model = nn.Linear(2, 1)
    return model, DataLoader((x, x.sum(1, keepdims=True)), 8), optim.Adam(model.parameters(), 0.1)


def test_wrong_kinds_of_arguments():
    model, batches, optimizer = parts()
    with pytest.raises(
        TypeError, match=r"the optimizer is the class Adam itself; make one: Adam\(model.parameters\(\)\)"
    ):
        fit(model, F.mse_loss, batches, optim.Adam, 1)
    with pytest.raises(TypeError, match=r"an optimizer has a step, and this is 'adam'"):
        fit(model, F.mse_loss, batches, "adam", 1)
    with pytest.raises(TypeError, match=r"loss is a function, such as those of nn.functional, not 'mse'"):
        fit(model, "mse", batches, optimizer, 1)
    with pytest.raises(TypeError, match=r"schedule is a function, such as those of optim.schedules, not 'cosine'"):
        fit(model, F.mse_loss, batches, optimizer, 1, schedule="cosine")
    with pytest.raises(ValueError, match="the optimizer has no parameter of this model"):
        fit(model, F.mse_loss, batches, parts()[2], 1)


def test_which_values_are_better_has_to_be_known():
    """val_mse was taken for a number that is better when larger, and the worst epoch restored."""
    for name, sign in (
        ("val_mse", 1),
        ("mae", 1),
        ("val_perplexity", 1),
        ("val_accuracy", -1),
        ("f1", -1),
        ("AUC", -1),
    ):
        assert BestEpoch(EarlyStopping(monitor=name), [name]).sign == sign
    with pytest.raises(
        ValueError, match=r"the name 'bleu' does not say whether smaller values are better: say mode='min'"
    ):
        BestEpoch(EarlyStopping(monitor="bleu"), ["bleu"])
    assert BestEpoch(EarlyStopping(monitor="bleu", mode="max"), ["bleu"]).sign == -1


def test_a_refused_checkpoint_leaves_the_model_as_it_was(tmp_path):
    pytest.importorskip("safetensors")
    model, batches, optimizer = parts()
    fit(model, F.mse_loss, batches, optimizer, 1, checkpoint=tmp_path / "run.safetensors")
    other, batches, _ = parts()
    before = other.state_dict()
    run = Training(other, F.mse_loss, batches, optim.SGD(other.parameters(), 0.1))
    with pytest.raises(serialization.CheckpointError, match="does not belong to this run"):
        run.resume(tmp_path / "run.safetensors")
    for name, value in other.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
