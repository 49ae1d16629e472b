from .base import Located as Located
from .base import Trigger as Trigger
from .natural import Feature as Feature

# isort: split
# Below: the registered classes, written by `python -m toadstone.generate`.
from .accessory import Accessory as Accessory
from .additive import Additive as Additive
from .blend import Blend as Blend
from .camouflage import Camouflage as Camouflage
from .chain import Chain as Chain
from .distributed import Distributed as Distributed
from .dynamic import Dynamic as Dynamic
from .feature import SetFeature as SetFeature
from .natural import Coloured as Coloured
from .natural import InRange as InRange
from .natural import Phrase as Phrase
from .natural import Where as Where
from .one_of import OneOf as OneOf
from .patch import Patch as Patch
from .scalers import Scaler as Scaler
from .sinusoid import Sinusoid as Sinusoid
from .warp import Warp as Warp
from .words import InsertWords as InsertWords
