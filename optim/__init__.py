"""Ways to minimize: a value, a sum of squares, what one player of a game pays the other.

Five functions take every method by name: :func:`minimize`, :func:`least_squares`, :func:`minimax`, :func:`root` and
:func:`fixed_point`. The classes are for training loops, as in PyTorch: ``step()`` after ``loss.backward()`` for the
first-order ones, ``step(closure)`` for all.
"""

from minigrad.optim import rates, schedules
from minigrad.optim.constraints import Ball, Box, Constraint, Simplex
from minigrad.optim.equations import FIXED_POINT, ROOT, fixed_point, root
from minigrad.optim.first_order.adam import (
    FAMILY,
    AdaFom,
    AdaGrad,
    Adam,
    AdamW,
    AMSGrad,
    HeavyBall,
    RMSProp,
    SignSGD,
    adam_step,
    adaptive_step,
)
from minigrad.optim.first_order.clip import clip_grad_norm_, clip_grad_value_
from minigrad.optim.first_order.descent import GD, FullMatrixAdaGrad, NoisyGD, PerturbedGD, ProjectedGD, Subgradient
from minigrad.optim.first_order.optimizer import Optimizer
from minigrad.optim.first_order.sgd import SGD, IncrementalGradient, Nesterov
from minigrad.optim.first_order.update import UpdateRule, UpdateState
from minigrad.optim.first_order.zeroth_order import ZOO, RandomGradientFree
from minigrad.optim.games import GDA, BestResponse, ConsensusGD, ExtraGradient, Game, OptimisticAdam, OptimisticGDA
from minigrad.optim.line_search import Armijo, Constant, Exact, Search, Wolfe
from minigrad.optim.loop import Stopping
from minigrad.optim.method import Direction, DirectionSearch, Method, Step, Stuck, TrainingMethod
from minigrad.optim.problems.gradient_estimates import CoordinateEstimate, GaussianEstimate
from minigrad.optim.problems.least_squares import LeastSquares
from minigrad.optim.problems.minimax import Minimax
from minigrad.optim.problems.minimization import Minimization
from minigrad.optim.result import OptimizationError, Result, Status
from minigrad.optim.root_finding.anderson import Anderson, FixedPointIteration
from minigrad.optim.root_finding.broyden import Broyden
from minigrad.optim.root_finding.newton_raphson import NewtonRaphson
from minigrad.optim.schedules import Schedule, Scheduler
from minigrad.optim.second_order.conjugate_gradients import conjugate_gradients
from minigrad.optim.second_order.gauss_newton import GaussNewton
from minigrad.optim.second_order.lbfgs import LBFGS
from minigrad.optim.second_order.levenberg_marquardt import LevenbergMarquardt
from minigrad.optim.second_order.newton import Newton, NewtonCG, modified_cholesky
from minigrad.optim.second_order.trust_region import TrustRegion, trust_region_step
from minigrad.optim.solvers import LEAST_SQUARES, MINIMAX, MINIMIZE, least_squares, minimax, minimize

__all__ = [
    "FAMILY",
    "FIXED_POINT",
    "GD",
    "GDA",
    "LBFGS",
    "LEAST_SQUARES",
    "MINIMAX",
    "MINIMIZE",
    "ROOT",
    "SGD",
    "ZOO",
    "AMSGrad",
    "AdaFom",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Anderson",
    "Armijo",
    "Ball",
    "BestResponse",
    "Box",
    "Broyden",
    "ConsensusGD",
    "Constant",
    "Constraint",
    "CoordinateEstimate",
    "Direction",
    "DirectionSearch",
    "Exact",
    "ExtraGradient",
    "FixedPointIteration",
    "FullMatrixAdaGrad",
    "Game",
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
    "NewtonRaphson",
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
    "Schedule",
    "Scheduler",
    "Search",
    "SignSGD",
    "Simplex",
    "Status",
    "Step",
    "Stopping",
    "Stuck",
    "Subgradient",
    "TrainingMethod",
    "TrustRegion",
    "UpdateRule",
    "UpdateState",
    "Wolfe",
    "adam_step",
    "adaptive_step",
    "clip_grad_norm_",
    "clip_grad_value_",
    "conjugate_gradients",
    "fixed_point",
    "least_squares",
    "minimax",
    "minimize",
    "modified_cholesky",
    "rates",
    "root",
    "schedules",
    "trust_region_step",
]
