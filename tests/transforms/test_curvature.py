"""Curvature matrices: against definitions built densely, finite differences, enumeration, and SciPy at work on them."""

import numpy as np
import pytest
import scipy.sparse.linalg as sla
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import curvature, nn
from minigrad.arrays.backend import to_numpy
from minigrad.models import MLP
from minigrad.nn import functional as F
from tests import host_only, strict  # noqa: F401 - registers the strict backend

pytestmark = pytest.mark.usefixtures("float64")
seeds = st.integers(0, 10**6)


class Problem:
    """A small network as a function of a dict, with data for every likelihood."""

    def __init__(self, seed=0, n=5, outputs=3, dtype="float64"):
        rng = np.random.default_rng(seed)
        self.params = {
            "W": rng.standard_normal((4, 2)).astype(dtype),
            "b": (rng.standard_normal(4).astype(dtype), rng.standard_normal(()).astype(dtype)),
            "V": rng.standard_normal((outputs, 4)).astype(dtype),
        }
        self.X = mg.Tensor(rng.standard_normal((n, 2)).astype(dtype))
        self.labels = mg.Tensor(rng.integers(0, outputs, n))
        self.bits = mg.Tensor(rng.integers(0, 2, (n, outputs)).astype(dtype))
        self.targets = mg.Tensor(rng.standard_normal((n, outputs)).astype(dtype))
        self.n, self.k = n, outputs
        self.vector, self.unravel = mg.ravel_tree(self.params)
        self.p = self.vector.size

    def predict(self, params):
        return mg.tanh(self.X @ params["W"].T + params["b"][0]) @ params["V"].T + params["b"][1]

    def loss(self, params):
        return mg.cross_entropy(self.predict(params), self.labels)

    def flat(self, f):
        """A function of the dict as one of the vector."""
        return lambda theta: f(self.unravel(theta))

    def jacobian(self):
        """(n, k, p)"""
        return mg.jacobian(self.flat(self.predict))(self.vector).numpy()


def host(A):
    return to_numpy(A.dense())


def near(a, b, tolerance=1e-10):
    np.testing.assert_allclose(to_numpy(a), to_numpy(b), rtol=tolerance, atol=tolerance)


def device(array):
    return mg.Tensor(np.asarray(array)).array


def semidefinite(A, tolerance=1e-12):
    return np.linalg.eigvalsh(A).min() > -tolerance * max(1, np.abs(A).max())


def every(problem):
    """One of each kind, by name."""
    P = problem
    return {
        "hessian": curvature.hessian(P.loss, P.params),
        "gauss_newton": curvature.gauss_newton(P.predict, lambda z: mg.cross_entropy(z, P.labels), P.params),
        "categorical": curvature.fisher(P.predict, P.params),
        "bernoulli": curvature.fisher(P.predict, P.params, "bernoulli"),
        "gaussian": curvature.fisher(P.predict, P.params, "gaussian"),
        "empirical_fisher": curvature.empirical_fisher(
            lambda params: mg.cross_entropy(P.predict(params), P.labels, reduction="none"), P.params
        ),
    }


KINDS = ["hessian", "gauss_newton", "categorical", "bernoulli", "gaussian", "empirical_fisher"]


# ------------------------------------------------------------------------------------------ what each is
@given(seeds, st.integers(1, 4), st.integers(1, 3))
def test_the_hessian(seed, n, outputs):
    P = Problem(seed, n, outputs)
    H = curvature.hessian(P.loss, P.params)
    assert H.shape == (P.p, P.p)
    near(host(H), mg.hessian(P.flat(P.loss))(P.vector).numpy())


def test_the_hessian_against_finite_differences():
    P = Problem()
    H, g, eps = host(curvature.hessian(P.loss, P.params)), mg.grad(P.flat(P.loss)), 1e-5
    for i, e in enumerate(np.eye(P.p)):
        step = mg.Tensor(eps * e)
        difference = g(P.vector + step).numpy() - g(P.vector - step).numpy()
        near(H[i], difference / (2 * eps), 1e-8)


@given(seeds, st.integers(1, 4), st.integers(1, 3))
def test_gauss_newton_is_built_of_three_matrices(seed, n, outputs):
    P = Problem(seed, n, outputs)
    outer = lambda z: mg.exp(z * P.targets).sum() * z.mean()  # of no likelihood, and not convex
    J = P.jacobian().reshape(-1, P.p)
    inner = mg.hessian(outer)(P.predict(P.unravel(P.vector))).numpy().reshape(len(J), len(J))
    near(host(curvature.gauss_newton(P.predict, outer, P.params)), J.T @ inner @ J, 1e-9)


@pytest.mark.parametrize(
    ("likelihood", "loss"),
    [
        ("categorical", lambda P, z: mg.cross_entropy(z, P.labels)),
        ("bernoulli", lambda P, z: mg.binary_cross_entropy_with_logits(z, P.bits) * P.k),  # a sum over the outputs
        ("gaussian", lambda P, z: ((z - P.targets) ** 2).sum() / (2 * P.n)),
    ],
)
def test_fisher_is_gauss_newton_of_the_negative_log_likelihood(likelihood, loss):
    P = Problem()
    G = curvature.gauss_newton(P.predict, lambda z: loss(P, z), P.params)
    near(host(curvature.fisher(P.predict, P.params, likelihood)), host(G))


def log_probability(likelihood, z, y):
    """log p(y | z), from the definition, of one example."""
    if likelihood == "categorical":
        return z[y] - mg.log(mg.exp(z).sum())
    p = 1 / (1 + mg.exp(-z))
    return (mg.Tensor(y) * mg.log(p) + mg.Tensor(1 - y) * mg.log(1 - p)).sum()


@pytest.mark.parametrize("likelihood", ["categorical", "bernoulli"])
def test_fisher_is_the_mean_outer_product_over_labels_of_the_models_own(likelihood):
    """F = mean over examples of sum_y p(y|z) g g^T, with g the gradient of log p(y|z): all y are tried."""
    P = Problem(n=3)
    bits = [np.array([a, b, c], dtype=float) for a in (0, 1) for b in (0, 1) for c in (0, 1)]
    F, total = np.zeros((P.p, P.p)), np.zeros(P.n)
    for i in range(P.n):
        for y in range(P.k) if likelihood == "categorical" else bits:
            log_p = lambda theta, i=i, y=y: log_probability(likelihood, P.predict(P.unravel(theta))[i], y)
            value, g = mg.value_and_grad(log_p)(P.vector)
            weight, g = np.exp(value.item()), g.numpy()
            F += weight * np.outer(g, g) / P.n
            total[i] += weight
    near(total, np.ones(P.n))
    near(host(curvature.fisher(P.predict, P.params, likelihood)), F)


def test_fisher_of_means_is_the_mean_outer_product_over_noise():
    """y = z + e with e ~ N(0, I), and d log p / dz = e. Gauss-Hermite nodes, exact for a quadratic, stand for e."""
    P = Problem(n=3)
    J, F = P.jacobian(), np.zeros((P.p, P.p))
    for signs in np.sqrt(P.k) * np.concatenate([np.eye(P.k), -np.eye(P.k)]):  # 2 k points of equal weight
        for i in range(P.n):
            g = signs @ J[i]
            F += np.outer(g, g) / (2 * P.k * P.n)
    near(host(curvature.fisher(P.predict, P.params, "gaussian")), F)


def test_empirical_fisher_is_the_mean_outer_product_of_per_example_gradients():
    P = Problem()

    def one(theta, x, t):
        params = P.unravel(theta)
        z = mg.tanh(params["W"] @ x + params["b"][0]) @ params["V"].T + params["b"][1]
        return mg.cross_entropy(z, t)

    g = mg.vmap(mg.grad(one), (None, 0, 0))(P.vector, P.X, P.labels).numpy()
    near(host(every(P)["empirical_fisher"]), g.T @ g / P.n)


@given(seeds)
def test_all_but_the_hessian_are_positive_semidefinite(seed):
    matrices = {name: host(A) for name, A in every(Problem(seed)).items()}
    for name in KINDS[1:]:
        assert semidefinite(matrices[name]), name
    assert np.linalg.matrix_rank(matrices["empirical_fisher"]) <= 5, "a sum of as many outer products as examples"


@pytest.mark.parametrize("z", [40.0, -40.0, 1000.0])
def test_sure_predictions_keep_their_digits(z):
    """p (1 - p) of a logit of 40 is e^-40, where 1 - p alone would be 0; and nothing overflows."""
    A = host(curvature.fisher(lambda x: x.reshape(1), z, "bernoulli"))
    np.testing.assert_allclose(A, [[np.exp(-abs(z))]], rtol=1e-12)
    near(host(curvature.fisher(lambda x: x, np.array([[z, z]]))), [[0.25, -0.25], [-0.25, 0.25]])


def test_classes_that_are_ruled_out():
    out = mg.Tensor(np.array([0.0, -np.inf, 0.0]))
    A = curvature.fisher(lambda x: x + out, np.zeros((1, 3)))
    near(host(A), [[0.25, 0, -0.25], [0, 0, 0], [-0.25, 0, 0.25]])


def test_fisher_sums_over_what_an_example_holds():
    """(examples, time, classes): an example is a sequence, and its labels are independent."""
    z = np.random.default_rng(0).standard_normal((2, 3, 4))
    whole = host(curvature.fisher(lambda x: x, z))
    rows = host(curvature.fisher(lambda x: x, z.reshape(6, 4)))
    near(whole, 3 * rows)
    flat = np.random.default_rng(0).standard_normal(3)  # one logit per example needs no second axis
    near(host(curvature.fisher(lambda x: x, flat, "bernoulli")), np.diag(np.exp(flat) / (1 + np.exp(flat)) ** 2) / 3)


# ------------------------------------------------------------------------------------------ as operators
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_agree_with_the_matrix(kind, dtype, rng):
    P = Problem(dtype=dtype)
    A = every(P)[kind]
    dense, tolerance = A.dense(), 1e-5 if dtype == "float32" else 1e-11
    assert A.dtype == dense.dtype == dtype
    near(dense, dense.T, 0)
    V = rng.standard_normal((4, P.p)).astype(dtype)
    rows = A.product(device(V))
    assert rows.dtype == dtype
    near(rows, V @ to_numpy(dense), tolerance)
    for v, Av in zip(V, to_numpy(rows), strict=True):
        near(A.product(device(v)), Av, tolerance)


@host_only
@pytest.mark.parametrize("kind", KINDS)
def test_as_scipys_operator(kind, rng):
    A = every(Problem())[kind]
    assert isinstance(A, sla.LinearOperator)
    p, dense = A.shape[0], A.dense()
    V = rng.standard_normal((p, 3))
    near(A @ V, dense @ V)
    near(A.matmat(np.asfortranarray(V)), dense @ V)
    near(np.stack([A.matvec(v) for v in V.T], axis=1), A @ V)
    near(A @ V[:, :1], dense @ V[:, :1])
    assert A.matvec(V[:, :1]).shape == (p, 1)
    near(A @ np.eye(p), dense)
    near(A @ V[:, 0].astype(np.float32), dense @ V[:, 0].astype(np.float32))
    near(A @ np.arange(p), dense @ np.arange(p))
    assert (A @ np.zeros((p, 0))).shape == (p, 0)
    assert A.T is A.H is A
    near(A.rmatvec(V[:, 0]), dense @ V[:, 0])
    near(A.rmatmat(V), dense @ V)
    near((2 * A + 0.5 * sla.aslinearoperator(np.eye(p))) @ V, 2 * dense @ V + 0.5 * V)
    near((A @ A) @ V, dense @ dense @ V)
    complex_ = V[:, 0] + 1j * V[:, 1]
    near(A @ complex_, dense @ complex_)
    near(A @ (V + 1j * V[:, ::-1]), dense @ (V + 1j * V[:, ::-1]))


@host_only
@pytest.mark.parametrize("chunk", [1, 2, 5, 1000])
def test_chunks_change_nothing(chunk, rng):
    A = every(Problem())["gauss_newton"]
    dense, V = A.dense(), rng.standard_normal((A.shape[0], 7))
    A._chunk = chunk
    near(A.dense(), dense)
    near(A @ V, dense @ V)


@host_only
@pytest.mark.parametrize("kind", KINDS)
def test_scipy_works_on_them(kind, rng):
    A = every(Problem())[kind]
    dense, p = A.dense(), A.shape[0]
    values = np.linalg.eigvalsh(dense)
    near(sla.eigsh(A, k=3, which="LA", return_eigenvectors=False, v0=np.ones(p)), values[-3:], 1e-8)
    near(np.sort(sla.svds(A, k=2, return_singular_vectors=False, v0=np.ones(p))), np.sort(np.abs(values))[-2:], 1e-8)
    damped = A + sla.aslinearoperator((1 - min(values[0], 0)) * np.eye(p))
    b = rng.standard_normal(p)
    x, info = sla.cg(damped, b, rtol=1e-12)
    assert info == 0
    near(x, np.linalg.solve(damped @ np.eye(p), b), 1e-8)


@host_only
def test_scipy_works_in_float32():
    A = every(Problem(dtype="float32"))["gauss_newton"]
    top = sla.eigsh(A, k=1, return_eigenvectors=False, v0=np.ones(A.shape[0], np.float32))
    assert top.dtype == np.float32
    near(top, np.linalg.eigvalsh(A.dense())[-1:], 1e-4)


@host_only
def test_vectors_of_another_length_or_kind():
    A = curvature.hessian(lambda x: (x * x).sum(), np.ones(2))
    for v in (np.ones(1), np.ones(3), np.ones((3, 2))):
        with pytest.raises(ValueError, match="dimension mismatch"):
            A @ v
    with pytest.raises(TypeError, match=r"say \.numpy\(\)"):
        A @ mg.ones(2)
    with pytest.raises(ValueError, match="have 2 entries, but the vector has 3"):
        A.product(np.ones(3))


# ------------------------------------------------------------------------------------------ modules
def test_a_module_is_the_function_of_its_trainable_parameters(rng):
    net, X, Y = MLP([3, 4, 2]), mg.Tensor(rng.standard_normal((6, 3))), mg.Tensor(rng.integers(0, 2, 6))
    first = next(net.parameters())
    first.requires_grad = False
    vector, unravel = mg.ravel_tree(net)
    of = lambda theta: F.cross_entropy(nn.functional_call(net, unravel(theta), X), Y)
    want = mg.hessian(of)(vector.detach()).numpy()
    near(host(curvature.hessian(lambda net: F.cross_entropy(net(X), Y), net)), want)
    G = curvature.gauss_newton(lambda net: net(X), lambda z: F.cross_entropy(z, Y), net)
    assert G.shape == (net.parameter_count() - first.size,) * 2
    near(host(G), host(curvature.fisher(lambda net: net(X), net)))
    losses = lambda net: F.cross_entropy(net(X), Y, reduction="none")
    assert semidefinite(host(curvature.empirical_fisher(losses, net)))


def test_a_penalty_on_the_modules_parameters_counts():
    net = nn.Linear(2, 1)
    A = curvature.hessian(lambda net: sum((x * x).sum() for x in net.parameters()), net)
    near(host(A), 2 * np.eye(3))


def test_shared_parameters_are_counted_once(rng):
    layer = nn.Linear(2, 2, bias=False)
    net, X = nn.Sequential(layer, nn.Tanh(), layer), mg.Tensor(rng.standard_normal((3, 2)))
    A = curvature.hessian(lambda net: (net(X) ** 2).sum(), net)
    of = lambda W: ((mg.tanh(X @ W.T) @ W.T) ** 2).sum()
    near(host(A), mg.hessian(of)(layer.weight.detach()).numpy().reshape(4, 4))


def test_batch_normalization_in_evaluation(rng):
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    X = mg.Tensor(rng.standard_normal((8, 2)))
    net(X)  # so that there are statistics
    net.eval()
    state = net.state_dict()
    A = host(curvature.fisher(lambda net: net(X), net, "gaussian"))
    near(A, host(curvature.gauss_newton(lambda net: net(X), lambda z: (z * z).sum() / 16, net)))
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value, state[name])


def test_a_module_is_left_as_it_was():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    own = dict(net.named_parameters())

    def fails(net):
        assert net[0].weight is not own["0.weight"]
        raise ZeroDivisionError

    for call in (
        lambda: curvature.hessian(fails, net),
        lambda: curvature.gauss_newton(fails, lambda z: z, net),
        lambda: curvature.fisher(fails, net),
        lambda: curvature.empirical_fisher(fails, net),
        lambda: curvature.gauss_newton(lambda net: net(mg.ones((1, 2))), lambda z: 1 / 0, net),
    ):
        with pytest.raises(ZeroDivisionError):
            call()
        assert all(x is own[name] and x.grad is None for name, x in net.named_parameters())


def test_the_point_is_the_one_it_was(rng):
    """Training goes on, and the operator stays where it was made."""
    net, X = nn.Linear(2, 2), mg.Tensor(rng.standard_normal((3, 2)))
    x = rng.standard_normal(2)
    A = curvature.hessian(lambda net: mg.exp(net(X)).sum(), net)
    B = curvature.hessian(lambda x: (x**3).sum(), x)
    before = host(A)
    net.weight.assign_(np.zeros((2, 2)))
    near(host(A), before, 0)
    want = np.diag(6 * x)
    x[:] = 0
    near(host(B), want)


def test_weight_normalization(rng):
    net, X = nn.weight_norm(nn.Linear(2, 2)), mg.Tensor(rng.standard_normal((3, 2)))
    vector, unravel = mg.ravel_tree(net)
    want = mg.hessian(lambda theta: mg.exp(nn.functional_call(net, unravel(theta), X)).sum())(vector.detach())
    near(host(curvature.hessian(lambda net: mg.exp(net(X)).sum(), net)), want.numpy())


# ------------------------------------------------------------------------------------------ edges
def test_a_number():
    near(host(curvature.hessian(lambda x: x**3, 2.0)), [[12.0]])
    near(host(curvature.gauss_newton(lambda x: x**2, lambda z: z * z, 2.0)), [[32.0]])
    near(host(curvature.empirical_fisher(lambda x: mg.stack([x, 3 * x]), 2.0)), [[5.0]])
    near(host(curvature.hessian(lambda xs: xs[0] * xs[1], [2.0, 3.0])), [[0, 1], [1, 0]])


def test_parts_of_size_zero():
    x = {"none": np.zeros((0, 2)), "some": np.ones(2)}
    near(host(curvature.hessian(lambda x: (x["some"] ** 2).sum() + x["none"].sum(), x)), 2 * np.eye(2))
    for A in (
        curvature.hessian(lambda x: (x * x).sum(), np.zeros(0)),
        curvature.fisher(lambda x: mg.ones((2, 0)) @ x, np.zeros((0, 3))),
    ):
        assert A.shape == (0, 0)
        assert A.dense().shape == (0, 0)
        assert A.product(device(np.zeros(0))).shape == (0,)


def test_no_examples():
    X = mg.ones((0, 2))
    for likelihood in ("categorical", "bernoulli", "gaussian"):
        near(host(curvature.fisher(lambda w: X @ w, np.ones((2, 3)), likelihood)), np.zeros((6, 6)))
    near(host(curvature.empirical_fisher(lambda w: X @ w, np.ones(2))), np.zeros((2, 2)))


def test_what_does_not_depend_has_no_curvature():
    x, zero = np.ones(2), np.zeros((2, 2))
    constant = mg.ones((3, 2))
    near(host(curvature.hessian(lambda x: mg.tensor(1.0), x)), zero)
    near(host(curvature.hessian(lambda x: x.sum(), x)), zero)
    near(host(curvature.hessian(lambda x: mg.floor(x).sum(), x)), zero)
    near(host(curvature.gauss_newton(lambda x: constant, lambda z: (z * z).sum(), x)), zero)
    near(host(curvature.gauss_newton(lambda x: x, lambda z: mg.tensor(1.0), x)), zero)
    near(host(curvature.fisher(lambda x: constant, x)), zero)
    near(host(curvature.empirical_fisher(lambda x: constant[:, 0], x)), zero)
    near(host(curvature.hessian(lambda x: (x["a"] ** 2).sum(), {"a": x, "b": x})), np.diag([2, 2, 0, 0]))


def test_what_is_not_finite():
    near(host(curvature.hessian(lambda x: x * x + mg.Tensor(np.inf), 2.0)), [[2.0]])  # derivatives do not see it
    near(host(curvature.hessian(lambda x: x * x + mg.Tensor(np.nan), 2.0)), [[2.0]])
    A = host(curvature.hessian(lambda x: (x**3).sum(), np.array([np.nan, 1.0])))
    assert np.isnan(A[0, 0])
    assert A[1, 1] == 6
    with mg.detect_anomaly(), pytest.raises(mg.NonFiniteError):
        curvature.hessian(lambda x: (x * x).sum(), np.array([np.inf, 1.0]))


def test_numpys_functions_inside():
    near(host(curvature.hessian(lambda x: np.exp(x).sum(), np.zeros(2))), np.eye(2))
    near(host(curvature.gauss_newton(np.tanh, lambda z: np.sum(z * z) / 2, np.zeros(2))), np.eye(2))


def test_two_precisions_meet_in_the_larger(rng):
    x = {"a": rng.standard_normal(2).astype(np.float32), "b": rng.standard_normal(2)}
    A = curvature.hessian(lambda x: mg.exp(x["a"].astype("float64") * x["b"]).sum(), x)
    assert A.dtype == A.dense().dtype == np.float64
    wide = curvature.hessian(lambda x: mg.exp(x["a"] * x["b"]).sum(), {k: v.astype(float) for k, v in x.items()})
    near(host(A), host(wide), 1e-6)


def test_inside_no_grad():
    P = Problem()
    want = {name: host(A) for name, A in every(P).items()}
    with mg.no_grad():
        for name, A in every(P).items():
            near(host(A), want[name])


def test_inside_vmap(rng):
    X = rng.standard_normal((3, 2))
    f = lambda x: mg.exp(x[0] * x[1]) + (x**3).sum()
    near(mg.vmap(lambda x: curvature.hessian(f, x).dense())(X).array, mg.vmap(mg.hessian(f))(X).array)
    F = mg.vmap(lambda x: curvature.fisher(lambda x: x.reshape((1, 2)), x).dense())(X)
    near(F[1].array, host(curvature.fisher(lambda x: x.reshape((1, 2)), X[1])))


def test_of_functions_that_vmap_and_differentiate(rng):
    P = Problem()

    def one(params, x):
        return mg.tanh(params["W"] @ x + params["b"][0]) @ params["V"].T + params["b"][1]

    mapped = lambda params: mg.vmap(one, (None, 0))(params, P.X)
    near(host(curvature.fisher(mapped, P.params)), host(curvature.fisher(P.predict, P.params)))
    near(
        host(curvature.hessian(lambda params: mg.cross_entropy(mapped(params), P.labels), P.params)),
        host(every(P)["hessian"]),
    )
    slope = lambda x: mg.grad(lambda x: (x**4).sum())(x).sum()
    near(host(curvature.hessian(slope, np.array([1.0, 2.0]))), np.diag([24.0, 48.0]))


def test_products_are_constants_to_derivatives_outside():
    """They are arrays, and so no tensor forgets what it came from; mg.hessian is the one to differentiate."""
    cube = lambda x: (x**3).sum()
    seen = []

    def outer(x):
        A = curvature.hessian(cube, x)
        seen.append(A.dense())
        return (mg.Tensor(seen[0]) @ x).sum()

    near(mg.grad(outer)(np.array([1.0, 2.0])).array, [6.0, 12.0])
    assert not isinstance(seen[0], mg.Tensor)
    near(mg.grad(lambda x: (mg.hessian(cube)(x) @ x).sum())(np.array([1.0, 2.0])).array, [12.0, 24.0])
    w = mg.tensor(2.0, requires_grad=True)
    near(host(curvature.hessian(lambda x: w * x * x, 3.0)), [[4.0]])
    assert w.grad is None


# ------------------------------------------------------------------------------------------ errors
CALLS = {
    "hessian": lambda f, x: curvature.hessian(f, x),
    "gauss_newton": lambda f, x: curvature.gauss_newton(f, lambda z: (z * z).sum(), x),
    "fisher": lambda f, x: curvature.fisher(f, x),
    "empirical_fisher": lambda f, x: curvature.empirical_fisher(f, x),
}


@pytest.mark.parametrize("name", CALLS)
def test_what_cannot_be_differentiated_by(name):
    for x in (3, np.arange(2), {"a": np.ones(2), "n": 3}, np.ones(2, bool)):
        with pytest.raises(
            TypeError, match=rf"curvature.{name} differentiates by floating-point numbers, not .*astype"
        ):
            CALLS[name](lambda x: x, x)
    with pytest.raises(TypeError, match="not a str"):
        CALLS[name](lambda x: x, "text")
    for x in ([], {}, nn.ReLU(), nn.Linear(1, 1).requires_grad_(False)):
        with pytest.raises(ValueError, match=rf"curvature.{name}: {type(x).__name__} holds no parameters"):
            CALLS[name](lambda x: x, x)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("value", [lambda x: x.numpy(), lambda x: x.sum().item(), lambda x: [x], lambda x: None])
def test_what_is_no_tensor(name, value):
    kind = type(value(mg.ones(2))).__name__
    with pytest.raises(mg.GraphError, match=rf"curvature.{name}: the function must return a tensor, not a {kind}"):
        CALLS[name](value, np.ones(2))


def test_a_loss_is_a_scalar():
    with pytest.raises(mg.GraphError, match=r"curvature.hessian needs a scalar loss.*shape \(2,\).*mean"):
        curvature.hessian(lambda x: x * 2, np.ones(2))
    with pytest.raises(mg.GraphError, match=r"curvature.gauss_newton needs a scalar loss.*shape \(2,\)"):
        curvature.gauss_newton(lambda x: x, lambda z: z, np.ones(2))
    with pytest.raises(mg.GraphError, match=r"gauss_newton: the function must return a tensor, not a ndarray"):
        curvature.gauss_newton(lambda x: x, lambda z: z.numpy(), np.ones(2))
    for y in (lambda x: x.sum(), lambda x: x.reshape((1, 2))):
        with pytest.raises(mg.GraphError, match=r'a vector with a loss per example.*reduction="none"'):
            curvature.empirical_fisher(y, np.ones(2))


def test_a_likelihood_and_its_predictions():
    with pytest.raises(ValueError, match="one of categorical, bernoulli, gaussian, not 'poisson'"):
        curvature.fisher(lambda x: x, np.ones((1, 2)), "poisson")
    with pytest.raises(ValueError, match=r"categorical predictions have the shape \(examples, classes\), not \(2,\)"):
        curvature.fisher(lambda x: x, np.ones(2))
    with pytest.raises(ValueError, match=r"bernoulli predictions have the shape \(examples, \.\.\.\), not \(\)"):
        curvature.fisher(lambda x: x, 1.0, "bernoulli")
