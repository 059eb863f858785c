"""What users see of every operation: its name, signature, definition and examples."""

import pydoc
import sys
from inspect import Parameter, getdoc, signature

import pytest

import minigrad as mg
from minigrad.ops import TABLE

VARIADIC = {"getitem", "add_at", "contract", "einsum"}


@pytest.mark.parametrize("name", sorted(TABLE))
def test_an_operation_is_a_function_with_a_signature_and_a_definition(name):
    f = TABLE[name]
    assert f.__name__ == name
    assert getattr(sys.modules[f.__module__], name) is f
    assert getdoc(f).splitlines()[0].endswith((".", ":"))
    if f.__module__.startswith("minigrad.ops."):
        assert ">>> " in f.__doc__
    parameters = signature(f).parameters.values()
    assert parameters
    several = {p.name for p in parameters if p.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)}
    assert bool(several) == (name in VARIADIC), several


@pytest.mark.parametrize("name", sorted(TABLE.keys() & vars(mg).keys()))
def test_the_exported_operation_is_the_one_in_the_table(name):
    assert getattr(mg, name) is TABLE[name]


def test_help_shows_the_signature_and_the_definition():
    text = pydoc.render_doc(mg.sum, renderer=pydoc.plaintext)
    assert text.startswith("Python Library Documentation: function sum in module minigrad.ops.reductions")
    head, body = text.split("\n\n")[1].split("\n", 1)
    assert head.startswith("sum(x: ")
    assert "axis: " in head
    assert "keepdims: " in head
    assert body.strip().startswith("sum_i x_i over ``axis``;")
