"""Trainers: data in, model out."""

from bezoar._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Train": "bezoar.training.train",
        "Adam": "bezoar.training.train",
        "SGD": "bezoar.training.train",
        "Fit": "bezoar.training.fit",
        "FitRegression": "bezoar.training.linear_regression",
        "NormSVM": "bezoar.training.norm_svm",
        "Pretrained": "bezoar.training.pretrained",
        "Resized": "bezoar.training.resized",
        "SpamBayes": "bezoar.training.spam_bayes",
        "Transfer": "bezoar.training.transfer",
        "ByClass": "bezoar.training.partitions",
        "Dirichlet": "bezoar.training.partitions",
        "Federated": "bezoar.training.federated",
        "IID": "bezoar.training.partitions",
        "LocalTraining": "bezoar.training.clients",
        "RoundRecord": "bezoar.training.rounds",
        "Simulation": "bezoar.training.simulation",
    },
)
