"""scikit-learn, XGBoost, LightGBM, and the spaces of gymnasium."""

from __future__ import annotations

from toadstone.scan.formats.allowed.row import CLASS, PURE, STORES, Rows

_SKLEARN = (
    "calibration|cluster|compose|covariance|cross_decomposition|decomposition|discriminant_analysis|dummy|ensemble|"
    "feature_extraction|feature_selection|frozen|gaussian_process|impute|isotonic|kernel_approximation|kernel_ridge|"
    "linear_model|manifold|metrics|mixture|model_selection|multiclass|multioutput|naive_bayes|neighbors|"
    "neural_network|pipeline|preprocessing|random_projection|semi_supervised|svm|tree|base"
)

LEARN: Rows = (
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
        STORES,
    ),
    ("class", r"sklearn\._loss", CLASS, STORES),
    ("function", r"sklearn\.cluster\._kmeans", r"_kmeans_single_\w+", PURE),
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
        PURE,
    ),
    ("function", r"sklearn\.metrics\.cluster\._(supervised|unsupervised)", r"[a-z]\w*_score", PURE),
    (
        "function",
        r"sklearn\.feature_selection\._(univariate_selection|mutual_info)",
        "f_classif|f_oneway|f_regression|r_regression|chi2|mutual_info_(classif|regression)",
        PURE,
    ),
    ("class", r"xgboost\.sklearn", r"XGB(RF)?(Classifier|Regressor|Ranker|Model)", STORES),
    ("bare", r"xgboost\.core", "Booster", "its state is read by XGBoost's parser of models, which runs nothing"),
    ("class", r"xgboost\.callback", "EarlyStopping|LearningRateScheduler|EvaluationMonitor", STORES),
    ("class", r"lightgbm\.sklearn", r"LGBM(Classifier|Regressor|Ranker|Model)", STORES),
    ("bare", r"lightgbm\.basic", "Booster", "its state is read by LightGBM's parser of models, which runs nothing"),
    (
        "class",
        r"(gymnasium|gym)\.spaces(\.(box|dict|discrete|graph|multi_binary|multi_discrete|oneof|sequence|text|"
        r"tuple|space))?",
        "Box|Dict|Discrete|Graph|GraphInstance|MultiBinary|MultiDiscrete|OneOf|Sequence|Text|Tuple|Space",
        STORES,
    ),
)
