"""The deepest, thinnest network, F(w) = 1/2 (1 - w1 w2 ... wL)^2: gradients that vanish and explode.

The second derivative by w1 alone is (w2 ... wL)^2: about 4^L at w = 2, 4^-L at w = 1/2. The largest eigenvalue of the
Hessian is larger still, hugely so at w = 1/2 (3e-30, not 2.5e-60, for L = 100), so the notes' beta is an
underestimate. No fixed step suits both the plateau and the cliff, unless the gradient is clipped.
"""

import numpy as np

import minigrad as mg
from examples.claims import Report
from minigrad import optim

ROWS = ("N10", "N11", "N12", "N13", "T11")


def F(w):
    return 0.5 * (1 - w.prod()) ** 2


def tied(w):
    return (w**7 - 1) ** 2


def report(quick=False):
    out = Report()
    _derivatives(out)
    _steps(out, quick)
    _landscape(out, quick)
    _clipping(out)
    out.figure = _figure
    return out


def _derivatives(out):
    w = np.random.default_rng(0).uniform(0.5, 1.5, 6)
    P = w.prod()
    g, H = mg.grad(F)(mg.Tensor(w)).numpy(), mg.hessian(F)(mg.Tensor(w)).numpy()
    pairs = P**2 / np.outer(w, w) - (1 - P) * P / np.outer(w, w)
    np.fill_diagonal(pairs, (P / w) ** 2)
    out.at_most("N10", "gradient against -(1 - P) P / w_i", np.abs(g + (1 - P) * P / w).max(), 1e-12)
    out.at_most("N10", "Hessian against its formula", np.abs(H - pairs).max(), 1e-12)
    eps = 1e-6
    numeric = [(F(mg.Tensor(w + eps * e)) - F(mg.Tensor(w - eps * e))).item() / (2 * eps) for e in np.eye(6)]
    out.at_most("N10", "gradient against finite differences", np.abs(g - numeric).max(), 1e-6)
    for c, diagonal, largest in ((2.0, 4.0e59, 8.0e61), (0.5, 2.5e-60, 3.2e-30)):
        H = mg.hessian(F)(mg.Tensor(np.full(100, c))).numpy()
        out.near("N11", f"L=100, w={c}: second derivative by w1", H[0, 0], diagonal, rel=0.02)
        out.near(
            "N11", f"L=100, w={c}: largest eigenvalue of the Hessian", np.linalg.eigvalsh(H)[-1], largest, rel=0.02
        )


def _steps(out, quick):
    run = optim.minimize(F, np.full(7, 2.0), "gd", lr=0.01, maxiter=10)
    blown = run.nit if not run.success and np.abs(run.history["fun"]).max() > 1e10 else np.inf
    out.at_most("N12", "L=7 from w=2, lr .01: steps until the loss passes 1e10 or overflows", blown, 3)
    n = 20_000 if quick else 100_000
    flat = optim.minimize(F, np.full(20, 0.5), "gd", lr=0.01, maxiter=n, tol=0.0)
    out.between("N12", f"L=20 from w=.5, lr .01: F after {n} steps (it starts at .5)", flat.fun, 0.49, 0.5)
    fine = optim.minimize(F, np.full(20, 0.9), "gd", lr=0.01, target=3.4e-9, tol=0.0)
    out.near("N12", "L=20 from w=.9, lr .01: steps to F < 3.4e-9", fine.nit, 83, tol=2)
    for c in (2.0, 0.5):
        w = np.full(8, c)
        beta = np.linalg.eigvalsh(mg.hessian(F)(mg.Tensor(w)).numpy())[-1]
        step = optim.minimize(F, w, "gd", lr=1 / beta, maxiter=1)
        out.holds(
            "N12",
            f"a step of 1 / beta, beta the true largest eigenvalue, goes down from w={c}",
            step.fun < float(F(mg.Tensor(w))),
        )


def _landscape(out, quick):
    w = mg.Tensor(np.linspace(-0.5, 0.5, 100_001))
    slope = mg.vmap(mg.grad(tied))
    out.near(
        "N13", "largest slope of (w^7 - 1)^2 on [-.5, .5]: a plateau", np.abs(slope(w).numpy()).max(), 0.2205, tol=5e-4
    )
    for at, value in ((1.2, 108.0), (2.0, 1.14e5)):
        out.near("N13", f"slope at {at}: a cliff", mg.grad(tied)(mg.Tensor(np.array(at))).item(), value, rel=0.01)

    def steps(w0, maxiter=100):
        path = optim.minimize(tied, np.array(w0), "gd", lr=0.01, tol=0.0, maxiter=maxiter, keep_x=True).history["x"]
        near = np.flatnonzero(np.abs(path[:, 0] - 1) < 1e-3)
        return near[0] if len(near) else np.inf

    out.near("N13", "GD, lr .01, from .5: steps to abs(w - 1) < 1e-3", steps(0.5), 51)
    out.near("N13", "GD from 1.1", steps(1.1), 6)
    if not quick:
        out.near("N13", "GD from .1: the plateau", steps(0.1, maxiter=143_000), 142_869, tol=10)
    wild = optim.minimize(tied, np.array(1.5), "gd", lr=0.01, maxiter=50)
    out.holds("N13", "GD from 1.5 diverges", not wild.success and wild.history["fun"].max() > 1e6)


def _clipping(out):
    v = mg.zeros(2, requires_grad=True)
    v.grad = mg.Tensor(np.array([3.0, 4.0], np.float32))
    optim.clip_grad_norm_([v], 1.0)
    out.at_most("T11", "(3, 4) clipped to norm 1 is (.6, .8)", np.abs(v.grad.numpy() - [0.6, 0.8]).max(), 1e-6)
    for text, fun, start, lr in (
        ("(w^7 - 1)^2 from 1.5, lr .005", tied, 1.5, 0.005),
        ("a linear recurrence of 50 steps, (w^50 - 1)^2 from 1.2, lr .001", lambda w: (w**50 - 1) ** 2, 1.2, 1e-3),
    ):
        ends = {}
        for clipped in (False, True):
            w = mg.Tensor(np.array(start), requires_grad=True)
            optimizer = optim.SGD([w], lr=lr)
            with np.errstate(all="ignore"):
                for _ in range(2000):
                    optimizer.zero_grad()
                    loss = fun(w)
                    if not abs(w.item()) < 1e6:
                        break
                    loss.backward()
                    if clipped:
                        optim.clip_grad_norm_([w], 1.0)
                    optimizer.step()
            ends[clipped] = w.item()
        out.holds("T11", f"{text}: diverges", not abs(ends[False]) < 1e3)
        out.near("T11", f"{text}, clipped to norm 1: ends at 1", ends[True], 1.0, tol=lr)
    w = mg.Tensor(np.array(1.5), requires_grad=True)
    optimizer = optim.SGD([w], lr=0.05)
    for _ in range(500):
        optimizer.zero_grad()
        tied(w).backward()
        optim.clip_grad_norm_([w], 1.0)
        optimizer.step()
    out.at_most(
        "T11",
        "a fixed threshold and a large lr (.05) keep oscillating: abs(w - 1) is about lr",
        abs(w.item() - 1),
        0.06,
    )
    out.at_least("T11", "... and does not vanish", abs(w.item() - 1), 1e-3)


def _figure():
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    w = np.linspace(-1.1, 1.25, 500)
    left.plot(w, (w**7 - 1) ** 2)
    left.set(xlabel="w", ylabel="(w^7 - 1)^2", title="a plateau, a basin, a cliff")
    depths = np.arange(2, 60)
    for c in (0.5, 1.0, 2.0):
        right.semilogy(depths, c ** (2.0 * (depths - 1)), label=f"w = {c}")
    right.set(xlabel="depth L", ylabel="second derivative by w1")
    right.legend()
    return figure
