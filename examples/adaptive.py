"""The Adam family: one function, its table, its first steps, and the examples on which its members fail.

Figure 9.1 of the notes names each method by its two moments. The notes divide AdaGrad's sum by t and leave out Adam's
bias correction and eps; the papers, and this library, do not (E80, E81). Signs of gradients and short memories follow
the commonest gradient and not the largest: on 5.5 x^2 and ten times -x^2/2 they climb, while AMSGrad and AdaFom,
whose second moments forget nothing, do not. Adam's defaults are fine there: failure needs beta2 below .95 or so.
"""

import numpy as np

import minigrad as mg
from examples.claims import Report
from minigrad import optim
from minigrad.optim import FAMILY, adaptive_step, schedules

ROWS = ("N140", "N141", "N142", "N143", "N144", "N145", "N146", "N147", "N148", "S24", "S25", "S26", "S27", "T1")

SETTINGS = {
    "SGD": {"lr": 0.1},
    "HeavyBall": {"lr": 0.1, "beta": 0.9},
    "SignSGD": {"lr": 0.1},
    "AdaGrad": {"lr": 0.1, "eps": 1e-10},
    "RMSProp": {"lr": 0.1, "alpha": 0.9, "eps": 1e-8},
    "Adam": {"lr": 0.1},
    "AMSGrad": {"lr": 0.1},
    "AdaFom": {"lr": 0.1},
}


def follow(make, gradients, start=0.0, dtype=np.float64):
    """The path of an optimizer along given gradients: functions of theta, or numbers."""
    w = mg.Tensor(np.array(start, dtype), requires_grad=True)
    optimizer, path = make([w]), [w.numpy().copy()]
    for g in gradients:
        w.grad = mg.Tensor(np.asarray(g(path[-1]) if callable(g) else g, dtype).reshape(w.shape))
        optimizer.step()
        path.append(w.numpy().copy())
    return np.array(path)


def report(quick=False):
    out = Report()
    _table(out)
    _trajectories(out)
    _first_steps(out)
    _full_matrix(out)
    _diverging(out, quick)
    _reddi(out)
    _different_rates(out)
    _wilson(out)
    out.figure = lambda: _figure(quick)
    return out


def _table(out):
    """Each class against its entry of the table, to the bit."""
    rng = np.random.default_rng(0)
    gradients = rng.standard_normal((20, 3))
    for name, entry in FAMILY.items():
        theta, state = np.ones(3), [np.zeros(3) for _ in range(3)]
        given = SETTINGS[name]
        beta1 = given.get("beta", 0.9) if entry.first else 0.0
        for t, g in enumerate(gradients, 1):
            adaptive_step(
                theta, g, state[0] if entry.first else None,
                state[1] if entry.second not in ("one", "last") else None, state[2] if entry.second == "max" else None,
                second=entry.second, t=t, lr=0.1, beta1=beta1, beta2=given.get("alpha", 0.999),
                eps=given.get("eps", 1e-8), bias_correction=entry.bias_correction,
            )  # fmt: skip
        path = follow(lambda p, n=name: getattr(optim, n)(p, **SETTINGS[n]), gradients, np.ones(3))
        out.holds("N148", f"{name} is its entry of the table, to the bit", np.array_equal(path[-1], theta))


def _trajectories(out):
    H = np.array([100.0, 1.0])
    grad = lambda w: H * w
    for row, make, expected in (
        ("S24", lambda p: optim.AdaGrad(p, lr=0.1), (0.9, 0.83310353, 0.78045618, 0.55373120)),
        ("S25", lambda p: optim.RMSProp(p, lr=0.1, alpha=0.9), (0.68377223, 0.49887061, 0.36918055, 0.03211708)),
        ("S26", lambda p: optim.Adam(p, lr=0.1), (0.9, 0.80041223, 0.70158627, 0.07624915)),
    ):
        path = follow(make, [grad] * 10, np.ones(2))
        name = type(make([mg.ones(1, requires_grad=True)])).__name__
        error = np.abs(path[[1, 2, 3, 10], 1] - expected).max()
        out.at_most(row, f"{name} on (100 w1^2 + w2^2)/2: w2 at t = 1, 2, 3, 10 against the slides", error, 1e-6)
        out.at_most(row, f"{name}: both eigendirections move alike", np.abs(path[:, 0] - path[:, 1]).max(), 1e-5)
    late = follow(lambda p: optim.RMSProp(p, lr=0.1, alpha=0.9), [grad] * 400, np.ones(2))[-2:]
    out.near("S25 N141", "RMSProp with a constant lr ends in a cycle of +- lr / 2", np.abs(late).mean(), 0.05, rel=0.05)


def _first_steps(out):
    plain = follow(lambda p: optim.Adam(p, lr=1.0, bias_correction=False, eps=0.0), [1.0] * 3)
    corrected = follow(lambda p: optim.Adam(p, lr=1.0), [1.0] * 3)
    for k, expected in enumerate((3.1623, 4.2496, 4.9502)):
        out.near(
            "N142",
            f"Adam without bias correction, g = 1: step {k + 1} / lr",
            plain[k] - plain[k + 1],
            expected,
            tol=1e-4,
        )
    out.near("N142", "... with bias correction every step is lr", np.diff(-corrected).mean(), 1.0, tol=1e-6)
    for inside, expected in ((False, 0.5), (True, 1e-4)):
        step = -follow(lambda p, i=inside: optim.Adam(p, lr=1.0, eps_inside=i), [1e-8])[-1]
        out.near(
            "N142",
            f"g = eps = 1e-8: the first step, eps {'inside' if inside else 'outside'} the root",
            step,
            expected,
            rel=0.01,
        )
    gradients = np.random.default_rng(0).standard_normal(20)
    sign = follow(lambda p: optim.SignSGD(p, lr=0.1), gradients)
    adam = follow(lambda p: optim.Adam(p, lr=0.1, betas=(0.0, 0.0), eps=0.0), gradients)
    out.at_most("N143", "signSGD is Adam with beta1 = beta2 = 0", np.abs(sign - adam).max(), 1e-14)
    try:
        optim.Adam([mg.ones(1, requires_grad=True)], betas=(0.0, 1.0))
        refused = False
    except ValueError:
        refused = True
    out.holds("N143", "... and not with beta2 = 1 as printed: that is refused", refused)


def _full_matrix(out):
    H = np.array([[3.0, 1.0], [1.0, 2.0]])
    fun = lambda x: 0.5 * x @ H @ x
    x, G, eps = np.array([1.0, -0.5]), np.zeros((2, 2)), 1e-6
    path = optim.minimize(fun, x, "full-adagrad", lr=0.3, eps=eps, maxiter=20, keep_x=True, tol=0.0).history["x"]
    error = 0.0
    for k in range(1, 21):
        g = H @ x
        G += np.outer(g, g)
        s, Q = np.linalg.eigh(G)
        floor = 2 * np.finfo(float).eps * s[-1]
        x = x - 0.3 * Q @ ((Q.T @ g) / (np.sqrt(np.maximum(s, floor)) + eps))
        error = max(error, np.abs(x - path[k]).max())
    out.at_most("N140", "full-matrix AdaGrad against an eigendecomposition", error, 1e-10)
    g = np.random.default_rng(0).standard_normal((30, 4))
    by_hand = -np.cumsum(0.1 * g / (np.sqrt(np.cumsum(g**2, axis=0)) + 1e-10), axis=0)
    path = follow(lambda p: optim.AdaGrad(p, lr=0.1), list(g), np.zeros(4))[1:]
    out.at_most("N140", "diagonal AdaGrad against its formula", np.abs(path - by_hand).max(), 1e-12)
    v = -np.cumsum(
        0.1 * g / (np.sqrt(np.cumsum(g**2, axis=0) / np.arange(1, 31)[:, None])) / np.sqrt(np.arange(1, 31))[:, None],
        axis=0,
    )
    out.at_most("N140", "the notes' average with lr/sqrt(t) is the papers' sum", np.abs(v - by_hand).max(), 1e-9)


def cyclic(make, T, alpha=0.1):
    """F_1 = 5.5 w^2, F_2 .. F_11 = -w^2 / 2 in turn, steps alpha / sqrt(t), from w = 1: the mean is w^2 / 22."""
    w = mg.Tensor(np.array(1.0), requires_grad=True)
    optimizer = make([w])
    scheduler = optim.Scheduler(optimizer, schedules.diminishing(0.5))
    largest = []
    for t in range(T):
        w.grad = mg.Tensor(w.array * (11.0 if t % 11 == 0 else -1.0))
        optimizer.step()
        scheduler.step()
        largest.append(abs(float(w.array)))
    return largest


CYCLIC = {  # (0, b) stands for beta1 = 0, beta2 = b, without bias correction
    "sign": (lambda p: optim.SignSGD(p, lr=0.1), 37.3),
    "Adam (0, .1)": (lambda p: optim.Adam(p, lr=0.1, betas=(0.0, 0.1), bias_correction=False), 32.7),
    "Adam (0, .9)": (lambda p: optim.Adam(p, lr=0.1, betas=(0.0, 0.9), bias_correction=False), 2.76),
    "AMSGrad (0, .1)": (lambda p: optim.AMSGrad(p, lr=0.1, betas=(0.0, 0.1), bias_correction=False), 0.62),
    "AdaGrad": (lambda p: optim.AdaFom(p, lr=0.1, beta1=0.0, eps=0.0), 0.132),
    "AdaFom": (lambda p: optim.AdaFom(p, lr=0.1, beta1=0.9, eps=0.0, bias_correction=False), 0.138),
    "SGD": (lambda p: optim.SGD(p, lr=0.1), 0.00134),
}


def _diverging(out, quick):
    T = 10_000 if quick else 50_000
    for name, (make, expected) in CYCLIC.items():
        path = cyclic(make, T)
        row = {"AMSGrad (0, .1)": "N144 N146", "AdaFom": "N144 N147"}.get(name, "N144")
        if not quick:
            out.near(row, f"{name}: abs(w) after {T} steps", path[-1], expected, rel=0.1)
        else:
            out.holds(
                row, f"{name} ends {'above' if expected > 1 else 'below'} the start", (path[-1] > 1) == (expected > 1)
            )
    default = cyclic(lambda p: optim.Adam(p, lr=0.1), T)
    out.at_most("N144", f"Adam with its defaults does not fail: abs(w) after {T} steps", default[-1], 1.0)
    optimizer = optim.AMSGrad([mg.ones(3, requires_grad=True)], betas=(0.0, 0.1))
    seen, rng = [], np.random.default_rng(0)
    for _ in range(30):
        optimizer.parameters[0].grad = mg.Tensor(rng.standard_normal(3).astype(np.float32))
        optimizer.step()
        seen.append(mg.Tensor(optimizer.state["largest_second_moment"]).numpy().copy())
    out.holds("N146", "AMSGrad's second moment never decreases", np.all(np.diff(seen, axis=0) >= 0))


def _reddi(out):
    """C x if t mod 3 = 1, else -x, on [-1, 1]: the minimizer is -1 (C = 3)."""
    T = 6000
    for name, make, expected in (
        ("Adam (0, .1)", lambda p: optim.Adam(p, lr=0.1, betas=(0.0, 0.1), bias_correction=False), 1.0),
        ("AMSGrad (0, .1)", lambda p: optim.AMSGrad(p, lr=0.1, betas=(0.0, 0.1), bias_correction=False), -1.0),
        ("signSGD", lambda p: optim.SignSGD(p, lr=0.1), 1.0),
        ("Adam, defaults", lambda p: optim.Adam(p, lr=0.1), -1.0),
    ):
        w = mg.Tensor(np.array([0.0]), requires_grad=True)
        optimizer = make([w])
        scheduler = optim.Scheduler(optimizer, schedules.diminishing(0.5))
        for t in range(1, T + 1):
            w.grad = mg.Tensor(np.array([3.0 if t % 3 == 1 else -1.0]))
            optimizer.step()
            scheduler.step()
            w.assign_(optim.Box(-1, 1).project(w.array))
        out.near("N145 N146", f"Reddi's linear example: {name} ends at", w.item(), expected, tol=0.02)


def _different_rates(out):
    H = np.array([100.0, 1.0])
    fun = lambda w: 0.5 * (H * w**2).sum()
    steps = lambda method, **o: optim.minimize(fun, np.ones(2), method, target=1e-6, tol=0.0, maxiter=2000, **o).nit
    for text, found, expected in (
        ("GD, 2/(m + M)", steps("gd", lr=2 / 101), 444),
        ("AdaGrad, .5", steps("adagrad", lr=0.5), 16),
        ("Adam, .05", steps("adam", lr=0.05), 129),
    ):
        out.near("S27", f"kappa = 100: steps of {text} to f < 1e-6", found, expected, rel=0.3)


def _wilson(out):
    """A feature is the label, two are constant, the rest are each one example's own (Wilson et al. 2017)."""
    for n in (60, 200):
        rng = np.random.default_rng(n)

        def draw(count, first, rng=rng, n=n):
            y = np.where(rng.random(count) < 0.75, 1.0, -1.0)
            X = np.zeros((count, 3 + 5 * (n + 1000)))
            X[:, 0], X[:, 1:3] = y, 1.0
            for i in range(count):
                X[i, 3 + 5 * (first + i) : 3 + 5 * (first + i) + (1 if y[i] > 0 else 5)] = 1.0
            return X, y

        X, y = draw(n, 0)
        Z, labels = draw(1000, n)
        X_, y_ = mg.Tensor(X), mg.Tensor(y)
        for name, make, adaptive in (
            ("GD", lambda p: optim.SGD(p, lr=0.1), False),
            ("momentum", lambda p: optim.SGD(p, lr=0.02, momentum=0.9), False),
            ("AdaGrad", lambda p: optim.AdaGrad(p, lr=0.02), True),
            ("RMSProp", lambda p: optim.RMSProp(p, lr=1e-3), True),
            ("Adam", lambda p: optim.Adam(p, lr=1e-3, betas=(0.9, 0.9)), True),
        ):
            w = mg.Tensor(np.zeros(X.shape[1]), requires_grad=True)
            optimizer = make([w])
            for _ in range(300):
                optimizer.step(lambda w=w, X=X_, y=y_: 0.5 * ((X @ w - y) ** 2).mean())
            train = np.mean((X @ w.numpy() > 0) != (y > 0))
            test = np.mean((Z @ w.numpy() > 0) != (labels > 0))
            out.near("T1", f"n={n}, {name}: training error", train, 0.0)
            share = np.mean(labels < 0)
            if adaptive:
                out.near("T1", f"n={n}, {name}: test error, the share of the rarer label", test, share, tol=0.02)
            else:
                out.near("T1", f"n={n}, {name}: test error", test, 0.0, tol=0.01)


def _figure(quick):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for name, (make, _) in CYCLIC.items():
        axes.loglog(cyclic(make, 2000 if quick else 20_000)[10::11], label=name)
    axes.set(xlabel="epochs of 11 steps", ylabel="abs(w)", title="5.5 w^2 and ten times -w^2/2, steps .1/sqrt(t)")
    axes.legend(fontsize="small")
    return figure
