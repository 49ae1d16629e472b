from .cache import cached as cached
from .foreign import load_stranger as load_stranger
from .sklearn_model import SklearnModel as SklearnModel
from .storage import load as load
from .storage import load_weights as load_weights
from .storage import save as save
from .torch_model import TorchModel as TorchModel

# isort: split
# Below: the registered classes, written by `python -m toadstone.generate`.
from .encode import Columns as Columns
from .encode import Pixels as Pixels
from .encode import Words as Words
from .nets import MLP as MLP
from .nets import BagOfEmbeddings as BagOfEmbeddings
from .nets import Logistic as Logistic
from .nets import PreActResNet as PreActResNet
from .nets import SmallCNN as SmallCNN
from .nets import TextCNN as TextCNN
from .rescaled import Rescaled as Rescaled
