"""Notebooks are read as IPython reads them, and what cannot be read is never clean."""

import ast
import json

import pytest

from toadstone.scan.code import audit_code
from toadstone.scan.rules.ipython import python_of

# What TransformerManager().transform_cell of IPython 9.18.1 makes of each cell; None where that is not Python.
GRAMMAR = [
    ("%time exec(x)", "get_ipython().run_line_magic('time', 'exec(x)')\n"),
    ("y = %time f(x)", "y = get_ipython().run_line_magic('time', 'f(x)')\n"),
    ("  %time a\n  b", "get_ipython().run_line_magic('time', 'a')\nb\n"),
    ("\n\n%%time\nexec(x)\n", "get_ipython().run_cell_magic('time', '', 'exec(x)\\n')\n"),
    ("%%bash -c\ncurl | sh", "get_ipython().run_cell_magic('bash', '-c', 'curl | sh\\n')\n"),
    ("!ls", "get_ipython().system('ls')\n"),
    ("!!ls -l", "get_ipython().getoutput('ls -l')\n"),
    ("a = !ls", "a = get_ipython().getoutput('ls')\n"),
    ("a, b = !ls", "a, b = get_ipython().getoutput('ls')\n"),
    ("a['x'] = !ls {x}", "a['x'] = get_ipython().getoutput('ls {x}')\n"),
    ("x = 5 % 3", "x = 5 % 3\n"),
    ("x = (5\n% y)", "x = (5\n% y)\n"),
    ("s = '''\n%time x\n!ls\n'''\n!ls", "s = '''\n%time x\n!ls\n'''\nget_ipython().system('ls')\n"),
    ("f(\n!x\n)", None),
    ("!echo \\\n hi\nx=1", "get_ipython().system('echo   hi')\nx=1\n"),
    ("%timeit -n 3 \\\n  f(x)\ny", "get_ipython().run_line_magic('timeit', '-n 3    f(x)')\ny\n"),
    ("torch.load?", "get_ipython().run_line_magic('pinfo', 'torch.load')\n"),
    ("torch.load??", "get_ipython().run_line_magic('pinfo2', 'torch.load')\n"),
    ("x = torch.load?", "get_ipython().run_line_magic('pinfo', 'torch.load')\n"),
    ("?torch", "get_ipython().run_line_magic('pinfo', 'torch')\n"),
    ("??torch", "get_ipython().run_line_magic('pinfo2', 'torch')\n"),
    ("*.load?", "get_ipython().run_line_magic('psearch', '*.load')\n"),
    ("torch.*load*?", "get_ipython().run_line_magic('psearch', 'torch.*load*')\n"),
    ("a[0].b?", "get_ipython().run_line_magic('pinfo', 'a[0].b')\n"),
    ("%time?", "get_ipython().run_line_magic('pinfo', '%time')\n"),
    ("%%time?", "get_ipython().run_line_magic('pinfo', '%%time')\n"),
    ("torch.load? # c", None),
    (">>> exec(x)\n... y", "exec(x)\ny\n"),
    ("In [1]: exec(x)\n   ...: y", "exec(x)\ny\n"),
    (",exec a b", 'exec("a", "b")\n'),
    (";exec a b", 'exec("a b")\n'),
    ("/exec a b", "exec(a, b)\n"),
    ("if x:\n\t!ls", "if x:\n\tget_ipython().system('ls')\n"),
    ("%%time x\ny", "get_ipython().run_cell_magic('time', 'x', 'y\\n')\n"),
    (
        "%%capture out --no-stderr\n%time exec(x)",
        "get_ipython().run_cell_magic('capture', 'out --no-stderr', '%time exec(x)\\n')\n",
    ),
    ("x = y = !ls", None),
    ("x == %time", None),
    ("x: int = !ls", "x: int = get_ipython().getoutput('ls')\n"),
    ("x += !ls", None),
    ("f(x = !ls)", None),
    ("!echo (\n%time y", "get_ipython().system('echo (')\nget_ipython().run_line_magic('time', 'y')\n"),
    ("# %time x", "# %time x\n"),
    ("x = '#' ; y = !ls", None),
    ("x = 1 # = !ls", "x = 1 # = !ls\n"),
    ("'a' % b", "'a' % b\n"),
    ("a = b\\\n% c", "a = b\\\n% c\n"),
    ("%", "get_ipython().run_line_magic('', '')\n"),
    ("!", "get_ipython().system('')\n"),
    ("?", "get_ipython().show_usage()\n"),
    ("! ls", "get_ipython().system(' ls')\n"),
    ("% time x", "get_ipython().run_line_magic('', 'time x')\n"),
    ("x = % time y", "x = get_ipython().run_line_magic('', 'time y')\n"),
    ("x = ! ls", "x = get_ipython().getoutput(' ls')\n"),
    ("%%\nx", "get_ipython().run_cell_magic('', '', 'x\\n')\n"),
    (
        "def f():\n    '''doc %x\n    !y\n    '''\n    return 1\n\n%load_ext a",
        "def f():\n    '''doc %x\n    !y\n    '''\n    return 1\n\nget_ipython().run_line_magic('load_ext', 'a')\n",
    ),
    ("lambda x: x?", "get_ipython().run_line_magic('pinfo', 'x')\n"),
    ("class A:\n    %time x", "class A:\n    get_ipython().run_line_magic('time', 'x')\n"),
    ("a = {\n 'x': 1,\n}\n!ls", "a = {\n 'x': 1,\n}\nget_ipython().system('ls')\n"),
    ("x=!ls", "x=get_ipython().getoutput('ls')\n"),
    ("x =%time y", "x =get_ipython().run_line_magic('time', 'y')\n"),
    ("a.b.c = %sx ls", "a.b.c = get_ipython().run_line_magic('sx', 'ls')\n"),
    ("print('hi')?", None),
    ("x = 'a'?", None),
    ("exec(x); torch.load?", "get_ipython().run_line_magic('pinfo', 'torch.load')\n"),
    ("a\n\n\n!ls\n", "a\n\n\nget_ipython().system('ls')\n"),
    ("%time\texec(x)", "get_ipython().run_line_magic('time\\texec(x)', '')\n"),
    ("%%time\texec\nx", "get_ipython().run_cell_magic('time\\texec', '', 'x\\n')\n"),
    ("b'''%x'''\n%y", "b'''%x'''\nget_ipython().run_line_magic('y', '')\n"),
    ('r\'\\\'\' + """x\n!ls"""', 'r\'\\\'\' + """x\n!ls"""\n'),
    ("@a\n!ls", None),
    ("if a: !ls", None),
    ("x = a if b else !ls", None),
    ("  \n  %%time\n  x", "get_ipython().run_cell_magic('time', '', 'x\\n')\n"),
    ("\t%time x", "get_ipython().run_line_magic('time', 'x')\n"),
    ("a = 1\n  \n%time y", "a = 1\n\nget_ipython().run_line_magic('time', 'y')\n"),
    ("!ls # c", "get_ipython().system('ls # c')\n"),
    ("%run x.py # c", "get_ipython().run_line_magic('run', 'x.py # c')\n"),
    ("a: b = %time c", "a: b = get_ipython().run_line_magic('time', 'c')\n"),
    ("!x\\\\\ny", "get_ipython().system('x\\\\ y')\n"),
    ("%%%time x", "get_ipython().run_cell_magic('%time', 'x', '')\n"),
    ("%%time\n%%time\nx", "get_ipython().run_cell_magic('time', '', '%%time\\nx\\n')\n"),
    ("x = 3; y = !ls", None),
    ("1 ?", None),
    ("f(1)?", None),
    ("a?b", None),
    ("a ?", None),
    ("x[a]?", None),
    ("!ls *.tx?", "get_ipython().run_line_magic('psearch', '*.tx')\n"),
    ("!ls x?", "get_ipython().run_line_magic('pinfo', 'x')\n"),
    ("%time exec(x)?", "get_ipython().run_line_magic('time', 'exec(x)?')\n"),
    ("%time f?", "get_ipython().run_line_magic('pinfo', 'f')\n"),
    ("%cd foo??", "get_ipython().run_line_magic('pinfo2', 'foo')\n"),
    ("!?", "get_ipython().system('?')\n"),
    ("!!ls?", "get_ipython().run_line_magic('pinfo', 'ls')\n"),
    ("x = !ls?", "get_ipython().run_line_magic('pinfo', 'ls')\n"),
    ("x = %time y?", "get_ipython().run_line_magic('pinfo', 'y')\n"),
    ("?x?", "get_ipython().run_line_magic('pinfo', 'x')\n"),
    (",f a?", "get_ipython().run_line_magic('pinfo', 'a')\n"),
    ("if x:\n    !ls?", "if x:\n    get_ipython().run_line_magic('pinfo', 'ls')\n"),
    ("/f a?", "get_ipython().run_line_magic('pinfo', 'a')\n"),
    ("! ls x\\\n y?\nz", "get_ipython().run_line_magic('pinfo', 'y')\nz\n"),
    ("%time (\nx)?", None),
    ("!echo 'a?'", "get_ipython().system(\"echo 'a?'\")\n"),
    ("!echo #a?", "get_ipython().system('echo #a?')\n"),
    ("%time f('a')?", "get_ipython().run_line_magic('time', \"f('a')?\")\n"),
    ("%time exec(x);f?", "get_ipython().run_line_magic('pinfo', 'f')\n"),
    ("!curl a|sh;f?", "get_ipython().run_line_magic('pinfo', 'f')\n"),
    ("f? ", None),
    ("%%time exec(x)?\ny", "get_ipython().run_cell_magic('time', 'exec(x)?', 'y\\n')\n"),
    ("%%time? \ny", "get_ipython().run_line_magic('%time?', '')\ny\n"),
]


def tree(source):
    try:
        return ast.dump(ast.parse(source))
    except SyntaxError:
        return None


@pytest.mark.parametrize(("cell", "python"), GRAMMAR)
def test_cells_become_what_ipython_makes_of_them(cell, python):
    found = python_of(cell, lambda _: False)
    assert tree(found) == (None if python is None else tree(python))
    assert found.count("\n") == cell.count("\n")  # findings name lines of the cell


def notebook(*sources, **more):
    cells = [{"cell_type": "code", "source": source, "metadata": {}} for source in sources]
    return {"cells": cells, "nbformat": 4, "nbformat_minor": 5, "metadata": {}, **more}


def audited(tmp_path, book):
    file = tmp_path / "n.ipynb"
    file.write_text(book if isinstance(book, str) else json.dumps(book))
    return audit_code(file)


HOSTILE = {  # cell -> (rule, line) of the finding
    "%time exec(x)": ("dynamic-code", 1),
    "%timeit exec(x)": ("dynamic-code", 1),
    "%timeit -n 3 -r2 exec(x)": ("dynamic-code", 1),
    "%timeit -qo exec(x)": ("dynamic-code", 1),
    "%time -exec(x)": ("dynamic-code", 1),  # a minus, no option
    "%time %time exec(x)": ("dynamic-code", 1),
    "%prun -l 5 -s cumulative exec(x)": ("dynamic-code", 1),
    "%debug exec(x)": ("dynamic-code", 1),
    "%memit exec(x)": ("dynamic-code", 1),
    "%lprun -f f exec(x)": ("dynamic-code", 1),
    "%config A.b = exec(x)": ("dynamic-code", 1),
    "y = %time exec(x)": ("dynamic-code", 1),
    "for i in y:\n    %time exec(i)": ("dynamic-code", 2),
    "%%time\n\nexec(x)": ("dynamic-code", 3),
    "\n\n%%time\nexec(x)": ("dynamic-code", 4),
    "  %%time\n  exec(x)": ("dynamic-code", 2),
    "%%timeit exec(x)\npass": ("dynamic-code", 1),
    "%%capture out\n%time exec(x)": ("dynamic-code", 2),
    "%%prun\nexec(x)": ("dynamic-code", 2),
    "%%python3\nexec(x)": ("dynamic-code", 2),
    "%%script python\nexec(x)": ("dynamic-code", 2),
    "%%writefile other.py\nexec(x)": ("dynamic-code", 2),
    "%cd {exec(x)}": ("dynamic-code", 1),
    "!echo {exec(x)}": ("dynamic-code", 1),
    "!echo {a:{exec(x)}}": ("dynamic-code", 1),
    "!python -c 'exec(x)'": ("dynamic-code", 1),
    "time exec(x)": ("dynamic-code", 1),
    "/exec x": ("dynamic-code", 1),
    ">>> exec(x)": ("dynamic-code", 1),
    "In [1]: exec(x)": ("dynamic-code", 1),
    "import pickle as p\n%time p.load(f)": ("unsafe-load", 2),
    "%timeit torch.load(f)\nimport torch": ("torch-load", 1),
    "%run other.py": ("other-script", 1),
    "%run -i -p -m pack.age": ("other-script", 1),
    "%run $name": ("dynamic-code", 1),
    "%run https://a/b.py": ("remote-code", 1),
    "run other": ("other-script", 1),
    "%load other.py": ("other-script", 1),
    "%load https://a/b.py": ("remote-code", 1),
    "%load -y http://a/b.py": ("remote-code", 1),
    "!curl http://a/b | sh": ("piped-download", 1),
    "!curl http://a/b \\\n  | sudo -E bash": ("piped-download", 1),
    "!wget -qO- http://a/b | python3 -": ("piped-download", 1),
    "!bash <(curl http://a/b)": ("piped-download", 1),
    "!!curl http://a/b | sh": ("piped-download", 1),
    "x = !curl http://a/b | sh": ("piped-download", 1),
    "%sx curl http://a/b | sh": ("piped-download", 1),
    "if x:\n    !curl http://a/b | sh": ("piped-download", 2),
    "%%bash\ncd a\ncurl http://a/b | sh": ("piped-download", 3),
    "%%sh -e\ncurl http://a/b |\n  sh": ("piped-download", 2),
    "%%!\ncurl http://a/b | sh": ("piped-download", 2),
    "%%script bash\ncurl http://a/b | sh": ("piped-download", 2),
    "!echo bHM= | base64 -d | sh": ("shell", 1),
    "!{command}": ("shell", 1),
    "!$command": ("shell", 1),
    "%pip install git+https://a/b": ("remote-code", 1),
    "!pip install git+https://a/b": ("remote-code", 1),
    "pip install -q git+https://a/b@main": ("remote-code", 1),
    "%pip install https://a/b.whl": ("remote-code", 1),
    "%pip install git+https://a/b@" + "0" * 40: ("loader-to-look-at", 1),
    "%pip install --extra-index-url http://a b": ("download", 1),
    "%pip install --trusted-host a b": ("download", 1),
    "!{sys.executable} -m pip install git+https://a/b": ("remote-code", 1),
    "get_ipython().system('curl http://a/b | sh')": ("piped-download", 1),
    "get_ipython().getoutput(text)": ("shell", 1),
    "get_ipython().run_line_magic('time', 'exec(x)')": ("dynamic-code", 1),
    "get_ipython().run_line_magic(line='exec(x)', magic_name='time')": ("dynamic-code", 1),
    "get_ipython().run_line_magic(name, '')": ("dynamic-code", 1),
    "ip = get_ipython()\nip.run_cell_magic('bash', '', 'curl http://a | sh')": ("piped-download", 3),
    "get_ipython().magic('time exec(x)')": ("dynamic-code", 1),
    "get_ipython().run_cell('%time exec(x)')": ("dynamic-code", 1),
    "get_ipython().ex(text)": ("dynamic-code", 1),
    "from IPython import get_ipython as g\ng().system('curl http://a | sh')": ("piped-download", 2),
    "getattr(get_ipython(), 'system')('curl http://a | sh')": ("piped-download", 1),
    "from IPython.core.interactiveshell import InteractiveShell as S\nS.instance().ev('exec(x)')": ("dynamic-code", 2),
    # what cannot be read
    "%%perl\nx": ("unreadable", 1),
    "%%R\nx": ("unreadable", 1),
    "%%javascript\nx": ("unreadable", 1),
    "%%html\n<script>x</script>": ("unreadable", 1),
    "%%cython\ncdef int x": ("unreadable", 2),
    "%%sql\nselect 1": ("unreadable", 1),
    "%unheard of": ("unreadable", 1),
    "%%unheard of\nx": ("unreadable", 1),
    "%alias_magic quick time": ("unreadable", 1),
    "%rerun ~1/": ("unreadable", 1),
    "%time exec(": ("unreadable", 1),
    "%%time\ndef f(:": ("unreadable", 2),
    "print 'x'": ("unreadable", 1),
    "torch.load? # what": ("unreadable", 1),
}


@pytest.mark.parametrize("source", HOSTILE)
def test_what_cells_run_is_found(tmp_path, source):
    audit = audited(tmp_path, notebook(source))
    assert audit.verdict != "clean"
    rule, line = HOSTILE[source]
    assert (rule, f"{tmp_path}/n.ipynb!cell 1", line) in {(f.rule, f.where, f.line) for f in audit.findings}


HONEST = [
    "%matplotlib inline",
    "%load_ext autoreload\n%autoreload 2",
    "%config InlineBackend.figure_format = 'retina'",
    "%env A=1",
    "%cd data",
    "!ls",
    "files = !ls *.png",
    "!nvidia-smi",
    "!awk '{print $1}' a",
    "!unzip -q a.zip",
    "%pip install torch",
    "!pip install -q torch==2.6",
    "!{sys.executable} -m pip install torch",
    "!pip install torch --index-url https://download.pytorch.org/whl/cu118",
    "%time f(x)",
    "y = %timeit -o f(x)",
    "%%time\nfor i in x:\n    f(i)",
    "%%capture\n!pip install torch",
    "torch.load?",
    "torch.load??",
    "?torch.load",
    "*.load?",
    "%%html\n<style>a {}</style>",
    "%%markdown\ncurl a | sh",
    "%%writefile a.yaml\na: 1",
    "%tensorboard --logdir x",
    "x = 5 % 3\ny = (4\n% 2)",
    "s = '''\n%run a.py\n!curl a | sh\n'''",
    "# %run a.py\n# !curl a | sh",
    "ls -la x",
    "",
]


@pytest.mark.parametrize("source", HONEST)
def test_ordinary_cells_are_no_finding(tmp_path, source):
    assert audited(tmp_path, notebook(source)).findings == ()


def test_a_script_that_is_read_as_well_is_no_finding(tmp_path):
    (tmp_path / "other.py").write_text("x = 1\n")
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__main__.py").write_text("x = 1\n")
    (tmp_path / "n.ipynb").write_text(json.dumps(notebook("%run other\n%run ./other.py 3\n%run -m pack")))
    assert audit_code(tmp_path).findings == ()
    assert [f.line for f in audit_code(tmp_path / "n.ipynb").findings] == [1, 2, 3]


def test_scripts_of_ipython_and_exported_notebooks(tmp_path):
    (tmp_path / "a.ipy").write_text("x = 1\n%time exec(x)\n")
    (tmp_path / "b.py").write_text("# In[1]:\nget_ipython().run_cell_magic('time', '', '\\nexec(x)\\n')\n")
    found = audit_code(tmp_path).findings
    assert [(f.rule, f.where[-4:], f.line) for f in found] == [("dynamic-code", ".ipy", 2), ("dynamic-code", "b.py", 2)]


def old(*cells):
    return {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}, "worksheets": [{"cells": [*cells]}]}


EXEC = {"cell_type": "code", "source": "exec(x)"}
BOOKS = {
    "worksheets": old({"cell_type": "code", "language": "python", "input": ["x = 1\n", "exec(x)"]}),
    "worksheets, lines without ends": old({"cell_type": "code", "input": ["x = 1", "exec(x)"]}),
    "worksheets, one text": old({"cell_type": "code", "input": "x = 1\nexec(x)", "outputs": []}),
    "worksheets, the second": {**old(), "worksheets": [{"cells": []}, {"cells": [EXEC]}]},
    "worksheets and a source": old({"cell_type": "code", "source": "", "input": "exec(x)"}),
    "cells beside empty worksheets": {**notebook("exec(x)"), "worksheets": [{"cells": []}]},
    "worksheets beside empty cells": {**notebook(), "worksheets": [{"cells": [EXEC]}]},
    "lines": notebook(["exec(\n", "x)"]),
    "a name from another cell": notebook("%time p.load(f)", "import pickle as p"),
    "a byte order mark": "\ufeff" + json.dumps(notebook("exec(x)")),
}


@pytest.mark.parametrize("book", BOOKS.values(), ids=BOOKS)
def test_every_form_of_notebook_is_read(tmp_path, book):
    assert {f.rule for f in audited(tmp_path, book).findings} & {"dynamic-code", "unsafe-load"}


UNREAD = {
    "another language": notebook("x", metadata={"kernelspec": {"language": "R"}}),
    "another language's name": notebook("x", metadata={"language_info": {"name": "julia"}}),
    "a worksheet's cell of another language": old({"cell_type": "code", "language": "ruby", "input": "x"}),
    "a kind unheard of": {"cells": [{"cell_type": "Code", "source": "x"}]},
    "no kind": {"cells": [{"source": "x"}]},
    "no source": {"cells": [{"cell_type": "code"}]},
    "a number for a source": notebook(3),
    "numbers for lines": notebook(["x\n", 3]),
    "no cells": {"nbformat": 4},
    "worksheets without cells": {"worksheets": [{}]},
    "worksheets that are none": {"worksheets": 3},
    "cells that are none": notebook() | {"cells": ["exec(x)"]},
    "nested magics": notebook("%time " * 40 + "exec(x)"),
    "text after it": json.dumps(notebook("x = 1")) + "}",
}


@pytest.mark.parametrize("book", UNREAD.values(), ids=UNREAD)
def test_what_cannot_be_read_is_never_clean(tmp_path, book):
    audit = audited(tmp_path, book)
    assert audit.verdict == "undecided"
    assert {f.rule for f in audit.findings} == {"unreadable"}


@pytest.mark.parametrize("kind", ["markdown", "raw", "heading"])
def test_cells_without_code_are_passed_by(tmp_path, kind):
    assert audited(tmp_path, {"cells": [{"cell_type": kind, "source": "exec(x) %run a ("}]}).verdict == "clean"
