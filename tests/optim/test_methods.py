"""Every method on every problem it accepts, in both precisions; and what all of them have in common."""

import functools

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim
from minigrad.optim import LEAST_SQUARES, MINIMAX, MINIMIZE, Status

rng = np.random.default_rng(0)
H = np.diag([1.0, 2.0, 5.0, 10.0])
CENTER = np.array([1.0, -2.0, 0.5, 3.0])
X = rng.standard_normal((40, 3))
LABELS = np.where(X @ [1.0, -2.0, 0.5] + rng.standard_normal(40) > 0, 1.0, -1.0)
T = np.linspace(0, 1, 12)
DATA = 2.0 * np.exp(-1.5 * T) + 0.5
A = np.diag([1.0, 0.7])


def like(x, constant):
    """The constant as a tensor of x's dtype, on the current backend."""
    return mg.Tensor(constant.astype(x.dtype))


def quadratic(x):
    e = x - like(x, CENTER)
    return 0.5 * e @ like(x, H) @ e


def rosenbrock(x):
    return 0.5 * (100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2)


def logistic(w):
    margins = like(w, LABELS) * (like(w, X) @ w)
    return mg.softplus(-margins).mean() + 0.05 * w @ w


def exponential(b):
    return b[0] * mg.exp(-b[1] * like(b, T)) + b[2] - like(b, DATA)


def rosenbrock_residual(x):
    return mg.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]])


def bilinear(x, y):
    return x @ like(x, A) @ y


def convex_concave(x, y):
    return 0.5 * x @ x + x @ like(x, A) @ y - 0.5 * y @ y + x.sum() - y.sum()


STARTS = {"quadratic": np.zeros(4), "rosenbrock": np.array([-1.2, 1.0]), "logistic": np.zeros(3)}
FUNCTIONS = {"quadratic": quadratic, "rosenbrock": rosenbrock, "logistic": logistic}


@functools.cache
def best(problem):
    return optim.minimize(logistic, np.zeros(3), "newton").fun if problem == "logistic" else 0.0


# Each entry: options, and what must come of it: "exact" (to the dtype's accuracy), a bound on value - minimum, or a status.
EXACT = "exact"
SMALL = {"lr": 0.05, "maxiter": 400}
TABLE = {
    "gd": {"quadratic": ({"lr": 0.15}, EXACT), "rosenbrock": ({"line_search": "armijo"}, 1e-1), "logistic": ({"lr": 1.0}, EXACT)},
    "sgd": {"quadratic": ({"lr": 0.1, "momentum": 0.5}, EXACT), "rosenbrock": ({"lr": 1e-3}, 2.0), "logistic": ({"lr": 1.0}, EXACT)},
    "incremental": {"quadratic": ({"lr": 0.15}, EXACT), "rosenbrock": ({"lr": 1e-3}, 2.0), "logistic": ({"lr": 1.0}, EXACT)},
    "heavy-ball": {"quadratic": ({"lr": 0.5, "beta": 0.5}, EXACT), "rosenbrock": ({"lr": 1e-3}, 2.0), "logistic": ({"lr": 1.0, "beta": 0.5}, EXACT)},
    "nesterov": {"quadratic": ({"lr": 0.1, "momentum": 0.5}, EXACT), "rosenbrock": ({"lr": 1e-3}, 0.1), "logistic": ({"lr": 1.0, "momentum": None}, 1e-5)},
    "adagrad": {"quadratic": ({"lr": 1.0}, 1e-3), "rosenbrock": (SMALL, 2.5), "logistic": ({"lr": 0.5}, EXACT)},
    "full-adagrad": {"quadratic": ({"lr": 1.0}, 1e-3), "rosenbrock": (SMALL, 2.5), "logistic": ({"lr": 0.5}, EXACT)},
    "rmsprop": {"quadratic": ({"lr": 0.01}, 1e-2), "rosenbrock": (SMALL, 2.5), "logistic": (SMALL, 1e-2)},
    "adam": {"quadratic": ({"lr": 0.1}, 1e-6), "rosenbrock": (SMALL, 2.5), "logistic": (SMALL, 1e-3)},
    "adamw": {"quadratic": ({"lr": 0.1, "weight_decay": 0.0}, 1e-6), "rosenbrock": (SMALL, 2.5), "logistic": (SMALL, 1e-2)},
    "amsgrad": {"quadratic": ({"lr": 0.1}, 1e-5), "rosenbrock": (SMALL, 2.5), "logistic": (SMALL, 1e-3)},
    "adafom": {"quadratic": ({"lr": 0.3}, 1e-2), "rosenbrock": (SMALL, 2.5), "logistic": (SMALL, 1e-2)},
    "signsgd": {"quadratic": ({"lr": 0.01}, 1e-2), "rosenbrock": ({"lr": 0.001}, 2.5), "logistic": ({"lr": 0.003}, 1e-3)},
    "perturbed-gd": {"quadratic": ({"lr": 0.15}, Status.SECOND_ORDER), "rosenbrock": ({"lr": 1e-3}, 2.0), "logistic": ({"lr": 1.0}, Status.SECOND_ORDER)},
    "noisy-gd": {"quadratic": ({"lr": 0.1}, 1e-3), "rosenbrock": ({"lr": 1e-3}, 2.0), "logistic": ({"lr": 0.5}, 1e-3)},
    "projected-gd": {"quadratic": ({"lr": 0.15, "constraint": optim.Box(-9, 9)}, EXACT), "rosenbrock": ({"lr": 1e-3, "constraint": optim.Ball(3.0)}, 2.0),
                     "logistic": ({"lr": 1.0, "constraint": optim.Box(-9, 9)}, EXACT)},
    "subgradient": {"quadratic": ({"lr": 0.15}, 1e-6), "rosenbrock": ({"lr": 1e-3}, 2.5), "logistic": ({"lr": 1.0}, 1e-4)},
    "newton": {"quadratic": ({}, EXACT), "rosenbrock": ({}, EXACT), "logistic": ({}, EXACT)},
    "newton-cg": {"quadratic": ({}, EXACT), "rosenbrock": ({}, EXACT), "logistic": ({}, EXACT)},
    "trust-region": {"quadratic": ({}, EXACT), "rosenbrock": ({}, EXACT), "logistic": ({"solver": "steihaug"}, EXACT)},
    "lbfgs": {"quadratic": ({}, EXACT), "rosenbrock": ({}, EXACT), "logistic": ({}, EXACT)},
    "random-gradient-free": {"quadratic": ({"lr": 0.01, "mu": 1e-2, "central": True}, 1e-2), "rosenbrock": ({"lr": 1e-4, "mu": 1e-2}, 2.5),
                             "logistic": ({"lr": 0.2, "mu": 1e-2}, 1e-2)},
    "zoo": {"quadratic": ({"lr": 0.1, "mu": 1e-2}, 1e-3), "rosenbrock": ({"lr": 0.05, "mu": 1e-2, "maxiter": 400}, 2.5), "logistic": ({"lr": 0.05, "mu": 1e-2}, 1e-2)},
}  # fmt: skip
SQUARES_TABLE = {
    "lm": {"exponential": ({}, 1e-20), "rosenbrock": ({}, 1e-20)},
    "gauss-newton": {"exponential": ({"line_search": "armijo"}, 1e-20), "rosenbrock": ({}, 1e-20)},
}
SQUARES = {
    "exponential": (exponential, np.array([1.0, 1.0, 0.0])),
    "rosenbrock": (rosenbrock_residual, np.array([-1.2, 1.0])),
}
DIVERGES = "diverges"
GAMES_TABLE = {
    "gda": {"bilinear": ({"lr": 0.3}, DIVERGES), "convex-concave": ({"lr": 0.3}, EXACT)},
    "ogda": {"bilinear": ({"lr": 0.4}, EXACT), "convex-concave": ({"lr": 0.3}, EXACT)},
    "optimistic-adam": {"bilinear": ({"lr": 0.02, "betas": (0.0, 0.9)}, 0.2), "convex-concave": ({"lr": 0.02}, 1e-2)},
    "extragradient": {"bilinear": ({"lr": 0.5}, EXACT), "convex-concave": ({"lr": 0.3}, EXACT)},
    "best-response": {"bilinear": ({"lr": (0.05, 0.5), "constraints": (None, optim.Box(-1, 1))}, 0.6), "convex-concave": ({"lr": 0.3}, EXACT)},
    "consensus": {"bilinear": ({"lr": 0.3, "gamma": 1.0}, EXACT), "convex-concave": ({"lr": 0.2, "gamma": 0.5}, EXACT)},
}  # fmt: skip
GAMES = {"bilinear": bilinear, "convex-concave": convex_concave}
DTYPES = ["float64", "float32"]


def test_no_method_is_missing():
    assert set(TABLE) == set(MINIMIZE)
    assert set(SQUARES_TABLE) == set(LEAST_SQUARES)
    assert set(GAMES_TABLE) == set(MINIMAX)
    assert all(set(entry) == set(FUNCTIONS) for entry in TABLE.values())
    assert all(set(entry) == set(SQUARES) for entry in SQUARES_TABLE.values())
    assert all(set(entry) == set(GAMES) for entry in GAMES_TABLE.values())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("problem", FUNCTIONS)
@pytest.mark.parametrize("method", TABLE)
def test_minimize(method, problem, dtype):
    options, expected = TABLE[method][problem]
    start = STARTS[problem].astype(dtype)
    result = optim.minimize(FUNCTIONS[problem], start, method, **options)
    assert result.x.dtype == dtype
    excess = result.fun - best(problem)
    floor = 1e-14 if dtype == "float64" else 2e-6
    if isinstance(expected, Status):
        assert result.status is expected
        assert excess < 1e-3
    elif expected == EXACT:
        assert result.success, result.message
        assert excess <= floor
    else:
        assert result.status in (Status.MAX_ITERATIONS, Status.GRADIENT)
        assert -floor <= excess <= expected
        assert result.fun < float(FUNCTIONS[problem](mg.Tensor(start)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("problem", SQUARES)
@pytest.mark.parametrize("method", SQUARES_TABLE)
def test_least_squares(method, problem, dtype):
    options, bound = SQUARES_TABLE[method][problem]
    fun, start = SQUARES[problem]
    result = optim.least_squares(fun, start.astype(dtype), method, **options)
    assert result.success, result.message
    assert result.x.dtype == dtype
    assert result.cost <= (bound if dtype == "float64" else 1e-9)
    np.testing.assert_allclose(result.cost, 0.5 * np.sum(result.fun**2), rtol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("problem", GAMES)
@pytest.mark.parametrize("method", GAMES_TABLE)
def test_minimax(method, problem, dtype):
    options, expected = GAMES_TABLE[method][problem]
    start = np.ones(2, dtype)
    result = optim.minimax(GAMES[problem], start, start, method, **options)
    assert result.x.dtype == result.y.dtype == dtype
    if expected == EXACT:
        assert result.success, result.message
        solution = np.zeros(2) if problem == "bilinear" else -np.linalg.solve(np.eye(2) + A @ A, np.ones(2) - A.sum(1))
        np.testing.assert_allclose(result.x, solution, atol=1e-6 if dtype == "float64" else 1e-3)
    elif expected == DIVERGES:
        assert result.status in (Status.MAX_ITERATIONS, Status.NON_FINITE)
        assert result.optimality > 1e3
    else:
        assert result.status in (Status.MAX_ITERATIONS, Status.GRADIENT)
        assert result.optimality < expected


# ------------------------------------------------------------------------------------------ the training-loop façade
def target(x):
    return 0.5 * ((x - 1) ** 2).sum() + 0.1 * (x**4).sum()


def residual(x):
    return mg.concatenate([x - 1, 0.3 * x**2])


def payoff(x, y):
    return 0.5 * (x * x).sum() + (x * y).sum() - 0.5 * (y * y).sum() + x.sum()


CLOSURE_METHODS = {
    "GD": (lambda p: optim.GD(p, 0.1, schedule=optim.schedules.diminishing(0.5)), target),
    "GD, Armijo": (lambda p: optim.GD(p, line_search="armijo"), target),
    "GD, exact": (lambda p: optim.GD(p, line_search="exact"), target),
    "ProjectedGD": (lambda p: optim.ProjectedGD(p, 0.1, optim.Ball(1.0)), target),
    "Subgradient": (lambda p: optim.Subgradient(p, 0.1), target),
    "NoisyGD": (lambda p: optim.NoisyGD(p, 0.1), target),
    "PerturbedGD": (lambda p: optim.PerturbedGD(p, 0.1, threshold=1.0, patience=2), target),
    "FullMatrixAdaGrad": (lambda p: optim.FullMatrixAdaGrad(p, 0.1), target),
    "Newton": (lambda p: optim.Newton(p, 0.3), target),
    "NewtonCG": (lambda p: optim.NewtonCG(p, 0.3), target),
    "TrustRegion": (lambda p: optim.TrustRegion(p, 0.1), target),
    "TrustRegion, Steihaug": (lambda p: optim.TrustRegion(p, 0.1, solver="steihaug"), target),
    "LBFGS": (lambda p: optim.LBFGS(p, 0.1, line_search=None), target),
    "LBFGS, Wolfe": (lambda p: optim.LBFGS(p), target),
    "GaussNewton": (lambda p: optim.GaussNewton(p, 0.3), residual),
    "GaussNewton, LSMR": (lambda p: optim.GaussNewton(p, 0.3, solver="lsmr"), residual),
    "LevenbergMarquardt": (lambda p: optim.LevenbergMarquardt(p, 0.1), residual),
    "LevenbergMarquardt, LSMR": (lambda p: optim.LevenbergMarquardt(p, solver="lsmr"), residual),
    "RandomGradientFree": (lambda p: optim.RandomGradientFree(p, 0.01), target),
    "ZOO": (lambda p: optim.ZOO(p, 0.1, coordinates=2), target),
}
FIRST_ORDER = {
    "Nesterov": (lambda p: optim.Nesterov(p, 0.1), target),
    "Nesterov, convex": (lambda p: optim.Nesterov(p, 0.1, momentum=None), target),
    "IncrementalGradient": (lambda p: optim.IncrementalGradient(p, 3, 0.1), None),
}
GAME_METHODS = {
    "GDA": lambda x, y: optim.GDA(x, y, 0.1),
    "alternating GDA": lambda x, y: optim.GDA(x, y, (0.1, 0.2), order="alternating"),
    "GDA with Adam": lambda x, y: optim.GDA(x, y, 0.1, rule=optim.Adam, order="alternating"),
    "OptimisticGDA": lambda x, y: optim.OptimisticGDA(x, y, 0.1),
    "OptimisticAdam": lambda x, y: optim.OptimisticAdam(x, y, 0.1),
    "ExtraGradient": lambda x, y: optim.ExtraGradient(x, y, 0.1),
    "ConsensusGD": lambda x, y: optim.ConsensusGD(x, y, 0.1),
    "BestResponse": lambda x, y: optim.BestResponse(x, y, 0.1, inner=3),
}


def test_every_class_has_a_resume_test():
    tested = {name.split(",")[0] for name in (*CLOSURE_METHODS, *FIRST_ORDER)} | {"GDA", *list(GAME_METHODS)[3:]}
    classes = {cls.__name__ for table in (MINIMIZE, LEAST_SQUARES, MINIMAX) for cls in table.values()}
    first_order = {"SGD", "HeavyBall", "AdaGrad", "RMSProp", "Adam", "AdamW", "AMSGrad", "AdaFom", "SignSGD"}
    assert classes == tested | first_order  # those are in test_first_order.py


def run_twice(make, step, n=4):
    """Eight steps in one go, and four, a checkpoint, four more: the parameters after each."""
    whole = [mg.Tensor(np.array([3.0, -2.0, 0.5]), True), mg.Tensor(np.array([[1.5]]), True)]
    method = make(whole)
    for _ in range(n):
        step(method, whole)
    saved, at = method.state_dict(), [x.numpy().copy() for x in whole]
    for _ in range(n):
        step(method, whole)
    resumed = [mg.Tensor(x.copy(), True) for x in at]
    method = make(resumed)
    method.load_state_dict(saved)
    for _ in range(n):
        step(method, resumed)
    return whole, resumed, at


@pytest.mark.parametrize("name", {**CLOSURE_METHODS, **FIRST_ORDER})
def test_state_dict_resumes_exactly(name, tmp_path):
    make, fun = {**CLOSURE_METHODS, **FIRST_ORDER}[name]

    def step(method, params):
        if fun is None:
            return method.step(lambda j: target(params[0]) * (j + 1) + target(params[1].reshape(1)))
        if fun is residual:
            return method.step(lambda: mg.concatenate([residual(params[0]), residual(params[1].reshape(1))]))
        return method.step(lambda: target(params[0]) + target(params[1].reshape(1)))

    whole, resumed, at = run_twice(make, step)
    for a, b in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert any(not np.array_equal(a.numpy(), b) for a, b in zip(whole, at, strict=True))


@pytest.mark.parametrize("name", GAME_METHODS)
def test_game_state_dict_resumes_exactly(name):
    make = lambda params: GAME_METHODS[name](params[:1], params[1:])
    whole, resumed, _ = run_twice(make, lambda method, p: method.step(lambda: payoff(p[0], p[1].reshape(1))))
    for a, b in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_state_goes_through_a_file(tmp_path):
    pytest.importorskip("safetensors")
    x = mg.Tensor(np.array([3.0, -2.0]), True)
    method = optim.LBFGS([x])
    for _ in range(3):
        method.step(lambda: target(x))
    mg.save(method.state_dict(), tmp_path / "state.safetensors")
    y = mg.Tensor(x.numpy().copy(), True)
    again = optim.LBFGS([y])
    again.load_state_dict(mg.load(tmp_path / "state.safetensors"))
    method.step(lambda: target(x))
    again.step(lambda: target(y))
    np.testing.assert_array_equal(x.numpy(), y.numpy())


def test_state_of_another_method_is_refused():
    x = mg.ones(3, requires_grad=True)
    with pytest.raises(ValueError, match="belongs to LBFGS of 3 parameters"):
        optim.Newton([x]).load_state_dict(optim.LBFGS([x]).state_dict())


@pytest.mark.parametrize(
    ("name", "method", "options"),
    [
        ("GD, Armijo", "gd", {"line_search": "armijo"}),
        ("Newton", "newton", {"lr": 0.3}),
        ("LBFGS, Wolfe", "lbfgs", {}),
        ("TrustRegion", "trust-region", {"radius": 0.1}),
        ("NoisyGD", "noisy-gd", {"lr": 0.1}),
        ("ZOO", "zoo", {"lr": 0.1, "coordinates": 2}),
    ],
)
def test_the_class_and_the_name_are_the_same_method(name, method, options):
    make, fun = CLOSURE_METHODS[name]
    x = mg.Tensor(np.array([3.0, -2.0, 0.5]), True)
    by_class = make([x])
    for _ in range(5):
        by_class.step(lambda: fun(x))
    result = optim.minimize(fun, np.array([3.0, -2.0, 0.5]), method, maxiter=5, tol=0.0, **options)
    np.testing.assert_allclose(x.numpy(), result.x, rtol=1e-12)


def test_step_returns_the_loss_before_and_leaves_no_gradients():
    x = mg.Tensor(np.array([3.0]), True)
    method = optim.Newton([x])
    assert method.step(lambda: target(x)).item() == pytest.approx(2.0 + 8.1)
    assert x.grad is None
    method.zero_grad()


# ------------------------------------------------------------------------------------------------ what x0 may be
def test_structures_come_back_as_they_went_in():
    fun = lambda p: ((p["a"] - 1) ** 2).sum() + ((p["b"][0] + 2) ** 2).sum()
    start = {"a": np.zeros((2, 2)), "b": [mg.Tensor(np.zeros(3))]}
    result = optim.minimize(fun, start, "newton")
    np.testing.assert_allclose(result.x["a"], np.ones((2, 2)))
    assert isinstance(result.x["b"][0], mg.Tensor)
    np.testing.assert_allclose(result.x["b"][0].numpy(), -2 * np.ones(3))


def test_python_numbers_are_float64():
    for start in ([0.0, 0.0], (0, 0), np.array([0, 0])):
        result = optim.minimize(lambda x: ((x - 3) ** 2).sum(), start, "newton")
        assert result.x.dtype == np.float64
        np.testing.assert_allclose(result.x, [3, 3])
    assert optim.minimize(lambda x: (x - 3) ** 2, 0.0, "newton").x == pytest.approx(3)


def test_a_module_is_trained_in_place_and_frozen_parameters_stay():
    model = nn.Linear(2, 1)
    model.to(dtype="float64")
    model.bias.requires_grad = False
    bias = model.bias.numpy().copy()
    x = mg.Tensor(np.random.default_rng(1).standard_normal((20, 2)))
    y = mg.Tensor(x.numpy() @ [1.0, -1.0] + bias)
    result = optim.minimize(lambda m: ((m(x)[:, 0] - y) ** 2).mean(), model, "newton")
    assert result.x is model
    assert result.success
    np.testing.assert_allclose(model.weight.numpy(), [[1, -1]], atol=1e-10)
    np.testing.assert_array_equal(model.bias.numpy(), bias)
    assert isinstance(model.weight, nn.Parameter)


def test_nothing_to_optimize():
    with pytest.raises(ValueError, match="nothing to optimize"):
        optim.minimize(lambda m: m, nn.ReLU())
    with pytest.raises(TypeError, match="share a dtype"):
        optim.minimize(lambda x: x[0], [np.zeros(2), np.zeros(2, np.float32)])


# ---------------------------------------------------------------------------------------------- loop and result
def test_every_stop_has_its_status():
    f = lambda x: (x**4).sum()
    start = np.array([2.0])
    status = lambda **options: optim.minimize(f, start, **{"method": "gd", "lr": 1e-3, **options}).status
    assert status(maxiter=3) is Status.MAX_ITERATIONS
    assert status(maxfev=3, tol=0.0) is Status.MAX_EVALUATIONS
    assert status(maxtime=0.0) is Status.MAX_TIME
    assert status(xtol=0.5) is Status.STEP
    assert status(ftol=0.5) is Status.VALUE
    assert status(target=15.0) is Status.TARGET
    assert status(tol=100.0) is Status.GRADIENT
    assert status(callback=lambda result: True) is Status.CALLBACK
    assert status(lr=10.0) is Status.NON_FINITE
    assert all(s.success != s.value.startswith(("stopped", "failed")) for s in Status)


def test_the_last_good_point_is_kept():
    result = optim.minimize(lambda x: (x**4).sum(), np.array([2.0]), "gd", lr=10.0)
    assert np.isfinite(result.x).all()
    assert np.isfinite(result.fun)
    assert not result.success
    assert "NaN or an infinity" in result.message


def test_nan_at_the_start():
    result = optim.minimize(lambda x: mg.log(x).sum(), np.array([-1.0]), "newton")
    assert result.status is Status.NON_FINITE
    assert result.nit == 0
    result = optim.least_squares(lambda x: mg.log(x), np.array([-1.0]))
    assert result.status is Status.NON_FINITE
    x = mg.Tensor(np.array([-1.0]), True)
    with pytest.raises(optim.OptimizationError, match="NaN or an infinity"):
        optim.Newton([x]).step(lambda: mg.log(x).sum())
    assert x.numpy() == -1


def test_history_and_counts():
    calls = []

    def fun(x):
        calls.append(1)
        return target(x)

    result = optim.minimize(fun, np.array([3.0, 1.0]), "newton", line_search="armijo", keep_x=True)
    assert result.nfev == len(calls)
    assert result.njev == result.nit + 1
    assert result.nhev == result.nit
    n = result.nit + 1
    assert all(len(v) == n for v in result.history.values())
    assert result.history["x"].shape == (n, 2)
    assert result.history["fun"][-1] == result.fun
    assert np.all(np.diff(result.history["nfev"]) > 0)
    steps = np.linalg.norm(np.diff(result.history["x"], axis=0), axis=1)
    np.testing.assert_allclose(result.history["step"][1:], steps)
    assert "converged" in repr(result)


def test_callback_sees_every_iterate():
    seen = []
    result = optim.minimize(target, np.array([3.0, 1.0]), "newton", callback=lambda r: seen.append((r.nit, r.fun)))
    assert seen == list(enumerate(result.history["fun"][1:], 1))


def test_callbacks_and_averages_have_the_structure_of_x0():
    fun = lambda p: mg.absolute(p["a"] - 1).sum() + mg.absolute(p["b"] + 1).sum()
    seen = []
    start = {"a": np.zeros(2), "b": mg.Tensor(np.zeros(1))}
    result = optim.minimize(fun, start, "subgradient", lr=0.5, maxiter=20, callback=lambda r: seen.append(r.x))
    assert isinstance(seen[-1]["a"], np.ndarray)
    assert isinstance(seen[-1]["b"], mg.Tensor)
    assert result.average["a"].shape == (2,)
    model = nn.Linear(2, 1)
    x = mg.randn(5, 2)
    result = optim.minimize(lambda m: mg.absolute(m(x)).mean(), model, "subgradient", lr=0.1, maxiter=5)
    assert result.x is model
    assert set(result.average) == {"weight", "bias"}
    assert not np.array_equal(result.average["weight"].numpy(), model.weight.numpy())
    game = optim.minimax(
        lambda x, y: (x * y).sum(), [1.0], [2.0], "gda", lr=0.1, maxiter=1, callback=lambda r: seen.append((r.x, r.y))
    )
    assert (seen[-1][0], seen[-1][1]) == (game.x, game.y)

    def stop(result):
        raise StopIteration

    assert optim.minimize(target, [3.0], "gd", lr=1e-3, callback=stop).status is Status.CALLBACK


def test_progress_bar(capsys):
    pytest.importorskip("tqdm")
    optim.minimize(target, np.array([3.0]), "newton", progress=True)
    assert "optimality" in capsys.readouterr().err


def test_a_seed_fixes_the_run():
    run = lambda seed: optim.minimize(target, np.array([3.0, 1.0]), "noisy-gd", lr=0.1, seed=seed, maxiter=20).x
    np.testing.assert_array_equal(run(1), run(1))
    assert not np.array_equal(run(1), run(2))


def test_stochastic_methods_see_batches():
    examples = np.arange(6.0)
    sizes = []

    def fun(x, batch):
        sizes.append(len(batch))
        return 0.5 * ((x - batch) ** 2).mean()

    result = optim.minimize(fun, np.array(0.0), "sgd", lr=0.1, examples=(examples,), batch_size=4, maxiter=300)
    assert set(sizes) == {4, 2}  # the last batch of an epoch is what is left
    assert abs(result.x - 2.5) < 1.0
    # in cyclic order the last iterate of an epoch is the same in every epoch
    result = optim.minimize(fun, np.array(0.0), "incremental", lr=0.1, examples=(examples,), maxiter=240, keep_x=True)
    ends = result.history["x"][::6, 0]
    assert abs(ends[-1] - ends[-2]) < 1e-6
    by_hand = 0.0
    for e in np.tile(examples, 40):
        by_hand -= 0.1 * (by_hand - e)
    assert result.x == pytest.approx(by_hand)
    whole = optim.minimize(fun, np.array(0.0), "newton", examples=(examples,))
    assert whole.x == pytest.approx(2.5)


@pytest.mark.parametrize(("call", "error", "message"), [
    (lambda: optim.minimize(target, [1.0], "nwton"), ValueError, "no method 'nwton'; choose of gd"),
    (lambda: optim.minimize(target, [1.0], "lm"), ValueError, "is a method of optim.least_squares"),
    (lambda: optim.minimize(target, [1.0], "adam", momentum=0.9), TypeError, "no option momentum; it has lr, betas"),
    (lambda: optim.minimize(target, [1.0], "newton", linesearch="armijo"), TypeError, "no option linesearch"),
    (lambda: optim.minimize(lambda x: x * 2, [1.0, 2.0], "gd"), mg.GraphError, r"one scalar, but this one returned shape \(2,\)"),
    (lambda: optim.minimize(lambda x: 1.0, [1.0], "gd"), mg.GraphError, "returned a float"),
    (lambda: optim.minimize(lambda x: mg.Tensor(float(x[0])), [1.0], "gd"), mg.GraphError, "does not depend on them"),
    (lambda: optim.least_squares(lambda x: (x * x).sum(), [1.0]), mg.GraphError, "returned a scalar: the sum of squares is taken by the method"),
    (lambda: optim.least_squares(lambda x: mg.stack([x.sum()]), [1.0, 2.0], "gauss-newton"), ValueError, "no unique step for 1 residuals and 2 parameters"),
    (lambda: optim.minimax(lambda x, y: x * y, [1.0, 1.0], [1.0, 1.0], "gda"), mg.GraphError, "payoff must return one scalar"),
    (lambda: optim.minimize(target, [1.0], "gd", tol=-1.0), ValueError, "tol must not be negative"),
    (lambda: optim.minimize(target, [1.0], "gd", lr=0.0), ValueError, "lr must be positive"),
    (lambda: optim.minimize(target, [1.0], "gd", line_search="golden"), ValueError, "line_search must be None, 'armijo'"),
    (lambda: optim.minimize(target, [1.0], "projected-gd"), TypeError, "needs constraint=Box"),
    (lambda: optim.Box([0.0, 2.0], [1.0, 1.0]), ValueError, r"lies above the upper one at index \(1,\)"),
    (lambda: optim.Ball(-1.0), ValueError, "radius must be positive"), (lambda: optim.Simplex(0.0), ValueError, "total must be positive"),
    (lambda: optim.Armijo(beta=2.0), ValueError, "Armijo needs"), (lambda: optim.Wolfe(c1=0.9, c2=0.1), ValueError, "0 < c1 < c2 < 1"),
    (lambda: optim.GDA([mg.ones(1, requires_grad=True)]), ValueError, "parameters of two players"),
    (lambda: optim.Newton([mg.ones(1)]), ValueError, "nothing to optimize"), (lambda: optim.Newton([1.0]), TypeError, "not a tensor"),
    (lambda: optim.minimize(target, [1.0], "sgd", examples=(np.ones(3),), batch_size=4), ValueError, "batch_size must lie between 1 and 3"),
    (lambda: optim.minimize(target, [1.0], "sgd", examples=(np.ones(3),), order="backwards"), ValueError, "order must be"),
    (lambda: optim.minimize(target, [1.0], "newton", indefinite="maybe"), ValueError, "indefinite must be"),
    (lambda: optim.TrustRegion([mg.ones(1, requires_grad=True)], radius=-1.0), ValueError, "0 < radius"),
    (lambda: optim.least_squares(residual, [1.0], damping=-1.0, method="gauss-newton"), ValueError, "damping must not be negative"),
    (lambda: optim.least_squares(residual, [1.0], jacobian_chunk=0), ValueError, "jacobian_chunk must be a positive"),
    (lambda: optim.GaussianEstimate(mu=0.0), ValueError, "mu > 0"), (lambda: optim.LBFGS([mg.ones(1, requires_grad=True)], memory=0), ValueError, "memory"),
])  # fmt: skip
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
