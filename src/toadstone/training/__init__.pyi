from .adapt import Precomputed as Precomputed

# isort: split
# Below: the registered classes, written by `python -m toadstone.generate`.
from .fit import Fit as Fit
from .linear_regression import FitRegression as FitRegression
from .norm_svm import NormSVM as NormSVM
from .pretrained import Pretrained as Pretrained
from .resized import Resized as Resized
from .spam_bayes import SpamBayes as SpamBayes
from .train import SGD as SGD
from .train import Adam as Adam
from .train import Train as Train
from .transfer import Transfer as Transfer
