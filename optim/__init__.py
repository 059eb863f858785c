"""Ways to minimize: a value, a sum of squares, what one player of a game pays the other.

Three functions take every method by name: :func:`minimize`, :func:`least_squares`, :func:`minimax`. The classes are for
training loops, as in PyTorch: ``step()`` after ``loss.backward()`` for the first-order ones, ``step(closure)`` for all.
"""

from minigrad.optim import rates, schedules
from minigrad.optim.adam import (
    FAMILY,
    AdaFom,
    AdaGrad,
    Adam,
    AdamW,
    AMSGrad,
    HeavyBall,
    RMSProp,
    SignSGD,
    adaptive_step,
)
from minigrad.optim.clip import clip_grad_norm_, clip_grad_value_
from minigrad.optim.constraints import Ball, Box, Simplex
from minigrad.optim.descent import GD, FullMatrixAdaGrad, NoisyGD, PerturbedGD, ProjectedGD, Subgradient
from minigrad.optim.estimates import CoordinateEstimate, GaussianEstimate
from minigrad.optim.games import GDA, BestResponse, ConsensusGD, ExtraGradient, OptimisticAdam, OptimisticGDA
from minigrad.optim.gauss_newton import GaussNewton
from minigrad.optim.lbfgs import LBFGS
from minigrad.optim.levenberg_marquardt import LevenbergMarquardt
from minigrad.optim.line_search import Armijo, Constant, Exact, Wolfe
from minigrad.optim.method import Method
from minigrad.optim.newton import Newton, NewtonCG, modified_cholesky
from minigrad.optim.optimizer import Optimizer
from minigrad.optim.payoffs import Minimax
from minigrad.optim.problems import Minimization
from minigrad.optim.result import OptimizationError, Result, Status
from minigrad.optim.schedules import Scheduler
from minigrad.optim.sgd import SGD, IncrementalGradient, Nesterov
from minigrad.optim.solve import LEAST_SQUARES, MINIMAX, MINIMIZE, least_squares, minimax, minimize
from minigrad.optim.squares import LeastSquares
from minigrad.optim.trust_region import TrustRegion, trust_region_step
from minigrad.optim.zeroth_order import ZOO, RandomGradientFree

__all__ = [
    "FAMILY",
    "GD",
    "GDA",
    "LBFGS",
    "LEAST_SQUARES",
    "MINIMAX",
    "MINIMIZE",
    "SGD",
    "ZOO",
    "AMSGrad",
    "AdaFom",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Armijo",
    "Ball",
    "BestResponse",
    "Box",
    "ConsensusGD",
    "Constant",
    "CoordinateEstimate",
    "Exact",
    "ExtraGradient",
    "FullMatrixAdaGrad",
    "GaussNewton",
    "GaussianEstimate",
    "HeavyBall",
    "IncrementalGradient",
    "LeastSquares",
    "LevenbergMarquardt",
    "Method",
    "Minimax",
    "Minimization",
    "Nesterov",
    "Newton",
    "NewtonCG",
    "NoisyGD",
    "OptimisticAdam",
    "OptimisticGDA",
    "OptimizationError",
    "Optimizer",
    "PerturbedGD",
    "ProjectedGD",
    "RMSProp",
    "RandomGradientFree",
    "Result",
    "Scheduler",
    "SignSGD",
    "Simplex",
    "Status",
    "Subgradient",
    "TrustRegion",
    "Wolfe",
    "adaptive_step",
    "clip_grad_norm_",
    "clip_grad_value_",
    "least_squares",
    "minimax",
    "minimize",
    "modified_cholesky",
    "rates",
    "schedules",
    "trust_region_step",
]
