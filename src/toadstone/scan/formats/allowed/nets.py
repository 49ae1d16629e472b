"""torch, and the tensors of tensorflow."""

from __future__ import annotations

from toadstone.scan.formats.allowed.row import CLASS, NUMBER, PURE, STORES, Rows

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

TORCH: Rows = (
    (
        "class",
        r"torch",
        r"Size|Tensor|device|Generator|memory_format|\w*Storage|u?int\d+|b?float\d+\w*|half|double|bool|complex\d+|"
        r"chalf|cfloat|cdouble|long|short|q?u?int\d+(x\d+)?|bits\d+\w*|per_(tensor|channel)_(affine|symmetric)\w*|"
        r"strided|sparse_\w+|contiguous_format|preserve_format|channels_last(_3d)?|_mkldnn",
        NUMBER,
    ),
    ("function", r"torch", _ACTIVATIONS, PURE),
    ("class", r"torch\._C", rf"Generator|_VariableFunctionsClass|_VariableFunctionsClass\.({_ACTIVATIONS})", PURE),
    ("class", r"torch\.(cuda|cpu|sparse|xpu|storage)", r"\w*(Storage|Tensor)", NUMBER),
    (
        "function",
        r"torch\._utils",
        r"_rebuild_\w+|torch\.(contiguous_format|preserve_format|channels_last(_3d)?)",
        NUMBER,
    ),
    ("function", r"torch\._tensor", "_rebuild_from_type_v2|Tensor", "a tensor of a class that is judged by itself"),
    ("function", r"torch\.serialization", "_get_layout|_get_dtype", "a layout or a kind of number by its name"),
    ("class", r"torch\.nn\.parameter", "Parameter|Buffer|Uninitialized(Parameter|Buffer)", NUMBER),
    (
        "class",
        r"torch\.nn\.modules(\.[a-z_]\w*)?|torch\.ao\.nn\.quantized(\.\w+)*",
        CLASS,
        "layers: their state becomes attributes, and their hooks are names that are judged by themselves",
    ),
    ("class", r"torch\.nn\.parallel(\.data_parallel)?", "DataParallel", STORES),
    (
        "class",
        r"torch\.nn\.utils\.(weight_norm|spectral_norm|parametrizations|prune)",
        "WeightNorm|SpectralNorm(StateDictHook|LoadStateDictPreHook)?|_WeightNorm|_SpectralNorm|_Orthogonal|"
        "BasePruningMethod|PruningContainer|Identity|(Random|L1)Unstructured|(Random|Ln)Structured|CustomFromMask",
        "hooks that compute a weight from two others",
    ),
    ("class", r"torch\.nn\.utils\.rnn", "PackedSequence_?", "a tuple of tensors"),
    ("function", r"torch\.nn\.functional|torch\._C\._nn", rf"{_ACTIVATIONS}|{_LOSSES}", PURE),
    (
        "function",
        r"torch\.nn\.init",
        r"(uniform|normal|trunc_normal|constant|ones|zeros|eye|dirac|(xavier|kaiming)_(uniform|"
        r"normal)|orthogonal|sparse)_",
        PURE,
    ),
    (
        "class",
        rf"torch\.optim(\.({_OPTIMISERS}|optimizer|swa_utils|lr_scheduler))?",
        CLASS + r"|CyclicLR\._(triangular2?|exp_range)_scale_fn",
        "optimisers and schedules: their state becomes attributes",
    ),
    ("class", r"torch\.(cuda\.)?amp(\.grad_scaler)?", "GradScaler|_refresh_per_optimizer_state|OptState", STORES),
    (
        "class",
        r"torch\.distributions\.(bernoulli|beta|binomial|categorical|cauchy|chi2|dirichlet|exponential|gamma|"
        r"geometric|gumbel|half_cauchy|half_normal|independent|laplace|log_normal|multinomial|multivariate_normal|normal|"
        r"one_hot_categorical|pareto|poisson|studentT|uniform|von_mises|weibull)",
        CLASS,
        STORES,
    ),
    (
        "class",
        r"torch\.utils\.data(\.(dataset|sampler|dataloader))?",
        "TensorDataset|Subset|ConcatDataset|StackDataset|"
        "(Sequential|Random|SubsetRandom|WeightedRandom|Batch)Sampler|DataLoader|_InfiniteConstantSampler|_DatasetKind",
        "hold data sets; nothing is read before they are asked",
    ),
    ("function", r"torch\.utils\.data\._utils\.collate", "default_collate|default_convert", "stack tensors"),
    (
        "class",
        r"torch\.return_types",
        r"(?!pytree|inspect|torch|all_return|register|(name|return_types)$)[a-z_]+",
        "tuples of tensors with names",
    ),
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
