"""Names that are known to do harm when a pickle calls them, and what each does."""

from __future__ import annotations

import re
import sys

_DANGER = tuple(
    (re.compile(pattern), what)
    for pattern, what in {
        r"(os|posix|nt)\.(system|popen|exec\w+|spawn\w+|posix_spawn\w*|fork\w*|startfile)|subprocess(\..+)?|"
        r"_posixsubprocess\..+|pty\..+|commands\..+|popen2\..+|platform\.popen|multiprocessing\..+|concurrent\..+|"
        r"asyncio\..+|distutils\..+|setuptools\..+|torch\.multiprocessing\..+|torch\.utils\.cpp_extension\..+|"
        r"numpy\.(distutils|f2py)\..+|IPython\..+": "runs commands or starts processes",
        r"scipy\.stats\..+": "runs a text in its state as code",
        r"dill\..+|cloudpickle\..+|types\.(FunctionType|LambdaType|CodeType|MethodType|ModuleType)": (
            "makes functions from byte code that the file holds"
        ),
        r"builtins\.(eval|exec|compile|execfile|breakpoint)|__builtin__\.(eval|exec|compile|execfile|apply)|"
        r"runpy\..+|code\..+|codeop\..+|timeit\..+|cProfile\..+|_lsprof\..+|profile\..+|pdb\..+|bdb\..+|trace\..+|"
        r"doctest\..+|unittest\..+|test\..+|idlelib\..+|lib2to3\..+|ast\..+|types\..+|typing\..+|dis\..+|"
        r"numpy\.testing\..+|numpy\.lib\..*eval.*|pandas\..*eval|numexpr\..+|sympy\..+|torch\._dynamo\..+|torch\.fx\..+|"
        r"torch\._inductor\..+|torch\.jit\..+|torch\.testing\..+|torch\.distributed\..+|sqlite3\..+|"
        r"pstats\..+|tkinter\..+|ensurepip\..+|venv\..+|pip\..+|pip|collections\.namedtuple|dataclasses\..+|"
        r"hypothesis\..+|jinja2\..+|sklearn\.externals\..+|xml\..+|logging\.config\..+|bz2\..+|zipapp\..+|"
        r"py_compile\..+|compileall\..+|_testcapi\..+|_xxsubinterpreters\..+|symtable\..+|functorch\..+": (
            "evaluates text as code or runs other code"
        ),
        r"numpy\.(_?core)\._ufunc_reconstruct|importlib(\..+)?|pkgutil\..+|imp\..+|zipimport\..+|pydoc\..+|"
        r"builtins\.__import__|__builtin__\.__import__|"
        r"_frozen_importlib\w*\..+|site\..+|modulefinder\..+": "imports modules chosen by the file",
        r"builtins\.(getattr|setattr|delattr|type|vars|globals|locals|map|filter|apply|super|property|classmethod|"
        r"staticmethod|iter|memoryview|input|help)|_?operator\..+|functools\..+|_functools\..+|inspect\..+|itertools\..+|"
        r"copyreg\..+|copy\..+|gc\..+|sys\..+|sys|weakref\..+|contextlib\..+|collections\.abc\..+|threading\..+|"
        r"_thread\..+|sched\..+|atexit\..+|signal\..+|faulthandler\..+|torch\.utils\.data\..+|queue\..+": (
            "reaches other objects or calls what the file names"
        ),
        r"_?pickle\..+|cPickle\..+|shelve\..+|marshal\..+|joblib\..+|torch\.load|"
        r"torch\.(hub|package|serialization|storage)\..+|numpy\.(load|fromregex|genfromtxt|loadtxt|memmap|lib)(\..+)?|"
        r"pandas\..*read_.+|yaml\..+|jsonpickle\..+|sklearn\.datasets\..+|"
        r"(keras|tf_keras|tensorflow|transformers|datasets|huggingface_hub|xgboost|lightgbm)\."
        r"(.+[._])?(load|from_pretrained|get_file|restore|import|unpickle|deserialize|download|from_config|model_from)\w*"
        r"": "loads other files or pickles, or runs what they hold",
        r"_?socket\..+|ssl\..+|urllib\d?\..+|urllib3\..+|http\..+|httplib\..+|requests\..+|httpx\..+|aiohttp\..+|"
        r"ftplib\..+|smtplib\..+|poplib\..+|imaplib\..+|telnetlib\..+|nntplib\..+|xmlrpc\..+|socketserver\..+|"
        r"webbrowser\..+|antigravity(\..+)?|paramiko\..+|selectors\..+|select\..+|wsgiref\..+": (
            "opens network connections"
        ),
        r"builtins\.open|__builtin__\.(open|file)|_?io\..+|_pyio\..+|codecs\..+|pathlib\..+|shutil\..+|tempfile\..+|"
        r"linecache\..+|fileinput\..+|glob\..+|zipfile\..+|tarfile\..+|gzip\..+|lzma\..+|os\..+|posix\..+|nt\..+|"
        r"posixpath\..+|ntpath\..+|genericpath\..+|logging\..+|csv\..+|dbm\..+|filecmp\..+|mailbox\..+|mimetypes\..+|"
        r"numpy\.(save\w*|fromfile|tofile|DataSource)|torch\.(save|from_file)|pandas\..*\.to_\w+": (
            "reads, writes or removes files"
        ),
        r"_?ctypes(\..+)?|cffi\..+|_cffi\w*\..+|mmap\..+|torch\.(ops|classes|_ops|_C)\..+|numpy\.ctypeslib\..+": (
            "calls native code or touches raw memory"
        ),
    }.items()
)
_LIBRARIES = {"numpy", "scipy", "sklearn", "torch", "pandas", "xgboost", "lightgbm", "tensorflow", "keras", "tf_keras"}
_LIBRARIES |= {"transformers", "datasets", "joblib", "gymnasium", "gym", "torchvision", "huggingface_hub", "pyarrow"}
_OTHERS = """_pyrepl compression annotationlib asynchat asyncore smtpd cgi cgitb crypt imp nntplib pipes
lib2to3 msilib uu sndhdr imghdr binhex formatter parser symbol distutils audioop chunk aifc sunau mailcap nis spwd
ossaudiodev telnetlib xdrlib commands popen2 __builtin__ exceptions copy_reg"""
_PYTHON = sys.stdlib_module_names | set(_OTHERS.split())  # and those of versions before and after this one


def danger(module: str, name: str) -> str:
    """What a name that is known to be dangerous does, or "". Names behind dots count, as in numpy's ``os.system``."""
    parts = f"{module}.{name}".split(".")[-16:]
    for start in range(len(parts)):
        tail = ".".join(parts[start:])
        inside = start >= module.count(".") + 1 or start == 0  # the module's own parents are packages, not modules
        for pattern, what in _DANGER if inside else ():
            if pattern.fullmatch(tail):
                return what
    return ""


def known_package(module: str) -> str:
    """The package of a module of Python itself or of a library that models are made with, else ""."""
    package = module.partition(".")[0]
    return package if package in _LIBRARIES or package in _PYTHON else ""


def is_function(name: str) -> bool:
    """Whether a name is written as functions are: a class that is made has less power than a function called."""
    return not name.rpartition(".")[2].lstrip("_")[:1].isupper()
