"""Trainers: data in, model out."""

from toadstone._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Train": "toadstone.training.train",
        "Adam": "toadstone.training.train",
        "SGD": "toadstone.training.train",
        "Fit": "toadstone.training.fit",
        "FitRegression": "toadstone.training.linear_regression",
        "NormSVM": "toadstone.training.norm_svm",
        "Pretrained": "toadstone.training.pretrained",
        "Resized": "toadstone.training.resized",
        "SpamBayes": "toadstone.training.spam_bayes",
        "Transfer": "toadstone.training.transfer",
        "ByClass": "toadstone.federated.partitions",
        "Dirichlet": "toadstone.federated.partitions",
        "Federated": "toadstone.federated.trainer",
        "IID": "toadstone.federated.partitions",
        "LocalTraining": "toadstone.federated.clients",
        "RoundRecord": "toadstone.federated.rounds",
        "Simulation": "toadstone.federated.simulation",
    },
)
