"""The Adam family: one function, and the methods that are its entries (lecture notes, Fig. 9.1).

Every method here is   theta <- theta - lr m / (sqrt(v) + eps),   and is named by two choices:

* the first moment m: the gradient itself (beta1 = 0), or its exponential moving average;
* the second moment v of the squared gradients: 1, the last, their sum, mean or exponential moving average (EMA),
  or the largest EMA so far.

    =========  ========  ==========    ==========================================
    method     beta1     v             reference
    =========  ========  ==========    ==========================================
    SGD        0         1
    HeavyBall  beta      1             notes, section 9.3.1 (m starts at 0)
    SignSGD    0         g^2           Bernstein et al. 2018
    AdaGrad    0         sum g^2       Duchi et al. 2011
    RMSProp    0         EMA of g^2    Tieleman & Hinton 2012
    Adam       beta1     EMA of g^2    Kingma & Ba 2015, with bias correction
    AMSGrad    beta1     max of EMA    Reddi et al. 2018
    AdaFom     beta1     mean of g^2   Chen et al. 2019
    =========  ========  ==========    ==========================================

The notes divide AdaGrad's sum by t and let Adam have neither bias correction nor eps; the papers, followed here, do
not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from minigrad.arrays.backend import Array
from minigrad.optim.first_order.optimizer import Optimizer

__all__ = [
    "FAMILY",
    "AMSGrad",
    "AdaFom",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Entry",
    "HeavyBall",
    "RMSProp",
    "SignSGD",
    "adam_step",
    "adaptive_step",
]

#: The second moment: 1, the last square, the sum or mean of all, their EMA, or the largest EMA so far.
SecondMoment = Literal["one", "last", "sum", "mean", "ema", "max"]


class Entry(NamedTuple):
    """A method's place in the table: has it a first moment, which second moment, and are both bias-corrected?"""

    first: bool
    second: SecondMoment
    bias_correction: bool


FAMILY: dict[str, Entry] = {
    "SGD": Entry(False, "one", False),
    "HeavyBall": Entry(True, "one", False),
    "SignSGD": Entry(False, "last", False),
    "AdaGrad": Entry(False, "sum", False),
    "RMSProp": Entry(False, "ema", False),
    "Adam": Entry(True, "ema", True),
    "AMSGrad": Entry(True, "max", True),
    "AdaFom": Entry(True, "mean", True),
}


def adam_step(
    theta: Array, g: Array, m: Array, v: Array, t: int, lr: float, beta1: float, beta2: float, eps: float
) -> tuple[Array, Array, Array]:
    """Adam as Kingma & Ba print it (Algorithm 1), step t = 1, 2, ...: what :func:`adaptive_step` does faster. Returns
    the new theta, m and v, all of one shape.

    >>> adam_step(np.zeros(2), np.array([1.0, -100.0]), np.zeros(2), np.zeros(2), 1, 0.1, 0.9, 0.999, 1e-8)[0].round(6)
    array([-0.1,  0.1])
    """
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return theta - lr * m_hat / (np.sqrt(v_hat) + eps), m, v


def adaptive_step(
    theta: Array,
    g: Array,
    M: Array | None,
    V: Array | None,
    V_max: Array | None,
    *,
    second: SecondMoment,
    t: int,
    lr: float,
    beta1: float = 0.0,
    beta2: float = 0.0,
    eps: float = 0.0,
    eps_inside: bool = False,
    bias_correction: bool = False,
    scratch: Array | None = None,
) -> None:
    """One step of the family, in place: theta <- theta - lr m / (sqrt(v) + eps).

    The state holds discounted *sums*, M = beta1 M + g and V = beta2 V + g^2. The averages are m = a M and v = b V with
    scalars a and b, which are folded into lr and eps: that saves a sixth of the passes over memory.

    >>> theta, V = np.ones(2), np.zeros(2)
    >>> adaptive_step(theta, np.array([1.0, -100.0]), None, V, None, second="sum", t=1, lr=0.1)
    >>> theta, V
    (array([0.9, 1.1]), array([1.e+00, 1.e+04]))

    Args:
        M, V, V_max: the state, of the shape of ``theta`` and zero at first; None where the entry has no use for it.
        second: the second moment: "one", "last", "sum", "mean", "ema" or "max".
        t: the number of this step, from 1.
        eps_inside: sqrt(v + eps) instead of sqrt(v) + eps.
        scratch: a vector to work in, of the shape of ``theta``.
    """
    step = lr
    if M is not None:
        M *= beta1
        M += g
        step *= (1 - beta1) / (1 - beta1**t if bias_correction else 1)
    m = g if M is None else M
    if second == "one":
        theta -= np.multiply(m, step, out=scratch)
        return
    if second == "last":  # g / sqrt(g^2), which is 0 where g is
        theta -= np.multiply(np.sign(m, out=scratch), step, out=scratch)
        return
    scratch = np.multiply(g, g, out=scratch)
    V, b = _second_moment(scratch, V, V_max, second, t, beta2, bias_correction)
    # m / (sqrt(b V) + eps) = m / (sqrt(V) + eps / sqrt(b)) / sqrt(b)
    if eps_inside:
        scratch = np.sqrt(np.add(V, eps / b, out=scratch), out=scratch)
    else:
        scratch = np.sqrt(V, out=scratch)
        scratch += eps / math.sqrt(b)
    np.divide(m, scratch, out=scratch)
    scratch *= step / math.sqrt(b)
    theta -= scratch


def _second_moment(
    squares: Array, V: Any, V_max: Any, second: str, t: int, beta2: float, bias_correction: bool
) -> tuple[Array, float]:
    """V with this step's squares, and the scalar b with v = b V."""
    if second in ("ema", "max"):
        V *= beta2
        b = (1 - beta2) / (1 - beta2**t if bias_correction else 1)
    else:
        b = 1 / t if second == "mean" else 1.0
    V += squares
    return (np.maximum(V_max, V, out=V_max) if second == "max" else V), b


class _FamilyMember(Optimizer):
    """An optimizer whose update is :func:`adaptive_step`; a subclass fixes its entry in the table."""

    entry: Entry

    @classmethod
    def check(cls, settings: dict[str, Any]) -> None:
        super().check(settings)
        for beta in _betas(settings):
            if not 0 <= beta < 1:
                raise ValueError(f"a decay rate must lie in [0, 1), but is {beta}: at 1 the average never moves from 0")
        for name in ("eps", "weight_decay"):
            if settings.get(name, 0) < 0:
                raise ValueError(f"{name} must not be negative, but is {settings[name]}")

    @classmethod
    def vectors(cls, settings: Mapping[str, Any]) -> Sequence[str]:
        names = ["first_moment"] * cls.entry.first + ["second_moment"] * (cls.entry.second not in ("one", "last"))
        return [*names, "largest_second_moment"] if cls.entry.second == "max" else names

    @classmethod
    def update(
        cls, theta: Array, g: Array, state: Mapping[str, Array], settings: Mapping[str, Any], scratch: Array
    ) -> None:
        beta1, beta2 = _betas(settings)
        if settings.get("decoupled"):
            theta *= 1 - settings["lr"] * settings["weight_decay"]
        adaptive_step(
            theta,
            g,
            state.get("first_moment"),
            state.get("second_moment"),
            state.get("largest_second_moment"),
            second=cls.entry.second,
            t=settings["step"],
            lr=settings["lr"],
            beta1=beta1,
            beta2=beta2,
            eps=settings.get("eps", 0.0),
            eps_inside=settings.get("eps_inside", False),
            bias_correction=settings.get("bias_correction", False),
            scratch=scratch,
        )


def _betas(settings: Mapping[str, Any]) -> tuple[float, float]:
    return settings.get("betas", (settings.get("beta1", 0.0), settings.get("beta2", 0.0)))


class Adam(_FamilyMember):
    """Adam (Kingma & Ba 2015): moving averages of the gradient and its square, both corrected for starting at 0.

    Whatever the size of the gradient, the first step is ``lr`` in every entry:

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 1.0], requires_grad=True)
    >>> loss = Adam([x], lr=0.5).step(lambda: x[0] - 100 * x[1])
    >>> x.numpy()
    array([0.5, 1.5], dtype=float32)

    Args:
        betas: the decay rates of the two averages, in [0, 1).
        eps: keeps the quotient finite, m / (sqrt(v) + eps).
        weight_decay: L2 regularization, through the gradient; for decoupled decay see :class:`AdamW`.
        bias_correction: divide the averages by 1 - beta^t; the lecture notes leave it out.
        eps_inside: m / sqrt(v + eps) instead.
        decoupled: take the decay from the weights, as :class:`AdamW` does.

    Raises:
        ValueError: a negative lr, eps or weight_decay, or a decay rate outside [0, 1).
    """

    entry = FAMILY["Adam"]

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        bias_correction: bool = True,
        eps_inside: bool = False,
        decoupled: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": tuple(betas),
                "eps": eps,
                "weight_decay": weight_decay,
                "bias_correction": bias_correction,
                "eps_inside": eps_inside,
                "decoupled": decoupled,
            },
        )


class AdamW(Adam):
    """Adam with the weight decay taken from the weights directly, theta <- (1 - lr weight_decay) theta (Loshchilov &
    Hutter 2019), even where the gradient is 0. Arguments as in :class:`Adam`.

    >>> rule = AdamW.rule(lr=0.1, weight_decay=0.5)
    >>> rule.update(np.ones(2), np.array([0.0, 1.0]), rule.init(np.ones(2)))[0].round(6)
    array([0.95, 0.85])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, decoupled=True)


class AMSGrad(Adam):
    """Adam whose second moment never decreases, which mends its divergence on convex problems (Reddi et al. 2018).
    Arguments as in :class:`Adam`.

    >>> rule, x = AMSGrad.rule(betas=(0.9, 0.5)), np.zeros(1)
    >>> _, state = rule.update(x, np.array([8.0]), rule.init(x))
    >>> _, state = rule.update(x, np.array([0.0]), state)
    >>> state.vectors["second_moment"], state.vectors["largest_second_moment"]  # sums, not yet averages
    (array([32.]), array([64.]))
    """

    entry = FAMILY["AMSGrad"]


class AdaFom(_FamilyMember):
    """AdaGrad with first-order momentum: v is the mean of all squared gradients so far (Chen et al. 2019).
    Arguments as in :class:`Adam`.

    >>> rule, x = AdaFom.rule(lr=1.0, beta1=0.0), np.zeros(1)
    >>> x, state = rule.update(x, np.array([1.0]), rule.init(x))
    >>> rule.update(x, np.array([7.0]), state)[0].round(6)  # -1 - 7 / 5: the mean of 1 and 49 is 25
    array([-2.4])
    """

    entry = FAMILY["AdaFom"]

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        beta1: float = 0.9,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        bias_correction: bool = True,
    ) -> None:
        super().__init__(
            params,
            {"lr": lr, "beta1": beta1, "eps": eps, "weight_decay": weight_decay, "bias_correction": bias_correction},
        )


class AdaGrad(_FamilyMember):
    """Diagonal AdaGrad (Duchi et al. 2011): v is the sum of all squared gradients, so every step shrinks like
    1/sqrt(t). Arguments as in :class:`Adam`.

    >>> import minigrad as mg
    >>> mg.optim.minimize(lambda x: 5 * x, 0.0, "adagrad", lr=1.0, maxiter=4).history["step"][1:].round(6)
    array([1.      , 0.707107, 0.57735 , 0.5     ])
    """

    entry = FAMILY["AdaGrad"]

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        eps: float = 1e-10,
        weight_decay: float = 0.0,
        eps_inside: bool = False,
    ) -> None:
        super().__init__(params, {"lr": lr, "eps": eps, "weight_decay": weight_decay, "eps_inside": eps_inside})


class RMSProp(_FamilyMember):
    """RMSProp (Tieleman & Hinton 2012): v is a moving average of squared gradients, not corrected for starting at 0.
    So its first steps are long, lr / sqrt(1 - alpha^t) where the gradient stays. The decay rate ``alpha`` lies in
    [0, 1); the other arguments are as in :class:`Adam`.

    >>> import minigrad as mg
    >>> mg.optim.minimize(lambda x: 5 * x, 0.0, "rmsprop", lr=0.1, maxiter=4).history["step"][1:].round(3)
    array([1.   , 0.709, 0.58 , 0.504])
    """

    entry = FAMILY["RMSProp"]

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        eps_inside: bool = False,
    ) -> None:
        super().__init__(
            params, {"lr": lr, "beta2": alpha, "eps": eps, "weight_decay": weight_decay, "eps_inside": eps_inside}
        )


class HeavyBall(_FamilyMember):
    """Momentum as a moving average: m = beta m + (1 - beta) g from m = 0, theta <- theta - lr m (notes, section 9.3.1).

    It is Polyak's heavy ball, ``SGD(lr=lr * (1 - beta), momentum=beta)``, in other units. Arguments as in Adam.

    >>> import minigrad as mg
    >>> mg.optim.minimize(lambda x: x, 0.0, "heavy-ball", lr=1.0, beta=0.9, maxiter=3).history["step"][1:].round(6)
    array([0.1  , 0.19 , 0.271])
    """

    entry = FAMILY["HeavyBall"]

    def __init__(self, params: Iterable[Any], lr: float = 1e-3, beta: float = 0.9, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "beta1": beta, "weight_decay": weight_decay})


class SignSGD(_FamilyMember):
    """theta <- theta - lr sign(g) (Bernstein et al. 2018): Adam with both decay rates 0. Arguments as there.

    >>> rule = SignSGD.rule(lr=0.1)
    >>> rule.update(np.ones(3), np.array([1.0, -100.0, 0.0]), rule.init(np.ones(3)))[0]
    array([0.9, 1.1, 1. ])
    """

    entry = FAMILY["SignSGD"]

    def __init__(self, params: Iterable[Any], lr: float = 1e-3, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})
