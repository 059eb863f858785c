"""A bar that shows the epochs, by tqdm."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

__all__ = ["bar"]


@contextmanager
def bar(progress: bool, epochs: int, done: int) -> Iterator[Callable[[Mapping[str, float]], None]]:
    """What shows an epoch's numbers; nothing, without ``progress``.

    Raises:
        ImportError: tqdm is not installed.

    >>> with bar(False, epochs=1, done=0) as show:
    ...     show({"loss": 0.5})
    """
    if not progress:
        yield lambda record: None
        return
    try:
        from tqdm import tqdm
    except ImportError as error:
        raise ImportError("fit: progress=True needs tqdm: pip install 'minigrad-autodiff[examples]'") from error
    with tqdm(total=epochs, initial=done, unit="epoch") as shown:

        def show(record: Mapping[str, float]) -> None:
            shown.set_postfix({k: f"{v:.4g}" for k, v in record.items() if k != "seconds"})
            shown.update()

        yield show
