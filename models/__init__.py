"""Networks of the course, built from :mod:`minigrad.nn`."""

from minigrad.models.autoencoder import Autoencoder
from minigrad.models.cnn import CNN, LeNet
from minigrad.models.deep_linear import DeepLinear
from minigrad.models.gan import (
    GAN,
    dcgan_discriminator,
    dcgan_generator,
    gradient_penalty,
    mlp_discriminator,
    mlp_generator,
)
from minigrad.models.highway import Highway, HighwayBlock
from minigrad.models.mlp import MLP
from minigrad.models.residual_mlp import ResidualBlock, ResidualMLP
from minigrad.models.resnet import (
    ResNet,
    resnet18,
    resnet20,
    resnet32,
    resnet34,
    resnet44,
    resnet50,
    resnet56,
    resnet110,
)
from minigrad.models.two_layer import PatchCNN, TwoLayer, teach

__all__ = [
    "CNN",
    "GAN",
    "MLP",
    "Autoencoder",
    "DeepLinear",
    "Highway",
    "HighwayBlock",
    "LeNet",
    "PatchCNN",
    "ResNet",
    "ResidualBlock",
    "ResidualMLP",
    "TwoLayer",
    "dcgan_discriminator",
    "dcgan_generator",
    "gradient_penalty",
    "mlp_discriminator",
    "mlp_generator",
    "resnet18",
    "resnet20",
    "resnet32",
    "resnet34",
    "resnet44",
    "resnet50",
    "resnet56",
    "resnet110",
    "teach",
]
