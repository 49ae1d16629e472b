"""numpy and scipy."""

from __future__ import annotations

from toadstone.scan.formats.allowed.row import NUMBER, PURE, STORES, Rows

_UFUNCS = (
    "abs|absolute|add|arccos|arccosh|arcsin|arcsinh|arctan|arctan2|arctanh|bitwise_and|bitwise_or|bitwise_xor|cbrt|ceil|"
    "conj|conjugate|copysign|cos|cosh|deg2rad|degrees|divide|equal|exp|exp2|expm1|fabs|float_power|floor|floor_divide|"
    "fmax|fmin|fmod|gcd|greater|greater_equal|heaviside|hypot|invert|isfinite|isinf|isnan|lcm|less|less_equal|log|log10|"
    "log1p|log2|logaddexp|logaddexp2|logical_and|logical_not|logical_or|logical_xor|maximum|minimum|mod|multiply|"
    "negative|not_equal|positive|power|rad2deg|radians|reciprocal|remainder|rint|sign|signbit|sin|sinh|sqrt|square|"
    "subtract|tan|tanh|true_divide|trunc"
)

NUMPY: Rows = (
    (
        "class",
        r"numpy",
        r"ndarray|dtype|matrix|bool_?|u?int\d+|float\d+|complex\d+|u?int[cp]|[us]?byte|u?short|u?long|"
        r"u?longlong|half|single|double|c?longdouble|[cb]?str_|bytes_|void|object_|datetime64|timedelta64|number|generic|"
        r"recarray|record|poly1d|vectorize|chararray|finfo|iinfo|ndindex",
        NUMBER,
    ),
    (
        "function",
        r"numpy",
        _UFUNCS + "|mean|median|max|min|amax|amin|sum|prod|std|var|argmax|argmin|argsort|clip|ptp|"
        "nanmean|nanmedian|nanstd|nanmax|nanmin|nansum|ravel|squeeze|transpose|cumsum|dot|matmul|nan_to_num|where|identity",
        PURE,
    ),
    (
        "function",
        r"numpy\.(_?core)\.(_methods|fromnumeric|umath|_multiarray_umath)",
        _UFUNCS + "|_?(mean|sum|std|var|max|min|prod)",
        PURE,
    ),
    (
        "function",
        r"numpy\.linalg(\._?linalg)?",
        "norm|det|inv|pinv|solve|svd|eig|eigh|eigvals|matrix_rank|cholesky|qr|lstsq|cond|LinAlgError",
        PURE,
    ),
    ("function", r"numpy\.(_?core)\.multiarray", "_reconstruct|scalar", NUMBER),
    ("function", r"numpy\.(_?core)\.numeric", "_frombuffer", NUMBER),
    ("function", r"numpy\.(_?core)\._internal", "_convert_to_stringdtype_kwargs|_reconstruct", NUMBER),
    ("class", r"numpy\.((_?core)\.records|rec)", "recarray|record", NUMBER),
    ("class", r"numpy\.(char|_?core\.defchararray)", "chararray", NUMBER),
    ("class", r"numpy\.dtypes", r"\w+DType", "a kind of number"),
    ("class", r"numpy\.ma(\.core)?", "_mareconstruct|MaskedArray|MaskedConstant", NUMBER),
    ("class", r"numpy\.matrixlib(\.defmatrix)?", "matrix", NUMBER),
    ("class", r"numpy\.lib(\._?polynomial(_impl)?|\._function_base_impl|\.function_base)", "poly1d|vectorize", STORES),
    (
        "class",
        r"numpy\.polynomial\.(polynomial|chebyshev|legendre|hermite|hermite_e|laguerre)",
        "Polynomial|Chebyshev|Legendre|Hermite|HermiteE|Laguerre",
        STORES,
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
        NUMBER,
    ),
)

SCIPY: Rows = (
    (
        "class",
        r"scipy\.sparse(\._?(base|bsr|coo|csc|csr|dia|dok|lil))?",
        r"(bsr|coo|csc|csr|dia|dok|lil)_(matrix|array)",
        NUMBER,
    ),
    (
        "class",
        r"scipy\.interpolate\._(bsplines|interpolate|cubic|fitpack2|rbfinterp|rgi)",
        r"BSpline|interp1d(\._call_\w+|\._evaluate\w*)?|PPoly|BPoly|NdPPoly|CubicSpline|PchipInterpolator|"
        r"CubicHermiteSpline|Akima1DInterpolator|(Univariate|InterpolatedUnivariate|LSQUnivariate)Spline|RBFInterpolator|"
        r"RegularGridInterpolator",
        NUMBER,
    ),
    ("function", r"scipy\._lib\.array_api_compat\.numpy\._aliases", "asarray", NUMBER),
    ("class", r"scipy\.spatial\._?(ckdtree|kdtree)", "cKDTree|KDTree|cKDTreeNode", NUMBER),
    ("class", r"scipy\.spatial\.transform\._rotation", "Rotation", NUMBER),
    ("class", r"scipy\.optimize\._optimize", "OptimizeResult", "a dict with attributes"),
    ("class", r"scipy\.stats\._kde", "gaussian_kde", NUMBER),
)
