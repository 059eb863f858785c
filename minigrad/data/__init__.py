"""Data sets, and batches of them."""

from minigrad.data.augment import compose, pad_crop, random_flip
from minigrad.data.datasets import Dataset, cifar10, digits, fashion_mnist, mnist
from minigrad.data.files import DataError
from minigrad.data.loader import DataLoader, Standardize, train_test_split

__all__ = [
    "DataError",
    "DataLoader",
    "Dataset",
    "Standardize",
    "cifar10",
    "compose",
    "digits",
    "fashion_mnist",
    "mnist",
    "pad_crop",
    "random_flip",
    "train_test_split",
]
