"""Modules: finding parts, state dicts, modes, errors."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from minigrad.models import MLP


class Net(nn.Module):
    def __init__(self):
        self.first = nn.Linear(2, 3)
        self.scale = nn.Parameter([1.0, 2.0, 3.0])
        self.count = nn.Buffer([0.0])
        self.rest = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 1)])
        self.note = "not a parameter"

    def forward(self, x):
        h = mg.tanh(self.first(x)) * self.scale
        for layer in self.rest:
            h = layer(h)
        return h


NAMES = ["scale", "first.weight", "first.bias", "rest.0.weight", "rest.0.bias", "rest.1.weight", "rest.1.bias"]


def test_parameters_in_order_of_definition():
    net = Net()
    assert [name for name, _ in net.named_parameters()] == NAMES
    assert [name for name, _ in net.named_buffers()] == ["count"]
    assert [name for name, _ in net.named_modules()] == ["", "first", "rest", "rest.0", "rest.1"]
    assert net.parameter_count() == 9 + 3 + 12 + 4
    assert not net.count.requires_grad


def test_the_order_does_not_depend_on_the_hash_seed():
    code = "from tests.nn.test_module import Net; print([n for n, _ in Net().named_parameters()])"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "MINIGRAD_BACKEND": "numpy"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in "123"
    }
    assert outputs == {f"{NAMES}\n"}


def test_shared_parameters_count_once():
    a = nn.Linear(2, 2)
    net = nn.Sequential(a, nn.Tanh(), a)
    assert len(list(net.parameters())) == 2
    assert set(net.state_dict()) == {"0.weight", "0.bias", "2.weight", "2.bias"}, "as PyTorch has it"
    b = nn.Linear(2, 2)
    b.weight = a.weight
    assert [n for n, _ in nn.Sequential(a, b).named_parameters()] == ["0.weight", "0.bias", "1.bias"]
    assert set(nn.Sequential(a, b).state_dict()) == {"0.weight", "0.bias", "1.weight", "1.bias"}


def test_a_module_that_holds_its_own_whole_is_walked_once():
    net = Net()
    net.first.whole = net
    assert [name for name, _ in net.named_parameters()] == NAMES


def test_state_dict_is_a_snapshot():
    net = Net()
    state = net.state_dict()
    before = state["scale"].copy()
    net.scale.assign_([9.0, 9.0, 9.0])
    np.testing.assert_array_equal(state["scale"], before)
    net.load_state_dict(state)
    np.testing.assert_array_equal(net.scale.numpy(), before)
    assert set(state) == {*NAMES, "count"}


def test_load_state_dict_lists_every_wrong_key_and_loads_nothing():
    net = Net()
    before = net.state_dict()
    bad = {k: v + 1 for k, v in net.state_dict().items()}
    del bad["first.bias"], bad["rest.1.bias"]
    bad["extra"] = np.ones(1)
    bad["scale"] = np.ones(5)
    with pytest.raises(nn.StateDictError) as caught:
        net.load_state_dict(bad)
    message = str(caught.value)
    assert "missing: first.bias, rest.1.bias" in message
    assert "unexpected: extra" in message
    assert "scale has shape (5,), the module's has (3,)" in message
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_load_state_dict_not_strictly_and_from_tensors():
    net = Net()
    net.load_state_dict({"scale": mg.tensor([7.0, 8.0, 9.0]), "other": mg.tensor(1.0)}, strict=False)
    assert net.scale.tolist() == [7, 8, 9]


def test_replacing_a_parameter_by_something_else_is_an_error():
    net = Net()
    with pytest.raises(TypeError, match=r"Net.scale is a Parameter.*assign_"):
        net.scale = mg.zeros(3)
    net.scale = nn.Parameter([0.0])
    net.first.bias = None
    assert net.first(mg.ones(1, 2)).shape == (1, 3)


@pytest.mark.parametrize("container", [list, tuple, lambda items: dict(enumerate(items))])
def test_modules_in_plain_containers_are_an_error(container):
    class Lost(nn.Module):
        def __init__(self):
            self.layers = container([nn.Linear(2, 2)])

    with pytest.raises(TypeError, match="would not be found.*nn.ModuleList"):
        Lost()


def test_train_eval_freeze_and_zero_grad():
    net = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    assert net.training
    net.eval()
    assert not any(m.training for m in net.modules())
    net.train()
    assert all(m.training for m in net.modules())
    net.requires_grad_(False)
    assert not net(mg.ones(1, 2)).requires_grad
    net.requires_grad_()
    net(mg.ones(1, 2)).sum().backward()
    assert net[0].weight.grad is not None
    net.zero_grad()
    assert net[0].weight.grad is None


@given(st.lists(st.booleans(), min_size=5, max_size=5), st.booleans())
def test_evaluating_gives_each_part_its_own_mode_back(modes, fails):
    net = Net()
    for module, mode in zip(net.modules(), modes, strict=True):
        module.training = mode
    try:
        with nn.evaluating(net):
            assert not any(module.training for module in net.modules())
            with nn.evaluating(net.rest):
                pass
            assert not any(module.training for module in net.modules())
            net.train()  # whatever happens in there
            if fails:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        assert fails
    assert [module.training for module in net.modules()] == modes


def test_apply_visits_parts_first():
    seen = []
    Net().apply(lambda m: seen.append(type(m).__name__))
    assert seen[-1] == "Net"
    assert sorted(seen) == ["Linear"] * 3 + ["ModuleList", "Net"]


def test_cast_and_move_in_place():
    net = Net()
    weight = net.first.weight
    net.to(dtype="float64")
    assert net.first.weight is weight
    assert weight.dtype == net.count.dtype == np.float64
    net.to("numpy")
    assert weight.backend == "numpy"


def test_functional_call_swaps_and_restores():
    net = Net()
    before = net.state_dict()
    zeros = {k: mg.zeros_like(p) for k, p in net.named_parameters()}
    assert nn.functional_call(net, zeros, mg.ones(1, 2)).tolist() == [[0]]
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    with pytest.raises(nn.StateDictError, match="has no nothing"):
        nn.functional_call(net, {"nothing": mg.zeros(1)}, mg.ones(1, 2))


def test_functional_call_restores_after_an_error_and_reaches_shared_parameters():
    a = nn.Linear(2, 2, bias=False)
    net = nn.Sequential(a, a)
    doubled = nn.functional_call(net, {"0.weight": 2 * mg.eye(2)}, mg.ones(1, 2))
    assert doubled.tolist() == [[4, 4]]
    weight = a.weight
    with pytest.raises(ValueError, match="linear"):
        nn.functional_call(net, {"0.weight": mg.eye(5)}, mg.ones(1, 2))
    assert a.weight is weight


def test_what_is_held_counts_as_a_parameter():
    """Otherwise a penalty on all parameters would silently be zero inside ``functional_call``."""
    net = Net()
    net.scale.requires_grad = False
    own = dict(net.named_parameters())
    doubled = {name: 2 * x for name, x in own.items() if x.requires_grad}
    with net.holding(doubled):
        inside = dict(net.named_parameters())
        assert list(inside) == list(own)
        assert all(inside[name] is doubled.get(name, own[name]) for name in own)
        assert net.parameter_count() == sum(x.size for x in own.values())
        assert set(net.state_dict()) == {*NAMES, "count"}
        assert [name for name, _ in net.named_buffers()] == ["count"]
    assert all(x is own[name] for name, x in net.named_parameters())
    assert all("_replaced" not in vars(part) for part in net.modules())

    penalty = lambda params: nn.functional_call(Penalized(), params)
    assert mg.grad(penalty)({"weight": mg.ones(2)})["weight"].tolist() == [2, 2]


class Penalized(nn.Module):
    def __init__(self):
        self.weight = nn.Parameter([0.0, 0.0])

    def forward(self):
        return sum((x * x).sum() for x in self.parameters())


def test_holding_nests_and_restores_in_turn():
    net = nn.Linear(2, 2)
    weight, bias, count = net.weight, net.bias, {"weight": mg.zeros(2, 2)}
    with pytest.raises(KeyError), net.holding(count):  # noqa: PT012 - what is restored after an error
        with net.holding({"weight": mg.ones(2, 2), "bias": mg.ones(2)}):
            assert net(mg.ones(1, 2)).tolist() == [[3, 3]]
            assert len(list(net.parameters())) == 2
        assert net.weight is count["weight"]
        assert net.bias is bias
        assert len(list(net.parameters())) == 2
        raise KeyError
    assert net.weight is weight
    assert net.bias is bias
    for name, x in net.named_parameters():  # while they are being walked over
        with net.holding({name: x + 1}):
            assert getattr(net, name) is not x


def test_holding_knows_the_names():
    with (
        pytest.raises(nn.StateDictError, match="Linear has no wieght; it has weight, bias"),
        nn.Linear(1, 1).holding({"wieght": 0}),
    ):
        pass


def test_repr_counts_parameters():
    text = repr(nn.Sequential(nn.Linear(2, 3), nn.ReLU()))
    assert text == "Sequential(  # 9 parameters\n  (0): Linear(2, 3)  # 9 parameters\n  (1): ReLU()\n)"


def test_a_module_without_forward_says_so():
    with pytest.raises(NotImplementedError, match="Empty defines no forward"):
        type("Empty", (nn.Module,), {})()(1)


def test_containers():
    net = MLP((2, 3, 1))
    assert len(net) == 3
    assert isinstance(net[0], nn.Linear)
    assert net[-1].out_features == 1
    assert len(net[:2]) == 2
    assert [type(m).__name__ for m in net] == ["Linear", "ReLU", "Linear"]
    with pytest.raises(TypeError, match="argument 0 is a function"):
        nn.Sequential(lambda x: x)
    with pytest.raises(TypeError, match="holds modules"):
        nn.ModuleList().append(3)
    assert len(nn.ModuleList([nn.Tanh()])[:1]) == 1
