"""Threads for kernels: every job once, errors raised, nothing left changed, forks."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import minigrad as mg
from minigrad.kernels import blas
from minigrad.kernels import threads as team
from minigrad.nn import functional as F
from tests import host_only

pytestmark = host_only


@pytest.fixture(params=[1, 2, 3])
def threads(request, monkeypatch):
    monkeypatch.setattr(team, "THREADS", request.param)
    return request.param


def test_every_job_once_and_in_order(threads):
    done = []
    assert team.run(lambda i: done.append(i) or i * i, range(50)) == [i * i for i in range(50)]
    assert sorted(done) == list(range(50))


def test_jobs_within_jobs_and_threads_beside_them(threads):
    """Neither waits for ever."""
    squares = lambda n: team.run(lambda i: i * i, range(n))
    assert team.run(squares, range(30)) == [[i * i for i in range(n)] for n in range(30)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(squares, range(30))) == [[i * i for i in range(n)] for n in range(30)]


@pytest.mark.parametrize("bad", [0, 7, 19])
def test_an_error_in_a_job_is_raised_and_blas_keeps_its_threads(threads, bad):
    before = blas.one_thread.get() if blas.one_thread.get else None

    def work(i):
        if i == bad:
            raise ZeroDivisionError("job")

    with pytest.raises(ZeroDivisionError, match="job"):
        team.run(work, range(20))
    assert blas.one_thread.depth == 0
    assert (blas.one_thread.get() if blas.one_thread.get else None) == before


@pytest.mark.parametrize(("n", "size", "count"), [(0, 3, 2), (1, 3, 2), (10, 3, 2), (10, 100, 4), (7, 1, 2), (5, 2, 1)])
def test_pieces_cover_everything(n, size, count):
    pieces = team.pieces(n, size, count)
    assert [i for piece in pieces for i in range(n)[piece]] == list(range(n))
    assert all(0 < piece.stop - piece.start <= size for piece in pieces)
    assert len(pieces) % count == 0 or len(pieces) == n


def test_results_do_not_depend_on_the_threads(monkeypatch):
    """Outputs are the same numbers; sums over images may differ in the last digits only."""
    rng = np.random.default_rng(0)
    x = mg.Tensor(rng.standard_normal((40, 5, 20, 20)), requires_grad=True)
    w = mg.Tensor(rng.standard_normal((16, 5, 3, 3)), requires_grad=True)
    found = []
    for threads in (1, 2, 3):
        monkeypatch.setattr(team, "THREADS", threads)
        y = F.max_pool2d(F.batch_norm(F.conv2d(x, w, padding=1), training=True), 2)
        gx, gw = mg.grad(lambda x, w: (F.max_pool2d(F.conv2d(x, w, padding=1), 2) ** 2).sum(), argnums=(0, 1))(x, w)
        found.append([y.numpy(), gx.numpy(), gw.numpy()])
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_threads_of_its_own(monkeypatch):
    monkeypatch.setattr(team, "THREADS", 2)
    team.run(lambda i: i, range(4))
    child = os.fork()
    if child == 0:
        os._exit(0 if team.run(lambda i: i, range(4)) == [0, 1, 2, 3] else 1)
    assert os.waitpid(child, 0)[1] == 0


SPIN = """
import os, sys, time
import numpy as np
if sys.argv[1] == "minigrad":
    import minigrad
a = np.ones((600, 600), np.float32)
shares = []
for _ in range(9):
    a @ a
    before = time.process_time()
    time.sleep(0.02)
    shares.append((time.process_time() - before) / 0.02)
print(sorted(shares)[4], np.allclose(a @ a, 600), "OPENBLAS_THREAD_TIMEOUT" in os.environ)
"""


@pytest.mark.skipif(blas._openblas() is None or team.cores() < 2, reason="needs NumPy's OpenBLAS and two cores")
def test_blas_threads_sleep_soon():
    """A core is not kept busy after a product, products still are right, and the environment is as it was."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS")}
    run = lambda who, **more: subprocess.run(
        [sys.executable, "-c", SPIN, who], env={**environment, **more}, capture_output=True, text=True, check=True
    ).stdout.split()
    share, right, left = run("minigrad")
    assert float(share) < 0.3
    assert (right, left) == ("True", "False")
    assert run("minigrad", OPENBLAS_THREAD_TIMEOUT="26")[1:] == ["True", "True"]
