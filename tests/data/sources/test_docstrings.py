"""Docstrings out of source text: what is documented, and that leaving bodies out changes nothing."""

import ast
import inspect
import sysconfig
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from slipway.data.sources import docstrings
from slipway.data.sources.skim import skim
from tests.data.sources.test_pydocs import MODULE


def test_documents_are_modules_classes_functions_with_signatures():
    found = docstrings.docstrings(MODULE, "pkg.mod")
    assert found == [
        ("pkg.mod", "module pkg.mod", "What the module is for."),
        ("pkg.mod.twice", "def pkg.mod.twice(a, *, b: int=1) -> str", "First."),
        ("pkg.mod.twice", "def pkg.mod.twice()", "Second."),
        ("pkg.mod.Box", "class pkg.mod.Box(dict, metaclass=type)", "A box.\n\nMargin.\n    Indented."),
        ("pkg.mod.Box.get", "async def pkg.mod.Box.get(self, key='x')", "Get it."),
    ]


def test_a_very_long_elif_chain_is_no_recursion_error():
    source = "if x == 0: pass\n" + "".join(f"elif x == {n}: pass\n" for n in range(1500)) + 'def f():\n    """Doc."""\n'
    assert docstrings.docstrings(source.encode(), "m")[-1] == ("m.f", "def m.f()", "Doc.")


TRAPS = [
    "def f(a=(1,\n2), b={1:\n2}):\n    'Doc.'\n    return a\ndef g():\n    'G.'",
    'def f():\n    x = """\ndef hidden():\n    \'Not code.\'\n"""\ndef g():\n    \'G.\'\n',
    "def f():\n x = foo(\n1, 2)\n return x\nclass A:\n 'A.'\n def g(self): return 1\n def h(self):\n  'H.'\n",
    "def f(): return 1\nclass A:\n    'A.'\n    def g(self) -> 'x:y':  # a\n      # note\n\n      'G.'\n      g\n",
    "class A:\n '''\ndef no():\n pass\n '''\n def f(self):\n  ('not' 'plain')\n def g(self):\n  'a' 'b'\n",
    "def f():\n    'Doc.'; x = 1\n    return '#'\ndef g():\n  f'{1}'\ndef h():\n  b'bytes'\ndef i():\n  r'raw \\d'\n",
    "def f(\n    a: int,  # what:\n    b='):\\n',\n):\n    '''Doc.\n\n  text\n    '''\n\n# note\n    a\n\nx = 1\n",
    "def f():\n    x = 1 + \\\n2\n    return x\ndef g():\n    'G.'\n",
    "async  def f():\n    'Doc.'\n    await x\n\n\ndef g():\n    pass",
    "\ufeffdef café(ä):\n    'É.'\n    return 1\n",
    "def f():\n\t'Tab.'\n\treturn 1\r\ndef g():\n\t'G.'\n",
    "if True:\n    def f():\n        return '''\n'''\nelse:\n    def f():\n        'Doc.'\n",
    "def f():\n    'It\\'s.'\n    return \"a'b\"\n\ndef g():\n    '''G\\'''.'''\n    return r'\\'\n",
]  # fmt: skip


def _whole(data: bytes, monkeypatch: pytest.MonkeyPatch) -> list[docstrings.Described]:
    with monkeypatch.context() as patch:
        patch.setattr(docstrings, "skim", lambda _: None)
        return docstrings.docstrings(data, "m")


@pytest.mark.parametrize(
    "source", [*(trap.encode() for trap in TRAPS), b"# coding: latin-1\ndef f():\n    'caf\xe9'\n"]
)
def test_leaving_bodies_out_changes_nothing(source, monkeypatch):
    try:
        whole = _whole(source, monkeypatch)
    except SyntaxError:
        with pytest.raises(SyntaxError):
            docstrings.docstrings(source, "m")
    else:
        assert whole
        assert docstrings.docstrings(source, "m") == whole


def test_bodies_of_the_standard_library_are_left_out_and_nothing_else_changes(monkeypatch):
    files = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))[::4]
    assert len(files) > 30
    read = kept = 0
    for path in files:
        data = path.read_bytes()
        assert docstrings.docstrings(data, "m") == _whole(data, monkeypatch), path
        read += len(data)
        kept += len(skim(data) or data)
    assert kept < 0.6 * read


@given(st.text(alphabet="ab \n\t\r\x0b\x0c\xa0\u2028"))
@example("")
@example("\n  \n")
@example("a\n   ")
def test_docstrings_are_cleaned_as_inspect_does(text):
    assert docstrings.cleaned(text) == inspect.cleandoc(text)


@pytest.mark.parametrize(
    "parameters",
    [
        "",
        "a, /, b: int = 1, *c, d, e='x', **f",
        "*, a=-1, b=(1, 2), c=lambda: 0",
        "*a: int",
        "a=..., b=1e400, c=u'x', d=2j",
        "a=None, /, b=True, *, c: 'int'=b'x', d",
    ],
)
def test_parameters_are_spelt_as_ast_unparse_does(parameters):
    source = f"def f({parameters}):\n    'Doc.'"
    function = ast.parse(source).body[0]
    assert isinstance(function, ast.FunctionDef)
    assert docstrings.docstrings(source.encode(), "m")[0][1] == f"def m.f({ast.unparse(function.args)})"


def test_an_error_inside_a_function_is_not_noticed_and_one_outside_is():
    source = b"def f():\n    'Doc.'\n    print 'Python 2'\n"
    assert docstrings.docstrings(source, "m") == [("m.f", "def m.f()", "Doc.")]
    with pytest.raises(SyntaxError):
        docstrings.docstrings(source + b"print 'Python 2'\n", "m")
