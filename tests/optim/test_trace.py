"""CONTRIBUTING says which files a call goes through; here the call is followed."""

import re
import sys
from pathlib import Path

import numpy as np

import minigrad as mg
from minigrad import optim

ROOT = Path(__file__).parents[2]


class Arrived(Exception):
    """The first step has been made."""


def test_least_squares_to_its_first_step_goes_through_the_eight_files_of_the_trace():
    met: list[str] = []

    def follow(frame, event, _):
        path = Path(frame.f_code.co_filename).resolve()
        if event == "call" and path.is_relative_to(ROOT / "optim"):
            name = str(path.relative_to(ROOT))
            met.extend([name] if name not in met else [])

    def stop(result):
        sys.setprofile(None)
        raise Arrived

    fun = lambda x: mg.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]])
    before = sys.getprofile()
    sys.setprofile(follow)
    try:
        optim.least_squares(fun, np.array([-1.2, 1.0]), method="lm", callback=stop)
    except Arrived:
        pass
    finally:
        sys.setprofile(before)
    text = (ROOT / "CONTRIBUTING.md").read_text()
    trace = text[text.index("`optim.least_squares(fun") : text.index("A test follows the call")]
    told = re.findall(r"^\d\. `(\S+)`", trace, re.M)
    assert len(told) == 8
    assert sorted(met) == sorted({*told, "optim/result.py"} & set(met))
    assert set(told) <= set(met)
