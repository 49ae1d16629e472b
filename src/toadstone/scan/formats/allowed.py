"""What a pickle may import: a table by package and kind, with the reason why each cannot run anything else.

An entry is judged by what its constructor, ``__new__``, ``__setstate__`` and ``__reduce__`` do with values that a
stranger chose: none of them loads a file, evaluates text or imports by name. What they are *given* to call is a name
of the same pickle, which is judged by itself. No entry is a prefix: modules are written out, names end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

Kind = Literal["class", "function", "value", "bare"]
"""What it is. A "bare" class may be made without arguments only: its constructor would read a file that they name."""


class Allowed(NamedTuple):
    """One entry: regular expressions for the module and the name, and why they are harmless."""

    package: str
    kind: Kind
    module: re.Pattern[str]
    names: re.Pattern[str]
    reason: str


CLASS = r"_?[A-Z]\w*"
_SKLEARN = (
    "calibration|cluster|compose|covariance|cross_decomposition|decomposition|discriminant_analysis|dummy|ensemble|"
    "feature_extraction|feature_selection|frozen|gaussian_process|impute|isotonic|kernel_approximation|kernel_ridge|"
    "linear_model|manifold|metrics|mixture|model_selection|multiclass|multioutput|naive_bayes|neighbors|"
    "neural_network|pipeline|preprocessing|random_projection|semi_supervised|svm|tree|base"
)
_NUMBER = "holds numbers; its state is read into an array of a given size"
_STORES = "its constructor stores its arguments and its state becomes its attributes"
_PURE = "a function of numbers, which calls nothing that it is given"

_PYTHON: tuple[tuple[Kind, str, str, str], ...] = (
    (
        "class",
        r"builtins",
        "set|frozenset|list|dict|tuple|int|float|complex|bytes|bytearray|slice|range|object|str|bool|enumerate|zip|"
        "reversed",
        "plain values",
    ),
    ("value", r"builtins", "Ellipsis|NotImplemented", "constants"),
    (
        "class",
        r"builtins",
        r"(?!Environment)[A-Z]\w*(Error|Warning|Exception|Interrupt|Exit|Iteration)|Exception|"
        "Warning|EnvironmentError",
        "exceptions, which hold their arguments",
    ),
    ("function", r"builtins", "abs|all|any|bin|chr|divmod|hash|hex|len|max|min|ord|pow|round|sorted|sum", _PURE),
    (
        "class",
        r"collections",
        "OrderedDict|defaultdict|deque|Counter|ChainMap|UserDict|UserList|UserString",
        "containers; a defaultdict calls its factory, a name that is judged by itself",
    ),
    (
        "function",
        r"copyreg",
        "_reconstructor|__newobj__|__newobj_ex__",
        "make an object of a class without its constructor",
    ),
    ("function", r"_codecs", "encode", "text to bytes by a codec of Python's own registry"),
    ("class", r"datetime", "date|datetime|time|timedelta|timezone", "plain values"),
    ("class", r"decimal|fractions", "Decimal|Fraction", "plain values"),
    ("class", r"uuid", "UUID|SafeUUID", "plain values"),
    ("class", r"ipaddress", "IPv[46](Address|Network|Interface)", "plain values"),
    (
        "class",
        r"pathlib(\._local)?",
        "Pure(Posix|Windows)?Path|PosixPath|WindowsPath|Path",
        "a path as text; nothing is opened",
    ),
    ("class", r"argparse", "Namespace", _STORES),
    ("class", r"types", "SimpleNamespace|NoneType|EllipsisType", _STORES),
    ("class", r"array", "array", _NUMBER),
    ("function", r"array", "_array_reconstructor", _NUMBER),
    ("class", r"random", "Random", _NUMBER),
    ("function", r"re", "_compile", "compiles a regular expression, which holds no code"),
    ("class", r"itertools", "count|product|repeat|chain|combinations|permutations|cycle|islice", "counts and repeats"),
    ("class", r"_?operator", "itemgetter", "holds keys; what it makes is not called by a pickle unseen"),
    (
        "class",
        r"zoneinfo",
        r"ZoneInfo(\._unpickle)?",
        "a time zone of the system; names that leave its folder are refused",
    ),
    ("function", r"logging", "getLogger", "the program's logger of a name"),
    ("class", r"collections\.abc", "Mapping|MutableMapping|Sequence|Set|Iterable|Callable|Hashable", "abstract"),
)
_UFUNCS = (
    "abs|absolute|add|arccos|arccosh|arcsin|arcsinh|arctan|arctan2|arctanh|bitwise_and|bitwise_or|bitwise_xor|cbrt|ceil|"
    "conj|conjugate|copysign|cos|cosh|deg2rad|degrees|divide|equal|exp|exp2|expm1|fabs|float_power|floor|floor_divide|"
    "fmax|fmin|fmod|gcd|greater|greater_equal|heaviside|hypot|invert|isfinite|isinf|isnan|lcm|less|less_equal|log|log10|"
    "log1p|log2|logaddexp|logaddexp2|logical_and|logical_not|logical_or|logical_xor|maximum|minimum|mod|multiply|"
    "negative|not_equal|positive|power|rad2deg|radians|reciprocal|remainder|rint|sign|signbit|sin|sinh|sqrt|square|"
    "subtract|tan|tanh|true_divide|trunc"
)
_NUMPY: tuple[tuple[Kind, str, str, str], ...] = (
    (
        "class",
        r"numpy",
        r"ndarray|dtype|matrix|bool_?|u?int\d+|float\d+|complex\d+|u?int[cp]|[us]?byte|u?short|u?long|"
        r"u?longlong|half|single|double|c?longdouble|[cb]?str_|bytes_|void|object_|datetime64|timedelta64|number|generic|"
        r"recarray|record|poly1d|vectorize|chararray|finfo|iinfo|ndindex",
        _NUMBER,
    ),
    (
        "function",
        r"numpy",
        _UFUNCS + "|mean|median|max|min|amax|amin|sum|prod|std|var|argmax|argmin|argsort|clip|ptp|"
        "nanmean|nanmedian|nanstd|nanmax|nanmin|nansum|ravel|squeeze|transpose|cumsum|dot|matmul|nan_to_num|where|identity",
        _PURE,
    ),
    (
        "function",
        r"numpy\.(_?core)\.(_methods|fromnumeric|umath|_multiarray_umath)",
        _UFUNCS + "|_?(mean|sum|std|var|max|min|prod)",
        _PURE,
    ),
    (
        "function",
        r"numpy\.linalg(\._?linalg)?",
        "norm|det|inv|pinv|solve|svd|eig|eigh|eigvals|matrix_rank|cholesky|qr|lstsq|cond|LinAlgError",
        _PURE,
    ),
    ("function", r"numpy\.(_?core)\.multiarray", "_reconstruct|scalar", _NUMBER),
    ("function", r"numpy\.(_?core)\.numeric", "_frombuffer", _NUMBER),
    ("function", r"numpy\.(_?core)\._internal", "_convert_to_stringdtype_kwargs|_reconstruct", _NUMBER),
    ("class", r"numpy\.((_?core)\.records|rec)", "recarray|record", _NUMBER),
    ("class", r"numpy\.(char|_?core\.defchararray)", "chararray", _NUMBER),
    ("class", r"numpy\.dtypes", r"\w+DType", "a kind of number"),
    ("class", r"numpy\.ma(\.core)?", "_mareconstruct|MaskedArray|MaskedConstant", _NUMBER),
    ("class", r"numpy\.matrixlib(\.defmatrix)?", "matrix", _NUMBER),
    ("class", r"numpy\.lib(\._?polynomial(_impl)?|\._function_base_impl|\.function_base)", "poly1d|vectorize", _STORES),
    (
        "class",
        r"numpy\.polynomial\.(polynomial|chebyshev|legendre|hermite|hermite_e|laguerre)",
        "Polynomial|Chebyshev|Legendre|Hermite|HermiteE|Laguerre",
        _STORES,
    ),
    (
        "function",
        r"numpy\.random\._pickle",
        "__randomstate_ctor|__generator_ctor|__bit_generator_ctor",
        "make a generator; what makes its bits is a name that is judged by itself",
    ),
    (
        "class",
        r"numpy\.random(\._(mt19937|pcg64|philox|sfc64|generator)|\.mtrand|\.bit_generator)?",
        "MT19937|PCG64|PCG64DXSM|Philox|SFC64|Generator|RandomState|SeedSequence|SeedlessSeedSequence|"
        "__pyx_unpickle_SeedSequence|__pyx_unpickle_Seedless(Seed)?Sequence",
        _NUMBER,
    ),
)
_SCIPY: tuple[tuple[Kind, str, str, str], ...] = (
    (
        "class",
        r"scipy\.sparse(\._?(base|bsr|coo|csc|csr|dia|dok|lil))?",
        r"(bsr|coo|csc|csr|dia|dok|lil)_(matrix|array)",
        _NUMBER,
    ),
    (
        "class",
        r"scipy\.interpolate\._(bsplines|interpolate|cubic|fitpack2|rbfinterp|rgi)",
        r"BSpline|interp1d(\._call_\w+|\._evaluate\w*)?|PPoly|BPoly|NdPPoly|CubicSpline|PchipInterpolator|"
        r"CubicHermiteSpline|Akima1DInterpolator|(Univariate|InterpolatedUnivariate|LSQUnivariate)Spline|RBFInterpolator|"
        r"RegularGridInterpolator",
        _NUMBER,
    ),
    ("function", r"scipy\._lib\.array_api_compat\.numpy\._aliases", "asarray", _NUMBER),
    ("class", r"scipy\.spatial\._?(ckdtree|kdtree)", "cKDTree|KDTree|cKDTreeNode", _NUMBER),
    ("class", r"scipy\.spatial\.transform\._rotation", "Rotation", _NUMBER),
    ("class", r"scipy\.optimize\._optimize", "OptimizeResult", "a dict with attributes"),
    ("class", r"scipy\.stats\._kde", "gaussian_kde", _NUMBER),
)
_LEARN: tuple[tuple[Kind, str, str, str], ...] = (
    (
        "class",
        r"joblib\.numpy_pickle",
        "NumpyArrayWrapper|Z?NDArrayWrapper",
        "an array behind it, or in a file beside it, is read",
    ),
    (
        "class",
        rf"sklearn\.({_SKLEARN})(\.(?!tests|externals)\w+)*",
        CLASS + r"|__pyx_unpickle_\w+|make_column_selector",
        "estimators: their constructors store, and their state becomes attributes",
    ),
    (
        "class",
        r"sklearn\.(_loss|utils)\.(loss|link|_loss|_bunch|_tags|_metadata_requests|_random|_typedefs|murmurhash)",
        CLASS + r"|__pyx_unpickle_\w+",
        _STORES,
    ),
    ("class", r"sklearn\._loss", CLASS, _STORES),
    ("function", r"sklearn\.cluster\._kmeans", r"_kmeans_single_\w+", _PURE),
    (
        "function",
        r"sklearn\.neighbors\._(kd_tree|ball_tree)|sklearn\.metrics\._dist_metrics",
        "newObj",
        "make an object of a class without its constructor",
    ),
    (
        "function",
        r"sklearn\.metrics\._(classification|regression|ranking|scorer)",
        r"[a-z]\w*_(score|loss|error|deviance|coef|ratios|ratio|curve|matrix)|auc|_passthrough_scorer",
        _PURE,
    ),
    ("function", r"sklearn\.metrics\.cluster\._(supervised|unsupervised)", r"[a-z]\w*_score", _PURE),
    (
        "function",
        r"sklearn\.feature_selection\._(univariate_selection|mutual_info)",
        "f_classif|f_oneway|f_regression|r_regression|chi2|mutual_info_(classif|regression)",
        _PURE,
    ),
    ("class", r"xgboost\.sklearn", r"XGB(RF)?(Classifier|Regressor|Ranker|Model)", _STORES),
    ("bare", r"xgboost\.core", "Booster", "its state is read by XGBoost's parser of models, which runs nothing"),
    ("class", r"xgboost\.callback", "EarlyStopping|LearningRateScheduler|EvaluationMonitor", _STORES),
    ("class", r"lightgbm\.sklearn", r"LGBM(Classifier|Regressor|Ranker|Model)", _STORES),
    ("bare", r"lightgbm\.basic", "Booster", "its state is read by LightGBM's parser of models, which runs nothing"),
    (
        "class",
        r"(gymnasium|gym)\.spaces(\.(box|dict|discrete|graph|multi_binary|multi_discrete|oneof|sequence|text|"
        r"tuple|space))?",
        "Box|Dict|Discrete|Graph|GraphInstance|MultiBinary|MultiDiscrete|OneOf|Sequence|Text|Tuple|Space",
        _STORES,
    ),
)
_INDEX = "(Datetime|Timedelta|Period|Interval|Categorical|Multi|Range|U?Int64|Float64|Numeric)?Index"
_EXTENSION = "Categorical|DatetimeTZ|Period|Interval|Sparse|String|Boolean|U?Int(8|16|32|64)|Float(32|64)"
_PANDAS: tuple[tuple[Kind, str, str, str], ...] = (
    (
        "class",
        r"pandas(\.core\.(frame|series|categorical|indexes\.\w+|arrays\.\w+|dtypes\.dtypes))?",
        rf"DataFrame|Series|{_INDEX}|Categorical|Timestamp|Timedelta|Period|Interval|NA|NaT|({_EXTENSION})Dtype|Flags",
        _STORES,
    ),
    (
        "class",
        r"pandas(\.core)?\.arrays(\.(?!arrow)\w+)*",
        r"(Boolean|Datetime|Timedelta|Floating|Integer|Interval|Numpy|NumpyExtension|Pandas|Period|Sparse|String|"
        rf"StringNumpySemantics|ArrowString|ArrowStringArrayNumpySemantics)(Array(NumpySemantics)?)?|({_EXTENSION})Dtype",
        _STORES,
    ),
    (
        "class",
        r"pandas\.core\.arrays\.string_arrow|pandas\.core\.arrays\.arrow\.array",
        "ArrowStringArray|ArrowStringArrayNumpySemantics|ArrowExtensionArray",
        _STORES,
    ),
    ("class", r"pandas\.core\.internals\.(managers|blocks)", r"(Single)?BlockManager|\w*Block|new_block", _STORES),
    ("function", r"pandas\.core\.indexes\.\w+", r"_new_\w*Index", "make an index of a class that is judged by itself"),
    (
        "function",
        r"pandas\._libs\.(internals|arrays|sparse|interval|missing)",
        r"_unpickle_block|__pyx_unpickle_\w+|BlockPlacement|IntIndex|BlockIndex|NDArrayBacked|NAType|Interval",
        _NUMBER,
    ),
    (
        "function",
        r"pandas\._libs\.tslibs\.(nattype|offsets|timedeltas|timestamps|period|timezones|dtypes)",
        r"_nat_unpickle|_timedelta_unpickle|_unpickle_timestamp|__pyx_unpickle_\w+|[A-Z]\w*",
        "moments and calendars",
    ),
    ("value", r"pandas\.core\.flags", "Flags", _STORES),
    (
        "function",
        r"pyarrow\.lib",
        r"py_buffer|_restore_array|chunked_array|(large_)?string|(large_)?binary|u?int\d+|"
        r"float\d+|bool_|null|timestamp|date32|date64|type_for_alias|(Chunked|String|LargeString)Array",
        _NUMBER,
    ),
)
_ACTIVATIONS = (
    "relu6?_?|gelu|silu|mish|elu_?|selu_?|celu_?|leaky_relu_?|rrelu_?|prelu|softplus|softmax|log_softmax|softmin|tanh_?|"
    "sigmoid_?|hardtanh_?|hardsigmoid|hardswish|logsigmoid|softsign|tanhshrink|softshrink|hardshrink|threshold_?|glu|"
    "gumbel_softmax|normalize|dropout\\w*|linear|exp|log|log1p|sqrt|abs|sin|cos|square|sum|mean|max|min|argmax|flatten"
)
_LOSSES = (
    r"(\w+_)?cross_entropy(_with_logits)?|mse_loss|l1_loss|nll_loss|kl_div|smooth_l1_loss|huber_loss|poisson_nll_loss|"
    r"gaussian_nll_loss|\w+_margin_loss|\w+_embedding_loss|ctc_loss|soft_margin_loss|cosine_similarity|"
    r"pairwise_distance|one_hot|pad|interpolate|grid_sample|(max|avg|adaptive_(max|avg))_pool[123]d|batch_norm|"
    r"layer_norm|group_norm|instance_norm|rms_norm|embedding|scaled_dot_product_attention|conv[123]d|unfold|fold"
)
_OPTIMISERS = "sgd|adam|adamw|adamax|adadelta|sparse_adam|rmsprop|adagrad|nadam|radam|lbfgs|rprop|asgd|_adafactor|_muon"
_TORCH: tuple[tuple[Kind, str, str, str], ...] = (
    (
        "class",
        r"torch",
        r"Size|Tensor|device|Generator|memory_format|\w*Storage|u?int\d+|b?float\d+\w*|half|double|bool|complex\d+|"
        r"chalf|cfloat|cdouble|long|short|q?u?int\d+(x\d+)?|bits\d+\w*|per_(tensor|channel)_(affine|symmetric)\w*|"
        r"strided|sparse_\w+|contiguous_format|preserve_format|channels_last(_3d)?|_mkldnn",
        _NUMBER,
    ),
    ("function", r"torch", _ACTIVATIONS, _PURE),
    ("class", r"torch\._C", rf"Generator|_VariableFunctionsClass|_VariableFunctionsClass\.({_ACTIVATIONS})", _PURE),
    ("class", r"torch\.(cuda|cpu|sparse|xpu|storage)", r"\w*(Storage|Tensor)", _NUMBER),
    (
        "function",
        r"torch\._utils",
        r"_rebuild_\w+|torch\.(contiguous_format|preserve_format|channels_last(_3d)?)",
        _NUMBER,
    ),
    ("function", r"torch\._tensor", "_rebuild_from_type_v2|Tensor", "a tensor of a class that is judged by itself"),
    ("function", r"torch\.serialization", "_get_layout|_get_dtype", "a layout or a kind of number by its name"),
    ("class", r"torch\.nn\.parameter", "Parameter|Buffer|Uninitialized(Parameter|Buffer)", _NUMBER),
    (
        "class",
        r"torch\.nn\.modules(\.[a-z_]\w*)?|torch\.ao\.nn\.quantized(\.\w+)*",
        CLASS,
        "layers: their state becomes attributes, and their hooks are names that are judged by themselves",
    ),
    ("class", r"torch\.nn\.parallel(\.data_parallel)?", "DataParallel", _STORES),
    (
        "class",
        r"torch\.nn\.utils\.(weight_norm|spectral_norm|parametrizations|prune)",
        "WeightNorm|SpectralNorm(StateDictHook|LoadStateDictPreHook)?|_WeightNorm|_SpectralNorm|_Orthogonal|"
        "BasePruningMethod|PruningContainer|Identity|(Random|L1)Unstructured|(Random|Ln)Structured|CustomFromMask",
        "hooks that compute a weight from two others",
    ),
    ("class", r"torch\.nn\.utils\.rnn", "PackedSequence_?", "a tuple of tensors"),
    ("function", r"torch\.nn\.functional|torch\._C\._nn", rf"{_ACTIVATIONS}|{_LOSSES}", _PURE),
    (
        "function",
        r"torch\.nn\.init",
        r"(uniform|normal|trunc_normal|constant|ones|zeros|eye|dirac|(xavier|kaiming)_(uniform|"
        r"normal)|orthogonal|sparse)_",
        _PURE,
    ),
    (
        "class",
        rf"torch\.optim(\.({_OPTIMISERS}|optimizer|swa_utils|lr_scheduler))?",
        CLASS + r"|CyclicLR\._(triangular2?|exp_range)_scale_fn",
        "optimisers and schedules: their state becomes attributes",
    ),
    ("class", r"torch\.(cuda\.)?amp(\.grad_scaler)?", "GradScaler|_refresh_per_optimizer_state|OptState", _STORES),
    (
        "class",
        r"torch\.distributions\.(bernoulli|beta|binomial|categorical|cauchy|chi2|dirichlet|exponential|gamma|"
        r"geometric|gumbel|half_cauchy|half_normal|independent|laplace|log_normal|multinomial|multivariate_normal|normal|"
        r"one_hot_categorical|pareto|poisson|studentT|uniform|von_mises|weibull)",
        CLASS,
        _STORES,
    ),
    (
        "class",
        r"torch\.utils\.data(\.(dataset|sampler|dataloader))?",
        "TensorDataset|Subset|ConcatDataset|StackDataset|"
        "(Sequential|Random|SubsetRandom|WeightedRandom|Batch)Sampler|DataLoader|_InfiniteConstantSampler|_DatasetKind",
        "hold data sets; nothing is read before they are asked",
    ),
    ("function", r"torch\.utils\.data\._utils\.collate", "default_collate|default_convert", "stack tensors"),
    ("class", r"torch\.return_types", r"[a-z_]+", "tuples of tensors with names"),
    (
        "function",
        r"tensorflow\.python\.framework\.(ops|tensor_conversion|constant_op)",
        "convert_to_tensor(_v[12]\\w*)?",
        "makes a tensor of an array",
    ),
    (
        "class",
        r"tensorflow\.python\.framework\.(tensor_shape|dtypes|tensor|tensor_spec)",
        "TensorShape|Dimension|DType|as_dtype|TensorSpec",
        "a shape or a kind of number",
    ),
)


def _table() -> Iterator[Allowed]:
    parts = {
        "Python": _PYTHON,
        "numpy": _NUMPY,
        "scipy": _SCIPY,
        "estimators": _LEARN,
        "pandas": _PANDAS,
        "torch and tensorflow": _TORCH,
    }
    for package, rows in parts.items():
        for kind, module, names, reason in rows:
            yield Allowed(package, kind, re.compile(module), re.compile(names), reason)


ALLOWED = tuple(_table())
