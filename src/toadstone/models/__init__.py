"""Models: torch modules and scikit-learn estimators behind one contract, reference nets, safe files."""

from toadstone._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "TorchModel": "toadstone.models.torch_model",
        "SklearnModel": "toadstone.models.sklearn_model",
        "Pixels": "toadstone.models.encode",
        "Columns": "toadstone.models.encode",
        "Words": "toadstone.models.encode",
        "Logistic": "toadstone.models.nets",
        "MLP": "toadstone.models.nets",
        "SmallCNN": "toadstone.models.nets",
        "PreActResNet": "toadstone.models.nets",
        "BagOfEmbeddings": "toadstone.models.nets",
        "TextCNN": "toadstone.models.nets",
        "cached": "toadstone.models.cache",
        "save": "toadstone.models.storage",
        "load": "toadstone.models.storage",
        "load_weights": "toadstone.models.storage",
    },
)
