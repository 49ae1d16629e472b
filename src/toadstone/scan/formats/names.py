"""Which names a pickle may import: those that tensors, arrays and estimators need, and nothing else."""

from __future__ import annotations

import re
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING

_CLASS = r"_?[A-Z]\w*"
_SKLEARN = (
    "calibration|cluster|compose|covariance|cross_decomposition|decomposition|discriminant_analysis|dummy|ensemble|"
    "feature_extraction|feature_selection|frozen|gaussian_process|impute|isotonic|kernel_approximation|kernel_ridge|"
    "linear_model|manifold|metrics|mixture|model_selection|multiclass|multioutput|naive_bayes|neighbors|"
    "neural_network|pipeline|preprocessing|random_projection|semi_supervised|svm|tree|base"
)
_ALLOWED = tuple(
    (re.compile(module), re.compile(name))
    for module, name in {
        r"builtins": "set|frozenset|list|dict|tuple|int|float|complex|bytes|bytearray|slice|range|object|str|bool",
        r"collections": "OrderedDict|defaultdict|deque|Counter",
        r"copyreg": "_reconstructor|__newobj__|__newobj_ex__",
        r"_codecs": "encode",
        r"datetime": "date|datetime|time|timedelta|timezone",
        r"decimal": "Decimal",
        r"fractions": "Fraction",
        r"pathlib(\._local)?": "Pure(Posix|Windows)?Path|PosixPath|WindowsPath|Path",
        r"numpy": r"ndarray|dtype|matrix|bool_?|u?int\d+|float\d+|complex\d+|u?int[cp]|[us]?byte|u?short|u?long|"
        r"u?longlong|half|single|double|c?longdouble|[cb]?str_|bytes_|void|object_|datetime64|timedelta64|number|generic|"
        r"recarray|record|mean|median|max|min|sum|std|var",
        r"numpy\.(_?core)\.multiarray": "_reconstruct|scalar",
        r"numpy\.(_?core)\.numeric": "_frombuffer",
        r"numpy\.(_?core)\.records": "recarray|record",
        r"numpy\.dtypes": r"\w+DType",
        r"numpy\.ma(\.core)?": "_mareconstruct|MaskedArray|MaskedConstant",
        r"numpy\.matrixlib\.defmatrix": "matrix",
        r"numpy\.random\._pickle": "__randomstate_ctor|__generator_ctor|__bit_generator_ctor",
        r"numpy\.random(\._(mt19937|pcg64|philox|sfc64|generator)|\.mtrand|\.bit_generator)?": (
            "MT19937|PCG64|PCG64DXSM|Philox|SFC64|Generator|RandomState|SeedSequence|"
            "__pyx_unpickle_SeedSequence|__pyx_unpickle_SeedlessSequence"
        ),
        r"scipy\.sparse(\.[a-z_]\w*)?": r"(bsr|coo|csc|csr|dia|dok|lil)_(matrix|array)",
        r"scipy\.interpolate\._bsplines": "BSpline",
        r"scipy\.interpolate\._interpolate": "interp1d",
        r"scipy\._lib\.array_api_compat\.numpy\._aliases": "asarray",
        r"sklearn\.cluster\._kmeans": r"_kmeans_single_\w+",
        r"joblib\.numpy_pickle": "NumpyArrayWrapper",
        r"torch": (
            r"Size|Tensor|device|Generator|memory_format|\w*Storage|u?int\d+|b?float\d+\w*|half|double|bool|complex\d+|"
            r"chalf|cfloat|cdouble|long|short|q?u?int\d+(x\d+)?|bits\d+\w*|per_(tensor|channel)_(affine|symmetric)\w*|"
            r"strided|sparse_\w+|contiguous_format|preserve_format|channels_last(_3d)?|_mkldnn"
        ),
        r"torch\.(cuda|cpu|sparse|xpu|storage)": r"\w*(Storage|Tensor)",
        r"torch\._utils": r"_rebuild_\w+",
        r"torch\._tensor": "_rebuild_from_type_v2|Tensor",
        r"torch\.serialization": "_get_layout|_get_dtype",
        r"torch\.nn\.parameter": "Parameter|Buffer|Uninitialized(Parameter|Buffer)",
        r"torch\.nn\.modules(\.[a-z_]\w*)?": _CLASS,
        r"torch\.ao\.nn\.quantized(\.\w+)*": _CLASS,
        r"torch\.nn\.functional": r"relu|relu6|gelu|silu|mish|elu|selu|leaky_relu|softplus|tanh|sigmoid|hardtanh",
        r"torch\._C\._nn": "gelu|silu|mish|elu|relu6|leaky_relu|softplus|hardtanh",
        r"torch\.optim\.(sgd|adam\w*|rmsprop|adagrad|nadam|radam|lbfgs|rprop|asgd|lr_scheduler)": _CLASS,
        rf"sklearn\.({_SKLEARN})(\.(?!tests|externals)\w+)*": _CLASS + r"|__pyx_unpickle_\w+",
        r"sklearn\.(_loss|utils)\.(loss|link|_loss|_bunch|_tags|_metadata_requests|_random|_typedefs|murmurhash)": (
            _CLASS + r"|__pyx_unpickle_\w+"
        ),
        r"sklearn\._loss": _CLASS,
        r"sklearn\.neighbors\._(kd_tree|ball_tree)|sklearn\.metrics\._dist_metrics": "newObj",
        r"sklearn\.metrics\._(classification|regression|ranking|scorer)": (
            r"[a-z]\w*_(score|loss|error|deviance|coef|ratios|ratio|curve|matrix)|auc|_passthrough_scorer"
        ),
        r"sklearn\.metrics\.cluster\._(supervised|unsupervised)": r"[a-z]\w*_score",
        r"sklearn\.feature_selection\._(univariate_selection|mutual_info)": (
            "f_classif|f_oneway|f_regression|r_regression|chi2|mutual_info_(classif|regression)"
        ),
        r"sklearn\.gaussian_process\.kernels": _CLASS,
        r"sklearn\.ensemble\._hist_gradient_boosting\.(binning|predictor|common)": _CLASS,
    }.items()
)
_FOREIGN = re.compile(  # classes that modules of scikit-learn or torch import from elsewhere
    "ABC|ABCMeta|Any|BytesIO|Callable|Counter|Enum|Executor|Hashable|Integral|Iterable|Iterator|Memory|MemorizedFunc|"
    "Number|Parallel|Path|Pool|Popen|Process|Real|Sequence|Sized|StringIO|ThreadPool|ThreadPoolExecutor|TypeVar|"
    "WeakKeyDictionary|Thread|Lock|Mapping|MutableMapping|Complex|Rational"
)

_DANGER = tuple(
    (re.compile(pattern), what)
    for pattern, what in {
        r"(os|posix|nt)\.(system|popen|exec\w+|spawn\w+|posix_spawn\w*|fork\w*|startfile)|subprocess(\..+)?|"
        r"_posixsubprocess\..+|pty\..+|commands\..+|popen2\..+|platform\.popen|multiprocessing\..+|concurrent\..+|"
        r"asyncio\..+|distutils\..+|setuptools\..+|torch\.multiprocessing\..+|torch\.utils\.cpp_extension\..+|"
        r"numpy\.(distutils|f2py)\..+|IPython\..+": "runs commands or starts processes",
        r"builtins\.(eval|exec|compile|execfile|breakpoint)|__builtin__\.(eval|exec|compile|execfile|apply)|"
        r"runpy\..+|code\..+|codeop\..+|timeit\..+|cProfile\..+|_lsprof\..+|profile\..+|pdb\..+|bdb\..+|trace\..+|"
        r"doctest\..+|unittest\..+|test\..+|idlelib\..+|lib2to3\..+|ast\..+|types\..+|typing\..+|dis\..+|"
        r"numpy\.testing\..+|numpy\.lib\..*eval.*|pandas\..*eval|numexpr\..+|sympy\..+|torch\._dynamo\..+|torch\.fx\..+|"
        r"torch\._inductor\..+|torch\.jit\..+|torch\.testing\..+|torch\.distributed\..+|scipy\.stats\..+|sqlite3\..+|"
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
        r"_?pickle\..+|cPickle\..+|dill\..+|cloudpickle\..+|shelve\..+|marshal\..+|joblib\..+|torch\.load|"
        r"torch\.(hub|package|serialization|storage)\..+|numpy\.(load|fromregex|genfromtxt|loadtxt|memmap|lib)(\..+)?|"
        r"pandas\..*read_.+|yaml\..+|jsonpickle\..+|sklearn\.datasets\..+|keras\..+|tensorflow\..+|transformers\..+|"
        r"datasets\..+|huggingface_hub\..+": "loads other files or pickles, or runs what they hold",
        r"_?socket\..+|ssl\..+|urllib\d?\..+|urllib3\..+|http\..+|httplib\..+|requests\..+|httpx\..+|aiohttp\..+|"
        r"ftplib\..+|smtplib\..+|poplib\..+|imaplib\..+|telnetlib\..+|nntplib\..+|xmlrpc\..+|socketserver\..+|"
        r"webbrowser\..+|antigravity|paramiko\..+|selectors\..+|select\..+|wsgiref\..+": "opens network connections",
        r"builtins\.open|__builtin__\.(open|file)|_?io\..+|_pyio\..+|codecs\..+|pathlib\..+|shutil\..+|tempfile\..+|"
        r"linecache\..+|fileinput\..+|glob\..+|zipfile\..+|tarfile\..+|gzip\..+|lzma\..+|os\..+|posix\..+|nt\..+|"
        r"posixpath\..+|ntpath\..+|genericpath\..+|logging\..+|csv\..+|dbm\..+|filecmp\..+|mailbox\..+|mimetypes\..+|"
        r"numpy\.(save\w*|fromfile|tofile|DataSource)|torch\.(save|from_file)": "reads, writes or removes files",
        r"_?ctypes(\..+)?|cffi\..+|_cffi\w*\..+|mmap\..+|torch\.(ops|classes|_ops|_C)\..+|numpy\.ctypeslib\..+": (
            "calls native code or touches raw memory"
        ),
    }.items()
)


def allowed(module: str, name: str) -> bool:
    """Whether models need this name, so that importing and calling it is expected.

    >>> allowed("collections", "OrderedDict"), allowed("timeit", "timeit")
    (True, False)
    """
    if _FOREIGN.fullmatch(name) and module.startswith(("sklearn", "torch")):
        return False
    return any(m.fullmatch(module) and n.fullmatch(name) for m, n in _ALLOWED)


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


def verdict(module: str, name: str, protocol: int) -> tuple[str, str]:
    """(rule, what the name does) of a name that a pickle of this protocol imports; ("", "") where it is allowed.

    >>> verdict("__builtin__", "set", 2), verdict("cProfile", "run", 4)[0]
    (('', ''), 'pickle-code')
    """
    new = (module, name)
    if protocol < 3:  # the unpickler renames what Python 2 called otherwise
        new = NAME_MAPPING.get(new, (IMPORT_MAPPING.get(module, module), name))
    if allowed(*new):
        return "", ""
    what = danger(*new) or danger(module, name)
    return ("pickle-code", what) if what else ("pickle-unknown-import", "")
