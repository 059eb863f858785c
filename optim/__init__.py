"""Ways to minimize a function of many parameters."""

from minigrad.optim import schedules
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
from minigrad.optim.optimizer import Optimizer
from minigrad.optim.schedules import Scheduler
from minigrad.optim.sgd import SGD

__all__ = [
    "FAMILY",
    "SGD",
    "AMSGrad",
    "AdaFom",
    "AdaGrad",
    "Adam",
    "AdamW",
    "HeavyBall",
    "Optimizer",
    "RMSProp",
    "Scheduler",
    "SignSGD",
    "adaptive_step",
    "clip_grad_norm_",
    "clip_grad_value_",
    "schedules",
]
