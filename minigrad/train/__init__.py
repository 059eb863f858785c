"""Training: the loop that everyone writes, once, with what a long run needs.

    from minigrad.train import Checkpoint, ClipNorm, EarlyStopping, fit

    history = fit(
        model, F.cross_entropy, loader, optimizer, epochs=30,
        validation=(x_test, y_test),
        metrics={"accuracy": F.accuracy},
        gradient_steps=[ClipNorm(1.0)],
        early_stopping=EarlyStopping(patience=5, monitor="val_accuracy", restore_best=True),
        checkpoint=Checkpoint("run.safetensors", every=100, resume=True),
    )

A run that was stopped, even killed in the middle of an epoch, goes on from its last checkpoint and ends with the same
weights, bit for bit, as one that was not: the checkpoint holds the model, the optimizer, the schedule, the place in the
data and the state of minigrad's random generator.
"""

from minigrad.train.arguments import Metrics
from minigrad.train.checkpointing import Checkpoint
from minigrad.train.early_stopping import EarlyStopping
from minigrad.train.gradient_steps import ClipNorm, ClipValue, GradientStep
from minigrad.train.history import History
from minigrad.train.loop import Loss, Training, fit

__all__ = [
    "Checkpoint",
    "ClipNorm",
    "ClipValue",
    "EarlyStopping",
    "GradientStep",
    "History",
    "Loss",
    "Metrics",
    "Training",
    "fit",
]
